//! What heads read of a sequence: one vector of it, or all positions.

use burn::tensor::Tensor;

use super::{basic, norm};
use crate::model::spec::{Norm, Pool, Pooling, Sentence, Transform};
use crate::program::Context;
use crate::program::context::Pooled;
use crate::tensor::ops::Slice;
use crate::tensor::{TensorError, Value};

/// The vector that a classifier reads: `[B, T, d]` to `[B, d]`.
pub fn pool(x: &Value, pool: Pool, context: &Context) -> Value {
    let x = x.tensor::<3>();
    Value::float(match pool {
        Pool::First => first(x),
        Pool::Mean => mean(x, &context.real),
        Pool::Last { .. } => at(x, &context.chosen),
    })
}

/// A norm of a vector for each row, `[B, d]`, by one of those of [`norm`]; the vector itself without one.
pub fn norm_of_vector(
    x: &Value,
    of: Option<&Norm>,
    weights: &[Value],
    whole: fn(&Value, &Norm, &[Value]) -> Value,
) -> Value {
    let Some(of) = of else { return x.clone() };
    let [rows, width] = *x.shape() else { panic!("a vector for each row") };
    whole(&x.clone().reshaped(&[1, rows, width]), of, weights).reshaped(&[rows, width])
}

/// Dense layer, activation and norm at every position, `[B, T, d]`; weights in that order.
pub fn transform(x: &Value, transform: &Transform, weights: &[Value]) -> Value {
    let (dense, norm_weights) = weights.split_at(1 + usize::from(transform.bias));
    let out = basic::linear(x, &dense[0], dense.get(1));
    let out = basic::activation(&out, transform.act);
    match &transform.norm {
        Some(of) => norm::whole(&out, of, norm_weights),
        None => out,
    }
}

/// Sentence embeddings `[B, n d]` of `[B, T, d]`, as sentence-transformers computes them.
pub fn sentence(x: &Value, sentence: &Sentence, context: &Context) -> Value {
    let hidden = x.tensor::<3>(); // [B, T, d]
    let parts = sentence.poolings.iter().map(|pooling| pooled(hidden.clone(), *pooling, context)).collect();
    let joined = Value::float(Tensor::<2>::cat(parts, 1)); // [B, n d]
    if sentence.normalize { unit_length(&joined) } else { joined }
}

/// A vector for each row, `[B, d]`, or for each position, `[B, T, d]`, divided by its length.
pub fn unit_length(x: &Value) -> Value {
    let shape = x.shape().to_vec();
    let width = shape.last().copied().unwrap_or(1).max(1);
    let flat = x.clone().reshaped(&[x.count() / width, width]).tensor::<2>(); // [n, d]
    let length = flat.clone().square().sum_dim(1).sqrt().clamp_min(1e-12); // [n, 1]
    Value::float(flat / length).reshaped(&shape)
}

/// The logit of a token at the last real position of each row, less that of another: `[B, T, V]` to `[B, 1]`. Of logits in
/// pieces only these are computed.
pub fn yes_no(logits: &Value, yes: u32, no: Option<u32>, context: &Context) -> Result<Value, TensorError> {
    let [rows, _, _] = *logits.shape() else { panic!("logits of positions") };
    if !logits.is_in_pieces() {
        let last = at(logits.tensor::<3>(), &context.last_real); // [B, V]
        let of = |id: u32| last.clone().narrow(1, id as usize, 1); // [B, 1]
        return Ok(Value::float(match no {
            Some(no) => of(yes) - of(no),
            None => of(yes),
        }));
    }
    let of = |row: usize, at: i64, id: u32| -> Result<f32, TensorError> {
        let one = logits.slice(&[Slice::At(row), Slice::At(at as usize), Slice::At(id as usize)])?;
        Ok(one.read_f32()?.first().copied().unwrap_or(f32::NAN))
    };
    let places = context.last_real.read_i64()?;
    let score = |(row, at): (usize, &i64)| match no {
        Some(no) => Ok(of(row, *at, yes)? - of(row, *at, no)?),
        None => of(row, *at, yes),
    };
    let scores = places.iter().enumerate().map(score).collect::<Result<Vec<f32>, TensorError>>()?;
    Ok(Value::from_f32(scores, &[rows, 1], &logits.device()))
}

fn pooled(x: Tensor<3>, pooling: Pooling, context: &Context) -> Tensor<2> {
    let Pooled { mask, numbers, first } = &context.pooled; // [B, T, 1], [B, T, 1], [B]
    let [rows, length, width] = x.dims();
    let flat = |t: Tensor<3>| t.reshape([rows, width]);
    match pooling {
        Pooling::First => at(x, first),
        Pooling::Last => at(x, &context.last_real),
        Pooling::Mean => mean(x, mask),
        Pooling::MeanSqrt => flat((x * mask.clone()).sum_dim(1) / mask.clone().sum_dim(1).sqrt()),
        Pooling::Max => {
            let others = mask.clone().equal_scalar(0.0).expand([rows, length, width]);
            flat(x.mask_fill(others, f32::NEG_INFINITY).max_dim(1))
        }
        Pooling::WeightedMean => mean(x, numbers),
    }
}

fn first(x: Tensor<3>) -> Tensor<2> {
    let [rows, _, width] = x.dims();
    x.narrow(1, 0, 1).reshape([rows, width])
}

/// Mean with weights `[B, T, 1]`. A row whose weights are zero gives NaN.
fn mean(x: Tensor<3>, weights: &Tensor<3>) -> Tensor<2> {
    let [rows, _, width] = x.dims();
    ((x * weights.clone()).sum_dim(1) / weights.clone().sum_dim(1)).reshape([rows, width])
}

/// One position of each row, `[B]`.
fn at(x: Tensor<3>, positions: &Value) -> Tensor<2> {
    let [rows, _, width] = x.dims();
    let index = positions.int_tensor::<1>().reshape([rows, 1, 1]).expand([rows, 1, width]);
    x.gather(1, index).reshape([rows, width])
}
