//! Methods that hide players and compare the numbers. Values are one for each player.

use super::path::standard_error;
use super::{Attribution, Hiding, Random};
use crate::debugger::Result;

/// So many players have all their subsets evaluated.
pub(super) const MOST_EXACT: usize = 12;

/// `F(x) - F(x with one player hidden)` for each (Captum's `FeatureAblation`).
pub fn ablation(players: usize) -> Hiding {
    occlusion(players, 1)
}

/// `F(x) - F(x with a window hidden)`, for each player the mean over the windows that cover it; windows are moved by
/// one (Zeiler and Fergus 2014; Captum's `Occlusion`).
pub fn occlusion(players: usize, window: usize) -> Hiding {
    let window = window.clamp(1, players.max(1));
    let starts = players - window + 1;
    // The first is the site as it is.
    let steps = 1 + starts;
    let shown = move |i: usize, player: usize| i.checked_sub(1).is_none_or(|at| !(at..at + window).contains(&player));
    Hiding::new(steps, shown, move |numbers| {
        let values = (0..players)
            .map(|player| {
                let covering = (0..starts).filter(|at| (*at..at + window).contains(&player));
                let effects: Vec<f64> = covering.map(|at| numbers[0] - numbers[1 + at]).collect();
                effects.iter().sum::<f64>() / effects.len() as f64
            })
            .collect();
        Ok(Attribution { values, delta: None, at_input: numbers[0], at_baseline: None, error: None, steps })
    })
}

/// Shapley values over all subsets of players, the baseline standing in for those left out (Captum's `ShapleyValues`).
///
/// # Errors
/// If there are more than twelve players.
pub fn shapley_exact(players: usize) -> Result<Hiding> {
    if players > MOST_EXACT {
        return Err(format!("{players} positions have too many subsets; -samples N samples orders of them").into());
    }
    let subsets = 1usize << players;
    // With k others present: k! (n - 1 - k)! / n!.
    let mut weights = vec![1.0 / players as f64];
    for k in 1..players {
        weights.push(weights[k - 1] * k as f64 / (players - k) as f64);
    }
    let shown = |set: usize, player: usize| set >> player & 1 == 1;
    Ok(Hiding::new(subsets, shown, move |numbers| {
        let values: Vec<f64> = (0..players)
            .map(|player| {
                let without = (0..subsets).filter(|set| set >> player & 1 == 0);
                let gain = |set: usize| numbers[set | 1 << player] - numbers[set];
                without.map(|set| weights[set.count_ones() as usize] * gain(set)).sum()
            })
            .collect();
        Ok(Attribution::complete(values, (numbers[subsets - 1], numbers[0]), subsets))
    }))
}

/// Shapley values from random orders of the players (Castro and others 2009; Captum's `ShapleyValueSampling`); with the
/// standard error of the player that is least certain.
pub fn shapley_sampled(players: usize, samples: usize, seed: u64) -> Hiding {
    let mut random = Random::new(seed);
    let orders: Vec<Vec<usize>> = (0..samples).map(|_| random.order(players)).collect();
    // Where each player comes in each order.
    let mut places = vec![vec![0; players]; samples];
    for (order, places) in orders.iter().zip(&mut places) {
        order.iter().enumerate().for_each(|(at, &player)| places[player] = at);
    }
    // The first is the baseline; then of each order its first player, its first two, and so on.
    let shown =
        move |i: usize, player: usize| i.checked_sub(1).is_some_and(|at| places[at / players][player] <= at % players);
    let steps = 1 + samples * players;
    Hiding::new(steps, shown, move |numbers| {
        let mut gains = vec![Vec::with_capacity(samples); players];
        for (number, order) in orders.iter().enumerate() {
            let mut before = numbers[0];
            for (at, player) in order.iter().enumerate() {
                let now = numbers[1 + number * players + at];
                gains[*player].push(now - before);
                before = now;
            }
        }
        let values: Vec<f64> = gains.iter().map(|gains| gains.iter().sum::<f64>() / samples as f64).collect();
        let error = gains.iter().filter_map(|gains| standard_error(gains)).reduce(f64::max);
        Ok(Attribution { error, ..Attribution::complete(values, (numbers[players], numbers[0]), steps) })
    })
}
