//! One pass of a branch: the columns of the text that it computes, and what is recorded of it.

use std::ops::Range;
use std::sync::Arc;

use super::Sampling;
use crate::program::Context;
use crate::tensor::Value;

/// A pass. The first computes the prompt, each later one the token chosen at the end of the pass before. Branches share
/// the passes that they have in common; a pass is copied when one of them records something else in it.
#[derive(Clone)]
pub(super) struct Pass {
    /// What its ops read besides values and weights.
    pub context: Arc<Context>,
    pub values: Vec<Option<Value>>,
    /// Ops before this one are those of the pass of the prompt.
    pub first: usize,
    /// Ops that have been computed at least once: values below are recorded or were dropped for the budget.
    pub frontier: usize,
    /// How its token was chosen; none for the prompt.
    pub chosen: Option<Chosen>,
    pub held: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The token of each row; none for rows that had ended before.
    pub tokens: Vec<Option<u32>>,
    /// The settings at that time; choosing again uses the same.
    pub sampling: Arc<Sampling>,
    /// Whether an edit says what the token is.
    pub forced: bool,
}

impl Pass {
    pub fn new(context: Context, ops: usize, chosen: Option<Chosen>) -> Pass {
        Pass { context: Arc::new(context), values: vec![None; ops], first: 0, frontier: 0, chosen, held: 0 }
    }

    pub fn span(&self) -> Range<usize> {
        self.context.span()
    }
}
