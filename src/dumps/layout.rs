//! How a tensor of a file is laid out, given the shape that a site has here.

use super::tensors::Found;
use crate::tensor::Axis;

/// What was done to a tensor so that it is laid out as the site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Cut out of a fused projection.
    Split,
    /// A batch axis was removed.
    Row,
    /// Heads were side by side on one axis.
    Heads,
    /// Axes were in a different order.
    Turned,
    /// The features are divided into a different number of heads.
    Divided,
}

impl Change {
    /// A clause for a note under a table.
    pub fn words(self) -> &'static str {
        match self {
            Change::Split => "fused projections in the file were split",
            Change::Row => "a batch axis in the file was removed",
            Change::Heads => "heads that are side by side on one axis in the file were split",
            Change::Turned => "axes in a different order in the file were transposed",
            Change::Divided => {
                "features are divided into a different number of heads there: compared feature by feature"
            }
        }
    }
}

/// A tensor laid out as the site is, and what was done to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Shape and elements, without a row axis.
    pub found: Found,
    pub changes: Vec<Change>,
}

/// Which part of the last axis of a fused projection a site is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub index: usize,
    /// The features of each part.
    pub widths: Vec<usize>,
    /// How often the parts follow each other.
    pub rounds: usize,
}

impl Part {
    /// The features of one part, in its own order; `None` if the last axis is not as wide as all parts together.
    pub fn cut(&self, whole: &Found) -> Option<Found> {
        let total: usize = self.widths.iter().sum();
        if whole.shape.last() != Some(&total) || self.rounds == 0 {
            return None;
        }
        let before: usize = self.widths[..self.index].iter().map(|width| width / self.rounds).sum();
        let (round, width) = (total / self.rounds, self.widths[self.index] / self.rounds);
        let rows = whole.data.chunks(total);
        let data = rows.flat_map(|row| row.chunks(round).flat_map(|one| &one[before..before + width]).copied());
        let mut shape = whole.shape.clone();
        *shape.last_mut()? = self.widths[self.index];
        Some(Found { data: data.collect(), shape })
    }
}

/// Lays a tensor out as a site whose value for one row has the shape `wanted` and the axes `axes`.
///
/// Lengths of positions and of the vocabulary may differ: what is compared is then cut to what both have. All other
/// lengths must be those of the site. If the order of the file fits as it is, it is taken so.
///
/// # Errors
/// A clause that says why it cannot be.
pub fn fit(found: Found, wanted: &[usize], axes: &[Axis], row: usize) -> Result<Fitted, String> {
    // A batch axis comes first.
    let rows = found.shape.first().copied().filter(|_| found.shape.len() > 1);
    let alone = rows.and_then(|rows| {
        let row = if rows == 1 { 0 } else { row };
        let each = found.data.len() / rows.max(1);
        let data = found.data.get(row * each..(row + 1) * each)?.to_vec();
        Some(Found { shape: found.shape[1..].to_vec(), data })
    });
    let forms = [(Some(&found), None), (alone.as_ref(), Some(Change::Row))];
    // Only what fits in no other way is divided into other heads.
    for divide in [false, true] {
        for (form, change) in &forms {
            let Some(form) = form else { continue };
            for exact in [true, false] {
                let same = |length: usize, at: usize| wanted[at] == length || !exact && free(axes[at]);
                let done = match divide {
                    false => laid(form, wanted, axes, &same),
                    true => divided_otherwise(form, wanted, axes, &same),
                };
                if let Some((found, last)) = done {
                    return Ok(Fitted { found, changes: change.iter().copied().chain(last).collect() });
                }
            }
        }
    }
    Err(format!("{:?} in the file, {wanted:?} here", found.shape))
}

/// The tensor with its heads divided as here, after positions or before them.
fn divided_otherwise(
    found: &Found,
    wanted: &[usize],
    axes: &[Axis],
    same: Same<'_>,
) -> Option<(Found, Option<Change>)> {
    let [_, heads, width] = *wanted else { return None };
    let heads_first = Some(found).filter(|found| found.shape.len() == 3).map(|found| turned(found, &[1, 0, 2]));
    let mut forms = [Some(found.clone()), heads_first].into_iter().flatten();
    forms.find_map(|form| {
        let shape = divided(&form.shape, axes, [heads, width]).filter(|shape| same(shape[0], 0))?;
        Some((Found { shape, data: form.data }, Some(Change::Divided)))
    })
}

/// A shape whose features are divided into heads as they are here, if they are divided differently.
pub fn divided(shape: &[usize], axes: &[Axis], here: [usize; 2]) -> Option<Vec<usize>> {
    let (before, heads) = shape.split_at_checked(axes.len().checked_sub(2)?)?;
    let of_heads = axes.ends_with(&[Axis::Head, Axis::Dim]) && shape.len() == axes.len();
    let other = of_heads && heads != here && heads.iter().product::<usize>() == here.iter().product::<usize>();
    other.then(|| [before, &here].concat())
}

/// Whether an axis may be longer on one side.
pub(super) fn free(axis: Axis) -> bool {
    axis.is_position() || axis == Axis::Vocab
}

type Same<'a> = &'a dyn Fn(usize, usize) -> bool;

/// The tensor as it is, with its heads split, or with its axes in the only other order that fits.
fn laid(found: &Found, wanted: &[usize], axes: &[Axis], same: Same<'_>) -> Option<(Found, Option<Change>)> {
    let fits =
        |shape: &[usize]| shape.len() == wanted.len() && shape.iter().enumerate().all(|(at, &length)| same(length, at));
    if fits(&found.shape) {
        return Some((found.clone(), None));
    }
    if let Some(head) = axes.iter().position(|axis| *axis == Axis::Head).filter(|head| head + 1 < wanted.len())
        && found.shape.len() + 1 == wanted.len()
        && found.shape[head] == wanted[head] * wanted[head + 1]
    {
        let mut shape = found.shape.clone();
        shape.splice(head..=head, [wanted[head], wanted[head + 1]]);
        if fits(&shape) {
            return Some((Found { shape, data: found.data.clone() }, Some(Change::Heads)));
        }
    }
    if found.shape.len() != wanted.len() || wanted.len() > 4 {
        return None;
    }
    // Heads come before their features in all known code: what has it the other way round has other heads.
    let of_heads = |order: &Vec<usize>| match axes.iter().position(|axis| *axis == Axis::Head) {
        Some(head) if axes.get(head + 1) == Some(&Axis::Dim) => order[head] < order[head + 1],
        _ => true,
    };
    let fitting: Vec<Vec<usize>> = orders(wanted.len())
        .into_iter()
        .filter(of_heads)
        .filter(|order| fits(&order.iter().map(|&axis| found.shape[axis]).collect::<Vec<_>>()))
        .collect();
    // Features come last in all known code; of several orders that remain nothing says which is meant.
    let usual: Vec<&Vec<usize>> = fitting.iter().filter(|order| order.last() == Some(&(wanted.len() - 1))).collect();
    let order = match (fitting.as_slice(), usual.as_slice()) {
        ([only], _) => only,
        (_, [only]) => *only,
        _ => return None,
    };
    Some((turned(found, order), Some(Change::Turned)))
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        all = all
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                let left = (0..count).filter(|axis| !order.contains(axis)).collect::<Vec<_>>();
                left.into_iter().map(move |axis| [order.clone(), vec![axis]].concat())
            })
            .collect();
    }
    all
}

/// The elements with axes in a different order: axis `order[i]` of the file becomes axis `i`.
fn turned(found: &Found, order: &[usize]) -> Found {
    let shape: Vec<usize> = order.iter().map(|&axis| found.shape[axis]).collect();
    let mut strides = vec![1; found.shape.len()];
    for axis in (1..found.shape.len()).rev() {
        strides[axis - 1] = strides[axis] * found.shape[axis];
    }
    let place = |at: usize| -> usize {
        crate::tensor::unravel(at, &shape).iter().zip(order).map(|(i, &axis)| i * strides[axis]).sum()
    };
    Found { data: (0..found.data.len()).map(|at| found.data[place(at)]).collect(), shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(shape: &[usize]) -> Found {
        Found { shape: shape.to_vec(), data: (0..shape.iter().product()).map(|i: usize| i as f64).collect() }
    }

    const HEADS: [Axis; 3] = [Axis::Pos, Axis::Head, Axis::Dim];

    #[test]
    fn layouts_that_python_leaves_are_recognised() {
        let fitted = |shape: &[usize]| fit(found(shape), &[5, 4, 8], &HEADS, 0);
        assert_eq!(fitted(&[5, 4, 8]).unwrap().changes, []);
        assert_eq!(fitted(&[1, 5, 4, 8]).unwrap().changes, [Change::Row]);
        let flat = fitted(&[1, 5, 32]).unwrap();
        assert_eq!((flat.changes, flat.found.shape), (vec![Change::Row, Change::Heads], vec![5, 4, 8]));
        let turned = fitted(&[4, 5, 8]).unwrap();
        assert_eq!(turned.changes, [Change::Turned]);
        // Element (pos 1, head 2, dim 3) is at (2, 1, 3).
        assert_eq!(turned.found.data[(4 + 2) * 8 + 3], ((2 * 5 + 1) * 8 + 3) as f64);
        // As many positions as features: heads and positions change places, features stay last.
        let square = fit(found(&[4, 8, 8]), &[8, 4, 8], &HEADS, 0).unwrap();
        assert_eq!((square.changes, square.found.data[4 * 8]), (vec![Change::Turned], 8.0));
        // Other heads of the same features, also with heads first.
        let other = fitted(&[1, 5, 8, 4]).unwrap();
        assert_eq!((other.changes, other.found.shape), (vec![Change::Row, Change::Divided], vec![5, 4, 8]));
        assert_eq!(other.found.data[33], 33.0);
        let other = fitted(&[8, 5, 4]).unwrap();
        // Feature 5 of position 1 is dim 1 of their head 1.
        assert_eq!((other.changes, other.found.data[32 + 5]), (vec![Change::Divided], ((5 + 1) * 4 + 1) as f64));
        assert!(fitted(&[5, 4, 9]).is_err());
        assert!(fitted(&[7]).is_err());
    }

    #[test]
    fn another_length_of_the_text_is_no_other_layout() {
        let shorter = fit(found(&[3, 4, 8]), &[5, 4, 8], &HEADS, 0).unwrap();
        assert_eq!((shorter.changes.len(), shorter.found.shape), (0, vec![3, 4, 8]));
    }

    #[test]
    fn an_order_that_nothing_decides_is_taken_as_it_is() {
        // As many positions as heads: it may be either.
        assert_eq!(fit(found(&[4, 4, 8]), &[4, 4, 8], &HEADS, 0).unwrap().changes, []);
    }

    #[test]
    fn the_row_of_a_batch_is_the_focused_one() {
        let second = fit(found(&[2, 3, 6]), &[3, 6], &[Axis::Pos, Axis::Dim], 1).unwrap();
        assert_eq!(second.found.data[0], 18.0);
        assert!(fit(found(&[2, 3, 6]), &[3, 6], &[Axis::Pos, Axis::Dim], 2).is_err());
    }

    #[test]
    fn fused_projections_are_cut_as_they_were_put_together() {
        let whole = found(&[1, 12]);
        let part = |index, rounds| Part { index, widths: vec![4, 4, 4], rounds }.cut(&whole).unwrap().data;
        assert_eq!(part(1, 1), [4.0, 5.0, 6.0, 7.0]);
        assert_eq!(part(1, 2), [2.0, 3.0, 8.0, 9.0]);
        assert!(Part { index: 0, widths: vec![4, 4], rounds: 1 }.cut(&whole).is_none());
    }
}
