//! Norms in three steps, each a site: the scale, the normalised input, and gain with bias. Those of queries and keys,
//! and of heads, are one op.

use burn::tensor::Tensor;

use super::{basic, gpu, host};
use crate::model::spec::{Gain, Norm, NormKind, QkNormOver};
use crate::tensor::Value;

/// `sqrt(var + eps)` over the last axis with the biased variance, `[B, T, 1]`.
pub fn layer_norm_scale(x: &Value, eps: f64) -> Value {
    if let Some(scale) = host::layer_norm_scale(x, eps).or_else(|| gpu::layer_norm_scale(x, eps)) {
        return scale;
    }
    let x = x.tensor::<3>(); // [B, T, d]
    let mean = x.clone().mean_dim(2); // [B, T, 1]
    Value::float((x - mean).square().mean_dim(2).add_scalar(eps).sqrt())
}

/// `sqrt(mean(x^2) + eps)` over the last axis, `[B, T, 1]`.
pub fn rms_scale(x: &Value, eps: f64) -> Value {
    let scale = || Value::float(x.tensor::<3>().square().mean_dim(2).add_scalar(eps).sqrt());
    host::rms_scale(x, eps).or_else(|| gpu::rms_scale(x, eps)).unwrap_or_else(scale)
}

/// `(x - mean) / scale`.
pub fn centred_over(x: &Value, scale: &Value) -> Value {
    if let Some(centred) = host::centred_over(x, scale).or_else(|| gpu::centred_over(x, scale)) {
        return centred;
    }
    let x = x.tensor::<3>(); // [B, T, d]
    let mean = x.clone().mean_dim(2); // [B, T, 1]
    Value::float((x - mean) / scale.tensor::<3>())
}

/// `x / scale`.
pub fn over(x: &Value, scale: &Value) -> Value {
    let by_burn = || Value::float(x.tensor::<3>() / scale.tensor::<3>());
    host::over(x, scale).or_else(|| gpu::over(x, scale)).unwrap_or_else(by_burn)
}

/// `x * gain + bias`, or with `one_plus` `x * (1 + gain) + bias`.
pub fn gain(x: &Value, gain: &Value, bias: Option<&Value>, one_plus: bool) -> Value {
    if let Some(out) = host::gain(x, gain, bias, one_plus).or_else(|| gpu::gain(x, gain, bias, one_plus)) {
        return out;
    }
    let width = gain.shape()[0];
    let gain = if one_plus { gain.tensor::<1>().add_scalar(1.0) } else { gain.tensor::<1>() };
    let scaled = x.tensor::<3>() * gain.reshape([1, 1, width]); // [B, T, d]
    Value::float(match bias {
        Some(bias) => scaled + bias.tensor::<1>().reshape([1, 1, width]),
        None => scaled,
    })
}

/// All of a norm of `[B, T, d]`; its weights in the order of gain and bias.
pub fn whole(x: &Value, norm: &Norm, weights: &[Value]) -> Value {
    by_scale_of(x, x, norm, weights)
}

/// The same, with a scale that counts as a constant for gradients.
pub fn whole_detached(x: &Value, norm: &Norm, weights: &[Value]) -> Value {
    by_scale_of(x, &x.untracked(), norm, weights)
}

/// A norm whose scale is that of `of`.
fn by_scale_of(x: &Value, of: &Value, norm: &Norm, weights: &[Value]) -> Value {
    let normalized = match norm.kind {
        NormKind::LayerNorm => centred_over(x, &layer_norm_scale(of, norm.eps)),
        NormKind::Rms => over(x, &rms_scale(of, norm.eps)),
    };
    match (norm.gain, weights) {
        (Gain::None, _) | (_, []) => normalized,
        (gains, [weight, rest @ ..]) => gain(&normalized, weight, rest.first(), gains == Gain::OnePlus),
    }
}

/// `x / sqrt(sum(x^2) + eps) * factor` over the last axis of `[B, T, H, h]`.
pub fn unit(x: &Value, eps: f64, factor: f64) -> Value {
    unit_by_scale_of(x, x, eps, factor)
}

/// The same with a length that counts as a constant for gradients.
pub fn unit_detached(x: &Value, eps: f64, factor: f64) -> Value {
    unit_by_scale_of(x, &x.untracked(), eps, factor)
}

/// The root of the mean square is the length over that of the width.
fn unit_by_scale_of(x: &Value, of: &Value, eps: f64, factor: f64) -> Value {
    let shape = x.shape().to_vec();
    let [rows, length, heads, width] = shape[..] else { panic!("queries and keys have four axes") };
    let flat = |x: &Value| x.clone().reshaped(&[rows, length * heads, width]);
    let wide = width as f64;
    let normed = over(&flat(x), &rms_scale(&flat(of), eps / wide));
    basic::scale(normed, factor / wide.sqrt()).reshaped(&shape)
}

/// `(norm(x factor) + y) / sqrt(2)` of `[B, T, n]`, the norm over each `width` features, by one of those above.
pub fn layer_inputs(
    [x, y]: [&Value; 2],
    norm: &Norm,
    (factor, width): (f64, usize),
    weights: &[Value],
    whole: fn(&Value, &Norm, &[Value]) -> Value,
) -> Value {
    let [rows, length, all] = *x.shape() else { panic!("features of positions") };
    let parts = basic::scale(x.clone(), factor).reshaped(&[rows, length * all / width, width]);
    let normed = whole(&parts, norm, weights).reshaped(&[rows, length, all]);
    basic::scale(basic::add(&[normed, y.clone()]), std::f64::consts::FRAC_1_SQRT_2)
}

/// An RMS norm of groups of neighbouring features of `[B, T, H, h]`, with a gain `[H h]`.
pub fn of_groups(x: &Value, groups: usize, eps: f64, weight: &Value) -> Value {
    groups_by_scale_of(x, x, groups, eps, weight)
}

/// The same with scales that count as constants for gradients.
pub fn of_groups_detached(x: &Value, groups: usize, eps: f64, weight: &Value) -> Value {
    groups_by_scale_of(x, &x.untracked(), groups, eps, weight)
}

fn groups_by_scale_of(x: &Value, of: &Value, groups: usize, eps: f64, weight: &Value) -> Value {
    let shape = x.shape().to_vec();
    let [rows, length, heads, width] = shape[..] else { panic!("heads have four axes") };
    let features = heads * width;
    let flat = |x: &Value| x.clone().reshaped(&[rows, length * groups, features / groups]);
    let normalized = over(&flat(x), &rms_scale(&flat(of), eps)).reshaped(&[rows, length, features]);
    gain(&normalized, weight, None, false).reshaped(&shape)
}

/// The norm of queries or keys `[B, T, H, h]`, over each head or over all heads together.
pub fn of_heads(x: &Value, norm: &Norm, over: QkNormOver, weights: &[Value], clip: Option<f64>) -> Value {
    let shape = x.shape().to_vec();
    basic::bounded(over_heads(x, norm, over, weights, whole), clip).reshaped(&shape)
}

/// The same without a bound, with scales that count as constants for gradients.
pub fn of_heads_detached(x: &Value, norm: &Norm, over: QkNormOver, weights: &[Value]) -> Value {
    over_heads(x, norm, over, weights, whole_detached).reshaped(x.shape())
}

/// `[B, T, H h]`, by a norm of vectors.
fn over_heads(
    x: &Value,
    norm: &Norm,
    over: QkNormOver,
    weights: &[Value],
    whole: fn(&Value, &Norm, &[Value]) -> Value,
) -> Value {
    let [rows, length, heads, width] = *x.shape() else { panic!("queries and keys have four axes") };
    let flat = x.clone().reshaped(&match over {
        QkNormOver::All => [rows, length, heads * width],
        _ => [rows, length * heads, width],
    });
    match over {
        QkNormOver::Head | QkNormOver::All => whole(&flat, norm, weights).reshaped(&[rows, length, heads * width]),
        QkNormOver::OwnHead | QkNormOver::EachHead => {
            // The gains of all heads, one after the other, as of one wide vector.
            let gains: Vec<Tensor<1>> = weights.iter().map(|w| w.clone().reshaped(&[w.count()]).tensor()).collect();
            let gains = Value::float(Tensor::cat(gains, 0)); // [H h]
            let normalized = whole(&flat, norm, &[]).reshaped(&[rows, length, heads * width]);
            gain(&normalized, &gains, None, norm.gain == Gain::OnePlus)
        }
    }
}
