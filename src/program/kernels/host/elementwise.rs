//! Sums, factors and bounds.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::special::tanh;
use super::{PIECE, by_rows, filled, value};
use crate::tensor::{Value, inlined};

pub fn add(a: &Value, b: &Value) -> Option<Value> {
    let (left, right) = (a.host_f32()?, b.host_f32()?);
    if a.shape() != b.shape() {
        return None;
    }
    let (left, right) = (left.as_slice(), right.as_slice());
    let out = filled(left.len(), |out| {
        let sum = |((out, a), b): ((&mut [MaybeUninit<f32>], &[f32]), &[f32])| {
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                out.write(a + b);
            }
        };
        out.par_chunks_mut(PIECE).zip(left.par_chunks(PIECE)).zip(right.par_chunks(PIECE)).for_each(sum);
    });
    Some(value(out, a.shape()))
}

pub fn scale(x: &Value, factor: f64) -> Option<Value> {
    let factor = factor as f32;
    map(x, inlined!(|x| x * factor))
}

/// `x` between `-bound` and `bound`; NaN stays NaN.
pub fn bounded(x: &Value, bound: f64) -> Option<Value> {
    let bound = bound as f32;
    map(
        x,
        inlined!(|x| {
            let x = if x > bound { bound } else { x };
            if x < -bound { -bound } else { x }
        }),
    )
}

pub fn capped(x: &Value, cap: f64) -> Option<Value> {
    let cap = cap as f32;
    map(x, inlined!(|x| cap * tanh(x / cap)))
}

pub(super) fn map(x: &Value, function: impl Fn(f32) -> f32 + Sync) -> Option<Value> {
    let host = x.host_f32()?;
    let width = x.shape().last().copied().unwrap_or(1);
    let out = by_rows(
        host.as_slice(),
        width,
        inlined!(|out, x| {
            for (out, x) in out.iter_mut().zip(x) {
                *out = function(*x);
            }
        }),
    );
    Some(value(out, x.shape()))
}
