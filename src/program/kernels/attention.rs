//! Rotation, scores, pattern and mixing.

use burn::tensor::{Tensor, activation};

use super::{gpu, host};
use crate::model::spec::Pairing;
use crate::program::context::{Bias, Mask, Rotation};
use crate::tensor::{TensorError, Value};

/// Rotates pairs of features of `[B, T, H, h]`; features before the first and beyond the last pair pass through.
pub fn rotate(x: &Value, rotation: &Rotation) -> Value {
    if let Some(rotated) = host::rotate(x, rotation).or_else(|| gpu::rotate(x, rotation)) {
        return rotated;
    }
    let x = x.tensor::<4>(); // [B, T, H, h]
    let [rows, length, heads, width] = x.dims();
    let (pairs, first) = (rotation.cos.dims()[3], rotation.first);
    let turning = x.clone().narrow(3, first, 2 * pairs);
    let turn = |a: Tensor<5>, b: Tensor<5>, axis: usize| {
        let shape = |t: &Tensor<4>| {
            let [of, length, one, _] = t.dims();
            let shape = if axis == 3 { [of, length, one, 1, pairs] } else { [of, length, one, pairs, 1] };
            t.clone().reshape(shape)
        };
        let (cos, sin) = (shape(&rotation.cos), shape(&rotation.sin));
        let first = a.clone() * cos.clone() - b.clone() * sin.clone();
        Tensor::cat(vec![first, b * cos + a * sin], axis)
    };
    let (shape, axis) = match rotation.pairing {
        Pairing::Half => ([rows, length, heads, 2, pairs], 3),
        Pairing::Interleaved => ([rows, length, heads, pairs, 2], 4),
    };
    let turning = turning.reshape(shape);
    let turned = turn(turning.clone().narrow(axis, 0, 1), turning.narrow(axis, 1, 1), axis);
    let mut parts = Vec::new();
    if first > 0 {
        parts.push(x.clone().narrow(3, 0, first));
    }
    parts.push(turned.reshape([rows, length, heads, 2 * pairs]));
    let end = first + 2 * pairs;
    if width > end {
        parts.push(x.narrow(3, end, width - end));
    }
    Value::float(Tensor::cat(parts, 3)) // [B, T, H, h]
}

/// Features of each head `[B, T, H, n]` with those `[B, T, r]` after them that all heads share: `[B, T, H, n + r]`.
pub fn with_shared(own: &Value, shared: &Value) -> Value {
    let own = own.tensor::<4>(); // [B, T, H, n]
    let [rows, length, heads, _] = own.dims();
    let shared = shared.tensor::<3>(); // [B, T, r]
    let width = shared.dims()[2];
    let shared = shared.reshape([rows, length, 1, width]).expand([rows, length, heads, width]);
    Value::float(Tensor::cat(vec![own, shared], 3)) // [B, T, H, n + r]
}

#[derive(Clone, Copy)]
pub struct Scoring<'a> {
    pub scale: f64,
    /// `cap tanh(score / cap)`.
    pub softcap: Option<f64>,
    /// Added for each key.
    pub bias: Option<&'a Bias>,
    /// Added for each query and key, `[B, H, T, S]` each.
    pub more: &'a [Value],
    /// Set to -inf.
    pub mask: Option<&'a Mask>,
}

impl Scoring<'_> {
    /// Products times a factor, nothing else.
    pub fn plain(scale: f64) -> Self {
        Scoring { scale, softcap: None, bias: None, more: &[], mask: None }
    }
}

/// Products of queries `[B, T, H, h]` and keys `[B, S, K, h]`, scaled, capped, biased and masked: `[B, H, T, S]`.
pub fn scores(q: &Value, k: &Value, scoring: Scoring) -> Value {
    if let Some(scores) = host::scores(q, k, scoring).or_else(|| gpu::scores(q, k, scoring)) {
        return scores;
    }
    let (q, k) = (q.tensor::<4>(), k.tensor::<4>());
    let [rows, length, heads, width] = q.dims();
    let [_, keys, kv, _] = k.dims();
    let q = q.mul_scalar(scoring.scale).permute([0, 2, 1, 3]); // [B, H, T, h]
    let k = k.permute([0, 2, 3, 1]); // [B, K, h, S]
    let mut scores = if heads == kv {
        q.matmul(k) // [B, H, T, S]
    } else {
        let grouped = q.reshape([rows, kv, heads / kv * length, width]); // [B, K, G T, h]
        grouped.matmul(k).reshape([rows, heads, length, keys])
    };
    if let Some(cap) = scoring.softcap {
        scores = scores.div_scalar(cap).tanh().mul_scalar(cap);
    }
    if let Some(bias) = scoring.bias {
        scores = scores + bias.tensor.clone();
    }
    for more in scoring.more {
        scores = scores + more.tensor::<4>();
    }
    Value::float(match scoring.mask {
        Some(mask) => scores.mask_fill(mask.tensor().expand([rows, heads, length, keys]), f32::NEG_INFINITY),
        None => scores,
    })
}

/// Softmax over keys, and over the logit of each head's sink `[H]` where there are such: what goes to it is left out. A row without a finite score is NaN, but that of a padding position that sees no key is uniform,
/// as in transformers; with a sink it is zero.
pub fn pattern(scores: &Value, mask: Option<&Mask>, sinks: Option<&Value>) -> Value {
    if let Some(pattern) = host::pattern(scores, mask, sinks) {
        return pattern;
    }
    let softmax = || {
        let scores = scores.tensor::<4>(); // [B, H, T, S]
        Value::float(match sinks {
            Some(sinks) => {
                let [rows, heads, length, keys] = scores.dims();
                let sinks = sinks.tensor::<1>().reshape([1, heads, 1, 1]).expand([rows, heads, length, 1]);
                activation::softmax(Tensor::cat(vec![scores, sinks], 3), 3).narrow(3, 0, keys)
            }
            None => activation::softmax(scores, 3),
        })
    };
    let found = gpu::pattern(scores, mask, sinks).unwrap_or_else(softmax);
    if found.is_in_pieces() || sinks.is_some() {
        return found;
    }
    let pattern = found.tensor::<4>();
    Value::float(match mask.and_then(Mask::blind_tensors) {
        Some(blind) => {
            let shape = pattern.dims();
            let uniform = blind.pattern.cast(pattern.dtype()).expand(shape);
            pattern.mask_where(blind.queries.expand(shape), uniform)
        }
        None => pattern,
    })
}

/// Pattern `[B, H, T, S]` times values `[B, S, K, h]`: `[B, T, H, h]`.
///
/// # Errors
/// If what changes a pattern in pieces fails.
pub fn mix(pattern: &Value, v: &Value) -> Result<Value, TensorError> {
    if let Some(z) = host::mix(pattern, v)? {
        return Ok(z);
    }
    if let Some(z) = gpu::mix(pattern, v)? {
        return Ok(z);
    }
    let (pattern, v) = (pattern.tensor::<4>(), v.tensor::<4>());
    let [rows, heads, length, keys] = pattern.dims();
    let [_, _, kv, width] = v.dims();
    let v = v.permute([0, 2, 1, 3]); // [B, K, S, h]
    let z = if heads == kv {
        pattern.matmul(v) // [B, H, T, h]
    } else {
        let grouped = pattern.reshape([rows, kv, heads / kv * length, keys]); // [B, K, G T, S]
        grouped.matmul(v).reshape([rows, heads, length, width])
    };
    Ok(Value::float(z.permute([0, 2, 1, 3]))) // [B, T, H, h]
}
