//! The arithmetic of ops by kernels of our own, for values on graphics devices.
//!
//! Every function gives `None` where an input is not in the memory of such a device (on the CPU, or a tracked tensor),
//! and the caller goes on with burn. Each is one launch, and gives a value of its own: nothing that a user can look at is
//! fused away.

mod attention;
mod launch;
mod linear;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

pub use attention::{mix, pattern, scores};
pub use launch::Seen;
use launch::{Gains, Map, Pairs};
pub use linear::{back_through_stored, embed, linear, linear_stored, unembed};

use crate::model::spec::{Act, Pairing};
use crate::program::context::Rotation;
use crate::tensor::Value;
use crate::tensor::graphics::DeviceF32;

fn of(act: Act) -> Option<Map> {
    Some(match act {
        Act::Gelu => Map::Gelu,
        Act::GeluTanh => Map::GeluTanh,
        Act::QuickGelu => Map::QuickGelu,
        Act::Silu => Map::Silu,
        Act::Relu => Map::Relu,
        Act::Relu2 => Map::Relu2,
        Act::Tanh => Map::Tanh,
        Act::Sigmoid => Map::Sigmoid,
        Act::Linear => Map::Same,
        Act::Xielu => return None,
    })
}

fn mapped(x: &Value, map: Map, by: f64) -> Option<Value> {
    Some(launch::map(&x.device_f32()?, map, by as f32).value(x.shape()))
}

pub fn scale(x: &Value, factor: f64) -> Option<Value> {
    mapped(x, Map::Scale, factor)
}

pub fn bounded(x: &Value, bound: f64) -> Option<Value> {
    mapped(x, Map::Clamp, bound)
}

pub fn capped(x: &Value, cap: f64) -> Option<Value> {
    mapped(x, Map::Cap, cap)
}

pub fn activation(x: &Value, act: Act) -> Option<Value> {
    mapped(x, of(act)?, 1.0)
}

pub fn gated(gate: &Value, up: &Value, act: Act) -> Option<Value> {
    Some(launch::gated(&gate.device_f32()?, &up.device_f32()?, of(act)?).value(gate.shape()))
}

/// `a + b` of values of one shape.
pub fn add(a: &Value, b: &Value) -> Option<Value> {
    if a.shape() != b.shape() {
        return None;
    }
    Some(launch::sum(&a.device_f32()?, &b.device_f32()?).value(a.shape()))
}

/// The shape of one number for each row of `x`.
fn of_rows(x: &Value) -> Option<(usize, Vec<usize>)> {
    let (width, rows) = x.shape().split_last()?;
    Some((*width, [rows, &[1]].concat()))
}

pub fn layer_norm_scale(x: &Value, eps: f64) -> Option<Value> {
    let (width, shape) = of_rows(x)?;
    Some(launch::layer_norm_scale(&x.device_f32()?, width, eps).value(&shape))
}

pub fn rms_scale(x: &Value, eps: f64) -> Option<Value> {
    let (width, shape) = of_rows(x)?;
    Some(launch::rms_scale(&x.device_f32()?, width, eps).value(&shape))
}

pub fn over(x: &Value, scale: &Value) -> Option<Value> {
    let (width, shape) = of_rows(x)?;
    if scale.shape() != shape {
        return None;
    }
    Some(launch::over(&x.device_f32()?, &scale.device_f32()?, width).value(x.shape()))
}

pub fn centred_over(x: &Value, scale: &Value) -> Option<Value> {
    let (width, shape) = of_rows(x)?;
    if scale.shape() != shape {
        return None;
    }
    Some(launch::centred_over(&x.device_f32()?, &scale.device_f32()?, width).value(x.shape()))
}

/// `x * gain + bias` over the last axis; with `one_plus` the gain is one more.
pub fn gain(x: &Value, gain: &Value, bias: Option<&Value>, one_plus: bool) -> Option<Value> {
    let (x_here, gain) = (x.device_f32()?, gain.device_f32()?);
    let bias = here(bias)?;
    Some(launch::gain(&x_here, &Gains { gain: &gain, bias: bias.as_ref(), one_plus }).value(x.shape()))
}

/// A bias in the memory of the device; `None` if it is elsewhere.
fn here(bias: Option<&Value>) -> Option<Option<DeviceF32>> {
    bias.map_or(Some(None), |bias| bias.device_f32().map(Some))
}

pub fn rotate(x: &Value, rotation: &Rotation) -> Option<Value> {
    let here = x.device_f32()?;
    let [_, _, heads, width] = *x.shape() else { return None };
    let table = |table: &Tensor<4>| Value::float(table.clone()).device_f32();
    let (cos, sin, pairs) = (table(&rotation.cos)?, table(&rotation.sin)?, rotation.cos.dims()[3]);
    let interleaved = rotation.pairing == Pairing::Interleaved;
    let pairs = Pairs { cos: &cos, sin: &sin, pairs, first: rotation.first, interleaved };
    Some(launch::rotate(&here, &pairs, heads, width).value(x.shape()))
}
