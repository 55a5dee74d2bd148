//! Rotation, scores, pattern and mixing.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Bool, Tensor, activation};

use super::host;
use crate::model::input::Input;
use crate::model::spec::{Rope, RopeScaling};
use crate::tensor::{Device, Value};

/// Which scores are masked.
#[derive(Clone)]
pub struct Mask {
    /// True where masked, `[B or 1, 1, T, S]`.
    tensor: Tensor<4, Bool>,
    /// The same in host memory.
    host: Arc<[bool]>,
}

/// Masks keys after the query in a causal model, and keys that are padding, for the queries of `span` and all keys up to its
/// end. None if nothing is.
pub fn mask(causal: bool, input: &Input, span: Range<usize>, device: &Device) -> Option<Mask> {
    let keys = span.end;
    let padded = input.rows.iter().any(|row| row.mask[..keys].contains(&false));
    if (!causal || span.len() == 1) && !padded {
        return None;
    }
    let rows = if padded { input.rows.len() } else { 1 };
    let mut data = Vec::with_capacity(rows * span.len() * keys);
    for row in &input.rows[..rows] {
        for q in span.clone() {
            data.extend((0..keys).map(|k| (causal && k > q) || !row.mask[k]));
        }
    }
    let host = Arc::from(data.as_slice());
    Some(Mask { tensor: Value::from_bool(data, &[rows, 1, span.len(), keys], device).bool_tensor(), host })
}

/// Cosines and sines `[B, T, 1, dim/2]` of the positions of each row, computed in 64 bits.
pub fn rotation(rope: &Rope, positions: &[Vec<usize>], device: &Device) -> (Tensor<4>, Tensor<4>) {
    let inverse = frequencies(rope);
    let (rows, length) = (positions.len(), positions.first().map_or(0, Vec::len));
    let angles = |f: fn(f64) -> f64| {
        let data = positions.iter().flatten().flat_map(|&pos| inverse.iter().map(move |w| f(pos as f64 * w) as f32));
        Value::from_f32(data.collect(), &[rows, length, 1, inverse.len()], device).tensor::<4>()
    };
    (angles(f64::cos), angles(f64::sin))
}

/// Radians per position of each pair of features: `theta^(-2i/dim)`, stretched as the specification says.
pub fn frequencies(rope: &Rope) -> Vec<f64> {
    let plain = (0..rope.dim / 2).map(|i| rope.theta.powf(-2.0 * i as f64 / rope.dim as f64));
    match rope.scaling {
        RopeScaling::None => plain.collect(),
        RopeScaling::Linear { factor } => plain.map(|w| w / factor).collect(),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max } => plain
            .map(|w| {
                let wavelength = 2.0 * std::f64::consts::PI / w;
                if wavelength > original_max / low_freq_factor {
                    w / factor
                } else if wavelength < original_max / high_freq_factor {
                    w
                } else {
                    let share = (original_max / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    (1.0 - share) * w / factor + share * w
                }
            })
            .collect(),
    }
}

/// Rotates feature `i` with `i + dim/2`; features from `dim` on pass through.
pub fn rotate(x: &Value, cos: &Tensor<4>, sin: &Tensor<4>) -> Value {
    let x = x.tensor::<4>(); // [B, T, H, h]
    let (width, half) = (x.dims()[3], cos.dims()[3]);
    let a = x.clone().narrow(3, 0, half); // [B, T, H, dim/2]
    let b = x.clone().narrow(3, half, half);
    let mut parts = vec![
        a.clone() * cos.clone() - b.clone() * sin.clone(), //
        b * cos.clone() + a * sin.clone(),
    ];
    if width > 2 * half {
        parts.push(x.narrow(3, 2 * half, width - 2 * half));
    }
    Value::float(Tensor::cat(parts, 3)) // [B, T, H, h]
}

/// Scaled products of queries `[B, T, H, h]` and keys `[B, S, K, h]`, -inf where masked: `[B, H, T, S]`.
pub fn scores(q: &Value, k: &Value, scale: f64, mask: Option<&Mask>) -> Value {
    if let Some(scores) = host::scores(q, k, scale, mask.map(|mask| &*mask.host)) {
        return scores;
    }
    let (q, k) = (q.tensor::<4>(), k.tensor::<4>());
    let [rows, length, heads, width] = q.dims();
    let [_, keys, kv, _] = k.dims();
    let q = q.mul_scalar(scale).permute([0, 2, 1, 3]); // [B, H, T, h]
    let k = k.permute([0, 2, 3, 1]); // [B, K, h, S]
    let scores = if heads == kv {
        q.matmul(k) // [B, H, T, S]
    } else {
        let grouped = q.reshape([rows, kv, heads / kv * length, width]); // [B, K, G T, h]
        grouped.matmul(k).reshape([rows, heads, length, keys])
    };
    Value::float(match mask {
        Some(mask) => scores.mask_fill(mask.tensor.clone().expand([rows, heads, length, keys]), f32::NEG_INFINITY),
        None => scores,
    })
}

/// Softmax over keys. A row that sees no key is NaN.
pub fn pattern(scores: &Value) -> Value {
    if let Some(pattern) = host::pattern(scores) {
        return pattern;
    }
    Value::float(activation::softmax(scores.tensor::<4>(), 3)) // [B, H, T, S]
}

/// Pattern `[B, H, T, S]` times values `[B, S, K, h]`: `[B, T, H, h]`.
pub fn mix(pattern: &Value, v: &Value) -> Value {
    if let Some(z) = host::mix(pattern, v) {
        return z;
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
    Value::float(z.permute([0, 2, 1, 3])) // [B, T, H, h]
}
