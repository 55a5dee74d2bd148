//! Edits: what was changed, as data that can be applied again.

use crate::model::input::Input;
use crate::model::role::WeightId;
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{TensorError, Value};

/// One change, and the command that made it. A branch is its edits.
#[derive(Clone)]
pub struct Edit {
    /// What is changed.
    pub target: Target,
    /// How.
    pub change: Change,
    /// The command as typed.
    pub text: String,
}

/// What an edit changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The output of an op.
    Op(usize),
    /// A weight, in its own layout (linear weights `[in, out]`, vocabulary matrices `[V, d]`).
    Weight(WeightId),
    /// The whole input.
    Input,
}

/// How an edit changes its target.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "few exist at a time, and a box would only hide the handle")]
pub enum Change {
    /// A part of a tensor is replaced, or combined with a patch that broadcasts to it.
    Assign {
        /// The part, one entry for each axis of the whole value (the batch row included for ops).
        slices: Vec<Slice>,
        /// How old and patch combine; none replaces.
        op: Option<BinaryOp>,
        /// The patch.
        patch: Value,
    },
    /// Several parts are replaced at once, as `ablate` does for a neuron range in every row.
    Many(Vec<Change>),
    /// The input becomes another one.
    Input(Input),
}

impl Change {
    /// Whether it finds its place in a value of `shape`.
    pub fn fits(&self, shape: &[usize]) -> bool {
        match self {
            Change::Assign { slices, patch, .. } => {
                let mut place = Vec::new();
                for (i, &len) in shape.iter().enumerate() {
                    match slices.get(i).copied().unwrap_or(Slice::All) {
                        Slice::All => place.push(len),
                        Slice::At(at) if at < len => {}
                        Slice::Range { start, end, step: 1 } if end <= len => place.push(end - start),
                        _ => return false,
                    }
                }
                let patch = patch.shape();
                patch.len() <= place.len()
                    && patch.iter().rev().zip(place.iter().rev()).all(|(&p, &t)| p == t || p == 1)
            }
            Change::Many(changes) => changes.iter().all(|change| change.fits(shape)),
            Change::Input(_) => true,
        }
    }

    /// The changed value.
    ///
    /// # Errors
    /// If the patch does not fit the place.
    pub fn apply(&self, value: &Value) -> Result<Value, TensorError> {
        match self {
            Change::Assign { slices, op, patch } => {
                let patch = match op {
                    Some(op) => value.slice(slices)?.binary(*op, patch)?,
                    None => patch.clone(),
                };
                value.assign(slices, &patch)
            }
            Change::Many(changes) => changes.iter().try_fold(value.clone(), |value, change| change.apply(&value)),
            Change::Input(_) => Ok(value.clone()),
        }
    }
}
