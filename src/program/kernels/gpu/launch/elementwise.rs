//! What is done to each element by itself.

use cubecl::prelude::*;

use crate::tensor::graphics::DeviceF32;
use crate::tensor::graphics::{UNITS, magnitude, units};

/// A function of one number, some with a constant `by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Map {
    /// `by x`.
    Scale,
    /// Between `-by` and `by`.
    Clamp,
    /// `by tanh(x / by)`.
    Cap,
    Gelu,
    GeluTanh,
    QuickGelu,
    Silu,
    Relu,
    Relu2,
    Tanh,
    Sigmoid,
    Same,
}

#[cube]
fn apply(x: f32, by: f32, #[comptime] map: Map) -> f32 {
    match comptime!(map) {
        Map::Scale => x * by,
        Map::Clamp => {
            // NaN passes, as in the other implementations.
            if x > by {
                by
            } else if x < -by {
                -by
            } else {
                x
            }
        }
        Map::Cap => by * tangent(x / by),
        Map::Gelu => 0.5f32 * x * (1.0f32 + Erf::erf(x * 0.707_106_77f32)),
        Map::GeluTanh => {
            let inner = 0.797_884_6f32 * (x + 0.044_715f32 * x * x * x);
            0.5f32 * x * (1.0f32 + tangent(inner))
        }
        Map::QuickGelu => x * logistic(1.702f32 * x),
        Map::Silu => x * logistic(x),
        Map::Relu => relu(x),
        Map::Relu2 => relu(x) * relu(x),
        Map::Tanh => tangent(x),
        Map::Sigmoid => logistic(x),
        Map::Same => x,
    }
}

#[cube]
fn relu(x: f32) -> f32 {
    if x < 0.0f32 { 0.0f32 } else { x }
}

#[cube]
fn logistic(x: f32) -> f32 {
    1.0f32 / (1.0f32 + f32::exp(-x))
}

/// The hyperbolic tangent after Cephes' `tanhf`: a polynomial near 0, where a formula of exponentials loses its digits,
/// and that formula elsewhere, which cannot overflow.
#[cube]
pub fn tangent(x: f32) -> f32 {
    let size = f32::abs(x);
    let mut result = x;
    if size < 0.625f32 {
        let z = x * x;
        let p = -0.005_704_988f32 * z + 0.020_639_088f32;
        let p = p * z - 0.053_739_715f32;
        let p = p * z + 0.133_314_42f32;
        let p = p * z - 0.333_332_8f32;
        result = p * z * x + x;
    } else if magnitude(x) <= 0x7f80_0000u32 {
        let t = f32::exp(-2.0f32 * size);
        let near_one = (1.0f32 - t) / (1.0f32 + t);
        result = if x < 0.0f32 { -near_one } else { near_one };
    }
    result
}

#[cube(launch)]
fn map_kernel(x: &[f32], out: &mut [f32], by: f32, count: u32, #[comptime] function: Map) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = apply(x[at], by, function);
    }
}

/// `function` of each element.
pub fn map(x: &DeviceF32, function: Map, by: f32) -> DeviceF32 {
    let out = x.empty(x.len());
    let (count, dim) = (units(x.len()), CubeDim::new_1d(UNITS));
    map_kernel::launch(x.client(), count, dim, x.arg(), out.arg(), by, x.len() as u32, function);
    out
}

#[cube(launch)]
fn gated_kernel(a: &[f32], b: &[f32], out: &mut [f32], count: u32, #[comptime] function: Map) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = apply(a[at], 1.0f32, function) * b[at];
    }
}

/// `function(a) b`, element by element.
pub fn gated(a: &DeviceF32, b: &DeviceF32, function: Map) -> DeviceF32 {
    let out = a.empty(a.len());
    let (count, dim) = (units(a.len()), CubeDim::new_1d(UNITS));
    gated_kernel::launch(a.client(), count, dim, a.arg(), b.arg(), out.arg(), a.len() as u32, function);
    out
}

#[cube(launch)]
fn sum_kernel(a: &[f32], b: &[f32], out: &mut [f32], count: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        out[at] = a[at] + b[at];
    }
}

/// `a + b`, element by element.
pub fn sum(a: &DeviceF32, b: &DeviceF32) -> DeviceF32 {
    let out = a.empty(a.len());
    let (count, dim) = (units(a.len()), CubeDim::new_1d(UNITS));
    sum_kernel::launch(a.client(), count, dim, a.arg(), b.arg(), out.arg(), a.len() as u32);
    out
}
