//! The ops between the values that the other side has and one that differs there: what is run again to try a reason.

use std::collections::BTreeSet;

use crate::model::Weights;
use crate::program::{Context, Keep, Op, Program, Replay, Values, Visitor};
use crate::tensor::{TensorError, Value, proceed};

/// Ops that end in one whose value differs, with all that they read.
///
/// Where the other side has a value of every op, a stretch is that op alone. What Python's hooks write has the outputs
/// of modules and the pattern: from queries and keys to the pattern there are four ops here, and the reason may be any
/// of them.
pub struct Stretch<'a> {
    program: &'a Program,
    ops: Vec<usize>,
    values: Values,
}

impl<'a> Stretch<'a> {
    /// The stretch that ends in an op. `values` holds the other side's value of an op where `given` says so, and
    /// elsewhere what the op makes here of the other side's values; `own` is what the last op makes of them.
    pub fn ending_in(
        last: usize,
        own: Value,
        program: &'a Program,
        (values, given): (&Values, &[bool]),
    ) -> Stretch<'a> {
        let mut stretch = Stretch { program, ops: vec![last], values: Values::from([(last, own)]) };
        let mut left = program.ops[last].inputs.clone();
        while let Some(op) = left.pop() {
            let Some(value) = values.get(&op).filter(|_| !stretch.values.contains_key(&op)) else { continue };
            stretch.values.insert(op, value.clone());
            if !given[op] {
                stretch.ops.push(op);
                left.extend(&program.ops[op].inputs);
            }
        }
        stretch.ops.sort_unstable();
        stretch
    }

    pub fn ops(&self) -> impl Iterator<Item = (usize, &'a Op)> + '_ {
        self.ops.iter().map(|&op| (op, &self.program.ops[op]))
    }

    pub fn last(&self) -> usize {
        self.ops[self.ops.len() - 1]
    }

    pub fn program(&self) -> &'a Program {
        self.program
    }

    /// What an op of the stretch makes here of the other side's values, or a value that it reads.
    pub fn value(&self, op: usize) -> &Value {
        &self.values[&op]
    }

    pub fn inputs(&self, op: usize) -> Vec<Value> {
        self.program.ops[op].inputs.iter().map(|input| self.values[input].clone()).collect()
    }

    /// What the last op gives if some ops compute something else: `compute` is asked for the value of each op that is
    /// `changed`; those that read what has changed run again. `None` if `compute` has no value, nothing that the last
    /// op depends on is changed, or the user interrupts.
    pub fn again(
        &self,
        (weights, context): (&Weights, &Context),
        changed: &dyn Fn(usize) -> bool,
        compute: Compute<'_>,
    ) -> Option<Value> {
        let mut again: BTreeSet<usize> = BTreeSet::new();
        for (number, op) in self.ops() {
            if changed(number) || op.inputs.iter().any(|input| again.contains(input)) {
                again.insert(number);
            }
        }
        let same = self.values.iter().filter(|(op, _)| !again.contains(op));
        let same: Values = same.map(|(op, value)| (*op, value.clone())).collect();
        let replay = Replay { program: self.program, weights, context };
        let mut visitor = Changed { program: self.program, changed, compute };
        let mut values = replay.run(again.iter().copied(), same, Keep::All, &mut visitor).ok()?;
        values.remove(&self.last()).filter(|_| again.contains(&self.last()))
    }
}

/// The value of an op on these inputs; `None` if it has none.
pub type Compute<'a> = &'a mut dyn FnMut(usize, &Op, &[Value]) -> Option<Value>;

struct Changed<'a> {
    program: &'a Program,
    changed: &'a dyn Fn(usize) -> bool,
    compute: Compute<'a>,
}

/// Some op of a stretch has no value.
struct NoValue;

impl From<TensorError> for NoValue {
    fn from(_: TensorError) -> NoValue {
        NoValue
    }
}

impl Visitor for Changed<'_> {
    type Error = NoValue;

    fn outside(&mut self, _: usize) -> Result<Value, NoValue> {
        Err(NoValue)
    }

    fn instead(&mut self, op: usize, inputs: &[Value]) -> Result<Option<Value>, NoValue> {
        proceed()?;
        if !(self.changed)(op) {
            return Ok(None);
        }
        (self.compute)(op, &self.program.ops[op], inputs).map(Some).ok_or(NoValue)
    }
}
