//! Vector-Jacobian products, op by op.

use super::context::Context;
use super::interpreter::{dense, execute, rows_of};
use super::kernels::basic;
use super::op::{Kernel, Op};
use crate::model::weights::Weights;
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{TensorError, Value};

/// What the edits that are in force make of the output of an op.
pub type After<'a> = &'a dyn Fn(Value) -> Result<Value, TensorError>;

/// The gradients of `sum(y * seed)` with respect to each of the inputs, where `y` is the output of the op, or what `after` makes of
/// it. None for inputs that `y` does not depend on, whole numbers among them.
///
/// Only the tape of this one op is ever held, and of a product with a weight not even that: its derivative is a product with the
/// transpose, for which there are fast kernels.
///
/// # Errors
/// If `after` fails.
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
    if after.is_none()
        && let Some(found) = linear(op, inputs, weights, seed)?
    {
        return Ok(found);
    }
    let leaves: Vec<Value> = inputs.iter().map(Value::leaf).collect();
    if !leaves.iter().any(Value::is_tracked) {
        return Ok(vec![None; inputs.len()]);
    }
    let out = execute(op, &leaves, weights, context);
    let out = match after {
        Some(after) => after(out)?,
        None => out,
    };
    let Some(pulled) = out.pull(seed) else { return Ok(vec![None; inputs.len()]) };
    Ok(leaves.iter().map(|leaf| if leaf.is_tracked() { pulled.at(leaf) } else { None }).collect())
}

/// The same for products with weights: of `x W` it is `seed W^T`. None for other ops.
fn linear(
    op: &Op,
    inputs: &[Value],
    weights: &Weights,
    seed: &Value,
) -> Result<Option<Vec<Option<Value>>>, TensorError> {
    let back = |seed: &Value| basic::linear(seed, &dense(weights, op.weights[0]).transpose(), None);
    Ok(Some(match &op.kernel {
        Kernel::Linear { heads: None, clip: None } => vec![Some(back(seed))],
        Kernel::Linear { heads: Some(_), clip: None } => vec![Some(back(&basic::join_heads(seed)))],
        Kernel::Output => vec![Some(basic::split_heads(&back(seed), inputs[0].shape()[2]))],
        Kernel::Project => {
            let rest = inputs[1..].iter().map(|_| Some(seed.clone()));
            [Some(back(seed))].into_iter().chain(rest).collect()
        }
        Kernel::Unembed { project: false, scale, softcap: None } => {
            let mut start = 0;
            let mut sum: Option<Value> = None;
            for chunk in rows_of(weights, op.weights[0]) {
                let end = start + chunk.shape()[0];
                // A vocabulary in one piece needs no copy of its part.
                let part = match end - start == seed.shape()[2] {
                    true => seed.clone(),
                    false => seed.slice(&[Slice::All, Slice::All, Slice::Range { start, end, step: 1 }])?,
                };
                let more = basic::linear(&part, &chunk, None);
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
