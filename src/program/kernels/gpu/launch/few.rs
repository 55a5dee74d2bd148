//! Products with a few rows of `x`: each unit adds up a part of the sums, which are then added up in a fixed order.

use cubecl::prelude::*;

use super::product::{Numbers, Place, Plan, Sizes, Strides, begins, finished};
use crate::tensor::graphics::stored::{dot, four, four_floats};

/// Units of a cube, and outputs that a unit works on at a time.
pub const UNITS: usize = 128;
pub const OUTPUTS: usize = 4;

/// Sums over the rows of `w`, by `lanes` units each.
#[cube(launch)]
pub fn few_kernel<ByX: Size, ByW: Size>(
    x: &[Vector<f32, ByX>],
    w: &[Vector<u32, ByW>],
    out: &mut [f32],
    more: &[f32],
    keys: &[u32],
    sizes: Sizes,
    of_x: Strides,
    of_w: Strides,
    of_out: Strides,
    numbers: Numbers,
    #[comptime] most: usize,
    #[comptime] lanes: usize,
    #[comptime] plan: Plan,
) {
    let mut parts = Shared::<[f32]>::new_slice(UNITS * OUTPUTS * most);
    let mut last = Shared::<[f32]>::new_slice(UNITS);
    let unit = UNIT_POS as usize;
    let (lane, group) = (unit % lanes, unit / lanes);
    let (batch, head) = (CUBE_POS_Z as usize / sizes.heads as usize, CUBE_POS_Z as usize % sizes.heads as usize);
    let cube = CUBE_POS_X as usize + CUBE_POS_Y as usize * CUBE_COUNT_X as usize;
    let first = (cube * comptime!(UNITS / lanes) + group) * OUTPUTS;
    let (x_at, w_at) = (begins(&of_x, batch, head), begins(&of_w, batch, head / sizes.group as usize));
    let (rows, width, outs) = (sizes.rows as usize, sizes.width as usize, sizes.outs as usize);
    let mut sums = Array::<f32>::new(comptime!(OUTPUTS * most));
    #[unroll]
    for i in 0..comptime!(OUTPUTS * most) {
        sums[i] = 0.0f32;
    }
    if first < outs {
        let mut k = lane * 4;
        while k < width {
            let left = width - k;
            let mut values = Array::<Vector<f32, Const<4>>>::new(most);
            #[unroll]
            for r in 0..most {
                // Rows beyond the last are computed as the last, and not written.
                let row = min(r, rows - 1);
                values[r] = four_floats(x, x_at + row * of_x.row as usize + k, left);
            }
            #[unroll]
            for o in 0..OUTPUTS {
                let row = min(first + o, outs - 1);
                let v = four(w, w_at + row * of_w.row as usize + k, left, comptime!(plan.form));
                #[unroll]
                for r in 0..most {
                    sums[o * most + r] += dot(values[r], v);
                }
            }
            k += lanes * 4;
        }
    }
    #[unroll]
    for i in 0..comptime!(OUTPUTS * most) {
        parts[(group * comptime!(OUTPUTS * most) + i) * lanes + lane] = sums[i];
    }
    sync_cube();
    // Several units to a sum, and then one.
    let count = comptime!(UNITS / lanes * OUTPUTS * most);
    let each = comptime!(UNITS / count);
    let (number, share) = (unit / each, unit % each);
    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..comptime!(lanes / each) {
        sum += parts[number * lanes + i * each + share];
    }
    last[unit] = sum;
    sync_cube();
    if unit < count {
        let mut sum = last[unit * each];
        #[unroll]
        for i in 1..each {
            sum += last[unit * each + i];
        }
        let (row, o) = (unit % most, unit / most);
        let column = cube * comptime!(UNITS / lanes * OUTPUTS) + o;
        if row < rows && column < outs {
            let at = Place { batch, head, row, out: column };
            let y = finished(sum, at, more, keys, &numbers, plan);
            out[begins(&of_out, batch, head) + row * of_out.row as usize + column] = y;
        }
    }
}

/// Sums down the columns of `w`: four columns to a unit, of which `lanes` are next to each other.
#[cube(launch)]
pub fn few_by_terms_kernel<ByW: Size>(
    x: &[f32],
    w: &[Vector<u32, ByW>],
    out: &mut [f32],
    more: &[f32],
    keys: &[u32],
    sizes: Sizes,
    of_x: Strides,
    of_w: Strides,
    of_out: Strides,
    numbers: Numbers,
    #[comptime] most: usize,
    #[comptime] lanes: usize,
    #[comptime] plan: Plan,
) {
    let mut parts = Shared::<[f32]>::new_slice(UNITS * 4 * most);
    let unit = UNIT_POS as usize;
    let shares = comptime!(UNITS / lanes);
    let (lane, share) = (unit % lanes, unit / lanes);
    let (batch, head) = (CUBE_POS_Z as usize / sizes.heads as usize, CUBE_POS_Z as usize % sizes.heads as usize);
    let cube = CUBE_POS_X as usize + CUBE_POS_Y as usize * CUBE_COUNT_X as usize;
    let (rows, width, outs) = (sizes.rows as usize, sizes.width as usize, sizes.outs as usize);
    let first = cube * lanes * 4;
    let j = first + lane * 4;
    let (x_at, w_at) = (begins(&of_x, batch, head), begins(&of_w, batch, head / sizes.group as usize));
    let mut sums = Array::<Vector<f32, Const<4>>>::new(most);
    #[unroll]
    for r in 0..most {
        sums[r] = Vector::new(0.0f32);
    }
    if j < outs {
        let left = outs - j;
        let mut k = share;
        while k < width {
            let v = four(w, w_at + k * of_w.row as usize + j, left, comptime!(plan.form));
            #[unroll]
            for r in 0..most {
                let row = min(r, rows - 1);
                sums[r] += Vector::new(x[x_at + row * of_x.row as usize + k]) * v;
            }
            k += shares;
        }
    }
    #[unroll]
    for r in 0..most {
        #[unroll]
        for i in 0..4usize {
            parts[((r * lanes + lane) * 4 + i) * shares + share] = sums[r].extract(i);
        }
    }
    sync_cube();
    let mut number = unit;
    while number < comptime!(most * 4) * lanes {
        let (row, column) = (number / (lanes * 4), first + number % (lanes * 4));
        if row < rows && column < outs {
            let mut sum = parts[number * shares];
            #[unroll]
            for i in 1..shares {
                sum += parts[number * shares + i];
            }
            let place = Place { batch, head, row, out: column };
            let y = finished(sum, place, more, keys, &numbers, plan);
            out[begins(&of_out, batch, head) + row * of_out.row as usize + column] = y;
        }
        number += UNITS;
    }
}
