//! Derivatives of activation functions in closed form: what a tape of a dozen steps would give, in one.

use super::activation::{approximate, exact, swish, times};
use super::special::{erf, exp, tanh};
use crate::model::spec::Act;
use crate::tensor::{Value, inlined};

/// `seed * act'(x)`.
pub fn pull_activation(x: &Value, act: Act, seed: &Value) -> Option<Value> {
    match act {
        Act::Gelu => times(x, seed, exact_slope),
        Act::GeluTanh => times(x, seed, approximate_slope),
        Act::Silu => times(x, seed, swish_slope),
        Act::QuickGelu => times(
            x,
            seed,
            inlined!(|x| {
                let s = sigmoid(1.702 * x);
                s + 1.702 * x * s * (1.0 - s)
            }),
        ),
        Act::Relu => times(x, seed, inlined!(|x| if x > 0.0 { 1.0 } else { 0.0 })),
        Act::Relu2 => times(x, seed, inlined!(|x| if x > 0.0 { 2.0 * x } else { 0.0 })),
        Act::Tanh => times(x, seed, inlined!(|x| 1.0 - tanh(x) * tanh(x))),
        Act::Sigmoid => times(x, seed, inlined!(|x| sigmoid(x) * (1.0 - sigmoid(x)))),
        Act::Linear => Some(seed.clone()),
        Act::Xielu => None,
    }
}

/// What `act(gate) * up` pulls back to the gate and to the other factor.
pub fn pull_gated(gate: &Value, up: &Value, act: Act, seed: &Value) -> Option<(Value, Value)> {
    let to_up = match act {
        Act::Gelu => times(gate, seed, exact),
        Act::GeluTanh => times(gate, seed, approximate),
        Act::Silu => times(gate, seed, swish),
        _ => None,
    }?;
    let worth = times(up, seed, inlined!(|x| x))?;
    Some((pull_activation(gate, act, &worth)?, to_up))
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `Phi(x) + x phi(x)`.
#[inline(always)]
fn exact_slope(x: f32) -> f32 {
    const PEAK: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)) + x * PEAK * exp(-0.5 * x * x)
}

/// With `s = 1 / (1 + exp(-2u))`: `s + x s (1 - s) 2u'`.
#[inline(always)]
fn approximate_slope(x: f32) -> f32 {
    const FACTOR: f32 = 2.0 * 0.797_884_6; // 2 sqrt(2/pi)
    let s = sigmoid(FACTOR * (x + 0.044715 * (x * x * x)));
    s + x * (s * (1.0 - s)) * (FACTOR * (1.0 + 3.0 * 0.044715 * (x * x)))
}

/// `s + x s (1 - s)` with the sigmoid `s`.
#[inline(always)]
fn swish_slope(x: f32) -> f32 {
    let s = sigmoid(x);
    s + x * (s * (1.0 - s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    /// Against central differences of the functions in 64 bits.
    #[test]
    fn slopes_are_the_limits_of_differences() {
        let gelu_tanh =
            |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh());
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let functions: [(Act, &dyn Fn(f64) -> f64); 7] = [
            (Act::GeluTanh, &gelu_tanh),
            (Act::Silu, &|x| x * sigmoid(x)),
            (Act::QuickGelu, &|x| x * sigmoid(1.702 * x)),
            (Act::Relu, &|x| x.max(0.0)),
            (Act::Relu2, &|x| x.max(0.0).powi(2)),
            (Act::Tanh, &f64::tanh),
            (Act::Sigmoid, &sigmoid),
        ];
        let points: Vec<f32> = (0..4001).map(|i| (i as f32 - 2000.0) / 160.0 + 0.003).collect();
        let x = Value::from_f32(points.clone(), &[points.len()], &Device::cpu());
        let seed = x.full_like(2.0);
        for (act, f) in functions {
            let found = pull_activation(&x, act, &seed).unwrap().read_f32().unwrap();
            for (point, found) in points.iter().zip(found) {
                let (at, step) = (f64::from(*point), 1e-5);
                let wanted = (f(at + step) - f(at - step)) / step;
                assert!(
                    (f64::from(found) - wanted).abs() < 4e-6 * (1.0 + wanted.abs()),
                    "{act:?} at {point}: {found} {wanted}"
                );
            }
        }
    }

    /// Against burn's tape, which cancels where `1 + tanh` is near zero: 1e-6 there, times seeds up to 8.
    #[test]
    fn what_is_pulled_back_equals_the_tape() {
        let data: Vec<f32> = (0..3000).map(|i| (i as f32 - 1500.0) / 200.0).collect();
        let device = Device::cpu();
        let x = Value::from_f32(data.clone(), &[1, 3, 1000], &device);
        let up = Value::from_f32(data.iter().map(|x| 1.0 - x * 0.5).collect(), &[1, 3, 1000], &device);
        for act in [Act::Gelu, Act::GeluTanh, Act::Silu] {
            let (gate_leaf, up_leaf) = (x.leaf(), up.leaf());
            let out = super::super::super::basic::gated(&gate_leaf, &up_leaf, act);
            let pulled = out.pull(&up).unwrap();
            let (to_gate, to_up) = pull_gated(&x, &up, act, &up).unwrap();
            for (found, wanted) in [(to_gate, pulled.at(&gate_leaf)), (to_up, pulled.at(&up_leaf))] {
                let (found, wanted) = (found.read_f32().unwrap(), wanted.unwrap().read_f32().unwrap());
                for (found, wanted) in found.iter().zip(&wanted) {
                    assert!((found - wanted).abs() <= 2e-5 * (1.0 + wanted.abs()), "{act:?}: {found} for {wanted}");
                }
            }
        }
    }
}
