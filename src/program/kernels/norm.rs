//! Norms in three steps, each a site: the scale, the normalised input, and gain with bias.

use super::host;
use crate::tensor::Value;

/// `sqrt(var + eps)` over the last axis with the biased variance, `[B, T, 1]`.
pub fn layer_norm_scale(x: &Value, eps: f64) -> Value {
    if let Some(scale) = host::layer_norm_scale(x, eps) {
        return scale;
    }
    let x = x.tensor::<3>(); // [B, T, d]
    let mean = x.clone().mean_dim(2); // [B, T, 1]
    Value::float((x - mean).square().mean_dim(2).add_scalar(eps).sqrt())
}

/// `sqrt(mean(x^2) + eps)` over the last axis, `[B, T, 1]`.
pub fn rms_scale(x: &Value, eps: f64) -> Value {
    Value::float(x.tensor::<3>().square().mean_dim(2).add_scalar(eps).sqrt())
}

/// `(x - mean) / scale`.
pub fn centred_over(x: &Value, scale: &Value) -> Value {
    if let Some(centred) = host::centred_over(x, scale) {
        return centred;
    }
    let x = x.tensor::<3>(); // [B, T, d]
    let mean = x.clone().mean_dim(2); // [B, T, 1]
    Value::float((x - mean) / scale.tensor::<3>())
}

/// `x / scale`.
pub fn over(x: &Value, scale: &Value) -> Value {
    Value::float(x.tensor::<3>() / scale.tensor::<3>())
}

/// `x * gain + bias`.
pub fn gain(x: &Value, gain: &Value, bias: Option<&Value>) -> Value {
    if let Some(out) = host::gain(x, gain, bias) {
        return out;
    }
    let width = gain.shape()[0];
    let scaled = x.tensor::<3>() * gain.tensor::<1>().reshape([1, 1, width]); // [B, T, d]
    Value::float(match bias {
        Some(bias) => scaled + bias.tensor::<1>().reshape([1, 1, width]),
        None => scaled,
    })
}
