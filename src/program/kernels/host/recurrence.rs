//! States that decay and learn over plain memory.
//!
//! Columns of a state do not know of each other, so each task works on some columns of the state of one head, for all
//! positions. Sums are taken in the order of features, one position after the other: the states after some tokens have
//! the same bits whether they are computed at once or token by token.

use rayon::prelude::*;

use super::super::recurrence::Recurrence;
use super::value;
use crate::model::spec::Learning;
use crate::tensor::{HostF32, Value, inlined, vectorised};

/// Columns of a state that one task works on: with 128 rows, they fit the nearest cache.
pub(super) const COLUMNS: usize = 32;

/// What the queries read, `[B, T, H, dv]`.
pub fn read_states(of: &Recurrence) -> Option<Value> {
    let [rows, length, _, heads, _, width] = of.sizes();
    let q = of.q?.host_f32()?;
    let blocks = Host::of(of)?.run(Some(q.as_slice()));
    // Each block is [T, columns].
    let mut out = vec![0.0; rows * length * heads * width];
    for (number, (read, _)) in blocks.iter().enumerate() {
        let (head, first) = place(number, width);
        let (row, head) = (head / heads, head % heads);
        let columns = COLUMNS.min(width - first);
        for (position, read) in read.chunks_exact(columns).enumerate() {
            let at = ((row * length + position) * heads + head) * width + first;
            out[at..at + columns].copy_from_slice(read);
        }
    }
    Some(value(out, &[rows, length, heads, width]))
}

/// The states after the last token, `[B, H, dk, dv]`.
pub fn states(of: &Recurrence) -> Option<Value> {
    let [rows, _, _, heads, key, width] = of.sizes();
    let blocks = Host::of(of)?.run(None);
    let mut out = vec![0.0; rows * heads * key * width];
    for (number, (_, state)) in blocks.iter().enumerate() {
        let (head, first) = place(number, width);
        let columns = COLUMNS.min(width - first);
        for (feature, state) in state.chunks_exact(columns).enumerate() {
            let at = (head * key + feature) * width + first;
            out[at..at + columns].copy_from_slice(state);
        }
    }
    Some(value(out, &[rows, heads, key, width]))
}

/// The head (of all rows) and the first column of a block.
pub(super) fn place(number: usize, width: usize) -> (usize, usize) {
    let blocks = width.div_ceil(COLUMNS);
    (number / blocks, number % blocks * COLUMNS)
}

/// What the rule reads, in host memory.
pub(super) struct Host<'a> {
    pub of: &'a Recurrence<'a>,
    pub k: HostF32,
    pub v: HostF32,
    pub decay: HostF32,
    pub beta: HostF32,
    pub before: Option<HostF32>,
}

impl<'a> Host<'a> {
    pub fn of(of: &'a Recurrence<'a>) -> Option<Host<'a>> {
        let before = match of.before {
            Some(before) => Some(before.host_f32()?),
            None => None,
        };
        let (k, v) = (of.k.host_f32()?, of.v.host_f32()?);
        let (decay, beta) = (of.decay.host_f32()?, of.beta.host_f32()?);
        (of.sizes().iter().product::<usize>() > 0).then_some(Host { of, k, v, decay, beta, before })
    }

    /// For each block of columns what the queries read, `[T, columns]`, and the state at the end, `[dk, columns]`.
    fn run(&self, q: Option<&[f32]>) -> Vec<(Vec<f32>, Vec<f32>)> {
        let [rows, _, _, heads, _, width] = self.of.sizes();
        let blocks = rows * heads * width.div_ceil(COLUMNS);
        (0..blocks).into_par_iter().map(|number| self.block(number, q)).collect()
    }

    /// The state before the first position of a block of columns, `[dk, columns]`.
    pub fn start(&self, number: usize) -> Vec<f32> {
        let [_, _, _, _, key, width] = self.of.sizes();
        let (head, first) = place(number, width);
        let columns = COLUMNS.min(width - first);
        let mut state = vec![0.0; key * columns];
        if let Some(before) = &self.before {
            for (feature, state) in state.chunks_exact_mut(columns).enumerate() {
                let at = (head * key + feature) * width + first;
                state.copy_from_slice(&before.as_slice()[at..at + columns]);
            }
        }
        state
    }

    fn block(&self, number: usize, q: Option<&[f32]>) -> (Vec<f32>, Vec<f32>) {
        let [_, length, kv, heads, key, width] = self.of.sizes();
        let (of_all, first) = place(number, width);
        let (row, head) = (of_all / heads, of_all % heads);
        let columns = COLUMNS.min(width - first);
        let real = self.of.real(row);
        let mut state = self.start(number);
        let (mut read, mut learned) = (Vec::new(), vec![0.0; columns]);
        read.resize(if q.is_some() { length * columns } else { 0 }, 0.0);
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
            let of_key = (at * kv + head * kv / heads) * key;
            let of_value = (at * heads + head) * width + first;
            let (k, v) = (&self.k.as_slice()[of_key..of_key + key], &self.v.as_slice()[of_value..of_value + columns]);
            let (decay, beta) = (self.decay.as_slice()[at * heads + head], self.beta.as_slice()[at * heads + head]);
            vectorised(inlined!(|| learn(self.of.learning, state, k, v, [decay, beta], &mut learned)));
            if let Some(q) = q {
                let q = &q[of_key..of_key + key];
                let out = &mut read[position * columns..(position + 1) * columns];
                vectorised(inlined!(|| add_rows(state, q, out)));
            }
        }
        (read, state)
    }
}

/// One position: the state decays, and learns the value under the key.
#[inline(always)]
pub(super) fn learn(
    learning: Learning,
    state: &mut [f32],
    k: &[f32],
    v: &[f32],
    [decay, beta]: [f32; 2],
    learned: &mut [f32],
) {
    let columns = v.len();
    // What is known under the key, if that is replaced.
    learned.fill(0.0);
    match learning {
        Learning::Replaces => {
            for (row, k) in state.chunks_exact_mut(columns).zip(k) {
                for (x, known) in row.iter_mut().zip(learned.iter_mut()) {
                    *x *= decay;
                    *known += *x * *k;
                }
            }
        }
        Learning::Adds => state.iter_mut().for_each(|x| *x *= decay),
    }
    for (learned, v) in learned.iter_mut().zip(v) {
        *learned = (*v - *learned) * beta;
    }
    for (row, k) in state.chunks_exact_mut(columns).zip(k) {
        for (x, learned) in row.iter_mut().zip(learned.iter()) {
            *x += *k * *learned;
        }
    }
}

/// `out += q S` for rows of a state.
#[inline(always)]
fn add_rows(state: &[f32], q: &[f32], out: &mut [f32]) {
    for (row, q) in state.chunks_exact(out.len()).zip(q) {
        for (x, out) in row.iter().zip(out.iter_mut()) {
            *out += *x * *q;
        }
    }
}
