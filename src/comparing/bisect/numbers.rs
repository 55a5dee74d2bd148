//! Guesses that the numbers themselves suggest.

use super::reason::{FeatureOrder, Reason};
use crate::tensor::relative_rms;

/// A factor, a vector added everywhere, heads or features in a different order.
pub fn of_numbers(
    ours: &[f64],
    theirs: &[f64],
    shape: &[usize],
    heads: usize,
    explains: &dyn Fn(&[f64]) -> bool,
) -> Option<Reason> {
    let both = |x: &f64, y: &f64| x.is_finite() && y.is_finite();
    let (product, square) = ours
        .iter()
        .zip(theirs)
        .filter(|(x, y)| both(x, y))
        .fold((0.0, 0.0), |(product, square), (x, y)| (product + x * y, square + x * x));
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
    for (by, reason) in [(1, Reason::OnePositionLater), (-1, Reason::OnePositionEarlier)] {
        let place = |i: usize| (i as i64 - by * width as i64 * shape.get(1).map_or(1, |_| 1)) as usize;
        if shape.len() == 2 && rows > 2 {
            let guess: Vec<f64> = (0..ours.len()).map(|i| ours.get(place(i)).copied().unwrap_or(theirs[i])).collect();
            if explains(&guess) {
                return Some(reason);
            }
        }
    }
    permuted(ours, theirs, shape, heads, explains)
}

/// A number to so many significant digits.
fn rounded(x: f64, digits: i32) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    let unit = 10f64.powi(digits - 1 - x.abs().log10().floor() as i32);
    (x * unit).round() / unit
}

/// Whole heads, or halves and neighbours of the last axis, in a different order.
fn permuted(
    ours: &[f64],
    theirs: &[f64],
    shape: &[usize],
    heads: usize,
    explains: &dyn Fn(&[f64]) -> bool,
) -> Option<Reason> {
    let width = shape.last().copied().unwrap_or(1);
    if shape.len() == 3 && heads > 1 && shape[1] == heads {
        // For each of their heads, which of ours is it?
        let head = |data: &[f64], h: usize| -> Vec<f64> {
            data.chunks(heads * width).flat_map(|row| row[h * width..(h + 1) * width].to_vec()).collect()
        };
        let mut order = Vec::new();
        for wanted in 0..heads {
            let target = head(theirs, wanted);
            let best = (0..heads).min_by(|a, b| {
                relative_rms(&head(ours, *a), &target).total_cmp(&relative_rms(&head(ours, *b), &target))
            })?;
            order.push(best);
        }
        let guess: Vec<f64> = ours
            .chunks(heads * width)
            .flat_map(|row| order.iter().flat_map(|&h| row[h * width..(h + 1) * width].to_vec()).collect::<Vec<_>>())
            .collect();
        if order.iter().enumerate().any(|(at, h)| at != *h) && explains(&guess) {
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
            let guess: Vec<f64> =
                ours.chunks(width).flat_map(|row| (0..row.len()).map(|i| row[order(i)]).collect::<Vec<_>>()).collect();
            if explains(&guess) {
                return Some(Reason::Features(name));
            }
        }
    }
    None
}
