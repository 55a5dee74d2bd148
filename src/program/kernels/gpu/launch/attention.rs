//! Softmax of scores, and which keys a query sees.

use cubecl::prelude::*;

use crate::model::spec::Reach;
use crate::tensor::graphics::{DeviceF32, DeviceWords};
use crate::tensor::graphics::{SHARED, UNITS, cubes, max_of_cube, ordered, sum_of_cube, unordered};

/// Which keys a query sees.
#[derive(Clone)]
pub struct Seen {
    /// For each key twice its position, and one more if it is not padding: `[B or 1, S]`.
    pub keys: DeviceWords,
    /// Whether keys after the query are masked.
    pub causal: bool,
    /// How far positions may be from each other.
    pub reach: Option<Reach>,
    /// Whether only queries that are not padding see anything.
    pub real: bool,
    /// The column of the first query.
    pub start: usize,
    /// The row of the batch that is the first.
    pub row: usize,
}

impl Seen {
    /// The same for one row of the batch from a query on, of `keys` keys.
    pub fn from(self, row: usize, query: usize, keys: usize) -> Seen {
        let row = if self.keys.len() > keys { row } else { 0 };
        Seen { row, start: self.start + query, ..self }
    }
}

const INFINITE: u32 = 0x7f80_0000;
const NAN: u32 = 0x7fc0_0000;

/// A logit for each head that joins its softmax and is left out of the result.
pub struct Sinks<'a> {
    /// `[H]`.
    pub of: &'a DeviceF32,
    /// The head of the first row.
    pub first: usize,
    /// Rows of each head.
    pub each: usize,
}

#[cube(launch)]
fn pattern_kernel(
    scores: &[f32],
    sinks: &[f32],
    out: &mut [f32],
    rows: u32,
    keys: u32,
    first: u32,
    each: u32,
    heads: u32,
    #[comptime] sunk: bool,
) {
    let row = CUBE_POS as usize;
    let mut shared = Shared::<[f32]>::new_slice(SHARED);
    let mut words = Shared::<[u32]>::new_slice(SHARED);
    if row < rows as usize {
        let (start, keys) = (row * keys as usize, keys as usize);
        let unit = UNIT_POS as usize;
        // The largest score, and above it whatever makes the whole row NaN.
        let mut most = 0u32;
        let mut at = unit;
        while at < keys {
            let x = scores[start + at];
            let bits = u32::reinterpret(x);
            most = max(most, if (bits & 0x7fff_ffffu32) > INFINITE { 0xffff_ffffu32 } else { ordered(x) });
            at += UNITS as usize;
        }
        let mut sink = 0.0f32;
        if comptime!(sunk) {
            sink = sinks[(first as usize + row / each as usize) % heads as usize];
            most = max(most, ordered(sink));
        }
        let most = max_of_cube(most, &mut words);
        let largest = unordered(most);
        // Only finite scores have a pattern.
        let bad = most == 0xffff_ffffu32 || (u32::reinterpret(largest) & 0x7fff_ffffu32) >= INFINITE;
        let mut sum = 0.0f32;
        if comptime!(sunk) && unit == 0 {
            sum = share(sink, largest);
        }
        let mut at = unit;
        while at < keys {
            sum += share(scores[start + at], largest);
            at += UNITS as usize;
        }
        let all = sum_of_cube(sum, &mut shared);
        let mut at = unit;
        while at < keys {
            let part = share(scores[start + at], largest) / all;
            out[start + at] = if bad { f32::reinterpret(NAN) } else { part };
            at += UNITS as usize;
        }
    }
}

/// `exp(x - largest)`, of minus infinity 0.
#[cube]
fn share(x: f32, largest: f32) -> f32 {
    if u32::reinterpret(x) == 0xff80_0000u32 { 0.0f32 } else { f32::exp(x - largest) }
}

/// Softmax of each row of `keys` scores, and of a sink where there are such; NaN where a score is NaN or +inf, or none is finite.
pub fn pattern(scores: &DeviceF32, keys: usize, sinks: Option<Sinks<'_>>) -> DeviceF32 {
    let (out, rows) = (scores.empty(scores.len()), scores.len() / keys.max(1));
    let (count, dim) = (cubes(rows), CubeDim::new_1d(UNITS));
    let sunk = sinks.is_some();
    let Sinks { of, first, each } = sinks.unwrap_or(Sinks { of: scores, first: 0, each: 1 });
    let [rows, keys, first, each, heads] = [rows, keys, first, each.max(1), of.len().max(1)].map(|n| n as u32);
    let (client, scores, sinks, out_arg) = (scores.client(), scores.arg(), of.arg(), out.arg());
    pattern_kernel::launch(client, count, dim, scores, sinks, out_arg, rows, keys, first, each, heads, sunk);
    out
}
