//! Products of matrices: `out = x w`, for one head of one row of a batch after the other where there are several.
//!
//! For a few rows of `x`, each unit adds up a part of the sums, which are then added up in a fixed order; for more,
//! cubes compute tiles of 64 by 64. Which of the two it is depends on the number of rows alone.

use cubecl::prelude::*;

use super::Seen;
use super::elementwise::tangent;
use super::few::{self, few_by_terms_kernel, few_kernel};
use super::tile::{self, TILE, tile_kernel};
use crate::model::spec::Reach;
use crate::tensor::graphics::stored::Form;
use crate::tensor::graphics::{DeviceF32, DeviceWords, cubes};

/// Rows of `x` from which on tiles are computed.
const FEW: usize = 8;

/// The same where the rows of the second matrix are not those of the output.
const FEW_BY_TERMS: usize = 4;

/// What the rows of the second matrix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// One for each column of the output: `w` is its transpose.
    Outputs,
    /// One for each term of the sums: `w` is the matrix.
    Terms,
}

/// Elements from one matrix, one head and one row to the next.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub struct Strides {
    /// Elements before the first.
    pub start: u32,
    pub batch: u32,
    pub head: u32,
    pub row: u32,
}

#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub struct Sizes {
    pub rows: u32,
    pub outs: u32,
    pub width: u32,
    pub heads: u32,
    /// Heads of `x` to one of `w`.
    pub group: u32,
}

#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub struct Numbers {
    pub scale: f32,
    pub cap: f32,
    pub start: u32,
    pub reach: u32,
    /// Elements of `more` before the first, and from one row of a batch, from one head, and from one row, to the next.
    pub more_start: u32,
    pub more_batch: u32,
    pub more_head: u32,
    pub more_row: u32,
    /// The same of `keys`, for rows of a batch.
    pub keys_start: u32,
    pub keys_batch: u32,
}

/// What is fixed when a kernel is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    pub form: Form,
    pub terms: bool,
    pub scaled: bool,
    pub capped: bool,
    pub more: bool,
    pub masked: bool,
    pub causal: bool,
    pub near: bool,
    pub chunked: bool,
    pub real: bool,
}

/// What is made of a sum.
#[cube]
pub fn finished(sum: f32, at: Place, more: &[f32], keys: &[u32], numbers: &Numbers, #[comptime] plan: Plan) -> f32 {
    let mut x = sum;
    if comptime!(plan.scaled) {
        x *= numbers.scale;
    }
    if comptime!(plan.capped) {
        x = numbers.cap * tangent(x / numbers.cap);
    }
    if comptime!(plan.more) {
        let first =
            numbers.more_start as usize + at.batch * numbers.more_batch as usize + at.head * numbers.more_head as usize;
        x += more[first + at.row * numbers.more_row as usize + at.out];
    }
    if comptime!(plan.masked) {
        let row = numbers.start as usize + at.row;
        let first = numbers.keys_start as usize + at.batch * numbers.keys_batch as usize;
        let key = keys[first + at.out];
        let mut seen = key % 2u32 == 1u32;
        if comptime!(plan.causal) {
            seen = seen && at.out <= row;
        }
        if comptime!(plan.near) {
            let (here, there) = (keys[first + row] / 2u32, key / 2u32);
            let apart = if here > there { here - there } else { there - here };
            seen = seen && apart <= numbers.reach;
        }
        if comptime!(plan.chunked) {
            let (here, there) = (keys[first + row] / 2u32, key / 2u32);
            seen = seen && here / numbers.reach == there / numbers.reach;
        }
        if comptime!(plan.real) {
            seen = seen && keys[first + row] % 2u32 == 1u32;
        }
        if !seen {
            x = f32::reinterpret(0xff80_0000u32);
        }
    }
    x
}

/// An element of the output.
#[derive(CubeType, Clone, Copy)]
pub struct Place {
    pub batch: usize,
    pub head: usize,
    pub row: usize,
    pub out: usize,
}

/// Where a matrix of a batch begins.
#[cube]
pub fn begins(strides: &Strides, batch: usize, head: usize) -> usize {
    strides.start as usize + batch * strides.batch as usize + head * strides.head as usize
}

/// How many matrices there are: rows of a batch times heads, of which `group` share a matrix `w`.
#[derive(Clone, Copy)]
pub struct Batch {
    pub rows: usize,
    pub heads: usize,
    pub group: usize,
}

impl Batch {
    pub const ONE: Batch = Batch { rows: 1, heads: 1, group: 1 };
}

/// Where a matrix is: its elements from `start` on, and how many there are from one row of the batch, head and row to the
/// next. Within a row they follow each other.
#[derive(Clone, Copy)]
pub struct Operand<'a, T> {
    pub data: &'a T,
    pub start: usize,
    pub strides: [usize; 3],
}

/// Where the output goes.
pub type Output<'a> = Operand<'a, DeviceF32>;

/// What is made of each sum.
#[derive(Clone, Default)]
pub struct Epilogue<'a> {
    pub scale: Option<f64>,
    /// `cap tanh(x / cap)`.
    pub cap: Option<f64>,
    /// Added for each column, with the elements before the first, and from one row of the batch, one head, and one row to
    /// the next.
    pub more: Option<(&'a DeviceF32, [usize; 4])>,
    /// Minus infinity for a column that is not seen.
    pub seen: Option<Seen>,
}

/// `x w` for `rows` rows, `outs` columns and sums of `width` terms.
pub fn product(
    x: Operand<DeviceF32>,
    (w, form, order): (Operand<DeviceWords>, Form, Order),
    [rows, outs, width]: [usize; 3],
    out: Output,
    batch: Batch,
    epilogue: Epilogue,
) {
    let sizes = || {
        let [rows, outs, width, heads, group] = [rows, outs, width, batch.heads, batch.group].map(|n| n as u32);
        SizesLaunch::new(rows, outs, width, heads, group)
    };
    let launched = |start: usize, strides: [usize; 3]| {
        let [start, batch, head, row] = [start, strides[0], strides[1], strides[2]].map(|n| n as u32);
        StridesLaunch::new(start, batch, head, row)
    };
    let (more, [more_start, more_batch, more_head, more_row]) = epilogue.more.unwrap_or((x.data, [0; 4]));
    let seen = epilogue.seen.as_ref();
    let keys = seen.map_or(w.data, |seen| &seen.keys);
    let number = |n: Option<f64>| n.unwrap_or(1.0) as f32;
    let all_keys = seen.map_or(0, |seen| seen.keys.len());
    let reach = seen.and_then(|seen| seen.reach);
    let numbers = NumbersLaunch::new(
        number(epilogue.scale),
        number(epilogue.cap),
        seen.map_or(0, |seen| seen.start as u32),
        reach.map_or(0, |reach| {
            let (Reach::Within(far) | Reach::Chunk(far)) = reach;
            u32::try_from(far).unwrap_or(u32::MAX)
        }),
        more_start as u32,
        more_batch as u32,
        more_head as u32,
        more_row as u32,
        seen.map_or(0, |seen| (seen.row * outs) as u32),
        if all_keys > outs { outs as u32 } else { 0 },
    );
    let plan = Plan {
        form,
        terms: order == Order::Terms,
        scaled: epilogue.scale.is_some(),
        capped: epilogue.cap.is_some(),
        more: epilogue.more.is_some(),
        masked: seen.is_some(),
        causal: seen.is_some_and(|seen| seen.causal),
        near: matches!(reach, Some(Reach::Within(_))),
        chunked: matches!(reach, Some(Reach::Chunk(_))),
        real: seen.is_some_and(|seen| seen.real),
    };
    // Vectors of four need rows that begin at multiples of four.
    let whole = |numbers: &[usize]| numbers.iter().all(|number| number.is_multiple_of(4));
    let aligned = |start, strides: [usize; 3], along| whole(&strides) && whole(&[start, along]);
    let by_x = if aligned(x.start, x.strides, width) && whole(&[x.data.len()]) { 4 } else { 1 };
    let along = if plan.terms { outs } else { width };
    let vectors = aligned(w.start, w.strides, along) && w.data.len().is_multiple_of(form.vector());
    let by_w = if vectors { form.vector() } else { 1 };
    let few = if plan.terms { FEW_BY_TERMS } else { FEW };
    let narrow = if plan.terms { outs <= 64 } else { width <= 1024 };
    let lanes = match (plan.terms, narrow) {
        (false, false) => few::UNITS,
        (false, true) | (true, false) => 32,
        (true, true) => 16,
    };
    let of_unit = tile::rows_of_unit(rows);
    let each = match (rows <= few, plan.terms) {
        (true, false) => outs.div_ceil(few::UNITS / lanes * few::OUTPUTS),
        (true, true) => outs.div_ceil(lanes * 4),
        (false, _) => rows.div_ceil(8 * of_unit) * outs.div_ceil(TILE),
    };
    let CubeCount::Static(across, down, _) = cubes(each) else { unreachable!("a count of cubes") };
    let count = CubeCount::Static(across, down, (batch.rows * batch.heads) as u32);
    let (client, x_arg, w_arg) = (x.data.client(), x.data.vectors(by_x), w.data.vectors(by_w));
    let (out_arg, more, keys) = (out.data.arg(), more.arg(), keys.arg());
    let (of_x, of_w, of_out) =
        (launched(x.start, x.strides), launched(w.start, w.strides), launched(out.start, out.strides));
    let (dim, most) = (CubeDim::new_1d(few::UNITS as u32), rows.next_power_of_two());
    if rows > few {
        let dim = CubeDim::new_1d(tile::UNITS);
        tile_kernel::launch(
            client,
            count,
            dim,
            by_x,
            by_w,
            x_arg,
            w_arg,
            out_arg,
            more,
            keys,
            sizes(),
            of_x,
            of_w,
            of_out,
            numbers,
            of_unit,
            plan,
        );
    } else if plan.terms {
        let x_arg = x.data.arg();
        few_by_terms_kernel::launch(
            client,
            count,
            dim,
            by_w,
            x_arg,
            w_arg,
            out_arg,
            more,
            keys,
            sizes(),
            of_x,
            of_w,
            of_out,
            numbers,
            most,
            lanes,
            plan,
        );
    } else {
        few_kernel::launch(
            client,
            count,
            dim,
            by_x,
            by_w,
            x_arg,
            w_arg,
            out_arg,
            more,
            keys,
            sizes(),
            of_x,
            of_w,
            of_out,
            numbers,
            most,
            lanes,
            plan,
        );
    }
}
