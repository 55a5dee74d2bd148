//! Scores, pattern and mixing, without copies of permuted values.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::super::attention::Scoring;
use super::matmul::{Matrix, MatrixMut, product};
use super::special::{exp, tanh};
use super::vector::{columns_times, times_rows};
use super::{PIECE, by_rows, filled, value};
use crate::program::context::BlindPattern;
use crate::tensor::{Value, inlined, vectorised};

/// Queries that one task mixes values for.
const QUERIES: usize = 32;

pub fn scores(q: &Value, k: &Value, scoring: Scoring) -> Option<Value> {
    let (queries, keys) = (q.host_f32()?, k.host_view()?);
    let [rows, t, heads, h] = *q.shape() else { return None };
    let [_, s, kv, _] = *k.shape() else { return None };
    let &[of_row, of_key, of_head, 1] = keys.strides.as_slice() else { return None };
    if rows * heads * t * s == 0 {
        return None;
    }
    let one = |(i, out): (usize, &mut [MaybeUninit<f32>])| {
        let (row, head) = (i / heads, i % heads);
        let group = head * kv / heads;
        let (queries, scale) = (&queries.as_slice()[(row * t * heads + head) * h..], scoring.scale as f32);
        let keys = &keys.data()[row * of_row + group * of_head..];
        if t == 1 {
            columns_times(out, &queries[..h], keys, of_key, (scale, None));
        } else {
            product(
                MatrixMut { data: &mut *out, shape: (t, s), row_stride: s },
                Matrix { data: queries, shape: (t, h), strides: (heads * h, 1) },
                Matrix { data: keys, shape: (h, s), strides: (1, of_key) },
                scale,
                None,
            );
        }
        #[expect(unsafe_code, reason = "the product has written every element")]
        // SAFETY: the product has written every element.
        let out = unsafe { out.assume_init_mut() };
        if let Some(cap) = scoring.softcap {
            cap_all(out, cap as f32);
        }
        if let Some(bias) = scoring.bias {
            let of_row = if bias.host.len() > heads * s { row } else { 0 };
            let bias = &bias.host[(of_row * heads + head) * s..][..s];
            for out in out.chunks_exact_mut(s) {
                out.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
        }
        if let Some(mask) = scoring.mask {
            let mask = if mask.host.len() > t * s { &mask.host[row * t * s..] } else { &*mask.host };
            for (x, masked) in out.iter_mut().zip(mask) {
                *x = if *masked { f32::NEG_INFINITY } else { *x };
            }
        }
    };
    let out = filled(rows * heads * t * s, |out| {
        out.par_chunks_mut(t * s).with_min_len(together(t * s * h)).enumerate().for_each(one);
    });
    Some(value(out, &[rows, heads, t, s]))
}

/// How many heads one task takes that are so much work each: handing out less than a piece shows.
fn together(work: usize) -> usize {
    (PIECE / work.max(1)).max(1)
}

fn cap_all(scores: &mut [f32], cap: f32) {
    vectorised(inlined!(|| scores.iter_mut().for_each(|x| *x = cap * tanh(*x / cap))));
}

/// Softmax over the last axis: `exp(x - max) / sum(exp(x - max))`. A row of -inf alone is NaN, or the pattern of
/// padding that sees no key.
pub fn pattern(scores: &Value, blind: Option<&BlindPattern>) -> Option<Value> {
    let host = scores.host_f32()?;
    let [_, heads, t, s] = *scores.shape() else { return None };
    let mut out = by_rows(host.as_slice(), s, softmax);
    if let Some(blind) = blind {
        for (i, out) in out.chunks_exact_mut(s.max(1)).enumerate() {
            let query = i / (heads * t) * t + i % t;
            if blind.queries[query] {
                out.copy_from_slice(&blind.pattern[query * s..][..s]);
            }
        }
    }
    Some(value(out, scores.shape()))
}

#[inline(always)]
fn softmax(out: &mut [f32], x: &[f32]) {
    const LANES: usize = 16;
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let pieces = x.chunks_exact(LANES);
    let mut max = pieces.remainder().iter().fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max });
    for piece in pieces {
        for (lane, x) in lanes.iter_mut().zip(piece) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    for lane in lanes {
        max = if lane > max { lane } else { max };
    }
    for (out, x) in out.iter_mut().zip(x) {
        *out = exp(*x - max);
    }
    let pieces = out.chunks_exact(LANES);
    let mut sum: f32 = pieces.remainder().iter().sum();
    let mut lanes = [0.0f32; LANES];
    for piece in pieces {
        for (lane, x) in lanes.iter_mut().zip(piece) {
            *lane += *x;
        }
    }
    sum += lanes.iter().sum::<f32>();
    let inverse = 1.0 / sum;
    for out in out {
        *out *= inverse;
    }
}

pub fn mix(pattern: &Value, v: &Value) -> Option<Value> {
    let (patterns, values) = (pattern.host_f32()?, v.host_view()?);
    let [rows, heads, t, s] = *pattern.shape() else { return None };
    let [_, _, kv, h] = *v.shape() else { return None };
    let &[of_row, of_key, of_head, 1] = values.strides.as_slice() else { return None };
    if rows * t * heads * h == 0 {
        return None;
    }
    // The only query of a row of the batch, one head.
    let one = |(i, out): (usize, &mut [MaybeUninit<f32>])| {
        let group = i % heads * kv / heads;
        let values = &values.data()[i / heads * of_row + group * of_head..];
        times_rows(out, &patterns.as_slice()[i * s..][..s], values, of_key);
    };
    // Several queries of one row of the batch, all heads.
    let piece = |row: usize, i: usize, out: &mut [MaybeUninit<f32>]| {
        let queries = out.len() / (heads * h);
        for head in 0..heads {
            let group = head * kv / heads;
            product(
                MatrixMut { data: &mut out[head * h..], shape: (queries, h), row_stride: heads * h },
                Matrix {
                    data: &patterns.as_slice()[((row * heads + head) * t + i * QUERIES) * s..],
                    shape: (queries, s),
                    strides: (s, 1),
                },
                Matrix { data: &values.data()[row * of_row + group * of_head..], shape: (s, h), strides: (of_key, 1) },
                1.0,
                None,
            );
        }
    };
    let out = filled(rows * t * heads * h, |out| {
        if t == 1 {
            return out.par_chunks_mut(h).with_min_len(together(s * h)).enumerate().for_each(one);
        }
        for (row, out) in out.chunks_exact_mut(t * heads * h).enumerate() {
            out.par_chunks_mut(QUERIES * heads * h).enumerate().for_each(|(i, out)| piece(row, i, out));
        }
    });
    Some(value(out, &[rows, t, heads, h]))
}
