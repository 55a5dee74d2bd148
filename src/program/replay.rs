//! The one loop that executes ops: those of a session's own recording, and those that are run again.
//!
//! Whoever needs values of a pass (on another text, with another value somewhere, for many copies of a row) says which
//! ops run and what happens around each; gathering inputs, executing, and freeing what no later op reads is done here.
//! Every op that is executed asks whether the user interrupts, so every replay can be interrupted.

use std::collections::HashMap;

use super::{Context, Op, Program, execute};
use crate::model::weights::Weights;
use crate::tensor::{TensorError, Value};

/// A pass over some input: its ops, and what they read besides values.
#[derive(Clone, Copy)]
pub struct Replay<'a> {
    pub program: &'a Program,
    /// Weights, as they are edited.
    pub weights: &'a Weights,
    /// What follows from the input alone.
    pub context: &'a Context,
}

/// What happens around each op of a replay, which an error ends.
pub trait Visitor {
    type Error: From<TensorError>;

    /// The value of an op that this replay does not run, for an op that reads it.
    ///
    /// # Panics
    /// By default: a replay that runs all ops up to the last one reads nothing else.
    fn outside(&mut self, op: usize) -> Result<Value, Self::Error> {
        panic!("op {op} is read, and neither run nor given")
    }

    /// What the op `reader` reads of `input`, whose value in this pass is given: attention reads keys and values of all
    /// passes so far.
    fn read(&mut self, reader: usize, input: usize, value: Value) -> Result<Value, Self::Error> {
        _ = (reader, input);
        Ok(value)
    }

    /// The value that op `op` had in the pass before, which `reader` carries on from; `None` if there is no earlier pass.
    fn carried(&mut self, reader: usize, op: usize) -> Result<Option<Value>, Self::Error> {
        _ = (reader, op);
        Ok(None)
    }

    /// What an op gives in place of being executed on `inputs`; `None` executes it.
    fn instead(&mut self, op: usize, inputs: &[Value]) -> Result<Option<Value>, Self::Error> {
        _ = (op, inputs);
        Ok(None)
    }

    /// What later ops read of `op`, which gave `value`. Edits are applied here, and values compared and collected.
    fn made(&mut self, op: usize, value: Value) -> Result<Value, Self::Error> {
        _ = op;
        Ok(value)
    }
}

/// Which values a replay holds on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    All,
    /// Each until its last reader has run: the memory of one block, and not of the pass.
    Read,
}

pub type Values = HashMap<usize, Value>;

impl Replay<'_> {
    /// Runs `ops`, which come in program order, and returns the values that are held at the end. `values` are given
    /// from the beginning; they are taken as they are, also those of ops that would run.
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
            let inputs = inputs((number, op), &values, visitor)?;
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

fn inputs<V: Visitor>((number, op): (usize, &Op), values: &Values, visitor: &mut V) -> Result<Vec<Value>, V::Error> {
    let mut read = |&input: &usize| {
        let value = values.get(&input).cloned().map_or_else(|| visitor.outside(input), Ok)?;
        visitor.read(number, input, value)
    };
    let mut all = op.inputs.iter().map(&mut read).collect::<Result<Vec<Value>, V::Error>>()?;
    if let Some(carried) = op.carried {
        all.extend(visitor.carried(number, carried)?);
    }
    Ok(all)
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
