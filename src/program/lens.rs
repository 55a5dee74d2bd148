//! The tail of a program on another hidden state: what the model would predict if it stopped here.

use super::context::Context;
use super::interpreter::execute;
use super::op::{Kernel, Program};
use crate::model::weights::Weights;
use crate::tensor::Value;

/// The first op of the tail that turns hidden states into logits. None if the model predicts no tokens.
pub fn lens_start(program: &Program) -> Option<usize> {
    let logits = program.op_of("logits").filter(|&op| matches!(program.ops[op].kernel, Kernel::Unembed { .. }))?;
    Some(program.op_of("mlm.pre").or_else(|| program.op_of("ln_final.scale")).unwrap_or(logits))
}

/// Final norm and unembedding (for a masked LM: its transform and unembedding) of hidden states `[N, d]`: logits `[N, V]`.
/// None if the model predicts no tokens.
pub fn lens(program: &Program, hidden: &Value, weights: &Weights, context: &Context) -> Option<Value> {
    let first = lens_start(program)?;
    let logits = program.op_of("logits")?;
    let [count, width] = *hidden.shape() else { return None };
    let rows = hidden.reshape(&[1, count, width]).ok()?;
    let mut values: Vec<Value> = Vec::new();
    for op in &program.ops[first..=logits] {
        let inputs: Vec<Value> = op
            .inputs
            .iter()
            .map(|&input| if input < first { rows.clone() } else { values[input - first].clone() })
            .collect();
        values.push(execute(op, &inputs, weights, context));
    }
    let logits = values.pop()?;
    let vocab = logits.shape()[2];
    logits.reshape(&[count, vocab]).ok()
}
