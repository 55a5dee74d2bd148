//! Rows of a table of weights in the form in which it is stored.

use cubecl::prelude::*;

use crate::tensor::graphics::stored::{Form, four};
use crate::tensor::graphics::{DeviceF32, DeviceWords, UNITS, units};

#[cube(launch)]
fn embed_kernel(
    ids: &[i32],
    table: &[Vector<u32, Const<1>>],
    out: &mut [f32],
    count: u32,
    width: u32,
    start: u32,
    rows: u32,
    #[comptime] form: Form,
) {
    let (at, width) = (ABSOLUTE_POS * 4, width as usize);
    let across = (width + 3) / 4 * 4;
    let (token, column) = (at / across, at % across);
    if token < count as usize {
        let id = u32::cast_from(ids[token]);
        if id >= start && id < start + rows {
            let left = width - column;
            let v = four(table, (id - start) as usize * width + column, left, form);
            #[unroll]
            for i in 0..4usize {
                if i < left {
                    out[token * width + column + i] = v.extract(i);
                }
            }
        }
    }
}

/// Writes the rows of a part of a table, `rows` from the `start`-th on, into the lines of `out` whose ids are theirs.
pub fn embed(ids: &DeviceWords, (table, form): (&DeviceWords, Form), out: &DeviceF32, start: usize, rows: usize) {
    let width = out.len() / ids.len().max(1);
    let (count, dim) = (units(ids.len() * width.div_ceil(4)), CubeDim::new_1d(UNITS));
    let [tokens, wide, start, rows] = [ids.len(), width, start, rows].map(|n| n as u32);
    let (ids, table) = (ids.arg(), table.arg());
    embed_kernel::launch(out.client(), count, dim, ids, table, out.arg(), tokens, wide, start, rows, form);
}
