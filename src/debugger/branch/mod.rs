//! One branch of a run: its edits, its passes, and what of them is recorded.

mod compute;
mod forget;
mod record;

use std::ops::Range;
use std::sync::Arc;

use super::cache::Cache;
use super::pass::Pass;
use super::{Chosen, Edit, Mark, Sampling, edit};
use crate::model::{Input, Weights};
use crate::program::Context;
use crate::tensor::ops::Slice;
use crate::tensor::{TensorError, Value};

pub(super) use forget::Affected;
pub use record::RecordStatus;

/// A branch: the model and the prompt it started with, changed by edits, the tokens chosen since, and the values
/// recorded so far.
///
/// Invariant: a recorded value equals, bit for bit, what computing it again from the prompt and the edits would give.
#[derive(Clone)]
pub struct Branch {
    /// Its name; `main` for the first.
    pub name: String,
    /// The branch it grew from, and where.
    pub parent: Option<(usize, Mark)>,
    pub edits: Vec<Edit>,
    /// Edits taken back, command by command; the last one first to return.
    pub undone: Vec<Vec<Edit>>,
    /// The prompt, and after it a column for each token chosen.
    pub(super) text: Input,
    pub(super) weights: Weights,
    pub(super) passes: Vec<Arc<Pass>>,
    /// How the token of each pass after the first was or will be chosen: choosing again goes by the same settings.
    pub(super) settings: Vec<Arc<Sampling>>,
    cache: Cache,
    recomputed: u64,
    held: u64,
    /// Passes before this one hold nothing any more that can be dropped.
    swept: usize,
}

impl Branch {
    pub(super) fn new(name: &str, prompt: Input, context: Context, weights: Weights, ops: usize) -> Branch {
        Branch {
            name: name.into(),
            parent: None,
            edits: Vec::new(),
            undone: Vec::new(),
            text: prompt,
            weights,
            passes: vec![Arc::new(Pass::new(context, ops, None))],
            settings: Vec::new(),
            cache: Cache::default(),
            recomputed: 0,
            held: 0,
            swept: 0,
        }
    }

    /// What the ops of a pass read besides values and weights.
    pub fn context(&self, pass: usize) -> &Context {
        &self.passes[pass].context
    }

    /// The prompt as edited, and after it the tokens chosen so far.
    pub fn text(&self) -> &Input {
        &self.text
    }

    pub fn prompt(&self) -> Input {
        self.text.columns(self.span(0).end)
    }

    pub fn span(&self, pass: usize) -> Range<usize> {
        self.passes[pass].span()
    }

    /// Passes so far: that of the prompt, and one for each token chosen.
    pub fn passes(&self) -> usize {
        self.passes.len()
    }

    /// The pass that computes a column of the text.
    pub fn pass_of(&self, column: usize) -> usize {
        let of = self.passes.partition_point(|pass| pass.span().end <= column);
        of.min(self.passes.len() - 1)
    }

    /// The pass that computes a column of the text, and which of its columns that is.
    pub fn column(&self, column: usize) -> (usize, usize) {
        let pass = self.pass_of(column);
        (pass, column - self.span(pass).start)
    }

    /// How the token of a pass was chosen; none for the prompt.
    pub fn chosen(&self, pass: usize) -> Option<&Chosen> {
        self.passes[pass].chosen.as_ref()
    }

    /// Ops of a pass that have been computed at least once.
    pub fn frontier(&self, pass: usize) -> usize {
        self.passes.get(pass).map_or(0, |pass| pass.frontier)
    }

    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The output of an op as its edits leave it.
    pub fn edited(&self, at: Mark, value: Value) -> Result<Value, TensorError> {
        edit::edited(&self.edits, at, value)
    }

    /// Whether an edit changes the output of an op in a pass.
    pub fn is_edited(&self, at: Mark) -> bool {
        self.edits.iter().any(|edit| edit.applies_to(at))
    }

    /// The output of an op for the row `row` alone, `[1, ...]`, as its edits leave that row.
    pub fn edited_row(&self, at: Mark, row: usize, value: Value) -> Result<Value, TensorError> {
        let rows = self.text.rows.len();
        if rows == 1 || !self.is_edited(at) {
            return self.edited(at, value);
        }
        // An edit is about rows by their numbers, and every row of the batch may be the one that it names.
        let axes = value.axes().to_vec();
        let all = Value::concat(&vec![value; rows], 0)?.with_axes(&axes);
        self.edited(at, all)?.slice(&[Slice::Range { start: row, end: row + 1, step: 1 }])
    }

    fn reach(&mut self, at: Mark) {
        if self.passes[at.pass].frontier <= at.op {
            Arc::make_mut(&mut self.passes[at.pass]).frontier = at.op + 1;
        }
    }
}
