//! The Jacobian lens: how the model's last state follows from the output of a block, on average.
//!
//! `J_l = mean over texts, mean over t of sum over t' >= t of d h_last,t' / d h_l,t`, where `t` and `t'` are positions of the
//! text from `skip` on, without the last one. For each feature of the last state one gradient of its sum over positions gives a
//! row of all `J_l` at once.

use std::collections::BTreeMap;

use crate::debugger::{Mark, Result, Session, edited, in_force, row_of};
use crate::program::{After, OpGradients, Part, Replay, Rule};
use crate::tensor::{TensorError, Value, step};

/// Rows are pulled back together as long as the largest value of theirs stays below this, in bytes.
const VALUE_BYTES: usize = 32 << 20;

/// The matrices of one text, `[out, in]` in row-major order, by block; `None` if it has too few tokens.
///
/// # Errors
/// If the model has no residual stream from one block to the next, the device fails or the user interrupts.
pub fn of_text(session: &mut Session, skip: usize) -> Result<Option<BTreeMap<usize, Vec<f64>>>> {
    let pass = session.prompt_pass()?;
    let program = session.run.program.clone();
    let layers = program.n_layers();
    let last = layers.checked_sub(1).and_then(|layer| program.block_op(layer, Part::ResidPost));
    let last = last.ok_or("the model has no output of its last block")?;
    let sources: Vec<(usize, usize)> =
        (0..layers - 1).filter_map(|layer| Some((layer, program.block_op(layer, Part::ResidPost)?))).collect();
    let length = session.row_length();
    let positions: Vec<usize> = (skip..length.saturating_sub(1)).collect();
    let (Some(&(_, first)), false) = (sources.first(), positions.is_empty()) else { return Ok(None) };
    let edits = in_force(session, &|op| op > first && op <= last)?;
    let values = (0..=last)
        .map(|op| Ok(row_of(&session.run.value_at(Mark { pass: 0, op })?, session.focus.row)?))
        .collect::<Result<Vec<Value>>>()?;
    let weights = session.run.branch().weights().clone();
    let width = program.ops[last].width;
    let largest = values[first..].iter().map(Value::count).max().unwrap_or(1) * 4;
    let batch = (VALUE_BYTES / largest.max(1)).clamp(1, 64);
    let mut found: BTreeMap<usize, Vec<f64>> =
        sources.iter().map(|(layer, _)| (*layer, Vec::with_capacity(width * width))).collect();
    for from in (0..width).step_by(batch) {
        step("gradients", from as u64, width as u64)?;
        let features: Vec<usize> = (from..(from + batch).min(width)).collect();
        let n = features.len();
        let mut seed = vec![0.0f32; n * length * width];
        for (row, feature) in features.iter().enumerate() {
            positions.iter().for_each(|at| seed[(row * length + at) * width + feature] = 1.0);
        }
        let seed = Value::from_f32(seed, &[n, length, width], session.run.device_of(last));
        let mut gradients = OpGradients::default();
        gradients.set(last, seed.with_axes(&program.ops[last].axes).whole());
        let context = pass.context(&session.run, n)?;
        let replay = Replay { program: &program, weights: &weights, context: &context };
        for op in (first..=last).rev() {
            if let (Some((layer, _)), Some(gradient)) =
                (sources.iter().find(|(_, source)| *source == op), gradients.get(op))
            {
                let data = gradient.read_f32()?;
                let rows = found.entry(*layer).or_default();
                for row in data.chunks(length * width) {
                    let mean = |j: usize| positions.iter().map(|at| f64::from(row[at * width + j])).sum::<f64>();
                    rows.extend((0..width).map(|j| mean(j) / positions.len() as f64));
                }
            }
            if op == first || gradients.get(op).is_none() {
                continue;
            }
            let inputs: Vec<Value> =
                program.ops[op].inputs.iter().map(|input| repeated(&values[*input], n)).collect::<Result<_, _>>()?;
            let after = |value: Value| edited(&edits, op, value);
            let touched = edits.iter().any(|edit| edit.target == crate::debugger::Target::Op(op));
            let after = touched.then_some(&after as After<'_>);
            replay.pull(op, &inputs, after, Rule::Gradient, &mut gradients, |input, gradient| {
                Ok((input >= first).then_some(gradient))
            })?;
            gradients.take(op);
        }
    }
    Ok(Some(found))
}

fn repeated(base: &Value, n: usize) -> std::result::Result<Value, TensorError> {
    let axes = base.axes().to_vec();
    Ok(if n == 1 { base.clone() } else { Value::concat(&vec![base.clone(); n], 0)?.with_axes(&axes).whole() })
}
