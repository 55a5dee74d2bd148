//! Choosing the next token.
//!
//! The order of the steps is that of transformers' `generate`: repetition penalty, temperature, top-k, top-p, min-p.
//! Chances are computed in 64 bits on the host, and the choice depends on nothing but logits, settings, and how many
//! tokens were chosen before, so that going back and forth in time chooses the same tokens.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token.
    pub temperature: f64,
    /// Only so many of the likeliest tokens; 0 for all.
    pub top_k: usize,
    /// Only the likeliest tokens that have this much probability together; 1 for all.
    pub top_p: f64,
    /// Only tokens with at least this share of the likeliest one's probability; 0 for all.
    pub min_p: f64,
    /// Divides positive logits, and multiplies negative ones, of tokens that are in the text; 1 for none.
    pub repetition_penalty: f64,
    pub seed: u64,
    /// Whether a token that ends a text ends the generation.
    pub stop: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0, stop: true }
    }
}

impl Sampling {
    /// Whether other settings always choose the same tokens: where the likeliest is taken, most settings do not matter.
    pub fn chooses_like(&self, other: &Sampling) -> bool {
        let greedy =
            |s: &Sampling| Sampling { repetition_penalty: s.repetition_penalty, stop: s.stop, ..Sampling::default() };
        match self.temperature == 0.0 && other.temperature == 0.0 {
            true => greedy(self) == greedy(other),
            false => self == other,
        }
    }

    /// Chooses a token from logits; `text` is what comes before it and is read only where it matters, `row` and `step`
    /// say which of all choices this is. NaN is never chosen; if nothing can be, it is the first token.
    pub fn choose(&self, logits: &[f32], text: impl IntoIterator<Item = u32>, row: usize, step: usize) -> u32 {
        if self.temperature == 0.0 && self.repetition_penalty == 1.0 {
            return best(logits) as u32;
        }
        let mut scores: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        self.penalise(&mut scores, text);
        if self.temperature == 0.0 {
            return best(&scores) as u32;
        }
        let chances = self.chances(&scores);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // A separate stream for each choice: it does not depend on how often anything was chosen before.
        random.set_stream(((row as u64) << 32) | step as u64);
        let at = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut below = 0.0;
        for (id, chance) in &chances {
            below += chance;
            if at < below {
                return *id as u32;
            }
        }
        chances.last().map_or(0, |(id, _)| *id as u32)
    }

    fn penalise(&self, scores: &mut [f64], text: impl IntoIterator<Item = u32>) {
        if self.repetition_penalty == 1.0 {
            return;
        }
        let mut seen: Vec<u32> = text.into_iter().collect();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(score) = scores.get_mut(id as usize) {
                *score = if *score < 0.0 { *score * self.repetition_penalty } else { *score / self.repetition_penalty };
            }
        }
    }

    /// Tokens that can be chosen and their chances, likeliest first.
    fn chances(&self, scores: &[f64]) -> Vec<(usize, f64)> {
        let mut order: Vec<usize> = (0..scores.len()).filter(|&id| scores[id] > f64::NEG_INFINITY).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        if self.top_k > 0 {
            // As many as tie with the last one stay, as in transformers.
            let last = order.get(self.top_k.min(order.len()).saturating_sub(1)).map(|&id| scores[id]);
            order.retain(|&id| last.is_none_or(|last| scores[id] >= last));
        }
        let highest = order.first().map_or(0.0, |&id| scores[id]);
        let mut chances: Vec<(usize, f64)> =
            order.into_iter().map(|id| (id, ((scores[id] - highest) / self.temperature).exp())).collect();
        normalise(&mut chances);
        if self.top_p < 1.0 {
            let mut sum = 0.0;
            let reached = chances.iter().position(|(_, chance)| {
                sum += chance;
                sum >= self.top_p
            });
            chances.truncate(reached.map_or(chances.len(), |last| last + 1));
            normalise(&mut chances);
        }
        if self.min_p > 0.0 {
            let least = self.min_p * chances.first().map_or(0.0, |(_, chance)| *chance);
            chances.retain(|(_, chance)| *chance >= least);
            normalise(&mut chances);
        }
        chances
    }
}

fn normalise(chances: &mut [(usize, f64)]) {
    let sum: f64 = chances.iter().map(|(_, chance)| chance).sum();
    chances.iter_mut().for_each(|(_, chance)| *chance /= sum);
}

/// Index of the first largest number.
fn best<T: Copy + PartialOrd>(scores: &[T]) -> usize {
    // Scores that are looked at together: only where one of them is larger are they looked at one by one.
    const SOME: usize = 64;
    let is_nan = |score: T| score.partial_cmp(&score).is_none();
    let mut best = 0;
    for (i, some) in scores.chunks(SOME).enumerate() {
        let largest = scores[best];
        if !is_nan(largest) && !some.iter().fold(false, |found, score| found | (*score > largest)) {
            continue;
        }
        for (id, score) in some.iter().enumerate() {
            if *score > scores[best] || is_nan(scores[best]) {
                best = i * SOME + id;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [1.0, 3.0, f32::NEG_INFINITY, 2.0, -1.0, 0.0];

    fn share(settings: &Sampling, id: u32) -> f64 {
        let hits = (0..4000).filter(|&step| settings.choose(&LOGITS, [], 0, step) == id).count();
        hits as f64 / 4000.0
    }

    #[test]
    fn the_likeliest_token_is_the_first_of_the_largest() {
        let greedy = Sampling::default();
        assert_eq!(greedy.choose(&LOGITS, [], 0, 0), 1);
        assert_eq!(greedy.choose(&[0.0, 5.0, 5.0], [], 0, 0), 1);
        assert_eq!(greedy.choose(&[f32::NAN, -5.0, f32::NAN, -4.0], [], 0, 0), 3);
    }

    /// The shares are those of the softmax, within four standard deviations of 4,000 draws (0.032).
    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely() {
        let sum: f64 = LOGITS.iter().map(|&x| f64::from(x).exp()).sum();
        let settings = Sampling { temperature: 1.0, seed: 7, ..Sampling::default() };
        for id in 0..6 {
            let wanted = f64::from(LOGITS[id as usize]).exp() / sum;
            assert!((share(&settings, id) - wanted).abs() < 0.032, "{id}: {}", share(&settings, id));
        }
        let cold = Sampling { temperature: 0.25, ..settings };
        let sum: f64 = LOGITS.iter().map(|&x| (4.0 * f64::from(x)).exp()).sum();
        assert!((share(&cold, 1) - 12f64.exp() / sum).abs() < 0.032);
    }

    #[test]
    fn what_is_cut_off_is_never_drawn() {
        let settings = Sampling { temperature: 1.0, ..Sampling::default() };
        let drawn = |settings: &Sampling| {
            let mut drawn: Vec<u32> = (0..4000).map(|step| settings.choose(&LOGITS, [], 0, step)).collect();
            drawn.sort_unstable();
            drawn.dedup();
            drawn
        };
        assert_eq!(drawn(&Sampling { top_k: 2, ..settings.clone() }), [1, 3]);
        // Chances are 0.64, 0.24, 0.09, 0.03, 0.01.
        assert_eq!(drawn(&Sampling { top_p: 0.6, ..settings.clone() }), [1]);
        assert_eq!(drawn(&Sampling { top_p: 0.9, ..settings.clone() }), [0, 1, 3]);
        assert_eq!(drawn(&Sampling { min_p: 0.1, ..settings.clone() }), [0, 1, 3]);
        assert_eq!(drawn(&settings), [0, 1, 3, 4, 5]);
    }

    #[test]
    fn repetition_lowers_both_signs() {
        let settings = Sampling { repetition_penalty: 4.0, ..Sampling::default() };
        assert_eq!(settings.choose(&[3.0, 2.0], [0, 0], 0, 0), 1);
        assert_eq!(settings.choose(&[-1.0, -2.0], [0], 0, 0), 1);
        assert_eq!(settings.choose(&[3.0, 0.5], [0, 7], 0, 0), 0);
    }

    #[test]
    fn settings_that_do_not_matter_are_the_same() {
        let greedy = Sampling::default();
        assert!(greedy.chooses_like(&Sampling { seed: 5, top_k: 3, ..greedy.clone() }));
        assert!(!greedy.chooses_like(&Sampling { repetition_penalty: 1.1, ..greedy.clone() }));
        let warm = Sampling { temperature: 1.0, ..greedy.clone() };
        assert!(!warm.chooses_like(&greedy) && !warm.chooses_like(&Sampling { seed: 5, ..warm.clone() }));
    }

    #[test]
    fn a_choice_depends_on_seed_row_and_step_alone() {
        let settings = Sampling { temperature: 2.0, seed: 1, ..Sampling::default() };
        let text = |settings: &Sampling, row| -> Vec<u32> {
            (0..40).map(|step| settings.choose(&LOGITS, [], row, step)).collect()
        };
        assert_eq!(text(&settings, 0), text(&settings, 0));
        assert_ne!(text(&settings, 0), text(&settings, 1));
        assert_ne!(text(&settings, 0), text(&Sampling { seed: 2, ..settings.clone() }, 0));
    }
}
