//! Kernels without a program around them, on values of any size: for tests of what a device makes of them.

use super::context::Mask;
use super::kernels::attention::{self, Scoring};
use super::kernels::basic;
use crate::model::spec::Act;
use crate::tensor::{Axis, TensorError, Value};

/// The steps of attention.
pub struct Attention {
    /// `[1, H, T, T]`; minus infinity where masked.
    pub scores: Value,
    /// `[1, H, T, T]`.
    pub pattern: Value,
    /// `[1, T, H, h]`.
    pub mixed: Value,
}

/// `x W` of `[1, T, n]` with a linear weight `[n, m]`: `[1, T, m]`.
///
/// # Errors
/// If the device cannot hold the result.
pub fn product(x: &Value, weight: &Value) -> Result<Value, TensorError> {
    x.device().check("a product", &[x.shape()[1], weight.shape()[1]], &[])?;
    Ok(basic::linear(x, weight, None))
}

/// Causal attention of queries, keys and values `[1, T, H, h]`, with scores scaled by `scale`.
///
/// # Errors
/// If the device cannot hold the scores, or fails.
pub fn causal_attention(q: &Value, k: &Value, v: &Value, scale: f64) -> Result<Attention, TensorError> {
    let (length, heads, device) = (q.shape()[1], q.shape()[2], q.device());
    device.check("scores", &[heads, length, length], &[Axis::Head, Axis::Q, Axis::K])?;
    let mask = Mask::causal(length, &device);
    let scoring = Scoring { mask: Some(&mask), ..Scoring::plain(scale) };
    let scores = attention::scores(q, k, scoring);
    let pattern = attention::pattern(&scores, Some(&mask), None);
    let mixed = attention::mix(&pattern, v)?;
    Ok(Attention { scores, pattern, mixed })
}

/// An activation function of each element of `[1, T, n]`.
pub fn activation(x: &Value, function: Act) -> Value {
    basic::activation(x, function)
}
