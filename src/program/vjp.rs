//! Vector-Jacobian products, op by op.

use super::context::at_op;
use super::kernels::recurrence::Recurrence;
use super::kernels::{basic, host};
use super::{Context, Kernel, Op, execute};
use crate::model::dictionary::Stage;
use crate::model::weights::Weights;
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{TensorError, Value, proceed};

/// What the edits that are in force make of the output of an op.
pub type After<'a> = &'a dyn Fn(Value) -> Result<Value, TensorError>;

/// The gradients of `sum(y * seed)` with respect to each of the inputs, where `y` is the output of the op, or what
/// `after` makes of it. `None` for inputs that `y` does not depend on, whole numbers among them.
///
/// Only the tape of this one op is ever held, and of a product with a weight or of an activation not even that. Each
/// gradient is on the device of its input.
///
/// # Errors
/// If `after` fails, the device cannot hold the output, or the user interrupts.
///
/// # Panics
/// As [`execute`] does.
pub fn pull_back(
    op: &Op,
    inputs: &[Value],
    weights: &Weights,
    context: &Context,
    after: Option<After<'_>>,
    seed: &Value,
) -> Result<Vec<Option<Value>>, TensorError> {
    proceed()?;
    let at = at_op(op, inputs, weights, context)?;
    let seed = seed.on(at.context.device())?;
    let found = pulled_there(op, (&at.inputs, &at.weights, at.context), after, &seed)?;
    at.back(inputs, found)
}

/// The same where everything is on the device of the op.
fn pulled_there(
    op: &Op,
    (inputs, weights, context): (&[Value], &Weights, &Context),
    after: Option<After<'_>>,
    seed: &Value,
) -> Result<Vec<Option<Value>>, TensorError> {
    if after.is_none()
        && let Some(found) = closed(op, inputs, (weights, context), seed)?
    {
        return Ok(found);
    }
    let leaves = inputs.iter().map(|input| Ok(input.held()?.leaf())).collect::<Result<Vec<Value>, TensorError>>()?;
    if !leaves.iter().any(Value::is_tracked) {
        return Ok(vec![None; inputs.len()]);
    }
    pulled(&leaves, execute(op, &leaves, weights, context)?, after, seed)
}

/// The gradients at `leaves` of `sum(y * seed)`, where `y` is `out` or what `after` makes of it.
pub(super) fn pulled(
    leaves: &[Value],
    out: Value,
    after: Option<After<'_>>,
    seed: &Value,
) -> Result<Vec<Option<Value>>, TensorError> {
    let out = match after {
        Some(after) => after(out)?,
        None => out,
    };
    let Some(found) = out.pull(seed) else { return Ok(vec![None; leaves.len()]) };
    Ok(leaves.iter().map(|leaf| if leaf.is_tracked() { found.at(leaf) } else { None }).collect())
}

/// The same in closed form, without a tape: of a product with a weight `x W` it is `seed W^T`, of an activation `seed
/// f'(x)`. None for other ops.
fn closed(
    op: &Op,
    inputs: &[Value],
    (weights, context): (&Weights, &Context),
    seed: &Value,
) -> Result<Option<Vec<Option<Value>>>, TensorError> {
    let back =
        |seed: &Value| -> Result<Value, TensorError> { Ok(basic::back_through(seed, &weights.get(op.weights[0])?)) };
    let some = |found: Vec<Value>| found.into_iter().map(Some).collect::<Vec<Option<Value>>>();
    Ok(Some(match &op.kernel {
        // What is rebuilt and the error add up to the stream; what they are made of has gradients by way of them.
        Kernel::Dictionary(Stage::Out, _) => {
            let flat = seed.clone().reshaped(inputs[4].shape());
            vec![None, None, None, None, Some(flat.clone()), Some(flat)]
        }
        // The two ways cancel exactly where nothing is edited, and nothing goes back then.
        Kernel::Dictionary(Stage::In | Stage::Enc, _) if zeros(seed) => vec![None; inputs.len()],
        Kernel::Linear { heads: None, clip: None, factor } => vec![Some(basic::scale(back(seed)?, *factor))],
        Kernel::Linear { heads: Some(_), clip: None, factor } => {
            vec![Some(basic::scale(back(&basic::join_heads(seed))?, *factor))]
        }
        Kernel::Read(learning) => {
            let of = Recurrence::of(*learning, Some(&inputs[0]), &inputs[1..], context);
            return Ok(host::pull_recurrence(&of, seed).map(some));
        }
        Kernel::State(learning) => {
            return Ok(host::pull_recurrence(&Recurrence::of(*learning, None, inputs, context), seed).map(some));
        }
        Kernel::Output => vec![Some(basic::split_heads(&back(seed)?, inputs[0].shape()[2]))],
        Kernel::Project => {
            let rest = inputs[1..].iter().map(|_| Some(seed.clone()));
            [Some(back(seed)?)].into_iter().chain(rest).collect()
        }
        Kernel::Activation(act) => {
            return Ok(host::pull_activation(&inputs[0], *act, seed).map(|gradient| vec![Some(gradient)]));
        }
        Kernel::Gated(act) => {
            let found = host::pull_gated(&inputs[0], &inputs[1], *act, seed);
            return Ok(found.map(|(gate, up)| vec![Some(gate), Some(up)]));
        }
        Kernel::Unembed { project: false, scale, softcap: None } => {
            if let Some((positions, worth)) = telling(seed) {
                let found = closed(op, inputs, (weights, context), &worth)?;
                let found = found.and_then(|mut found| found.pop().flatten());
                return found
                    .map(|found| spread(&found, &positions, seed.shape()).map(|all| vec![Some(all)]))
                    .transpose();
            }
            let mut start = 0;
            let mut sum: Option<Value> = None;
            for piece in 0..weights.pieces(op.weights[0]) {
                let chunk = weights.piece(op.weights[0], piece)?;
                let end = start + chunk.shape()[0];
                // A vocabulary in one piece needs no copy of its part.
                let part = match end - start == seed.shape()[2] {
                    true => seed.clone(),
                    false => seed.slice(&[Slice::All, Slice::All, Slice::Range { start, end, step: 1 }])?,
                };
                let more = basic::times_rows(&part, &chunk);
                sum = Some(match sum {
                    Some(sum) => sum.binary(BinaryOp::Add, &more)?,
                    None => more,
                });
                start = end;
            }
            vec![sum.map(|sum| basic::scale(sum, *scale))]
        }
        _ => return Ok(None),
    }))
}

/// Whether a seed in host memory is zero throughout.
fn zeros(seed: &Value) -> bool {
    seed.host_f32().is_some_and(|data| data.as_slice().iter().all(|x| *x == 0.0))
}

/// The positions of a seed `[B, T, V]` in host memory that are not all zeros, `row * T + position`, and the seed there,
/// `[1, n, V]`; `None` if they are half of all or more. A number mostly reads the logits of one position.
fn telling(seed: &Value) -> Option<(Vec<usize>, Value)> {
    let [rows, length, width] = *seed.shape() else { return None };
    let data = seed.host_f32()?;
    let lines = data.as_slice().chunks_exact(width.max(1));
    let positions: Vec<usize> =
        lines.enumerate().filter(|(_, line)| line.iter().any(|x| *x != 0.0)).map(|(at, _)| at).collect();
    if positions.is_empty() || 2 * positions.len() > rows * length {
        return None;
    }
    let part: Vec<f32> =
        positions.iter().flat_map(|at| &data.as_slice()[at * width..(at + 1) * width]).copied().collect();
    Some((positions.clone(), host::value(part, &[1, positions.len(), width])))
}

/// Vectors `[1, n, d]` at their positions, zeros at the others: `[B, T, d]`.
fn spread(found: &Value, positions: &[usize], shape: &[usize]) -> Result<Value, TensorError> {
    let width = found.shape()[2];
    let mut all = vec![0.0; shape[0] * shape[1] * width];
    for (at, line) in positions.iter().zip(found.read_f32()?.chunks_exact(width)) {
        all[at * width..(at + 1) * width].copy_from_slice(line);
    }
    Ok(host::value(all, &[shape[0], shape[1], width]))
}
