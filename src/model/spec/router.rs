//! How a mixture of experts chooses experts and weighs them, from the logits of its router.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Router {
    pub score: Score,
    /// Whether each expert has a number that is added to its score for the choice, and to nothing else.
    pub correction: bool,
    /// The groups of which experts are chosen, if not all may be.
    pub groups: Option<Groups>,
    /// Whether the weights, which are the scores of the chosen experts, are divided by
    /// `max(their sum, least) + added`.
    pub normalize: bool,
    /// Usually 0.
    pub least: f64,
    /// Usually 0.
    pub added: f64,
    /// Factor on the weights, after that.
    pub scale: f64,
}

impl Default for Router {
    /// Softmax over all experts, of which the largest are chosen and taken as they are.
    fn default() -> Self {
        Router {
            score: Score::Softmax,
            correction: false,
            groups: None,
            normalize: false,
            least: 0.0,
            added: 0.0,
            scale: 1.0,
        }
    }
}

/// What scores are of router logits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Score {
    /// Over all experts.
    Softmax,
    /// Of each expert alone.
    Sigmoid,
    /// Softmax, for each chosen expert over those that were not chosen before it and whose logit `s` is near to its own
    /// logit `m`: `(m - s) / max(|s|, m) <= 2 jitter` (sparse mixer, Phi-3.5-MoE).
    SparseMixer { jitter: f64 },
}

/// Experts in equal groups, one after the other, of which only the best may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    pub count: usize,
    /// Groups whose experts may be chosen.
    pub kept: usize,
    pub by: GroupScore,
}

/// What counts for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupScore {
    /// The largest score (DeepSeek-V2).
    Best,
    /// The sum of the two largest (DeepSeek-V3).
    TwoBest,
}
