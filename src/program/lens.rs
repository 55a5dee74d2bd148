//! The tail of a program on another hidden state: what the model would predict if it stopped here.

use super::{Context, Keep, Kernel, Program, Replay, Values, Visitor};
use crate::model::weights::Weights;
use crate::tensor::{TensorError, Value};

/// The first op of the tail that turns hidden states into logits. None if the model predicts no tokens.
pub fn lens_start(program: &Program) -> Option<usize> {
    let logits = program.op_of("logits").filter(|&op| matches!(program.ops[op].kernel, Kernel::Unembed { .. }))?;
    Some(program.op_of("mlm.pre").or_else(|| program.op_of("ln_final.scale")).unwrap_or(logits))
}

/// Final norm and unembedding (for a masked LM: its transform and unembedding) of hidden states `[N, d]`: logits `[N,
/// V]`. None if the model predicts no tokens.
pub fn lens(
    program: &Program,
    hidden: &Value,
    weights: &Weights,
    context: &Context,
) -> Result<Option<Value>, TensorError> {
    let Some((first, logits)) = lens_start(program).zip(program.op_of("logits")) else { return Ok(None) };
    let (count, width) = (hidden.shape()[0], hidden.count() / hidden.shape()[0].max(1));
    let rows = hidden.reshape(&[1, count, width])?;
    let replay = Replay { program, weights, context };
    let mut values = replay.run(first..=logits, Values::new(), Keep::Read, &mut Hidden(rows))?;
    let Some(logits) = values.remove(&logits) else { return Ok(None) };
    let vocab = logits.shape()[2];
    logits.reshape(&[count, vocab]).map(Some)
}

/// The tail reads these hidden states in place of the last ones.
struct Hidden(Value);

impl Visitor for Hidden {
    type Error = TensorError;

    fn outside(&mut self, _: usize) -> Result<Value, TensorError> {
        Ok(self.0.clone())
    }
}
