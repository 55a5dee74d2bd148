//! Positions that are hidden together, and methods that hide them and look at what becomes of the number.

use super::{Attribution, Probe};
use crate::debugger::Result;

/// Groups of positions. Each is one player of the game whose outcome is the number (Captum's `feature_mask`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Players {
    /// The player that each position belongs to; none for those that always stay.
    pub of: Vec<Option<usize>>,
    pub count: usize,
}

impl Players {
    pub fn new(of: Vec<Option<usize>>) -> Players {
        let count = of.iter().flatten().max().map_or(0, |last| last + 1);
        Players { of, count }
    }

    /// Every position by itself.
    pub fn each(positions: usize) -> Players {
        Players::new((0..positions).map(Some).collect())
    }

    /// The site with what the players that are not `shown` have there taken from the baseline.
    pub fn point(&self, here: &[f32], baseline: &[f32], shown: impl Fn(usize) -> bool) -> Vec<f32> {
        let width = (here.len() / self.of.len().max(1)).max(1);
        let stays = |i: usize| self.of[i / width].is_none_or(&shown);
        (0..here.len()).map(|i| if stays(i) { here[i] } else { baseline[i] }).collect()
    }

    /// What all positions of each player have together, of numbers for each element of a site that begins with positions.
    pub fn sums(&self, elements: &[f64]) -> Vec<f64> {
        let width = (elements.len() / self.of.len().max(1)).max(1);
        let mut sums = vec![0.0; self.count];
        for (part, player) in elements.chunks(width).zip(&self.of) {
            if let Some(player) = player {
                sums[*player] += part.iter().sum::<f64>();
            }
        }
        sums
    }
}

type Shown = Box<dyn Fn(usize, usize) -> bool>;
type Values = Box<dyn Fn(&[f64]) -> Result<Attribution>>;

/// A method that hides players: whom it hides in each evaluation, and what follows from the numbers.
pub struct Hiding {
    pub evaluations: usize,
    /// Whether an evaluation, the first argument, shows a player.
    shown: Shown,
    values: Values,
}

impl Hiding {
    pub(super) fn new(
        evaluations: usize,
        shown: impl Fn(usize, usize) -> bool + 'static,
        values: impl Fn(&[f64]) -> Result<Attribution> + 'static,
    ) -> Hiding {
        Hiding { evaluations, shown: Box::new(shown), values: Box::new(values) }
    }

    /// The attribution of the number to each player.
    pub fn of(&self, probe: &mut Probe<'_>, baseline: &[f32], players: &Players) -> Result<Attribution> {
        let here = probe.here()?;
        let point = |i: usize| players.point(&here, baseline, |player| (self.shown)(i, player));
        (self.values)(&probe.numbers_of(self.evaluations, &point)?)
    }

    /// The same for each number that the probe has, and for their sum, from the same evaluations.
    pub fn of_each(
        &self,
        probe: &mut Probe<'_>,
        baseline: &[f32],
        players: &Players,
    ) -> Result<(Vec<Attribution>, Attribution)> {
        let here = probe.here()?;
        let point = |i: usize| players.point(&here, baseline, |player| (self.shown)(i, player));
        let numbers = probe.numbers_of_each(self.evaluations, &point)?;
        let count = numbers.first().map_or(0, Vec::len);
        let of = |number: usize| (self.values)(&numbers.iter().map(|all| all[number]).collect::<Vec<_>>());
        let each = (0..count).map(of).collect::<Result<_>>()?;
        let sums: Vec<f64> = numbers.iter().map(|all| all.iter().sum()).collect();
        Ok((each, (self.values)(&sums)?))
    }
}
