//! Norms: a cube works on one row.

use cubecl::prelude::*;

use crate::tensor::graphics::DeviceF32;
use crate::tensor::graphics::{SHARED, UNITS, cubes, sum_of_cube, units};

/// `sqrt(var + eps)` of a row with the biased variance, or without centring `sqrt(mean(x^2) + eps)`.
#[cube(launch)]
fn scale_kernel(x: &[f32], out: &mut [f32], rows: u32, width: u32, eps: f32, #[comptime] centred: bool) {
    let row = CUBE_POS as usize;
    let mut shared = Shared::<[f32]>::new_slice(SHARED);
    if row < rows as usize {
        let (start, width) = (row * width as usize, width as usize);
        let unit = UNIT_POS as usize;
        let mut mean = 0.0f32;
        if comptime!(centred) {
            mean = mean_of_row(x, start, width, &mut shared);
        }
        let mut squares = 0.0f32;
        let mut at = unit;
        while at < width {
            let d = x[start + at] - mean;
            squares += d * d;
            at += UNITS as usize;
        }
        let all = sum_of_cube(squares, &mut shared);
        if unit == 0 {
            out[row] = f32::sqrt(all / width as f32 + eps);
        }
    }
}

#[cube]
fn mean_of_row(x: &[f32], start: usize, width: usize, shared: &mut Shared<[f32]>) -> f32 {
    let mut sum = 0.0f32;
    let mut at = UNIT_POS as usize;
    while at < width {
        sum += x[start + at];
        at += UNITS as usize;
    }
    sum_of_cube(sum, shared) / width as f32
}

fn scale(x: &DeviceF32, width: usize, eps: f64, centred: bool) -> DeviceF32 {
    let rows = x.len() / width.max(1);
    let out = x.empty(rows);
    let dim = CubeDim::new_1d(UNITS);
    let (rows, wide) = (rows as u32, width as u32);
    scale_kernel::launch(x.client(), cubes(rows as usize), dim, x.arg(), out.arg(), rows, wide, eps as f32, centred);
    out
}

/// The scale of a layer norm for each row of `width` numbers.
pub fn layer_norm_scale(x: &DeviceF32, width: usize, eps: f64) -> DeviceF32 {
    scale(x, width, eps, true)
}

/// The scale of an RMS norm for each row of `width` numbers.
pub fn rms_scale(x: &DeviceF32, width: usize, eps: f64) -> DeviceF32 {
    scale(x, width, eps, false)
}

#[cube(launch)]
fn over_kernel(x: &[f32], scale: &[f32], out: &mut [f32], count: u32, width: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = x[at] / scale[at / width as usize];
    }
}

/// Each row of `width` numbers over its scale.
pub fn over(x: &DeviceF32, scale: &DeviceF32, width: usize) -> DeviceF32 {
    let out = x.empty(x.len());
    let (count, dim) = (units(x.len()), CubeDim::new_1d(UNITS));
    over_kernel::launch(x.client(), count, dim, x.arg(), scale.arg(), out.arg(), x.len() as u32, width as u32);
    out
}

#[cube(launch)]
fn centred_kernel(x: &[f32], scale: &[f32], out: &mut [f32], rows: u32, width: u32) {
    let row = CUBE_POS as usize;
    let mut shared = Shared::<[f32]>::new_slice(SHARED);
    if row < rows as usize {
        let (start, width) = (row * width as usize, width as usize);
        let mean = mean_of_row(x, start, width, &mut shared);
        let scale = scale[row];
        let mut at = UNIT_POS as usize;
        while at < width {
            out[start + at] = (x[start + at] - mean) / scale;
            at += UNITS as usize;
        }
    }
}

/// Each row of `width` numbers less its mean, over its scale.
pub fn centred_over(x: &DeviceF32, scale: &DeviceF32, width: usize) -> DeviceF32 {
    let (out, rows) = (x.empty(x.len()), x.len() / width.max(1));
    let (count, dim) = (cubes(rows), CubeDim::new_1d(UNITS));
    centred_kernel::launch(x.client(), count, dim, x.arg(), scale.arg(), out.arg(), rows as u32, width as u32);
    out
}

/// What a norm multiplies by and adds.
pub struct Gains<'a> {
    pub gain: &'a DeviceF32,
    pub bias: Option<&'a DeviceF32>,
    /// Whether the gain is one more.
    pub one_plus: bool,
}

#[cube(launch)]
fn gain_kernel(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    out: &mut [f32],
    count: u32,
    width: u32,
    #[comptime] biased: bool,
    #[comptime] one_plus: bool,
) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        let column = at % width as usize;
        let mut by = gain[column];
        if comptime!(one_plus) {
            by += 1.0f32;
        }
        let mut y = x[at] * by;
        if comptime!(biased) {
            y += bias[column];
        }
        out[at] = y;
    }
}

/// `x gain + bias` over rows as wide as the gain.
pub fn gain(x: &DeviceF32, gains: &Gains) -> DeviceF32 {
    let out = x.empty(x.len());
    let (count, dim, width) = (units(x.len()), CubeDim::new_1d(UNITS), gains.gain.len() as u32);
    let bias = gains.bias.unwrap_or(gains.gain);
    gain_kernel::launch(
        x.client(),
        count,
        dim,
        x.arg(),
        gains.gain.arg(),
        bias.arg(),
        out.arg(),
        x.len() as u32,
        width,
        gains.bias.is_some(),
        gains.one_plus,
    );
    out
}
