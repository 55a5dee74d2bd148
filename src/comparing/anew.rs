//! A whole pass run again, to be compared with what is recorded of it.

use crate::debugger::{Edit, Error, Mark, Result, Run, Target, edited};
use crate::model::Input;
use crate::program::{Context, Keep, Program, Replay, Values, Visitor};
use crate::tensor::{Value, step};

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
    let context = Context::new(&run.model.spec, input, 0..input.length(), run.device());
    let replay = Replay { program: &program, weights: &weights, context: &context };
    let mut anew = Anew { run, program: &program, edits, reported, inputs: Vec::new(), seen };
    replay.run(0..program.ops.len(), Values::new(), Keep::Read, &mut anew)?;
    Ok(())
}

/// The edits of values that count in the pass of the prompt of a run, for all of its rows.
pub(super) fn edits_of_prompt(run: &Run) -> Vec<Edit> {
    let counts = |edit: &&Edit| match edit.target {
        Target::Op(op) => edit.applies_to(Mark { pass: 0, op }),
        _ => false,
    };
    run.branch().edits.iter().filter(counts).cloned().collect()
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
