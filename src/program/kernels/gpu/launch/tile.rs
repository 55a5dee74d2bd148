//! Products with many rows of `x`: a cube computes a tile of the output, from strips of both matrices in shared memory.

use cubecl::prelude::*;

use super::product::{Numbers, Place, Plan, Sizes, Strides, begins, finished};
use crate::tensor::graphics::stored::{dot, four, four_floats};

/// Units of a cube, 8 by 8.
pub const UNITS: u32 = 64;

/// Columns of a tile, and rows at most; a unit computes 8 columns of up to 8 rows.
pub const TILE: usize = 64;

/// Rows that a unit computes where there are so many: no more than fill tiles.
pub fn rows_of_unit(rows: usize) -> usize {
    rows.div_ceil(8).next_power_of_two().clamp(2, 8)
}

/// Vectors of four terms in memory at a time.
const DEPTH: usize = 4;

/// One more to a row, so that units that read a column read different banks of the memory.
const PITCH: usize = DEPTH + 1;

/// The same for rows of `w` that are terms.
const ACROSS: usize = TILE / 4 + 1;

#[cube(launch)]
pub fn tile_kernel<ByX: Size, ByW: Size>(
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
    #[comptime] each: usize,
    #[comptime] plan: Plan,
) {
    let mut a = Shared::<[Vector<f32, Const<4>>]>::new_slice(comptime!(8 * each * PITCH));
    let mut b = Shared::<[Vector<f32, Const<4>>]>::new_slice(TILE * PITCH);
    let unit = UNIT_POS as usize;
    let (batch, head) = (CUBE_POS_Z as usize / sizes.heads as usize, CUBE_POS_Z as usize % sizes.heads as usize);
    let (rows, width, outs) = (sizes.rows as usize, sizes.width as usize, sizes.outs as usize);
    let across = (outs + TILE - 1) / TILE;
    let tile = CUBE_POS_X as usize + CUBE_POS_Y as usize * CUBE_COUNT_X as usize;
    let (row_0, out_0) = (tile / across * comptime!(8 * each), tile % across * TILE);
    let (x_at, w_at) = (begins(&of_x, batch, head), begins(&of_w, batch, head / sizes.group as usize));
    let (down, along) = (unit / 8, unit % 8);
    let mut sums = Array::<f32>::new(comptime!(8 * each));
    #[unroll]
    for i in 0..comptime!(8 * each) {
        sums[i] = 0.0f32;
    }
    let mut k = 0usize;
    // Cubes beyond the last tile have nothing to do.
    while row_0 < rows && k < width {
        #[unroll]
        for i in 0..DEPTH {
            // Neighbouring units read what is next to each other.
            let number = unit + i * UNITS as usize;
            let (row, term) = (number / DEPTH, number % DEPTH);
            let from = k + term * 4;
            if comptime!(i * UNITS as usize / DEPTH < 8 * each) {
                let mut value = Vector::new(0.0f32);
                if row_0 + row < rows && from < width {
                    value = four_floats(x, x_at + (row_0 + row) * of_x.row as usize + from, width - from);
                }
                a[row * PITCH + term] = value;
            }
            let mut value = Vector::new(0.0f32);
            if comptime!(plan.terms) {
                let (term, column) = (number / comptime!(TILE / 4), number % comptime!(TILE / 4));
                let from = out_0 + column * 4;
                if k + term < width && from < outs {
                    let first = w_at + (k + term) * of_w.row as usize + from;
                    value = four(w, first, outs - from, comptime!(plan.form));
                }
                b[term * ACROSS + column] = value;
            } else {
                if out_0 + row < outs && from < width {
                    let first = w_at + (out_0 + row) * of_w.row as usize + from;
                    value = four(w, first, width - from, comptime!(plan.form));
                }
                b[row * PITCH + term] = value;
            }
        }
        sync_cube();
        // Not unrolled: the body is up to 64 products, and drivers take seconds to compile four times as many.
        for term in 0..DEPTH {
            let mut values = Array::<Vector<f32, Const<4>>>::new(each);
            #[unroll]
            for r in 0..each {
                values[r] = a[(down + 8 * r) * PITCH + term];
            }
            if comptime!(plan.terms) {
                #[unroll]
                for i in 0..4usize {
                    #[unroll]
                    for half in 0..2usize {
                        let v = b[(term * 4 + i) * ACROSS + along + 8 * half];
                        #[unroll]
                        for r in 0..each {
                            let by = values[r].extract(i);
                            #[unroll]
                            for c in 0..4usize {
                                sums[r * 8 + half * 4 + c] += by * v.extract(c);
                            }
                        }
                    }
                }
            } else {
                #[unroll]
                for c in 0..8usize {
                    let v = b[(along + 8 * c) * PITCH + term];
                    #[unroll]
                    for r in 0..each {
                        sums[r * 8 + c] += dot(values[r], v);
                    }
                }
            }
        }
        sync_cube();
        k += DEPTH * 4;
    }
    #[unroll]
    for r in 0..each {
        #[unroll]
        for c in 0..8usize {
            let row = row_0 + down + 8 * r;
            let mut column = out_0 + along + 8 * c;
            if comptime!(plan.terms) {
                column = out_0 + (along + 8 * comptime!(c / 4)) * 4 + comptime!(c % 4);
            }
            if row < rows && column < outs {
                let at = Place { batch, head, row, out: column };
                let y = finished(sums[r * 8 + c], at, more, keys, &numbers, plan);
                out[begins(&of_out, batch, head) + row * of_out.row as usize + column] = y;
            }
        }
    }
}
