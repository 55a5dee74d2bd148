//! The ops between the values that the other side has and one that differs there: what is run again to try a reason.

use std::collections::HashMap;

use crate::program::{Op, Program};
use crate::tensor::{Value, proceed};

/// Ops that end in one whose value differs, with all that they read.
///
/// Where the other side has a value of every op, a stretch is that op alone. What Python's hooks write has the outputs of modules and
/// the pattern: from queries and keys to the pattern there are four ops here, and a reason may lie in each.
pub struct Stretch<'a> {
    program: &'a Program,
    ops: Vec<usize>,
    values: HashMap<usize, Value>,
}

impl<'a> Stretch<'a> {
    /// The stretch that ends in an op. `values` holds the other side's value of an op where `given` says so, and elsewhere what the
    /// op makes here of the other side's values; `own` is what the last op makes of them.
    pub fn ending_in(
        last: usize,
        own: Value,
        program: &'a Program,
        (values, given): (&[Option<Value>], &[bool]),
    ) -> Stretch<'a> {
        let mut stretch = Stretch { program, ops: vec![last], values: HashMap::from([(last, own)]) };
        let mut left = program.ops[last].inputs.clone();
        while let Some(op) = left.pop() {
            let Some(value) = values[op].as_ref().filter(|_| !stretch.values.contains_key(&op)) else { continue };
            stretch.values.insert(op, value.clone());
            if !given[op] {
                stretch.ops.push(op);
                left.extend(&program.ops[op].inputs);
            }
        }
        stretch.ops.sort_unstable();
        stretch
    }

    /// The ops, in program order.
    pub fn ops(&self) -> impl Iterator<Item = (usize, &'a Op)> + '_ {
        self.ops.iter().map(|&op| (op, &self.program.ops[op]))
    }

    /// The op whose value differs.
    pub fn last(&self) -> usize {
        self.ops[self.ops.len() - 1]
    }

    /// The program.
    pub fn program(&self) -> &'a Program {
        self.program
    }

    /// What an op of the stretch makes here of the other side's values, or a value that it reads.
    pub fn value(&self, op: usize) -> &Value {
        &self.values[&op]
    }

    /// What an op reads.
    pub fn inputs(&self, op: usize) -> Vec<Value> {
        self.program.ops[op].inputs.iter().map(|input| self.values[input].clone()).collect()
    }

    /// What the last op gives if some ops compute something else: `compute` is asked for the value of each op that is `changed`, or
    /// that reads what has changed. None if it has none, or the user interrupts.
    pub fn again(
        &self,
        changed: &dyn Fn(usize) -> bool,
        compute: &mut dyn FnMut(usize, &Op, &[Value]) -> Option<Value>,
    ) -> Option<Value> {
        let mut others: HashMap<usize, Value> = HashMap::new();
        for (number, op) in self.ops() {
            proceed().ok()?;
            if changed(number) || op.inputs.iter().any(|input| others.contains_key(input)) {
                let read = |input: &usize| others.get(input).unwrap_or_else(|| &self.values[input]).clone();
                let inputs: Vec<Value> = op.inputs.iter().map(read).collect();
                others.insert(number, compute(number, op, &inputs)?);
            }
        }
        others.remove(&self.last())
    }
}
