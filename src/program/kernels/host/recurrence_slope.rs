//! Gradients of states that decay and learn, over plain memory.
//!
//! Positions are gone through backwards. States are needed on the way; they are computed again from those that are kept at
//! every so many positions, so that memory grows with the square root of a text and not with it.

use rayon::prelude::*;

use super::super::recurrence::Recurrence;
use super::recurrence::{COLUMNS, Host, learn, place};
use super::value;
use crate::model::spec::Learning;
use crate::tensor::{Value, inlined, vectorised};

/// Positions between states that are kept.
const SEGMENT: usize = 64;

/// Gradients of what the rule reads, in the order in which ops read it: queries where there are any, keys, values, decays,
/// learning rates, states where there are any. `seed` is the gradient of what the queries read, or without queries of the
/// states at the end. `None` also for texts with padding behind their beginning.
pub fn pull_recurrence(of: &Recurrence, seed: &Value) -> Option<Vec<Value>> {
    if of.context.columns.is_some() {
        return None;
    }
    let [rows, length, kv, heads, key, width] = of.sizes();
    let host = Host::of(of)?;
    let q = match of.q {
        Some(q) => Some(q.host_f32()?),
        None => None,
    };
    let seed = seed.host_f32()?;
    let blocks = rows * heads * width.div_ceil(COLUMNS);
    let pull = Pull { host, q: q.as_ref().map(|q| q.as_slice()), seed: seed.as_slice() };
    let found: Vec<Block> = (0..blocks).into_par_iter().map(|number| pull.block(number)).collect();
    let mut to_q = vec![0.0; rows * length * kv * key];
    let mut to_k = to_q.clone();
    let mut to_v = vec![0.0; rows * length * heads * width];
    let mut to_decay = vec![0.0; rows * length * heads];
    let mut to_beta = to_decay.clone();
    let mut to_state = vec![0.0; rows * heads * key * width];
    // Sums over blocks of columns, and over the heads that share a key, in their order.
    for (number, block) in found.iter().enumerate() {
        let (of_all, first) = place(number, width);
        let (row, head) = (of_all / heads, of_all % heads);
        let columns = COLUMNS.min(width - first);
        for position in 0..length {
            let at = row * length + position;
            let of_key = (at * kv + head * kv / heads) * key;
            add(&mut to_q[of_key..of_key + key], &block.q[position * key..]);
            add(&mut to_k[of_key..of_key + key], &block.k[position * key..]);
            let of_value = (at * heads + head) * width + first;
            add(&mut to_v[of_value..of_value + columns], &block.v[position * columns..]);
            to_decay[at * heads + head] += block.decay[position];
            to_beta[at * heads + head] += block.beta[position];
        }
        for (feature, state) in block.state.chunks_exact(columns).enumerate() {
            let at = (of_all * key + feature) * width + first;
            to_state[at..at + columns].copy_from_slice(state);
        }
    }
    let of_keys = [rows, length, kv, key];
    let mut all = Vec::new();
    all.extend(of.q.map(|_| value(to_q, &of_keys)));
    all.push(value(to_k, &of_keys));
    all.push(value(to_v, &[rows, length, heads, width]));
    all.push(value(to_decay, &[rows, length, heads]));
    all.push(value(to_beta, &[rows, length, heads]));
    all.extend(of.before.map(|_| value(to_state, &[rows, heads, key, width])));
    Some(all)
}

fn add(sum: &mut [f32], more: &[f32]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The share of some columns of the states of one head.
struct Block {
    /// `[T, dk]`, as `k`.
    q: Vec<f32>,
    k: Vec<f32>,
    /// `[T, columns]`.
    v: Vec<f32>,
    /// `[T]`, as `beta`.
    decay: Vec<f32>,
    beta: Vec<f32>,
    /// `[dk, columns]`.
    state: Vec<f32>,
}

struct Pull<'a> {
    host: Host<'a>,
    q: Option<&'a [f32]>,
    seed: &'a [f32],
}

/// One position of a block.
struct Step<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    decay: f32,
    beta: f32,
    /// Whether what is known under the key is replaced.
    replaces: bool,
}

impl Pull<'_> {
    fn step(&self, number: usize, position: usize) -> Step<'_> {
        let [_, length, kv, heads, key, width] = self.host.of.sizes();
        let (of_all, first) = place(number, width);
        let (row, head) = (of_all / heads, of_all % heads);
        let at = row * length + position;
        let of_key = (at * kv + head * kv / heads) * key;
        let of_value = (at * heads + head) * width + first;
        let columns = COLUMNS.min(width - first);
        Step {
            q: self.q.map_or(&[], |q| &q[of_key..of_key + key]),
            k: &self.host.k.as_slice()[of_key..of_key + key],
            v: &self.host.v.as_slice()[of_value..of_value + columns],
            decay: self.host.decay.as_slice()[at * heads + head],
            beta: self.host.beta.as_slice()[at * heads + head],
            replaces: self.host.of.learning == Learning::Replaces,
        }
    }

    fn block(&self, number: usize) -> Block {
        let [_, length, _, heads, key, width] = self.host.of.sizes();
        let (of_all, first) = place(number, width);
        let (row, head) = (of_all / heads, of_all % heads);
        let columns = COLUMNS.min(width - first);
        let learning = self.host.of.learning;
        let mut kept = Vec::new();
        let mut state = self.host.start(number);
        let mut learned = vec![0.0; columns];
        for position in 0..length {
            if position % SEGMENT == 0 {
                kept.push(state.clone());
            }
            let Step { k, v, decay, beta, .. } = self.step(number, position);
            vectorised(inlined!(|| learn(learning, &mut state, k, v, [decay, beta], &mut learned)));
        }
        let mut found = Block {
            q: vec![0.0; length * key],
            k: vec![0.0; length * key],
            v: vec![0.0; length * columns],
            decay: vec![0.0; length],
            beta: vec![0.0; length],
            state: vec![0.0; key * columns],
        };
        if self.q.is_none() {
            for (feature, to) in found.state.chunks_exact_mut(columns).enumerate() {
                let at = (of_all * key + feature) * width + first;
                to.copy_from_slice(&self.seed[at..at + columns]);
            }
        }
        for (segment, before) in kept.iter().enumerate().rev() {
            let range = segment * SEGMENT..((segment + 1) * SEGMENT).min(length);
            let mut states = vec![before.clone()];
            let mut all_learned = Vec::new();
            for position in range.clone() {
                let Step { k, v, decay, beta, .. } = self.step(number, position);
                let mut next = states[position - range.start].clone();
                vectorised(inlined!(|| learn(learning, &mut next, k, v, [decay, beta], &mut learned)));
                states.push(next);
                all_learned.push(learned.clone());
            }
            for position in range.clone().rev() {
                let at = position - range.start;
                let read = ((row * length + position) * heads + head) * width + first;
                let seed = if self.q.is_some() { &self.seed[read..read + columns] } else { &[][..] };
                let step = self.step(number, position);
                let (before, after, learned) = (&states[at], &states[at + 1], &all_learned[at]);
                vectorised(inlined!(|| back(&step, (before, after, learned), seed, position, &mut found)));
            }
        }
        found
    }
}

/// One position backwards: `found.state` is the gradient of the state after it, and then of that before it.
#[inline(always)]
fn back(
    step: &Step,
    (before, after, learned): (&[f32], &[f32], &[f32]),
    seed: &[f32],
    position: usize,
    found: &mut Block,
) {
    let Step { q, k, v, decay, beta, replaces } = *step;
    let (key, columns) = (k.len(), v.len());
    let of_keys = position * key..(position + 1) * key;
    let Block { q: to_q, k: to_k, v: to_v, decay: to_decay, beta: to_beta, state } = found;
    let (to_q, to_k) = (&mut to_q[of_keys.clone()], &mut to_k[of_keys]);
    // z = q S
    for (feature, q) in q.iter().enumerate() {
        let row = feature * columns..(feature + 1) * columns;
        to_q[feature] = dot(&after[row.clone()], seed);
        state[row].iter_mut().zip(seed).for_each(|(x, seed)| *x += q * seed);
    }
    // S = decayed + k learned
    let mut to_learned = vec![0.0; columns];
    for (feature, k) in k.iter().enumerate() {
        let row = &state[feature * columns..(feature + 1) * columns];
        to_learned.iter_mut().zip(row).for_each(|(to, x)| *to += k * x);
        to_k[feature] = dot(row, learned);
    }
    // learned = beta (v - known)
    let to_v = &mut to_v[position * columns..(position + 1) * columns];
    let mut known = vec![0.0; columns];
    for (feature, k) in k.iter().enumerate().filter(|_| replaces) {
        let row = &before[feature * columns..(feature + 1) * columns];
        known.iter_mut().zip(row).for_each(|(known, x)| *known += decay * x * k);
    }
    to_beta[position] = to_learned.iter().zip(v.iter().zip(&known)).map(|(to, (v, known))| to * (v - known)).sum();
    to_v.iter_mut().zip(&to_learned).for_each(|(to, x)| *to = beta * x);
    // known = k decayed, decayed = decay S
    let mut of_decay = 0.0;
    for (feature, k) in k.iter().enumerate() {
        let row = feature * columns..(feature + 1) * columns;
        let state = &mut state[row.clone()];
        if replaces {
            to_k[feature] -= decay * dot(&before[row.clone()], to_v);
            state.iter_mut().zip(to_v.iter()).for_each(|(x, to)| *x -= k * to);
        }
        of_decay += dot(state, &before[row]);
        state.iter_mut().for_each(|x| *x *= decay);
    }
    to_decay[position] = of_decay;
}
