//! One branch of a run: its edits and what of it is recorded.

use std::collections::HashMap;

use super::edit::{Change, Edit, Target};
use crate::model::input::Input;
use crate::model::weights::Weights;
use crate::program::{Context, Kernel, Program, execute};
use crate::tensor::{TensorError, Value};

/// A branch: the model and the input it started with, changed by edits, and the values recorded so far.
///
/// Invariant: a recorded value equals, bit for bit, what computing it again from the input and the edits would give.
#[derive(Clone)]
pub struct Branch {
    /// Its name; `main` for the first.
    pub name: String,
    /// The branch it grew from, and the op at which.
    pub parent: Option<(usize, usize)>,
    /// In the order in which they were made.
    pub edits: Vec<Edit>,
    /// Edits taken back, command by command; the last one first to return.
    pub undone: Vec<Vec<Edit>>,
    pub(super) input: Input,
    pub(super) context: Context,
    pub(super) weights: Weights,
    pub(super) values: Vec<Option<Value>>,
    /// Ops that have been computed at least once: `values` below are recorded or were dropped for the budget.
    pub(super) frontier: usize,
    pub(super) recomputed: u64,
    held: u64,
}

/// What a recording holds, for `info record`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordStatus {
    /// Ops computed so far.
    pub computed: usize,
    /// Of those, the ones whose values are kept.
    pub kept: usize,
    /// Bytes they take.
    pub bytes: u64,
    /// Values computed again because they had been dropped.
    pub recomputed: u64,
}

impl Branch {
    pub(super) fn new(name: &str, input: Input, context: Context, weights: Weights, ops: usize) -> Branch {
        Branch {
            name: name.into(),
            parent: None,
            edits: Vec::new(),
            undone: Vec::new(),
            input,
            context,
            weights,
            values: vec![None; ops],
            frontier: 0,
            recomputed: 0,
            held: 0,
        }
    }

    /// What the ops of its pass read besides values and weights.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The input as edited.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// The weights as edited.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What is recorded.
    pub fn status(&self) -> RecordStatus {
        let kept = self.values.iter().take(self.frontier).flatten().count();
        RecordStatus { computed: self.frontier, kept, bytes: self.held, recomputed: self.recomputed }
    }

    /// Keeps a value, or drops it. A value that is only another name for an earlier one takes no memory.
    fn set(&mut self, program: &Program, op: usize, value: Option<Value>) {
        let own = program.ops[op].kernel != Kernel::Same;
        let size = |value: &Option<Value>| value.as_ref().filter(|_| own).map_or(0, Value::bytes);
        self.held = self.held - size(&self.values[op]) + size(&value);
        self.values[op] = value;
    }

    /// Records a value.
    pub(super) fn put(&mut self, program: &Program, op: usize, value: Value) {
        self.set(program, op, Some(value));
    }

    /// Forgets everything recorded.
    pub(super) fn restart(&mut self) {
        self.values.iter_mut().for_each(|value| *value = None);
        (self.held, self.frontier) = (0, 0);
    }

    /// The value of an op as the edits leave it: recorded, or computed again from what is.
    ///
    /// # Errors
    /// If an edit does not fit (which making it has checked) or the device fails.
    pub(super) fn value(&mut self, program: &Program, op: usize) -> Result<Value, TensorError> {
        if let Some(value) = &self.values[op] {
            return Ok(value.clone());
        }
        let recorded: Option<Vec<Value>> =
            program.ops[op].inputs.iter().map(|&input| self.values[input].clone()).collect();
        if let Some(inputs) = recorded {
            self.recomputed += u64::from(op < self.frontier);
            return self.edited(op, execute(&program.ops[op], &inputs, &self.weights, &self.context));
        }
        let mut needed = vec![op];
        let mut seen = vec![false; op + 1];
        seen[op] = true;
        let mut next = 0;
        while next < needed.len() {
            for &input in &program.ops[needed[next]].inputs {
                if !seen[input] && self.values[input].is_none() {
                    seen[input] = true;
                    needed.push(input);
                }
            }
            next += 1;
        }
        needed.sort_unstable();
        let mut scratch: HashMap<usize, Value> = HashMap::new();
        for &i in &needed {
            let inputs: Option<Vec<Value>> = program.ops[i]
                .inputs
                .iter()
                .map(|input| self.values[*input].clone().or_else(|| scratch.get(input).cloned()))
                .collect();
            let inputs = inputs.expect("needed ops are computed in program order");
            let value = self.edited(i, execute(&program.ops[i], &inputs, &self.weights, &self.context))?;
            scratch.insert(i, value);
        }
        self.recomputed += needed.iter().filter(|&&i| i < self.frontier).count() as u64;
        Ok(scratch.remove(&op).expect("the op itself was needed"))
    }

    /// Computes the op at the frontier, or one below it that must be recorded again.
    pub(super) fn compute(&mut self, program: &Program, op: usize) -> Result<(), TensorError> {
        if self.values[op].is_none() {
            let value = self.value(program, op)?;
            self.set(program, op, Some(value));
        }
        self.frontier = self.frontier.max(op + 1);
        Ok(())
    }

    fn edited(&self, op: usize, mut value: Value) -> Result<Value, TensorError> {
        for edit in self.edits.iter().filter(|edit| edit.target == Target::Op(op)) {
            value = edit.change.apply(&value)?;
        }
        Ok(value)
    }

    /// Forgets the values that depend on `changed`.
    pub(super) fn forget(&mut self, program: &Program, changed: &[usize]) {
        for (i, affected) in program.affected_by(changed).into_iter().enumerate() {
            if affected {
                self.set(program, i, None);
            }
        }
    }

    /// Drops recorded values until at most `budget` bytes are held: first those that only an earlier part of the pass read,
    /// block boundaries never. `cursor` is where the run stands.
    pub(super) fn shrink(&mut self, program: &Program, budget: u64, cursor: usize) {
        for i in 0..self.frontier.min(cursor) {
            if self.held <= budget {
                return;
            }
            let alive = program.readers(i).iter().any(|&reader| reader >= cursor);
            if alive || program.ops[i].is_boundary() || i + 1 == cursor {
                continue;
            }
            self.set(program, i, None);
        }
    }

    /// The ops whose output an edit of `target` changes first.
    pub(super) fn first_changed(program: &Program, target: &Target) -> Vec<usize> {
        match target {
            Target::Op(op) => vec![*op],
            Target::Weight(id) => {
                let reads = |op: &crate::program::Op| op.weights.contains(id);
                (0..program.ops.len()).filter(|&i| reads(&program.ops[i])).collect()
            }
            Target::Input => (0..program.ops.len()).filter(|&i| program.ops[i].inputs.is_empty()).collect(),
        }
    }

    /// Whether values recorded so far depend on `target`.
    pub(super) fn depends_on(&self, program: &Program, target: &Target) -> bool {
        Self::first_changed(program, target).into_iter().any(|op| op < self.frontier)
    }

    pub(super) fn change_of_input(change: &Change) -> Option<&Input> {
        match change {
            Change::Input(input) => Some(input),
            _ => None,
        }
    }
}
