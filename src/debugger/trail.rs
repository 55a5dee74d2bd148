//! The places where the cursor has stopped, to go back and forward through like the pages of a browser.

use super::Mark;

/// Places kept; older ones are forgotten.
const KEPT: usize = 1000;

pub type Visited = (usize, Mark);

/// The places where the cursor has stopped, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    places: Vec<Visited>,
    at: usize,
}

impl Trail {
    /// The cursor has stopped at a place; the places after it are forgotten.
    pub fn visit(&mut self, place: Visited) {
        if self.places.get(self.at) == Some(&place) {
            return;
        }
        self.places.truncate(self.at + 1);
        self.places.push(place);
        if self.places.len() > KEPT {
            self.places.remove(0);
        }
        self.at = self.places.len() - 1;
    }

    /// So many places back from where the cursor is; none at the oldest. A cursor that has left the trail comes back to
    /// it first.
    pub fn back(&mut self, here: Visited, times: usize) -> Option<Visited> {
        let left = self.places.get(self.at) != Some(&here);
        let to = self.at.checked_sub(times - usize::from(left))?;
        let place = *self.places.get(to)?;
        self.at = to;
        Some(place)
    }

    /// The stop before a place.
    pub fn before(&self, here: Visited) -> Option<Visited> {
        let at = if self.places.get(self.at) == Some(&here) { self.at.checked_sub(1)? } else { self.at };
        self.places.get(at).copied()
    }

    /// So many places on; none at the latest.
    pub fn forward(&mut self, times: usize) -> Option<Visited> {
        let place = *self.places.get(self.at + times)?;
        self.at += times;
        Some(place)
    }

    /// The places under other marks.
    pub(super) fn renumber(&mut self, by: impl Fn(Mark) -> Mark) {
        self.places.iter_mut().for_each(|(_, at)| *at = by(*at));
    }

    /// Where the cursor is among the places, counted from 1, and how many there are.
    pub fn position(&self) -> (usize, usize) {
        ((self.at + 1).min(self.places.len()), self.places.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(op: usize) -> Visited {
        (0, Mark { pass: 0, op })
    }

    #[test]
    fn back_and_forward_are_those_of_a_browser() {
        let mut trail = Trail::default();
        assert_eq!(trail.back(place(0), 1), None);
        [0, 5, 5, 9].into_iter().for_each(|op| trail.visit(place(op)));
        assert_eq!(trail.position(), (3, 3));
        assert_eq!((trail.before(place(9)), trail.before(place(11))), (Some(place(5)), Some(place(9))));
        assert_eq!((trail.back(place(9), 1), trail.back(place(5), 1)), (Some(place(5)), Some(place(0))));
        assert_eq!(trail.back(place(0), 1), None);
        assert_eq!((trail.forward(2), trail.forward(1)), (Some(place(9)), None));
        assert_eq!(trail.back(place(4), 1), Some(place(9)));
        trail.back(place(9), 2);
        trail.visit(place(7));
        assert_eq!((trail.forward(1), trail.position()), (None, (2, 2)));
    }
}
