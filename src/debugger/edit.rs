//! Edits: what was changed, as data that can be applied again.

use super::Mark;
use crate::model::Input;
use crate::model::role::WeightId;
use crate::model::weights::Delta;
use crate::tensor::ops::{BinaryOp, Reduction, Slice};
use crate::tensor::{Axis, TensorError, Value, same_bits};

/// One change, and the command that made it. A branch is its edits.
#[derive(Clone)]
pub struct Edit {
    /// Where it counts from: the pass of the value that it changes, or from which on it lasts.
    pub from: Mark,
    pub target: Target,
    pub change: Change,
    /// Whether it changes the same value in every later pass too.
    pub lasting: bool,
    /// The command as typed.
    pub text: String,
}

impl Edit {
    /// Whether it changes the same to the same, bit for bit.
    pub fn same(&self, other: &Edit) -> bool {
        (self.from, &self.target, self.lasting) == (other.from, &other.target, other.lasting)
            && self.change.same(&other.change)
    }

    /// Whether it changes the output of an op in a pass.
    pub fn applies_to(&self, at: Mark) -> bool {
        let pass = if self.lasting { self.from.pass <= at.pass } else { self.from.pass == at.pass };
        self.target == Target::Op(at.op) && pass
    }
}

/// The output of an op in a pass as edits leave it, in the order in which they were made.
pub fn edited<'a>(edits: impl IntoIterator<Item = &'a Edit>, at: Mark, mut value: Value) -> Result<Value, TensorError> {
    for edit in edits.into_iter().filter(|edit| edit.applies_to(at)) {
        value = edit.change.apply(&value)?;
    }
    Ok(value)
}

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The output of an op, in the pass from which the edit counts.
    Op(usize),
    /// What the passes from there on find in the key/value cache of an op.
    Cache(usize),
    /// A weight, in its own layout (linear weights `[in, out]`, vocabulary matrices `[V, d]`), in all passes.
    Weight(WeightId),
    Input,
    /// The token that is computed in the pass from which the edit counts.
    Token,
}

#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "few exist at a time, and a box would only hide the handle")]
pub enum Change {
    /// A part of a tensor is replaced, or combined with a patch that broadcasts to it.
    Assign {
        /// The part, one entry for each axis of the whole value (the batch row included for ops).
        slices: Vec<Slice>,
        /// How old and patch combine; `None` replaces.
        op: Option<BinaryOp>,
        patch: Value,
    },
    /// A part of every row is taken out.
    Ablate {
        /// The part, one entry for each axis after the row.
        slices: Vec<Slice>,
        by: Ablation,
    },
    /// `scale left right` is added to a weight: `[n, r]` and `[r, m]` to `[n, m]`. Then its columns are scaled to the
    /// `lengths` `[1, m]`, or its rows to `[n, 1]`, where there are any.
    LowRank {
        left: Value,
        right: Value,
        scale: f64,
        lengths: Option<Value>,
    },
    /// What each vector of features has off a centre along some directions is taken away: `x - ((x - centre) right) left`,
    /// with `centre` `[d]`, `right` `[d, r]` and `left` `[r, d]`.
    Project {
        centre: Value,
        right: Value,
        left: Value,
    },
    Input(Input),
    /// The token of each row becomes this one; `None` if the row has ended.
    Tokens(Vec<Option<u32>>),
}

/// What an ablated value is replaced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ablation {
    Zero,
    /// Its mean over the positions of the pass, in each row.
    Mean,
    /// The same part of the next row of the batch.
    Resample,
}

impl Ablation {
    pub fn word(self) -> &'static str {
        match self {
            Ablation::Zero => "zero",
            Ablation::Mean => "mean",
            Ablation::Resample => "resample",
        }
    }

    pub fn parse(word: &str) -> Option<Ablation> {
        [Ablation::Zero, Ablation::Mean, Ablation::Resample].into_iter().find(|by| by.word() == word)
    }
}

impl Change {
    fn same(&self, other: &Change) -> bool {
        let same_bits = |a: &Value, b: &Value| same_bits(a, b) == Ok(true);
        match (self, other) {
            (Change::Assign { slices, op, patch }, Change::Assign { slices: s, op: o, patch: p }) => {
                (slices, op) == (s, o) && same_bits(patch, p)
            }
            (Change::Ablate { slices, by }, Change::Ablate { slices: s, by: b }) => (slices, by) == (s, b),
            (
                Change::LowRank { left, right, scale, lengths },
                Change::LowRank { left: l, right: r, scale: s, lengths: n },
            ) => {
                let same_lengths = match (lengths, n) {
                    (Some(a), Some(b)) => same_bits(a, b),
                    (a, b) => a.is_none() && b.is_none(),
                };
                scale == s && same_bits(left, l) && same_bits(right, r) && same_lengths
            }
            (Change::Project { centre, right, left }, Change::Project { centre: c, right: r, left: l }) => {
                same_bits(centre, c) && same_bits(right, r) && same_bits(left, l)
            }
            (Change::Input(a), Change::Input(b)) => a == b,
            (Change::Tokens(a), Change::Tokens(b)) => a == b,
            _ => false,
        }
    }

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
            Change::Ablate { slices, .. } => {
                slices.iter().zip(shape.iter().skip(1)).all(|(slice, &len)| match *slice {
                    Slice::All => true,
                    Slice::At(at) => at < len,
                    Slice::Range { end, .. } => end <= len,
                })
            }
            Change::LowRank { left, right, lengths, .. } => {
                let is_line = |lengths: &Value| {
                    matches!((lengths.shape(), shape), (&[1, m], &[_, of]) if m == of)
                        || matches!((lengths.shape(), shape), (&[n, 1], &[of, _]) if n == of)
                };
                *shape == [left.shape()[0], right.shape()[1]] && lengths.as_ref().is_none_or(is_line)
            }
            Change::Project { centre, right, left } => {
                let wide = shape.last().copied().unwrap_or(0);
                let rank = left.shape().first().copied().unwrap_or(0);
                *centre.shape() == [wide] && *right.shape() == [wide, rank] && *left.shape() == [rank, wide]
            }
            Change::Input(_) | Change::Tokens(_) => true,
        }
    }

    /// The changed value, held as the value is.
    pub fn apply(&self, value: &Value) -> Result<Value, TensorError> {
        Ok(self.applied(value)?.held_like(value))
    }

    fn applied(&self, value: &Value) -> Result<Value, TensorError> {
        match self {
            Change::Assign { slices, op, patch } => {
                let patch = match op {
                    Some(op) => value.slice(slices)?.binary(*op, patch)?,
                    None => patch.clone(),
                };
                value.assign(slices, &patch)
            }
            Change::Ablate { slices, by } => ablate(value, slices, *by),
            Change::LowRank { left, right, scale, lengths } => {
                let scale = Value::from_f32(vec![*scale as f32], &[], &value.device());
                let changed = value.binary(BinaryOp::Add, &left.matmul(right)?.binary(BinaryOp::Mul, &scale)?)?; // [n, m]
                let Some(lengths) = lengths else { return Ok(changed) };
                let along = if lengths.shape()[0] == 1 { 0 } else { 1 };
                let norms = changed.reduce_axis(Reduction::Norm, along)?.reshape(lengths.shape())?; // [1, m] or [n, 1]
                changed.binary(BinaryOp::Mul, &lengths.binary(BinaryOp::Div, &norms)?)
            }
            Change::Project { centre, right, left } => project(value, centre, right, left),
            Change::Input(_) | Change::Tokens(_) => Ok(value.clone()),
        }
    }
}

impl Delta for Change {
    fn apply(&self, value: &Value) -> Result<Value, TensorError> {
        Change::apply(self, value)
    }
}

fn ablate(value: &Value, slices: &[Slice], by: Ablation) -> Result<Value, TensorError> {
    let rows = value.shape()[0];
    let mut changed = value.clone();
    for row in 0..rows {
        let part = |row: usize| [&[Slice::At(row)][..], slices].concat();
        let patch = match by {
            Ablation::Zero => Value::from_f32(vec![0.0], &[], &value.device()),
            Ablation::Mean => mean(&value.slice(&part(row))?)?,
            Ablation::Resample => value.slice(&part((row + 1) % rows))?,
        };
        changed = changed.assign(&part(row), &patch)?;
    }
    Ok(changed)
}

/// `x - ((x - centre) right) left` for each vector on the last axis.
fn project(value: &Value, centre: &Value, right: &Value, left: &Value) -> Result<Value, TensorError> {
    let width = right.shape()[0];
    let flat = value.held()?.reshape(&[value.count() / width.max(1), width])?; // [N, d]
    let off = flat.binary(BinaryOp::Sub, centre)?.matmul(right)?; // [N, r]
    let changed = flat.binary(BinaryOp::Sub, &off.matmul(left)?)?; // [N, d]
    Ok(changed.reshape(value.shape())?.with_axes(value.axes()).with_origin(value.origin().map(<[usize]>::to_vec)))
}

/// What a part of a value holds on average over its positions; the part itself if it has none.
fn mean(part: &Value) -> Result<Value, TensorError> {
    let Some(axis) = part.axes().iter().position(|axis| matches!(axis, Axis::Pos | Axis::Q)) else {
        return Ok(part.clone());
    };
    let mut kept = part.shape().to_vec();
    kept[axis] = 1;
    part.reduce_axis(Reduction::Mean, axis)?.reshape(&kept)
}
