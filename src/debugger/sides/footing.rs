//! Two values of a site on one footing: what is written in different ways, and means the same, is not a difference.

use super::{Elements, Meaning, SideValue};
use crate::tensor::MASKED;

/// No score is as low as this.
const NO_SCORE: f64 = -1e8;

impl SideValue {
    /// These elements on the footing of the others that they are compared with, which have the same shape: a mean over
    /// the last axis that is missing is that of the others, and in scores a number that stands for a mask is minus
    /// infinity.
    pub fn on_footing_of(self, others: &Elements) -> SideValue {
        let has_masks = || self.meaning == Meaning::Scores && self.elements.double().iter().any(|x| *x <= MASKED);
        if !self.lacks_mean && !has_masks() {
            return self;
        }
        let (mut data, others) = (self.elements.double().into_owned(), others.double());
        if self.lacks_mean {
            let width = self.shape.last().copied().unwrap_or(1).max(1);
            for (row, others) in data.chunks_mut(width).zip(others.chunks(width)) {
                let mean = others.iter().sum::<f64>() / width as f64;
                row.iter_mut().for_each(|x| *x += mean);
            }
        }
        if self.meaning == Meaning::Scores {
            data.iter_mut().zip(others.iter()).filter(|(x, other)| masks(**x, **other)).for_each(|(x, _)| {
                *x = f64::NEG_INFINITY;
            });
        }
        SideValue { elements: Elements::Double(data), lacks_mean: false, ..self }
    }
}

pub fn level(a: SideValue, b: SideValue) -> (SideValue, SideValue) {
    if a.shape != b.shape || a.lacks_mean && b.lacks_mean {
        return (a, b);
    }
    let b = b.on_footing_of(&a.elements);
    (a.on_footing_of(&b.elements), b)
}

/// Whether a score stands for a mask: it is as low as masks are written, and its counterpart is not such a score.
fn masks(score: f64, other: f64) -> bool {
    score <= NO_SCORE || score <= MASKED && !(other.is_finite() && other <= MASKED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Axis;

    fn value(data: &[f64], lacks_mean: bool, scores: bool) -> SideValue {
        let (shape, axes) = (vec![data.len() / 2, 2], vec![Axis::Pos, Axis::Dim]);
        let meaning = if scores { Meaning::Scores } else { Meaning::Numbers };
        SideValue { shape, axes, elements: Elements::Double(data.to_vec()), changes: Vec::new(), lacks_mean, meaning }
    }

    fn leveled(a: SideValue, b: SideValue) -> [Vec<f64>; 2] {
        let (a, b) = level(a, b);
        [a, b].map(|value| value.elements.double().into_owned())
    }

    #[test]
    fn masks_are_minus_infinity_however_they_are_written_and_scores_stay() {
        const INF: f64 = f64::INFINITY;
        let ours = [1.0, -INF, -INF, -INF, -20000.0, 3.0];
        let theirs = [1.0, -10000.0, f64::from(f32::MIN), -1e9, -20000.0, -1e9];
        let wanted = [1.0, -INF, -INF, -INF, -20000.0, -INF];
        assert_eq!(leveled(value(&ours, false, true), value(&theirs, false, true)), [ours.to_vec(), wanted.to_vec()]);
        assert_eq!(leveled(value(&theirs, false, true), value(&ours, false, true)), [wanted.to_vec(), ours.to_vec()]);
        let both = leveled(value(&[-1e9, 0.0], false, true), value(&[f64::from(f32::MIN), 0.0], false, true));
        assert_eq!(both, [vec![-INF, 0.0], vec![-INF, 0.0]]);
        // Elsewhere a large number is a large number.
        let plain = leveled(value(&ours, false, false), value(&theirs, false, false));
        assert_eq!(plain, [ours.to_vec(), theirs.to_vec()]);
    }

    #[test]
    fn a_mean_that_is_missing_is_that_of_the_other_side() {
        let both = leveled(value(&[1.0, 3.0, 0.0, 8.0], false, false), value(&[-1.0, 1.0, -3.0, 3.0], true, false));
        assert_eq!(both, [vec![1.0, 3.0, 0.0, 8.0], vec![1.0, 3.0, 1.0, 7.0]]);
        // Missing on both sides it is not a difference.
        let both = leveled(value(&[-1.0, 1.0], true, false), value(&[-1.0, 1.0], true, false));
        assert_eq!(both, [vec![-1.0, 1.0], vec![-1.0, 1.0]]);
    }
}
