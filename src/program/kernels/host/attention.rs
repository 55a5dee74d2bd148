//! Scores, pattern and mixing, without copies of permuted values.
//!
//! All three are computed in blocks of queries of one head, and a value that is too large to be held is those blocks,
//! computed when they are asked for: the mixing of a long text asks for them one after the other.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::super::attention::Scoring;
use super::matmul::{Matrix, MatrixMut, Share, add_product, product, product_by};
use super::special::{exp, tanh};
use super::vector::{columns_times, times_rows};
use super::{PIECE, by_rows, by_rows_in, filled, value};
use crate::program::context::{Bias, Mask};
use crate::tensor::{
    Device, HostF32, HostView, Kind, Precision, TensorError, Value, block_rows, inlined, is_large, vectorised,
};

/// Queries that one task mixes values for.
const QUERIES: usize = 32;

/// Keys that are mixed together.
const KEYS: usize = 512;

pub fn scores(q: &Value, k: &Value, scoring: Scoring) -> Option<Value> {
    let (queries, keys) = (q.host_f32()?, k.host_view()?);
    let [rows, t, heads, h] = *q.shape() else { return None };
    let [_, s, kv, _] = *k.shape() else { return None };
    let &[of_row, of_key, of_head, 1] = keys.strides.as_slice() else { return None };
    if rows * heads * t * s == 0 {
        return None;
    }
    let (bias, mask) = (scoring.bias.cloned(), scoring.mask.cloned());
    // What is added as a whole; in pieces it is as large as the scores, which are in pieces then.
    let whole: Vec<HostF32> = scoring.more.iter().filter_map(Value::host_f32).collect();
    let in_pieces = scoring.more.iter().any(Value::is_in_pieces);
    let shape = [rows, heads, t, s];
    let large = is_large(&shape, &Device::cpu());
    if whole.len() < scoring.more.len() && !(large && in_pieces) {
        return None;
    }
    let key = [of_row, of_key, of_head];
    let step = block_rows(s);
    let scored = Scored {
        queries,
        keys,
        key,
        lens: [t, heads, h, s, kv],
        step,
        scale: scoring.scale as f32,
        softcap: scoring.softcap.map(|cap| cap as f32),
        bias,
        more: scoring.more.to_vec(),
        mask,
    };
    if large {
        let source = move |matrix, rows: Range<usize>| scored.rows(matrix, rows);
        return Some(Value::in_pieces(&shape, (Kind::Float, Precision::F32), &Device::cpu(), step, source));
    }
    let out = filled(rows * heads * t * s, |out| {
        out.par_chunks_mut(t * s).with_min_len(together(t * s * h)).enumerate().for_each(|(matrix, out)| {
            out.par_chunks_mut(step * s).enumerate().for_each(|(i, out)| {
                let of = |more: &HostF32| more.as_slice()[(matrix * t + i * step) * s..][..out.len()].to_vec();
                let more: Vec<Vec<f32>> = whole.iter().map(of).collect();
                scored.block(matrix, i * step, &more, out);
            });
        });
    });
    Some(value(out, &shape))
}

/// What scores are computed from.
struct Scored {
    queries: HostF32,
    keys: HostView,
    /// Distances between keys of neighbouring rows, positions and heads.
    key: [usize; 3],
    /// Queries, heads, width of a head, keys, heads of keys.
    lens: [usize; 5],
    /// Queries in a block.
    step: usize,
    scale: f32,
    softcap: Option<f32>,
    bias: Option<Bias>,
    /// Added for each query and key, `[B, H, T, S]` each.
    more: Vec<Value>,
    mask: Option<Mask>,
}

impl Scored {
    /// Scores of one head from a query on, `[queries, S]`: those of a block, which begins at a multiple of `step`. `more` is
    /// added to them.
    fn block(&self, matrix: usize, first: usize, more: &[Vec<f32>], out: &mut [MaybeUninit<f32>]) {
        let ([t, heads, h, s, kv], [of_row, of_key, of_head]) = (self.lens, self.key);
        let (row, head) = (matrix / heads, matrix % heads);
        let (group, count) = (head * kv / heads, out.len() / s);
        // Keys that no query of the block sees need no product: the mask writes their scores.
        let columns = self.mask.as_ref().map_or(s, |mask| mask.sees_up_to(first + count));
        let queries = &self.queries.as_slice()[((row * t + first) * heads + head) * h..];
        let keys = &self.keys.data()[row * of_row + group * of_head..];
        if t == 1 {
            columns_times(&mut out[..columns], &queries[..h], keys, of_key, (self.scale, None));
        } else {
            product_by(
                Share { tasks: t <= self.step, columns },
                MatrixMut { data: &mut *out, shape: (count, s), row_stride: s },
                Matrix { data: queries, shape: (count, h), strides: (heads * h, 1) },
                Matrix { data: keys, shape: (h, s), strides: (1, of_key) },
                self.scale,
                None,
            );
        }
        for out in out.chunks_exact_mut(s).filter(|_| columns < s) {
            out[columns..].fill(MaybeUninit::new(f32::NEG_INFINITY));
        }
        #[expect(unsafe_code, reason = "the product, and what follows it, have written every element")]
        // SAFETY: the product has written the first columns of every row, and the others have been filled.
        let out = unsafe { out.assume_init_mut() };
        if let Some(cap) = self.softcap {
            cap_all(out, cap);
        }
        if let Some(bias) = &self.bias {
            let of_row = if bias.host.len() > heads * s { row } else { 0 };
            let bias = &bias.host[(of_row * heads + head) * s..][..s];
            for out in out.chunks_exact_mut(s) {
                out.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
        }
        for more in more {
            out.iter_mut().zip(more).for_each(|(x, more)| *x += more);
        }
        if let Some(mask) = &self.mask {
            vectorised(inlined!(|| {
                for (i, out) in out.chunks_exact_mut(s).enumerate() {
                    mask.apply(row, first + i, out);
                }
            }));
        }
    }

    /// Scores of some queries of one head, `[queries, S]`, cut from the blocks that they are in.
    fn rows(&self, matrix: usize, rows: Range<usize>) -> Result<Value, TensorError> {
        let [t, _, _, s, _] = self.lens;
        let mut all: Vec<f32> = Vec::new();
        for first in (rows.start / self.step * self.step..rows.end).step_by(self.step) {
            let end = t.min(first + self.step);
            let of = |more: &Value| more.block(matrix, first..end)?.read_f32();
            let more = self.more.iter().map(of).collect::<Result<Vec<_>, _>>()?;
            let block = filled((end - first) * s, |out| self.block(matrix, first, &more, out));
            if (first..end) == rows {
                return Ok(value(block, &[end - first, s]));
            }
            all.extend_from_slice(&block[(rows.start.max(first) - first) * s..(rows.end.min(end) - first) * s]);
        }
        Ok(value(all, &[rows.len(), s]))
    }
}

/// How many heads one task takes that are so much work each: handing out less than a piece shows.
fn together(work: usize) -> usize {
    (PIECE / work.max(1)).max(1)
}

fn cap_all(scores: &mut [f32], cap: f32) {
    vectorised(inlined!(|| scores.iter_mut().for_each(|x| *x = cap * tanh(*x / cap))));
}

/// Softmax over the last axis: `exp(x - max) / sum(exp(x - max))`, the logit of a head's sink among the `x`. A row of -inf alone is NaN, or the pattern of
/// padding that sees no key.
pub fn pattern(scores: &Value, mask: Option<&Mask>, sinks: Option<&Value>) -> Option<Value> {
    let [_, heads, t, s] = *scores.shape() else { return None };
    let sinks: Option<Vec<f32>> = match sinks {
        Some(sinks) => Some(sinks.host_f32()?.as_slice().to_vec()),
        None => None,
    };
    let mask = mask.filter(|_| sinks.is_none()).cloned();
    let blind = move |matrix: usize, rows: Range<usize>, out: &mut [f32]| {
        let Some(mask) = &mask else { return };
        for (query, out) in rows.zip(out.chunks_exact_mut(s.max(1))) {
            if let Some(blind) = mask.blind(matrix / heads, query) {
                out.copy_from_slice(&blind);
            }
        }
    };
    if scores.is_in_pieces() {
        let (of, step) = (scores.clone(), block_rows(s));
        let source = move |matrix: usize, rows: Range<usize>| {
            let block = of.block(matrix, rows.clone())?;
            let host = block.host_f32().ok_or_else(|| not_host(&block))?;
            let sink = sinks.as_ref().map_or(f32::NEG_INFINITY, |sinks| sinks[matrix % heads]);
            let mut out = by_rows_in(usize::MAX, host.as_slice(), s, inlined!(|out, x| softmax(out, x, sink)));
            blind(matrix, rows, &mut out);
            Ok(value(out, block.shape()))
        };
        let shape = scores.shape();
        return Some(Value::in_pieces(shape, (Kind::Float, Precision::F32), &Device::cpu(), step, source));
    }
    let all = scores.host_f32()?;
    let of = |x: &[f32], sink: f32| by_rows(x, s, inlined!(|out, x| softmax(out, x, sink)));
    let mut out = match &sinks {
        Some(sinks) => {
            let matrices = all.as_slice().chunks_exact((t * s).max(1)).enumerate();
            matrices.flat_map(|(matrix, x)| of(x, sinks[matrix % heads])).collect()
        }
        None => of(all.as_slice(), f32::NEG_INFINITY),
    };
    for (matrix, out) in out.chunks_exact_mut((t * s).max(1)).enumerate() {
        blind(matrix, 0..t, out);
    }
    Some(value(out, scores.shape()))
}

fn not_host(value: &Value) -> TensorError {
    TensorError::Read { message: format!("{value:?} is not in host memory") }
}

#[inline(always)]
fn softmax(out: &mut [f32], x: &[f32], sink: f32) {
    const LANES: usize = 16;
    // Keys that are not seen, the last ones in a causal model, have a weight of 0: powers are computed of the others.
    let hidden = x.rchunks(LANES * LANES).take_while(|some| some.iter().all(|x| *x == f32::NEG_INFINITY));
    let hidden: usize = hidden.map(<[f32]>::len).sum();
    let seen = (x.len() - hidden).next_multiple_of(LANES).min(x.len());
    let (x, _) = x.split_at(seen);
    let (out, rest) = out.split_at_mut(seen);
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let pieces = x.chunks_exact(LANES);
    let mut max = pieces.remainder().iter().fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max });
    for piece in pieces {
        for (lane, x) in lanes.iter_mut().zip(piece) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    for lane in lanes.into_iter().chain([sink]) {
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
    sum += exp(sink - max);
    let inverse = 1.0 / sum;
    for out in out {
        *out *= inverse;
    }
    // NaN where the others are, as without a finite score.
    rest.fill(if max == f32::NEG_INFINITY { f32::NAN } else { 0.0 * inverse });
}

/// Pattern times values; `None` if they are not in host memory.
///
/// # Errors
/// If what changes a pattern in pieces fails.
pub fn mix(pattern: &Value, v: &Value) -> Result<Option<Value>, TensorError> {
    let Some(mixed) = Mixed::new(pattern, v) else { return Ok(None) };
    let [rows, heads, t, s, _, h] = mixed.lens;
    if rows * t * heads * h == 0 {
        return Ok(None);
    }
    let shape = [rows, t, heads, h];
    let width = heads * h;
    if !pattern.is_in_pieces() {
        let Some(patterns) = pattern.host_f32() else { return Ok(None) };
        // The only query of a row of the batch, one head.
        let one = |matrix: usize, out: &mut [MaybeUninit<f32>]| {
            let patterns = &patterns.as_slice()[matrix * s..][..s];
            times_rows(out, patterns, mixed.values_of(matrix / heads, matrix % heads), mixed.value[1]);
        };
        // Several queries of one row of the batch, all heads.
        let piece = |row: usize, i: usize, out: &mut [MaybeUninit<f32>]| {
            for head in 0..heads {
                let first = ((row * heads + head) * t + i * QUERIES) * s;
                mixed.queries(row, head, &patterns.as_slice()[first..], out);
            }
        };
        let out = filled(rows * t * width, |out| {
            if t == 1 {
                let heads = out.par_chunks_mut(h).with_min_len(together(s * h));
                return heads.enumerate().for_each(|(matrix, out)| one(matrix, out));
            }
            for (row, out) in out.chunks_exact_mut(t * width).enumerate() {
                out.par_chunks_mut(QUERIES * width).enumerate().for_each(|(i, out)| piece(row, i, out));
            }
        });
        return Ok(Some(value(out, &shape)));
    }
    let step = block_rows(s);
    // A block of queries, all heads: the pattern of one head after the other.
    let blocks = |row: usize, i: usize, out: &mut [MaybeUninit<f32>]| {
        let queries = i * step..i * step + out.len() / width;
        for head in 0..heads {
            let block = pattern.block(row * heads + head, queries.clone())?;
            let patterns = block.host_f32().ok_or_else(|| not_host(&block))?;
            if t == 1 {
                let out = &mut out[head * h..(head + 1) * h];
                times_rows(out, patterns.as_slice(), mixed.values_of(row, head), mixed.value[1]);
                continue;
            }
            for (out, patterns) in out.chunks_mut(QUERIES * width).zip(patterns.as_slice().chunks(QUERIES * s)) {
                mixed.queries(row, head, patterns, out);
            }
        }
        Ok(())
    };
    let mut failed = Ok(());
    let out = filled(rows * t * width, |out| {
        for (row, out) in out.chunks_exact_mut(t * width).enumerate() {
            let done: Result<(), TensorError> =
                out.par_chunks_mut(step * width).enumerate().try_for_each(|(i, out)| blocks(row, i, out));
            if done.is_err() {
                failed = done;
                out.fill(MaybeUninit::new(f32::NAN));
            }
        }
    });
    failed.map(|()| Some(value(out, &shape)))
}

/// What a pattern is multiplied with.
struct Mixed {
    values: HostView,
    /// Distances between values of neighbouring rows, positions and heads.
    value: [usize; 3],
    /// Rows, heads, queries, keys, heads of values, width of a head.
    lens: [usize; 6],
    /// Whether all values of a row, a head and [`KEYS`] positions are finite.
    finite: Vec<bool>,
}

impl Mixed {
    fn new(pattern: &Value, v: &Value) -> Option<Mixed> {
        let values = v.host_view()?;
        let [rows, heads, t, s] = *pattern.shape() else { return None };
        let [_, _, kv, h] = *v.shape() else { return None };
        let &[of_row, of_key, of_head, 1] = values.strides.as_slice() else { return None };
        let data = values.data();
        let all_finite = |i: usize| {
            let (part, group, row) = (i % s.div_ceil(KEYS), i / s.div_ceil(KEYS) % kv, i / s.div_ceil(KEYS) / kv);
            (part * KEYS..s.min((part + 1) * KEYS))
                .all(|key| data[row * of_row + key * of_key + group * of_head..][..h].iter().all(|x| x.is_finite()))
        };
        // A single query does not ask.
        let parts = if t == 1 { 0 } else { rows * kv * s.div_ceil(KEYS) };
        let finite = (0..parts).into_par_iter().map(all_finite).collect();
        Some(Mixed { values, value: [of_row, of_key, of_head], lens: [rows, heads, t, s, kv, h], finite })
    }

    /// The values that a head of a row mixes, from the first position on.
    fn values_of(&self, row: usize, head: usize) -> &[f32] {
        let ([_, heads, _, _, kv, _], [of_row, _, of_head]) = (self.lens, self.value);
        &self.values.data()[row * of_row + head * kv / heads * of_head..]
    }

    /// At most [`QUERIES`] queries of one head, into all heads of them: [`KEYS`] keys after the other, but for those that
    /// none of the queries attends to.
    fn queries(&self, row: usize, head: usize, patterns: &[f32], out: &mut [MaybeUninit<f32>]) {
        let ([_, heads, _, s, kv, h], [_, of_key, _]) = (self.lens, self.value);
        let (queries, group) = (out.len() / (heads * h), head * kv / heads);
        let patterns = &patterns[..queries * s];
        let values = self.values_of(row, head);
        for (part, first) in (0..s).step_by(KEYS).enumerate() {
            let keys = KEYS.min(s - first);
            let unseen = || patterns.chunks_exact(s).all(|row| row[first..first + keys].iter().all(|p| *p == 0.0));
            if part > 0 && self.finite[(row * kv + group) * s.div_ceil(KEYS) + part] && unseen() {
                continue;
            }
            let to = MatrixMut { data: &mut out[head * h..], shape: (queries, h), row_stride: heads * h };
            let a = Matrix { data: &patterns[first..], shape: (queries, keys), strides: (s, 1) };
            let b = Matrix { data: &values[first * of_key..], shape: (keys, h), strides: (of_key, 1) };
            if part == 0 { product(to, a, b, 1.0, None) } else { add_product(to, a, b) }
        }
    }
}
