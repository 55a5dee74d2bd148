//! Guesses that the numbers themselves suggest.

use super::guesses::Guesses;
use super::{FeatureOrder, Reason};
use crate::tensor::relative_rms;

impl Guesses<'_> {
    /// A factor, a vector added everywhere, heads or features in a different order.
    pub(super) fn of_numbers(&self, theirs: &[f64]) -> Option<Reason> {
        let (ours, shape, explains) = (&self.ours, &self.shape, |guess: &[f64]| self.explains(guess));
        let finite = ours.iter().zip(theirs).filter(|(x, y)| x.is_finite() && y.is_finite());
        let (product, square) = finite.fold((0.0, 0.0), |(p, s), (x, y)| (p + x * y, s + x * x));
        let factor = product / square;
        let times = |factor: f64| -> Vec<f64> { ours.iter().map(|x| x * factor).collect() };
        if factor.is_finite() && explains(&times(factor)) {
            let left = relative_rms(&times(factor), theirs);
            // After rounding a factor is known to some digits: of those that are as near, the shortest.
            let short = (1..=5).map(|digits| rounded(factor, digits));
            let nearest = short.into_iter().find(|short| relative_rms(&times(*short), theirs) <= 1.01 * left);
            return Some(Reason::Times(nearest.unwrap_or(factor)));
        }
        let width = shape.last().copied().unwrap_or(1).max(1);
        let rows = ours.len() / width;
        if rows > 1 {
            let mut shift = vec![0.0; width];
            for (i, (x, y)) in ours.iter().zip(theirs).enumerate() {
                shift[i % width] += (y - x) / rows as f64;
            }
            if explains(&ours.iter().enumerate().map(|(i, x)| x + shift[i % width]).collect::<Vec<_>>()) {
                return Some(Reason::OtherBias);
            }
        }
        // Positions shifted by one.
        if shape.len() == 2 && rows > 2 {
            for (by, reason) in [(1, Reason::OnePositionLater), (-1, Reason::OnePositionEarlier)] {
                let place = |i: usize| (i as i64 - by * width as i64) as usize;
                let guess: Vec<f64> =
                    (0..ours.len()).map(|i| ours.get(place(i)).copied().unwrap_or(theirs[i])).collect();
                if explains(&guess) {
                    return Some(reason);
                }
            }
        }
        self.permuted(theirs)
    }

    /// Whole heads, or halves and neighbours of the last axis, in a different order.
    fn permuted(&self, theirs: &[f64]) -> Option<Reason> {
        let (ours, shape, heads) = (&self.ours, &self.shape, self.op.heads);
        let width = shape.last().copied().unwrap_or(1);
        if shape.len() == 3 && heads > 1 && shape[1] == heads {
            // For each of their heads, which of ours is it?
            let head = |data: &[f64], h: usize| -> Vec<f64> {
                data.chunks(heads * width).flat_map(|row| row[h * width..(h + 1) * width].to_vec()).collect()
            };
            let nearest = |wanted: usize| {
                let target = head(theirs, wanted);
                let far = |ours_at: &usize| relative_rms(&head(ours, *ours_at), &target);
                (0..heads).min_by(|a, b| far(a).total_cmp(&far(b)))
            };
            let order: Vec<usize> = (0..heads).map(nearest).collect::<Option<_>>()?;
            let guess: Vec<f64> = ours
                .chunks(heads * width)
                .flat_map(|row| {
                    order.iter().flat_map(|&h| row[h * width..(h + 1) * width].to_vec()).collect::<Vec<_>>()
                })
                .collect();
            if order.iter().enumerate().any(|(at, h)| at != *h) && self.explains(&guess) {
                return Some(Reason::HeadOrder(order));
            }
        }
        if width.is_multiple_of(2) && width > 2 {
            let half = width / 2;
            let orders: [(FeatureOrder, Box<dyn Fn(usize) -> usize>); 3] = [
                (FeatureOrder::Pairs, Box::new(move |i| i / 2 + i % 2 * half)),
                (FeatureOrder::Halves, Box::new(move |i| i % half * 2 + i / half)),
                (FeatureOrder::Swapped, Box::new(move |i| (i + half) % width)),
            ];
            for (name, order) in orders {
                let guess: Vec<f64> = ours
                    .chunks(width)
                    .flat_map(|row| (0..row.len()).map(|i| row[order(i)]).collect::<Vec<_>>())
                    .collect();
                if self.explains(&guess) {
                    return Some(Reason::Features(name));
                }
            }
        }
        None
    }
}

/// A number to so many significant digits.
fn rounded(x: f64, digits: i32) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    let unit = 10f64.powi(digits - 1 - x.abs().log10().floor() as i32);
    (x * unit).round() / unit
}
