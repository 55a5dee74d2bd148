//! An op on its device: what it reads from another one is moved there, and nowhere else is anything moved for an op.

use std::borrow::Cow;

use super::Context;
use crate::model::weights::Weights;
use crate::program::Op;
use crate::tensor::{TensorError, Value};

/// What an op reads, on its device.
pub struct AtOp<'a> {
    pub inputs: Cow<'a, [Value]>,
    pub weights: Cow<'a, Weights>,
    pub context: &'a Context,
}

impl AtOp<'_> {
    /// Gradients at the inputs of the op, on the devices where `inputs` were before they were moved: the way back is that
    /// of the values.
    pub fn back(&self, inputs: &[Value], found: Vec<Option<Value>>) -> Result<Vec<Option<Value>>, TensorError> {
        if matches!(self.inputs, Cow::Borrowed(_)) {
            return Ok(found);
        }
        let back = |(gradient, input): (Option<Value>, &Value)| {
            gradient.map(|gradient| gradient.on_device_of(input)).transpose()
        };
        found.into_iter().zip(inputs).map(back).collect()
    }
}

/// What an op reads, each value moved to the device of the op if it is on another one. With one device, everything is
/// where it is.
///
/// # Errors
/// If a device fails, or cannot hold a value that is moved there.
pub fn at_op<'a>(
    op: &Op,
    inputs: &'a [Value],
    weights: &'a Weights,
    context: &'a Context,
) -> Result<AtOp<'a>, TensorError> {
    if context.by_device.is_empty() {
        let context = context.along(op.along);
        return Ok(AtOp { inputs: Cow::Borrowed(inputs), weights: Cow::Borrowed(weights), context });
    }
    let number = context.placement.number(op.place, op.layer);
    let device = &context.placement.devices()[number];
    let inputs = inputs.iter().map(|input| input.on(device)).collect::<Result<Vec<Value>, _>>()?;
    let weights = Cow::Owned(weights.at(device));
    Ok(AtOp { inputs: Cow::Owned(inputs), weights, context: context.by_device[number].along(op.along) })
}
