//! Norms: statistics of each row in 64 bits.

use super::{by_rows, on_host, value};
use crate::tensor::{Value, inlined, vectorised};

/// `sqrt(var + eps)` over the last axis with the biased variance, in two passes: `[B, T, 1]`.
pub fn layer_norm_scale(x: &Value, eps: f64) -> Option<Value> {
    let host = x.host_f32()?;
    let [rows, length, width] = *x.shape() else { return None };
    let scale = host.as_slice().chunks_exact(width.max(1)).map(|row| {
        vectorised(inlined!(|| {
            let mean = sum(row, |x| x) / width as f64;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f64;
            (variance + eps).sqrt() as f32
        }))
    });
    Some(value(scale.collect(), &[rows, length, 1]))
}

pub fn rms_scale(x: &Value, eps: f64) -> Option<Value> {
    let host = x.host_f32()?;
    let [rows, length, width] = *x.shape() else { return None };
    let scale = host
        .as_slice()
        .chunks_exact(width.max(1))
        .map(|row| vectorised(inlined!(|| (sum(row, |x| x * x) / width as f64 + eps).sqrt() as f32)));
    Some(value(scale.collect(), &[rows, length, 1]))
}

pub fn over(x: &Value, scale: &Value) -> Option<Value> {
    let (host, scales) = (x.host_f32()?, scale.host_f32()?);
    let width = *x.shape().last()?;
    if scales.as_slice().len() * width != x.count() {
        return None;
    }
    let mut out = host.as_slice().to_vec();
    for (row, scale) in out.chunks_exact_mut(width.max(1)).zip(scales.as_slice()) {
        for x in row {
            *x /= *scale;
        }
    }
    Some(value(out, x.shape()))
}

pub fn centred_over(x: &Value, scale: &Value) -> Option<Value> {
    let (host, scales) = (x.host_f32()?, scale.host_f32()?);
    let width = *x.shape().last()?;
    if scales.as_slice().len() * width != x.count() {
        return None;
    }
    let mut out = by_rows(
        host.as_slice(),
        width,
        inlined!(|out, row| {
            let mean = (sum(row, |x| x) / width as f64) as f32;
            for (out, x) in out.iter_mut().zip(row) {
                *out = *x - mean;
            }
        }),
    );
    for (row, scale) in out.chunks_exact_mut(width.max(1)).zip(scales.as_slice()) {
        for x in row {
            *x /= *scale;
        }
    }
    Some(value(out, x.shape()))
}

/// `x * gain + bias` over the last axis; with `one_plus` the gain is one more.
pub fn gain(x: &Value, gain: &Value, bias: Option<&Value>, one_plus: bool) -> Option<Value> {
    let (host, gains) = (x.host_f32()?, gain.host_f32()?);
    let biases = on_host(bias)?;
    let plus_one: Vec<f32>;
    let gains = if one_plus {
        plus_one = gains.as_slice().iter().map(|gain| 1.0 + gain).collect();
        plus_one.as_slice()
    } else {
        gains.as_slice()
    };
    let out = by_rows(
        host.as_slice(),
        gains.len(),
        inlined!(|out, x| match &biases {
            Some(biases) => {
                for ((out, x), (gain, bias)) in out.iter_mut().zip(x).zip(gains.iter().zip(biases.as_slice())) {
                    *out = x * gain + bias;
                }
            }
            None => {
                for ((out, x), gain) in out.iter_mut().zip(x).zip(gains) {
                    *out = x * gain;
                }
            }
        }),
    );
    Some(value(out, x.shape()))
}

/// The sum of a function of each element, in eight sums side by side.
#[inline(always)]
fn sum(row: &[f32], function: impl Fn(f64) -> f64) -> f64 {
    const LANES: usize = 8;
    let pieces = row.chunks_exact(LANES);
    let rest: f64 = pieces.remainder().iter().map(|x| function(f64::from(*x))).sum();
    let mut lanes = [0.0; LANES];
    for piece in pieces {
        for (lane, x) in lanes.iter_mut().zip(piece) {
            *lane += function(f64::from(*x));
        }
    }
    lanes.iter().sum::<f64>() + rest
}
