//! Vector-Jacobian products, op by op.

use super::context::Context;
use super::interpreter::execute;
use super::op::Op;
use crate::model::weights::Weights;
use crate::tensor::{TensorError, Value};

/// The gradients of `sum(y * seed)` with respect to each of the inputs, where `y` is what `after` makes of the output of the op:
/// the edits that are in force there. None for inputs that `y` does not depend on, whole numbers among them.
///
/// Only the tape of this one op is ever held.
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
    after: &dyn Fn(Value) -> Result<Value, TensorError>,
    seed: &Value,
) -> Result<Vec<Option<Value>>, TensorError> {
    let leaves: Vec<Value> = inputs.iter().map(Value::leaf).collect();
    if !leaves.iter().any(Value::is_tracked) {
        return Ok(vec![None; inputs.len()]);
    }
    let out = after(execute(op, &leaves, weights, context))?;
    let Some(pulled) = out.pull(seed) else { return Ok(vec![None; inputs.len()]) };
    Ok(leaves.iter().map(|leaf| if leaf.is_tracked() { pulled.at(leaf) } else { None }).collect())
}
