//! What is masked on the other side, read off its scores or pattern.

/// Which keys queries see: those at distances `nearest..=farthest` before them; negative ones stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub nearest: i64,
    pub farthest: i64,
}

impl Seen {
    /// Of scores or a pattern `H T T` for a whole prompt; none if what is masked does not go by distance.
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

    /// Whether a query sees a key.
    pub fn has(&self, query: usize, key: usize) -> bool {
        (self.nearest..=self.farthest).contains(&(query as i64 - key as i64))
    }

    /// In words, for a text of so many tokens.
    pub fn words(&self, length: usize) -> String {
        let all = length as i64 - 1;
        let behind = match self.nearest {
            0 => "keys up to itself".to_string(),
            nearest if nearest == -all => "all keys".to_string(),
            nearest if nearest > 0 => format!("keys up to {nearest} before itself"),
            nearest => format!("keys up to {} behind itself", -nearest),
        };
        match self.farthest >= all {
            true => format!("the mask is another one: a query sees {behind} there"),
            false => {
                format!("the mask is another one: a query sees {behind} there, at most {} before it", self.farthest)
            }
        }
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
        let of = |sees: fn(i64) -> bool| Seen::of(&scores(6, sees), 6, &|x| x <= MASKED).map(|seen| seen.words(6));
        assert_eq!(of(|d| d >= 0).unwrap(), "the mask is another one: a query sees keys up to itself there");
        assert!(of(|d| d >= 1).unwrap().ends_with("keys up to 1 before itself there"));
        assert!(of(|d| d >= -1).unwrap().ends_with("keys up to 1 behind itself there"));
        assert!(of(|_| true).unwrap().ends_with("all keys there"));
        assert!(of(|d| (0..3).contains(&d)).unwrap().ends_with("keys up to itself there, at most 2 before it"));
        assert_eq!(of(|d| d % 2 == 0), None);
        assert_eq!(of(|_| false), None);
    }
}
