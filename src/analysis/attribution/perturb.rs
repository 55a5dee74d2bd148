//! Methods that hide positions and look at what becomes of the number. Values are one for each position.

use super::path::standard_error;
use super::{Attribution, Probe, Random};
use crate::debugger::Result;

/// So many positions have all their subsets evaluated.
pub(super) const MOST_EXACT: usize = 12;

/// The site with the positions of which `hidden` holds taken from the baseline.
pub(super) fn with_hidden(
    here: &[f32],
    baseline: &[f32],
    positions: usize,
    hidden: impl Fn(usize) -> bool,
) -> Vec<f32> {
    let width = here.len() / positions.max(1);
    let from = |i: usize| if hidden(i / width.max(1)) { baseline[i] } else { here[i] };
    (0..here.len()).map(from).collect()
}

/// `F(x) - F(x with one position hidden)` for each (Captum's `FeatureAblation`, a group for each position).
pub fn ablation(probe: &mut Probe<'_>, baseline: &[f32], positions: usize) -> Result<Attribution> {
    occlusion(probe, baseline, positions, 1)
}

/// `F(x) - F(x with a window hidden)`, for each position the mean over the windows that cover it; windows are moved by
/// one (Zeiler and Fergus 2014; Captum's `Occlusion`).
pub fn occlusion(probe: &mut Probe<'_>, baseline: &[f32], positions: usize, window: usize) -> Result<Attribution> {
    let here = probe.here()?;
    let window = window.clamp(1, positions.max(1));
    let starts = positions - window + 1;
    // The first is the site as it is.
    let point = |i: usize| match i.checked_sub(1) {
        Some(at) => with_hidden(&here, baseline, positions, |position| (at..at + window).contains(&position)),
        None => here.clone(),
    };
    let steps = 1 + starts;
    let numbers = probe.numbers_of(steps, &point)?;
    let values = (0..positions)
        .map(|position| {
            let covering = (0..starts).filter(|at| (*at..at + window).contains(&position));
            let effects: Vec<f64> = covering.map(|at| numbers[0] - numbers[1 + at]).collect();
            effects.iter().sum::<f64>() / effects.len() as f64
        })
        .collect();
    Ok(Attribution { values, delta: None, at_input: numbers[0], at_baseline: None, error: None, steps })
}

/// Shapley values over all subsets of positions, the baseline standing in for those left out (Captum's
/// `ShapleyValues`).
///
/// # Errors
/// If there are more than twelve positions.
pub fn shapley_exact(probe: &mut Probe<'_>, baseline: &[f32], positions: usize) -> Result<Attribution> {
    if positions > MOST_EXACT {
        return Err(format!("{positions} positions have too many subsets; -samples N samples orders of them").into());
    }
    let here = probe.here()?;
    let subsets = 1usize << positions;
    let point = |set: usize| with_hidden(&here, baseline, positions, |position| set >> position & 1 == 0);
    let points: Vec<Vec<f32>> = (0..subsets).map(point).collect();
    let numbers = probe.numbers(&points)?;
    // With k others present: k! (n - 1 - k)! / n!.
    let mut weights = vec![1.0 / positions as f64];
    for k in 1..positions {
        weights.push(weights[k - 1] * k as f64 / (positions - k) as f64);
    }
    let values: Vec<f64> = (0..positions)
        .map(|position| {
            let without = (0..subsets).filter(|set| set >> position & 1 == 0);
            without.map(|set| weights[set.count_ones() as usize] * (numbers[set | 1 << position] - numbers[set])).sum()
        })
        .collect();
    Ok(Attribution::complete(values, (numbers[subsets - 1], numbers[0]), subsets))
}

/// Shapley values from random orders of the positions (Castro and others 2009; Captum's `ShapleyValueSampling`); with
/// the standard error of the position that is least certain.
pub fn shapley_sampled(
    probe: &mut Probe<'_>,
    baseline: &[f32],
    positions: usize,
    samples: usize,
    seed: u64,
) -> Result<Attribution> {
    let here = probe.here()?;
    let mut random = Random::new(seed);
    let orders: Vec<Vec<usize>> = (0..samples).map(|_| random.order(positions)).collect();
    // The first is the baseline; then of each order its first position, its first two, and so on.
    let point = |i: usize| {
        let mut hidden = vec![true; positions];
        if let Some(at) = i.checked_sub(1) {
            let (order, last) = (&orders[at / positions], at % positions);
            order[..=last].iter().for_each(|&position| hidden[position] = false);
        }
        with_hidden(&here, baseline, positions, |position| hidden[position])
    };
    let steps = 1 + samples * positions;
    let numbers = probe.numbers_of(steps, &point)?;
    let mut gains = vec![Vec::with_capacity(samples); positions];
    for (number, order) in orders.iter().enumerate() {
        let mut before = numbers[0];
        for (at, position) in order.iter().enumerate() {
            let now = numbers[1 + number * positions + at];
            gains[*position].push(now - before);
            before = now;
        }
    }
    let values: Vec<f64> = gains.iter().map(|gains| gains.iter().sum::<f64>() / samples as f64).collect();
    let error = gains.iter().filter_map(|gains| standard_error(gains)).reduce(f64::max);
    Ok(Attribution { error, ..Attribution::complete(values, (numbers[positions], numbers[0]), steps) })
}
