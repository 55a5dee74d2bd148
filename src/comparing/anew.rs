//! A whole pass run again, to be compared with what is recorded of it.

use std::ops::Range;

use crate::debugger::{Edit, Error, Result, Run, edited};
use crate::model::Input;
use crate::program::{Keep, Op, Program, Replay, Values, Visitor};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, TensorError, Value, step};

/// What an op gave, edits included, and what it read.
pub(super) struct Computed<'a> {
    pub op: usize,
    pub inputs: &'a [Value],
    pub value: &'a Value,
}

/// Runs the program over `input` from its first column, with these edits, and shows each value. Ops are reported if
/// `reported`.
///
/// # Errors
/// What `seen` fails with; if an edit does not fit, the device fails, or the user interrupts.
pub(super) fn compute_anew(
    run: &mut Run,
    input: &Input,
    edits: &[Edit],
    reported: bool,
    seen: &mut dyn FnMut(&mut Run, Computed<'_>) -> Result<()>,
) -> Result<()> {
    let program = run.program.clone();
    let weights = run.branch().weights().clone();
    let context = run.context_of(input);
    let replay = Replay { program: &program, weights: &weights, context: &context };
    let mut anew = Anew { run, program: &program, edits, reported, inputs: Vec::new(), seen };
    replay.run(0..program.ops.len(), Values::new(), Keep::Read, &mut anew)?;
    Ok(())
}

/// The part of an op's value that has these columns of each axis, and all of an axis for which there are none.
pub(super) fn part_of(
    value: &Value,
    op: &Op,
    columns: impl Fn(Axis) -> Option<Range<usize>>,
) -> Result<Value, TensorError> {
    let slice =
        |axis: &Axis| columns(*axis).map_or(Slice::All, |Range { start, end }| Slice::Range { start, end, step: 1 });
    value.slice(&op.axes.iter().map(slice).collect::<Vec<_>>())
}

struct Anew<'a> {
    run: &'a mut Run,
    program: &'a Program,
    edits: &'a [Edit],
    reported: bool,
    inputs: Vec<Value>,
    seen: &'a mut dyn FnMut(&mut Run, Computed<'_>) -> Result<()>,
}

impl Visitor for Anew<'_> {
    type Error = Error;

    fn instead(&mut self, op: usize, inputs: &[Value]) -> Result<Option<Value>> {
        if self.reported {
            step(&self.program.ops[op].site, op as u64, self.program.ops.len() as u64)?;
        }
        self.inputs = inputs.to_vec();
        Ok(None)
    }

    fn made(&mut self, op: usize, value: Value) -> Result<Value> {
        let value = edited(self.edits, op, value)?;
        (self.seen)(self.run, Computed { op, inputs: &self.inputs, value: &value })?;
        Ok(value)
    }
}
