//! What is masked on the other side, as its scores or pattern show it.

/// Which keys queries see: those at distances `nearest..=farthest` before them; negative ones come after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub nearest: i64,
    pub farthest: i64,
}

impl Seen {
    /// Of scores or a pattern `H T T` for a whole prompt; `None` if what is masked does not go by distance.
    pub fn of(scores: &[f64], length: usize, is_masked: &dyn Fn(f64) -> bool) -> Option<Seen> {
        let masked = |i: usize| is_masked(scores[i]);
        let heads = scores.len() / (length * length).max(1);
        let mut seen: Option<Seen> = None;
        for i in (0..scores.len()).filter(|i| !masked(*i)) {
            let distance = (i / length % length) as i64 - (i % length) as i64;
            let so_far = seen.get_or_insert(Seen { nearest: distance, farthest: distance });
            so_far.nearest = so_far.nearest.min(distance);
            so_far.farthest = so_far.farthest.max(distance);
        }
        let seen = seen?;
        let goes_by_distance =
            (0..heads * length * length).all(|i| masked(i) != seen.has(i / length % length, i % length));
        goes_by_distance.then_some(seen)
    }

    pub fn has(&self, query: usize, key: usize) -> bool {
        (self.nearest..=self.farthest).contains(&(query as i64 - key as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::MASKED;

    fn scores(length: usize, sees: impl Fn(i64) -> bool) -> Vec<f64> {
        let one = |i: usize| (i / length % length) as i64 - (i % length) as i64;
        (0..2 * length * length).map(|i| if sees(one(i)) { 0.5 } else { f64::NEG_INFINITY }).collect()
    }

    #[test]
    fn masks_that_go_by_distance_are_recognised() {
        let of = |sees: fn(i64) -> bool| Seen::of(&scores(6, sees), 6, &|x| x <= MASKED);
        let seen = |nearest, farthest| Some(Seen { nearest, farthest });
        assert_eq!(of(|d| d >= 0), seen(0, 5));
        assert_eq!(of(|d| d >= 1), seen(1, 5));
        assert_eq!(of(|d| d >= -1), seen(-1, 5));
        assert_eq!(of(|_| true), seen(-5, 5));
        assert_eq!(of(|d| (0..3).contains(&d)), seen(0, 2));
        assert_eq!(of(|d| d % 2 == 0), None);
        assert_eq!(of(|_| false), None);
    }
}
