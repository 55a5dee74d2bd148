//! Activation functions.

use super::elementwise::map;
use super::special::{erf, exp};
use super::{by_rows, value};
use crate::model::spec::{Act, ClampedGate};
use crate::tensor::{Value, inlined, vectorised};

/// An activation function, element by element; `None` also for those that have no loop here.
pub fn activation(x: &Value, act: Act) -> Option<Value> {
    match act {
        Act::Gelu => map(x, exact),
        Act::GeluTanh => map(x, approximate),
        Act::Silu => map(x, swish),
        Act::QuickGelu => map(x, inlined!(|x| x / (1.0 + exp(-1.702 * x)))),
        Act::Relu => map(x, positive),
        Act::Relu2 => map(x, inlined!(|x| positive(x) * positive(x))),
        Act::Tanh | Act::Sigmoid | Act::Linear | Act::Xielu => None,
    }
}

/// xIELU; its four numbers in the order of their roles.
pub fn xielu(x: &Value, numbers: [&Value; 4]) -> Option<Value> {
    let host = x.host_f32()?;
    let number = |value: &Value| Some(f64::from(*value.host_f32()?.as_slice().first()?));
    let [alpha_p, alpha_n, beta, eps] = numbers.map(number);
    let softplus = |x: f64| if x > 20.0 { x } else { x.exp().ln_1p() };
    let (alpha_p, beta, eps) = (softplus(alpha_p?), beta?, eps?);
    let alpha_n = beta + softplus(alpha_n?);
    let width = x.shape().last().copied().unwrap_or(1);
    let out = by_rows(host.as_slice(), width, |out, x| {
        for (out, x) in out.iter_mut().zip(x) {
            let x = f64::from(*x);
            let bent = if x > 0.0 { alpha_p * x * x } else { alpha_n * (x.min(eps).exp_m1() - x) };
            *out = (bent + beta * x) as f32;
        }
    });
    Some(value(out, x.shape()))
}

/// `x Phi(x)`, by the error function.
#[inline(always)]
pub(super) fn exact(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// `0.5 x (1 + tanh(u))` with `u = sqrt(2/pi) (x + 0.044715 x^3)`, as `x / (1 + exp(-2u))`, which is the same and does
/// not cancel for negative `x`.
#[inline(always)]
pub(super) fn approximate(x: f32) -> f32 {
    const FACTOR: f32 = -2.0 * 0.797_884_6; // -2 sqrt(2/pi)
    x / (1.0 + exp(FACTOR * (x + 0.044715 * (x * x * x))))
}

/// `x sigmoid(x)`.
#[inline(always)]
pub(super) fn swish(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `max(x, 0)`; NaN stays NaN.
#[inline(always)]
fn positive(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// `act(gate) * up`, for the activations that gated MLPs have.
pub fn gated(gate: &Value, up: &Value, act: Act) -> Option<Value> {
    match act {
        Act::Silu => times(gate, up, swish),
        Act::GeluTanh => times(gate, up, approximate),
        Act::Gelu => times(gate, up, exact),
        _ => None,
    }
}

/// `(up + 1) gate sigmoid(alpha gate)` of what is bounded; NaN stays NaN.
pub fn clamped_gate(gate: &Value, up: &Value, clamped: ClampedGate) -> Option<Value> {
    let (limit, alpha) = (clamped.limit as f32, clamped.alpha as f32);
    let hidden = map(
        gate,
        inlined!(|x| {
            let x = if x > limit { limit } else { x };
            x / (1.0 + exp(-alpha * x))
        }),
    )?;
    times(
        up,
        &hidden,
        inlined!(|x| {
            let x = if x > limit { limit } else { x };
            1.0 + if x < -limit { -limit } else { x }
        }),
    )
}

#[inline(always)]
pub(super) fn times(gate: &Value, up: &Value, function: impl Fn(f32) -> f32 + Sync) -> Option<Value> {
    let (gates, ups) = (gate.host_f32()?, up.host_f32()?);
    if gate.shape() != up.shape() {
        return None;
    }
    let width = gate.shape().last().copied().unwrap_or(1);
    let mut out = by_rows(
        gates.as_slice(),
        width,
        inlined!(|out, x| {
            for (out, x) in out.iter_mut().zip(x) {
                *out = function(*x);
            }
        }),
    );
    vectorised(inlined!(|| out.iter_mut().zip(ups.as_slice()).for_each(|(out, up)| *out *= up)));
    Some(value(out, gate.shape()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation as act;

    use super::*;
    use crate::tensor::Device;

    #[test]
    fn activations_equal_burns() {
        let data: Vec<f32> = (0..24_000).map(|i| (i as f32 - 12_000.0) / 1000.0).collect();
        let x = Value::from_f32(data, &[1, 8, 3000], &Device::cpu());
        let tensor = x.tensor::<3>();
        let squared = act::relu(tensor.clone()).square();
        let pairs = [
            (activation(&x, Act::Gelu), act::gelu(tensor.clone())),
            (activation(&x, Act::GeluTanh), act::gelu_approximate(tensor.clone())),
            (activation(&x, Act::QuickGelu), tensor.clone() * act::sigmoid(tensor.clone() * 1.702)),
            (activation(&x, Act::Silu), act::silu(tensor.clone())),
            (activation(&x, Act::Relu), act::relu(tensor.clone())),
            (activation(&x, Act::Relu2), squared),
            (gated(&x, &x, Act::Silu), act::silu(tensor.clone()) * tensor.clone()),
            (gated(&x, &x, Act::Gelu), act::gelu(tensor.clone()) * tensor.clone()),
            (gated(&x, &x, Act::GeluTanh), act::gelu_approximate(tensor.clone()) * tensor),
        ];
        for (found, wanted) in pairs {
            let (found, wanted) = (found.unwrap().read_f32().unwrap(), Value::float(wanted).read_f32().unwrap());
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted).abs() <= 1e-6 * (1.0 + wanted.abs()), "{found} for {wanted}");
            }
        }
        let special = Value::from_f32(vec![f32::INFINITY, f32::NAN, -0.0, 0.0], &[1, 1, 4], &Device::cpu());
        let found = activation(&special, Act::GeluTanh).unwrap().read_f32().unwrap();
        assert!(found[0] == f32::INFINITY && found[1].is_nan() && found[2..] == [0.0, 0.0]);
    }
}
