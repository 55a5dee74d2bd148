//! How well an order of players is one of importance: what becomes of the number when they are hidden in that order, and
//! when they are shown in it (Petsiuk, Das and Saenko 2018, "RISE").

use super::{Players, Probe};
use crate::debugger::Result;

#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The number with none, one, two ... of the players hidden.
    pub deletion: Vec<f64>,
    /// The number with none, one, two ... of the players shown, and all others hidden.
    pub insertion: Vec<f64>,
}

/// The curves of each order of the players, the most important first.
pub fn curves(probe: &mut Probe<'_>, baseline: &[f32], players: &Players, orders: &[Vec<usize>]) -> Result<Vec<Curve>> {
    let (n, here) = (players.count, probe.here()?);
    // Where each player comes in each order.
    let mut places = vec![vec![0; n]; orders.len()];
    for (order, places) in orders.iter().zip(&mut places) {
        order.iter().enumerate().for_each(|(at, &player)| places[player] = at);
    }
    // All shown and all hidden are the same for every order.
    let between = n.saturating_sub(1);
    let point = |i: usize| match i.checked_sub(2) {
        None => players.point(&here, baseline, |_| i == 0),
        Some(i) => {
            let (order, at) = (i / (2 * between), i % (2 * between));
            let (reached, deletes) = (at % between + 1, at < between);
            players.point(&here, baseline, |player| (places[order][player] >= reached) == deletes)
        }
    };
    let numbers = probe.numbers_of(2 + orders.len() * 2 * between, &point)?;
    let (whole, none) = (numbers[0], numbers[1]);
    let of = |order: usize| {
        let part = |first: usize| numbers[2 + order * 2 * between + first..].iter().take(between).copied();
        let curve = |from: f64, part: &mut dyn Iterator<Item = f64>, to: f64| {
            std::iter::once(from).chain(part).chain((n > 0).then_some(to)).collect()
        };
        Curve { deletion: curve(whole, &mut part(0), none), insertion: curve(none, &mut part(between), whole) }
    };
    Ok((0..orders.len()).map(of).collect())
}

/// The area under a curve over the share of players, from 0 to 1, by the trapezoid rule.
pub fn area(curve: &[f64]) -> f64 {
    match curve.len() {
        0 => f64::NAN,
        1 => curve[0],
        n => curve.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum::<f64>() / (n - 1) as f64,
    }
}
