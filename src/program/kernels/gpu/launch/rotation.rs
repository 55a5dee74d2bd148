//! Rotary position embedding.

use cubecl::prelude::*;

use crate::tensor::graphics::DeviceF32;
use crate::tensor::graphics::{UNITS, units};

/// The pairs that are turned, and by how much.
pub struct Pairs<'a> {
    /// `[B or 1, T, pairs]`.
    pub cos: &'a DeviceF32,
    pub sin: &'a DeviceF32,
    pub pairs: usize,
    /// Features of a head before those that turn.
    pub first: usize,
    /// Whether the partner of a feature is the next one, not the one half of the rotated features further.
    pub interleaved: bool,
}

#[cube(launch)]
fn rotate_kernel(
    x: &[f32],
    cos: &[f32],
    sin: &[f32],
    out: &mut [f32],
    count: u32,
    heads: u32,
    width: u32,
    first: u32,
    #[comptime] pairs: usize,
    #[comptime] interleaved: bool,
) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let (inside, first) = (at % width as usize, first as usize);
        let token = at / (width * heads) as usize;
        let mut y = x[at];
        if inside >= first && inside < first + 2 * pairs {
            let feature = inside - first;
            let second = if comptime!(interleaved) { feature % 2 == 1 } else { feature >= pairs };
            let pair = if comptime!(interleaved) { feature / 2 } else { feature % pairs };
            let step = if comptime!(interleaved) { 1usize } else { pairs };
            // Tables for one row of the batch serve all.
            let turn = (token * pairs + pair) % cos.len();
            let (c, s) = (cos[turn], sin[turn]);
            if second {
                y = y * c + x[at - step] * s;
            } else {
                y = y * c - x[at + step] * s;
            }
        }
        out[at] = y;
    }
}

/// Turns pairs of features of `[B, T, heads, width]`; features before the first and beyond the last pair pass through.
pub fn rotate(x: &DeviceF32, pairs: &Pairs, heads: usize, width: usize) -> DeviceF32 {
    let out = x.empty(x.len());
    let (count, dim) = (units(x.len()), CubeDim::new_1d(UNITS));
    let (heads, width) = (heads as u32, width as u32);
    let Pairs { cos, sin, pairs, first, interleaved } = *pairs;
    let (cos, sin, len, first) = (cos.arg(), sin.arg(), x.len() as u32, first as u32);
    let (client, x, to) = (x.client(), x.arg(), out.arg());
    rotate_kernel::launch(client, count, dim, x, cos, sin, to, len, heads, width, first, pairs, interleaved);
    out
}
