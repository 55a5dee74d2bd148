//! Runs ops again: the one loop that executes ops outside of a session's own recording.
//!
//! Who needs values of a pass that are not recorded (on another text, with another value somewhere, for many copies of a row) says
//! which ops run and what happens around each; gathering inputs, executing, and letting go of what nobody reads any more is done
//! here. Every op that is executed asks whether the user interrupts, so no replay can be one that does not.

use std::collections::HashMap;

use super::context::Context;
use super::interpreter::execute;
use super::op::{Op, Program};
use crate::model::weights::Weights;
use crate::tensor::{TensorError, Value};

/// A pass over some input: its ops, and what they read besides values.
#[derive(Clone, Copy)]
pub struct Replay<'a> {
    /// The ops.
    pub program: &'a Program,
    /// Weights, as they are edited.
    pub weights: &'a Weights,
    /// What follows from the input alone.
    pub context: &'a Context,
}

/// What happens around each op of a replay.
pub trait Visitor {
    /// Why it may end early.
    type Error: From<TensorError>;

    /// The value of an op that this replay does not run, for an op that reads it.
    ///
    /// # Errors
    /// If it cannot be had.
    ///
    /// # Panics
    /// By default: a replay that runs all ops up to the last one reads nothing else.
    fn outside(&mut self, op: usize) -> Result<Value, Self::Error> {
        panic!("op {op} is read, and neither run nor given")
    }

    /// What an op gives in place of being executed on `inputs`; `None` executes it.
    ///
    /// # Errors
    /// If it cannot be had.
    fn instead(&mut self, op: usize, inputs: &[Value]) -> Result<Option<Value>, Self::Error> {
        _ = (op, inputs);
        Ok(None)
    }

    /// What later ops read of `op`, which gave `value`. Edits are applied here, and values compared and collected.
    ///
    /// # Errors
    /// Whatever ends the replay.
    fn made(&mut self, op: usize, value: Value) -> Result<Value, Self::Error> {
        _ = op;
        Ok(value)
    }
}

/// Which values a replay holds on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All that it made.
    All,
    /// Each until its last reader has run: the memory of one block, and not of the pass.
    Read,
}

/// Values by op.
pub type Values = HashMap<usize, Value>;

impl Replay<'_> {
    /// Runs `ops`, which come in program order, and returns the values that are held at the end. `values` are given from the
    /// beginning; they are taken as they are, also those of ops that would run.
    ///
    /// # Errors
    /// What the visitor fails with; if the device fails, or cannot hold what an op makes, or the user interrupts.
    pub fn run<V: Visitor>(
        &self,
        ops: impl IntoIterator<Item = usize>,
        mut values: Values,
        keep: Keep,
        visitor: &mut V,
    ) -> Result<Values, V::Error> {
        for number in ops {
            if values.contains_key(&number) {
                continue;
            }
            let op = &self.program.ops[number];
            let inputs = inputs(op, &values, visitor)?;
            let value = match visitor.instead(number, &inputs)? {
                Some(value) => value,
                None => execute(op, &inputs, self.weights, self.context)?,
            };
            drop(inputs);
            let value = visitor.made(number, value)?;
            values.insert(number, value);
            if keep == Keep::Read {
                let last = |input: &usize| self.program.readers(*input).iter().all(|&reader| reader <= number);
                for input in op.inputs.iter().filter(|input| last(input)) {
                    values.remove(input);
                }
            }
        }
        Ok(values)
    }
}

fn inputs<V: Visitor>(op: &Op, values: &Values, visitor: &mut V) -> Result<Vec<Value>, V::Error> {
    let read = |&input: &usize| match values.get(&input) {
        Some(value) => Ok(value.clone()),
        None => visitor.outside(input),
    };
    op.inputs.iter().map(read).collect()
}

/// A visitor of one function: what later ops read of an op.
pub struct Made<F>(pub F);

impl<F, E> Visitor for Made<F>
where
    F: FnMut(usize, Value) -> Result<Value, E>,
    E: From<TensorError>,
{
    type Error = E;

    fn made(&mut self, op: usize, value: Value) -> Result<Value, E> {
        self.0(op, value)
    }
}
