//! Embeddings, linear layers, activations and sums.

use std::ops::Range;

use burn::tensor::{Tensor, activation as act};

use super::{gpu, host};
use crate::model::role::WeightId;
use crate::model::spec::{Act, Masks};
use crate::model::weights::{Weight, Weights};
use crate::program::Context;
use crate::tensor::{Kind, Precision, TensorError, Value, is_large};

pub fn scale(x: Value, factor: f64) -> Value {
    if factor == 1.0 {
        return x;
    }
    host::scale(&x, factor).or_else(|| gpu::scale(&x, factor)).unwrap_or_else(|| match x.shape().len() {
        2 => Value::float(x.tensor::<2>().mul_scalar(factor)),
        _ => Value::float(x.tensor::<3>().mul_scalar(factor)),
    })
}

/// `x` times the only number of a weight, `[B, T, n]`.
pub fn times(x: &Value, number: &Value) -> Value {
    Value::float(x.tensor::<3>() * number.tensor::<1>().reshape([1, 1, 1]))
}

/// Some features of `[B, T, n]`.
pub fn features(x: &Value, start: usize, width: usize) -> Value {
    Value::float(x.tensor::<3>().narrow(2, start, width)) // [B, T, width]
}

/// `x` between `-bound` and `bound`, `[B, T, n]`.
pub fn bounded(x: Value, bound: Option<f64>) -> Value {
    let Some(bound) = bound else { return x };
    let clamped = || Value::float(x.tensor::<3>().clamp(-bound, bound));
    host::bounded(&x, bound).or_else(|| gpu::bounded(&x, bound)).unwrap_or_else(clamped)
}

/// `cap tanh(x / cap)`, `[B, T, n]`.
pub fn capped(x: Value, cap: Option<f64>) -> Value {
    let Some(cap) = cap else { return x };
    let bent = || Value::float(x.tensor::<3>().div_scalar(cap).tanh().mul_scalar(cap));
    host::capped(&x, cap).or_else(|| gpu::capped(&x, cap)).unwrap_or_else(bent)
}

/// Rows of the token table for each id, chunk by chunk of the table. Rows are taken as they are held, not a widened
/// table's.
pub fn embed(tokens: &Value, chunks: &[Value]) -> Value {
    let ids = tokens.int_tensor::<2>(); // [B, T]
    let [rows, length] = ids.dims();
    let ids = ids.reshape([rows * length]); // [B T]
    if let [table] = chunks {
        let width = table.shape()[1];
        return Value::float(table.held_tensor::<2>().select(0, ids).reshape([rows, length, width])); // [B, T, d]
    }
    let mut start = 0i64;
    let mut sum: Option<Tensor<2>> = None;
    for chunk in chunks {
        let count = chunk.shape()[0] as i64;
        let local = ids.clone().sub_scalar(start).clamp(0, count - 1);
        let outside = ids.clone().lower_scalar(start).bool_or(ids.clone().greater_equal_scalar(start + count));
        let picked = Value::float(chunk.held_tensor::<2>().select(0, local)).tensor::<2>(); // [B T, d]
        let [n, width] = picked.dims();
        let picked = picked.mask_fill(outside.reshape([n, 1]).expand([n, width]), 0.0);
        sum = Some(match sum {
            Some(sum) => sum + picked,
            None => picked,
        });
        start += count;
    }
    let sum = sum.expect("a vocabulary has at least one chunk");
    let width = sum.dims()[1];
    Value::float(sum.reshape([rows, length, width]))
}

/// The same with a table as it is held.
pub fn embedded(tokens: &Value, pieces: &[Weight]) -> Value {
    gpu::embed(tokens, pieces).unwrap_or_else(|| embed(tokens, &pieces.iter().map(Weight::value).collect::<Vec<_>>()))
}

/// Embeddings `[B, T, d]` of `tokens` `[B, T]` in which masks count as dropped tokens.
pub fn without_masks(x: &Value, tokens: &Value, masks: Masks, context: &Context) -> Value {
    let x = x.tensor::<3>();
    let [rows, length, _] = x.dims();
    let masked = tokens.int_tensor::<2>().equal_scalar(i64::from(masks.id)).float().reshape([rows, length, 1]);
    let masked = masked.cast(x.dtype()); // [B, T, 1]
    let share = masked.clone().sum_dim(1) / context.real.clone().sum_dim(1); // [B, 1, 1]
    let kept = share.neg().add_scalar(1.0);
    let factor = masked.neg().add_scalar(1.0).mul_scalar(1.0 - masks.trained) / kept; // [B, T, 1]
    Value::float(x * factor)
}

/// The row of the position table for each position.
pub fn position_embed(table: &Value, context: &Context) -> Value {
    if !context.plain {
        return embed(&context.table_rows, std::slice::from_ref(table));
    }
    let (rows, length) = (context.rows(), context.length());
    let table = table.held_tensor::<2>().narrow(0, context.span().start, length); // [T, d]
    let width = table.dims()[1];
    Value::float(table.reshape([1, length, width]).expand([rows, length, width])) // [B, T, d]
}

pub fn type_embed(table: &Value, context: &Context) -> Value {
    embed(&context.types, std::slice::from_ref(table))
}

/// The sum of values of one shape, left to right.
pub fn add(inputs: &[Value]) -> Value {
    inputs[1..].iter().fold(inputs[0].clone(), |sum, value| {
        let by_burn = || Value::float(sum.tensor::<3>() + value.tensor::<3>());
        host::add(&sum, value).or_else(|| gpu::add(&sum, value)).unwrap_or_else(by_burn) // [B, T, d]
    })
}

/// `x` of `[B, T, n]` where there is a real token, zero at padding.
pub fn zero_padding(x: &Value, context: &Context) -> Value {
    Value::float(x.tensor::<3>() * context.real.clone())
}

/// `x W + b` over the last axis of `[B, T, n]`.
pub fn linear(x: &Value, weight: &Value, bias: Option<&Value>) -> Value {
    if let Some(out) = host::linear(x, weight, bias).or_else(|| gpu::linear(x, weight, bias)) {
        return out;
    }
    let [rows, length, width] = x.tensor::<3>().dims();
    let flat = x.tensor::<3>().reshape([rows * length, width]); // [B T, n]
    let out = affine(flat, weight, bias); // [B T, m]
    let width = out.dims()[1];
    Value::float(out.reshape([rows, length, width])) // [B, T, m]
}

/// The same with a weight as it is held: one that is stored in fewer bits is widened in the product.
pub fn weighted(x: &Value, weight: &Weight, bias: Option<&Value>) -> Value {
    if let Weight::Stored { matrix, transposed: true } = weight
        && let Some(out) = host::linear_stored(x, matrix, bias).or_else(|| gpu::linear_stored(x, matrix, bias))
    {
        return out;
    }
    linear(x, &weight.value(), bias)
}

/// The gradient at `x` of `x W`, of that at the product: `seed W^T`.
pub fn back_through(seed: &Value, weight: &Weight) -> Value {
    if let Weight::Stored { matrix, transposed: true } = weight
        && let Some(out) = host::back_through_stored(seed, matrix).or_else(|| gpu::back_through_stored(seed, matrix))
    {
        return out;
    }
    linear(seed, &weight.value().transpose(), None)
}

/// `x W + b` of one vector for each row, `[B, n]`.
pub fn vector_linear(x: &Value, weight: &Value, bias: Option<&Value>) -> Value {
    Value::float(affine(x.tensor::<2>(), weight, bias)) // [B, m]
}

fn affine(x: Tensor<2>, weight: &Value, bias: Option<&Value>) -> Tensor<2> {
    let out = x.matmul(weight.tensor::<2>());
    match bias {
        Some(bias) => out + bias.tensor::<1>().reshape([1, bias.shape()[0]]),
        None => out,
    }
}

/// `[B, T, H h]` as `[B, T, H, h]`.
pub fn split_heads(x: &Value, heads: usize) -> Value {
    let [rows, length, width] = x.tensor::<3>().dims();
    Value::float(x.tensor::<3>().reshape([rows, length, heads, width / heads]))
}

/// `[B, T, H, h]` as `[B, T, H h]`.
pub fn join_heads(x: &Value) -> Value {
    let [rows, length, heads, width] = x.tensor::<4>().dims();
    Value::float(x.tensor::<4>().reshape([rows, length, heads * width]))
}

pub fn activation(x: &Value, function: Act) -> Value {
    if function == Act::Linear {
        return x.clone();
    }
    if let Some(out) = host::activation(x, function).or_else(|| gpu::activation(x, function)) {
        return out;
    }
    match x.shape().len() {
        2 => Value::float(apply(x.tensor::<2>(), function)),
        3 => Value::float(apply(x.tensor::<3>(), function)),
        _ => Value::float(apply(x.tensor::<4>(), function)),
    }
}

/// `act(gate) * up`.
pub fn gated(gate: &Value, up: &Value, function: Act) -> Value {
    let product = || match gate.shape().len() {
        3 => Value::float(activation(gate, function).tensor::<3>() * up.tensor::<3>()),
        _ => Value::float(activation(gate, function).tensor::<4>() * up.tensor::<4>()),
    };
    host::gated(gate, up, function).or_else(|| gpu::gated(gate, up, function)).unwrap_or_else(product)
}

fn apply<const D: usize>(x: Tensor<D>, function: Act) -> Tensor<D> {
    match function {
        // burn's derivative of its own function is that of the approximation by tanh, off by 3e-4.
        Act::Gelu if x.is_tracked() => {
            x.clone().mul_scalar(0.5) * x.mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0)
        }
        Act::Gelu => act::gelu(x),
        Act::GeluTanh => act::gelu_approximate(x),
        Act::QuickGelu => x.clone() * act::sigmoid(x.mul_scalar(1.702)),
        Act::Silu => act::silu(x),
        Act::Relu => act::relu(x),
        Act::Relu2 => act::relu(x).square(),
        Act::Tanh => act::tanh(x),
        Act::Sigmoid => act::sigmoid(x),
        Act::Linear => x,
        Act::Xielu => panic!("xIELU reads weights, and is a separate op"),
    }
}

/// xIELU of `[B, T, n]`; its numbers `[1]` in the order of their roles.
pub fn xielu(x: &Value, numbers: &[Value]) -> Value {
    let [alpha_p, alpha_n, beta, eps] = numbers else { panic!("xIELU has four numbers") };
    if let Some(out) = host::xielu(x, [alpha_p, alpha_n, beta, eps]) {
        return out;
    }
    let x = x.tensor::<3>(); // [B, T, n]
    let shape = x.dims();
    let number = |value: &Value| value.tensor::<1>().reshape([1, 1, 1]);
    let (alpha_p, alpha_n, beta) =
        (act::softplus(number(alpha_p), 1.0), act::softplus(number(alpha_n), 1.0), number(beta));
    let eps = number(eps).expand(shape);
    let bounded = eps.clone().mask_where(x.clone().lower(eps), x.clone());
    let above = x.clone().square() * alpha_p;
    let below = (bounded.exp().sub_scalar(1.0) - x.clone()) * (beta.clone() + alpha_n);
    Value::float(below.mask_where(x.clone().greater_elem(0.0), above) + x * beta) // [B, T, n]
}

/// Queries `[B, T, H, h]` times a factor for each position, `[B or 1, T, 1, 1]`.
pub fn grown(x: &Value, factors: &Tensor<4>) -> Value {
    Value::float(x.tensor::<4>() * factors.clone())
}

/// The product with the rows of a vocabulary matrix as they are: `[B, T, V]` to `[B, T, d]`.
pub fn times_rows(x: &Value, piece: &Weight) -> Value {
    if let Weight::Stored { matrix, transposed: false } = piece
        && let Some(out) = host::back_through_stored(x, matrix).or_else(|| gpu::back_through_stored(x, matrix))
    {
        return out;
    }
    linear(x, &piece.value(), None)
}

/// Products with every row of a vocabulary matrix, piece by piece: `[B, T, d]` to `[B, T, V]`.
/// What `after` makes of them is what is given: it may not look at positions.
///
/// # Errors
/// If a piece cannot be read, or the user interrupts.
pub fn unembed(
    x: &Value,
    (weights, id): (&Weights, WeightId),
    bias: Option<Value>,
    after: impl Fn(Value) -> Value + Send + Sync + 'static,
) -> Result<Value, TensorError> {
    let [rows, length, width] = *x.shape() else { panic!("positions of rows, found {x:?}") };
    let vocab = weights.shape(id).map_or(0, |shape| shape[0]);
    let shape = [rows, length, vocab];
    let device = x.device();
    if !is_large(&shape, &device) || x.is_tracked() {
        return Ok(after(logits_of(x, (weights, id), bias.as_ref())?));
    }
    // Fewer positions where a block of logits would be more than a buffer.
    let most = usize::try_from(device.max_buffer_bytes() / 4).unwrap_or(usize::MAX) / vocab.max(1);
    let together = host::TOGETHER.min(most).max(1);
    // Read here, where the user can interrupt it, and not by several threads at once.
    (0..weights.pieces(id)).try_for_each(|piece| weights.piece(id, piece).map(drop))?;
    let all = x.clone().reshaped(&[rows * length, width]); // [B T, d]
    let weights = weights.clone();
    let source = move |row: usize, some: Range<usize>| {
        // Whole blocks of positions are multiplied, so that one position has the same bits as all of them.
        let (start, end) = (row * length + some.start, row * length + some.end);
        let first = start / together * together;
        let last = end.next_multiple_of(together).min(rows * length);
        let hidden = all.rows(first..last).reshaped(&[1, last - first, width]);
        let logits = logits_of(&hidden, (&weights, id), bias.as_ref())?; // [1, n, V]
        let part = logits.reshaped(&[last - first, vocab]).rows(start - first..end - first);
        Ok(after(part.reshaped(&[1, end - start, vocab])).reshaped(&[end - start, vocab]))
    };
    Ok(Value::in_pieces(&shape, (Kind::Float, Precision::F32), &device, together, source))
}

fn logits_of(x: &Value, (weights, id): (&Weights, WeightId), bias: Option<&Value>) -> Result<Value, TensorError> {
    let pieces = (0..weights.pieces(id)).map(|piece| weights.piece(id, piece));
    let vocab = weights.shape(id).map_or(0, |shape| shape[0]);
    if let Some(logits) = host::unembed(x, vocab, pieces.clone(), bias) {
        return logits;
    }
    if let Some(logits) = gpu::unembed(x, vocab, pieces.clone(), bias) {
        return logits;
    }
    let [rows, length, width] = x.tensor::<3>().dims();
    let flat = x.tensor::<3>().reshape([rows * length, width]); // [B T, d]
    let product =
        |piece: Result<Weight, TensorError>| Ok(flat.clone().matmul(piece?.value().tensor::<2>().transpose()));
    let mut parts: Vec<Tensor<2>> = pieces.map(product).collect::<Result<_, TensorError>>()?;
    let logits = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 1) }; // [B T, V]
    let logits = match bias {
        Some(bias) => logits + bias.tensor::<1>().reshape([1, vocab]),
        None => logits,
    };
    Ok(Value::float(logits.reshape([rows, length, vocab]))) // [B, T, V]
}
