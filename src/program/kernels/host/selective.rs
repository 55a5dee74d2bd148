//! States whose elements decay each on its own, over plain memory.
//!
//! Features do not know of each other, so each task works on some features of one row, for all positions, one position after
//! the other: the states after some tokens have the same bits whether they are computed at once or token by token.

use rayon::prelude::*;

use super::super::selective::Scan;
use super::value;
use crate::tensor::{HostF32, Value, inlined, vectorised};

/// Features that one task works on.
const FEATURES: usize = 64;

/// What the queries read, `[B, T, n]`.
pub fn read_scan(of: &Scan) -> Option<Value> {
    let [rows, length, features, _] = of.sizes();
    let q = of.q?.host_f32()?;
    let blocks = Host::of(of)?.run(Some(q.as_slice()));
    // Each block is [T, features of it].
    let mut out = vec![0.0; rows * length * features];
    for (number, (read, _)) in blocks.iter().enumerate() {
        let (row, first, count) = place(number, features);
        for (position, read) in read.chunks_exact(count).enumerate() {
            let at = (row * length + position) * features + first;
            out[at..at + count].copy_from_slice(read);
        }
    }
    Some(value(out, &[rows, length, features]))
}

/// The states after the last token, `[B, n, dk]`.
pub fn scan_states(of: &Scan) -> Option<Value> {
    let [rows, _, features, key] = of.sizes();
    // Blocks follow each other as the features do.
    let out: Vec<f32> = Host::of(of)?.run(None).into_iter().flat_map(|(_, state)| state).collect();
    Some(value(out, &[rows, features, key]))
}

/// Row, first feature and number of features of a block.
fn place(number: usize, features: usize) -> (usize, usize, usize) {
    let blocks = features.div_ceil(FEATURES);
    let first = number % blocks * FEATURES;
    (number / blocks, first, FEATURES.min(features - first))
}

/// What the rule reads, in host memory.
struct Host<'a> {
    of: &'a Scan<'a>,
    k: HostF32,
    v: HostF32,
    step: HostF32,
    /// Rates of decay, below zero, `[n, dk]`.
    rate: Vec<f32>,
    before: Option<HostF32>,
}

impl<'a> Host<'a> {
    fn of(of: &'a Scan<'a>) -> Option<Host<'a>> {
        let before = match of.before {
            Some(before) => Some(before.host_f32()?),
            None => None,
        };
        let (k, v, step) = (of.k.host_f32()?, of.v.host_f32()?, of.step.host_f32()?);
        let rate = of.rate.host_f32()?.as_slice().iter().map(|rate| -rate.exp()).collect();
        (of.sizes().iter().product::<usize>() > 0).then_some(Host { of, k, v, step, rate, before })
    }

    /// For each block of features what the queries read, `[T, features]`, and the state at the end, `[features, dk]`.
    fn run(&self, q: Option<&[f32]>) -> Vec<(Vec<f32>, Vec<f32>)> {
        let [rows, _, features, _] = self.of.sizes();
        (0..rows * features.div_ceil(FEATURES)).into_par_iter().map(|number| self.block(number, q)).collect()
    }

    fn block(&self, number: usize, q: Option<&[f32]>) -> (Vec<f32>, Vec<f32>) {
        let [_, length, features, key] = self.of.sizes();
        let (row, first, count) = place(number, features);
        let real = self.of.real(row);
        let rate = &self.rate[first * key..(first + count) * key];
        let mut state = match &self.before {
            Some(before) => before.as_slice()[(row * features + first) * key..][..count * key].to_vec(),
            None => vec![0.0; count * key],
        };
        let mut read = vec![0.0; if q.is_some() { length * count } else { 0 }];
        // The states of padding, which begin with that of the last token.
        let mut padding: Option<Vec<f32>> = None;
        for position in 0..length {
            let state = match real {
                Some(real) if !real[position] => padding.get_or_insert_with(|| state.clone()),
                _ => {
                    padding = None;
                    &mut state
                }
            };
            let at = row * length + position;
            let k = &self.k.as_slice()[at * key..(at + 1) * key];
            let (v, step) =
                (&self.v.as_slice()[at * features + first..], &self.step.as_slice()[at * features + first..]);
            for (feature, (state, rate)) in state.chunks_exact_mut(key).zip(rate.chunks_exact(key)).enumerate() {
                let (step, learned) = (step[feature], step[feature] * v[feature]);
                vectorised(inlined!(|| {
                    for ((x, rate), k) in state.iter_mut().zip(rate).zip(k) {
                        *x = *x * (*rate * step).exp() + learned * *k;
                    }
                }));
                if let Some(q) = q {
                    let q = &q[at * key..(at + 1) * key];
                    read[position * count + feature] = state.iter().zip(q).map(|(x, q)| *x * *q).sum();
                }
            }
        }
        (read, state)
    }
}
