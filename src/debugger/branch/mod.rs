//! One branch of a run: its edits, its passes, and what of them is recorded.

mod forget;
mod record;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub(super) use forget::Affected;
pub use record::RecordStatus;

use super::cache::Cache;
use super::edit::{Edit, Target};
use super::mark::Mark;
use super::pass::{Chosen, Pass};
use super::sampling::Sampling;
use crate::model::input::Input;
use crate::model::weights::Weights;
use crate::program::{Context, Program, execute};
use crate::tensor::{TensorError, Value};

/// A branch: the model and the prompt it started with, changed by edits, the tokens chosen since, and the values recorded so
/// far.
///
/// Invariant: a recorded value equals, bit for bit, what computing it again from the prompt and the edits would give.
#[derive(Clone)]
pub struct Branch {
    /// Its name; `main` for the first.
    pub name: String,
    /// The branch it grew from, and where.
    pub parent: Option<(usize, Mark)>,
    /// In the order in which they were made.
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

    /// The prompt as edited.
    pub fn prompt(&self) -> Input {
        self.text.columns(self.span(0).end)
    }

    /// The columns of the text that a pass computes.
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

    /// How the token of a pass was chosen; none for the prompt.
    pub fn chosen(&self, pass: usize) -> Option<&Chosen> {
        self.passes[pass].chosen.as_ref()
    }

    /// Ops of a pass that have been computed at least once.
    pub fn frontier(&self, pass: usize) -> usize {
        self.passes.get(pass).map_or(0, |pass| pass.frontier)
    }

    /// The weights as edited.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Begins a pass over one more column of the text.
    pub(super) fn begin_pass(&mut self, context: Context, ops: usize, chosen: Chosen) {
        self.passes.push(Arc::new(Pass::new(context, ops, Some(chosen))));
    }

    /// The value that an op has in a pass, as the edits leave it: recorded, or computed again from what is.
    ///
    /// # Errors
    /// If an edit does not fit (which making it has checked) or the device fails.
    pub(super) fn value(&mut self, program: &Program, at: Mark) -> Result<Value, TensorError> {
        let pass = &self.passes[at.pass];
        if let Some(value) = &pass.values[at.op] {
            return Ok(value.clone());
        }
        let mut needed = vec![at.op];
        let recorded = program.ops[at.op].inputs.iter().all(|&input| pass.values[input].is_some());
        if !recorded {
            let mut seen = vec![false; at.op + 1];
            let mut next = 0;
            while next < needed.len() {
                for &input in &program.ops[needed[next]].inputs {
                    if !seen[input] && pass.values[input].is_none() {
                        seen[input] = true;
                        needed.push(input);
                    }
                }
                next += 1;
            }
            needed.sort_unstable();
        }
        let before = pass.frontier;
        let mut scratch: HashMap<usize, Value> = HashMap::new();
        for &op in &needed {
            let value = self.execute(program, Mark { op, ..at }, &scratch)?;
            scratch.insert(op, value);
        }
        self.recomputed += needed.iter().filter(|&&op| op < before).count() as u64;
        Ok(scratch.remove(&at.op).expect("the op itself was needed"))
    }

    /// Runs one op on recorded values and those of `scratch`, and applies its edits.
    fn execute(&mut self, program: &Program, at: Mark, scratch: &HashMap<usize, Value>) -> Result<Value, TensorError> {
        let op = &program.ops[at.op];
        let mut inputs = Vec::with_capacity(op.inputs.len());
        for &input in &op.inputs {
            let recorded = self.passes[at.pass].values[input].clone();
            let value = recorded.or_else(|| scratch.get(&input).cloned());
            let value = value.expect("needed ops are computed in program order");
            inputs.push(self.as_read(program, at, input, value)?);
        }
        let value = execute(op, &inputs, &self.weights, &self.passes[at.pass].context)?;
        // Positions of a value count from the beginning of the text.
        let value = value.beginning_at(self.passes[at.pass].span().start);
        self.edited(at, value)
    }

    /// What an op reads of one of its inputs, whose value in this pass is given: of a cached one all passes so far.
    fn as_read(&mut self, program: &Program, at: Mark, input: usize, value: Value) -> Result<Value, TensorError> {
        match program.ops[at.op].cached.contains(&input) {
            true => self.joined(program, Mark { op: input, ..at }, value),
            false => Ok(value),
        }
    }

    /// What an op reads: recorded, or computed again.
    pub(super) fn inputs(&mut self, program: &Program, at: Mark) -> Result<Vec<Value>, TensorError> {
        let mut inputs = Vec::new();
        for &input in &program.ops[at.op].inputs {
            let value = self.value(program, Mark { op: input, ..at })?;
            inputs.push(self.as_read(program, at, input, value)?);
        }
        Ok(inputs)
    }

    /// The output of an op as its edits leave it.
    pub(super) fn edited(&self, at: Mark, mut value: Value) -> Result<Value, TensorError> {
        for edit in self.edits.iter().filter(|edit| edit.applies_to(at)) {
            value = edit.change.apply(&value)?;
        }
        Ok(value)
    }

    /// Values of an op over all passes up to `at.pass`, joined along positions, where `current` is that of the last of them:
    /// what attention reads, `[B, S, K, h]`.
    fn joined(&mut self, program: &Program, at: Mark, current: Value) -> Result<Value, TensorError> {
        if at.pass == 0 {
            return Ok(current);
        }
        let end = self.span(at.pass).end;
        let since = self.edited_since(at);
        self.fill(program, at.op, since, at.pass)?;
        if self.cache.len(at.op, since) < Some(end) {
            self.cache.push(at.op, since, &current)?;
        }
        let columns = self.cache.columns(at.op, since).expect("filled before");
        Ok(columns.first(end).with_axes(current.axes()))
    }

    /// The cache of an op as the pass `pass` finds it: its columns before that pass, `[B, S, K, h]`. None if there are none.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn cached(&mut self, program: &Program, op: usize, pass: usize) -> Result<Option<Value>, TensorError> {
        if pass == 0 {
            return Ok(None);
        }
        let since = self.edited_since(Mark { pass, op });
        self.fill(program, op, since, pass)?;
        let length = self.span(pass).start;
        let columns = self.cache.columns(op, since).expect("filled before");
        Ok(Some(columns.first(length).with_axes(&program.ops[op].axes)))
    }

    /// The last pass up to that of `at` from which on an edit changes the cache of the op; 0 without one.
    fn edited_since(&self, at: Mark) -> usize {
        let edits = self.edits.iter().filter(|edit| edit.target == Target::Cache(at.op) && edit.from.pass <= at.pass);
        edits.map(|edit| edit.from.pass).max().unwrap_or(0)
    }

    /// Makes the cache of an op hold its columns before `pass`, as edits up to `since` leave them.
    fn fill(&mut self, program: &Program, op: usize, since: usize, pass: usize) -> Result<(), TensorError> {
        let length = self.span(pass).start;
        if self.cache.len(op, since).is_none() {
            if since == 0 {
                let first = self.value(program, Mark::new(0, op))?;
                self.cache.begin(op, 0, &first, 0);
            } else {
                let earlier = self.edited_since(Mark { pass: since - 1, op });
                self.fill(program, op, earlier, since)?;
                let base = self.span(since).start;
                let mut value = self.cache.columns(op, earlier).expect("filled before").first(base);
                let edits = self.edits.iter().filter(|e| e.target == Target::Cache(op) && e.from.pass == since);
                for edit in edits {
                    value = edit.change.apply(&value)?;
                }
                self.cache.begin(op, since, &value, base);
            }
        }
        while let Some(filled) = self.cache.len(op, since).filter(|filled| *filled < length) {
            let value = self.value(program, Mark { pass: self.pass_of(filled), op })?;
            self.cache.push(op, since, &value)?;
        }
        Ok(())
    }

    /// Computes an op at the frontier of its pass, or one below it that must be recorded again.
    pub(super) fn compute(&mut self, program: &Program, at: Mark) -> Result<(), TensorError> {
        if self.passes[at.pass].values[at.op].is_none() {
            let value = self.value(program, at)?;
            self.put(program, at, value);
        }
        if self.passes[at.pass].frontier <= at.op {
            Arc::make_mut(&mut self.passes[at.pass]).frontier = at.op + 1;
        }
        Ok(())
    }
}
