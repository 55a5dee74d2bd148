//! Activation functions, through an exponential that the compiler can vectorise.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{PIECE, by_rows, filled, value};
use crate::tensor::Value;

/// `0.5 x (1 + tanh(u))` with `u = sqrt(2/pi) (x + 0.044715 x^3)`, as `x / (1 + exp(-2u))`, which is the same and does not
/// cancel for negative `x`.
pub fn gelu_tanh(x: &Value) -> Option<Value> {
    const FACTOR: f32 = -2.0 * 0.797_884_6; // -2 sqrt(2/pi)
    map(
        x,
        #[inline(always)]
        |x| x / (1.0 + exp(FACTOR * (x + 0.044715 * (x * x * x)))),
    )
}

/// `x sigmoid(x)`.
pub fn silu(x: &Value) -> Option<Value> {
    map(
        x,
        #[inline(always)]
        |x| x / (1.0 + exp(-x)),
    )
}

/// `a + b` of one shape.
pub fn add(a: &Value, b: &Value) -> Option<Value> {
    let (left, right) = (a.host_f32()?, b.host_f32()?);
    if a.shape() != b.shape() {
        return None;
    }
    let (left, right) = (left.as_slice(), right.as_slice());
    let out = filled(left.len(), |out| {
        let sum = |((out, a), b): ((&mut [MaybeUninit<f32>], &[f32]), &[f32])| {
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                out.write(a + b);
            }
        };
        out.par_chunks_mut(PIECE).zip(left.par_chunks(PIECE)).zip(right.par_chunks(PIECE)).for_each(sum);
    });
    Some(value(out, a.shape()))
}

fn map(x: &Value, function: impl Fn(f32) -> f32 + Sync) -> Option<Value> {
    let host = x.host_f32()?;
    let width = x.shape().last().copied().unwrap_or(1);
    let out = by_rows(
        host.as_slice(),
        width,
        #[inline(always)]
        |out, x| {
            for (out, x) in out.iter_mut().zip(x) {
                *out = function(*x);
            }
        },
    );
    Some(value(out, x.shape()))
}

/// `e^x` to within two units in the last place, inf and NaN included. Results below the smallest normal number are 0:
/// computing with subnormal numbers takes a hundred times as long, and half of a causal pattern is `e^-inf`. Reduction to
/// `|r| <= ln(2)/2` and the polynomial are those of Cephes' `expf` (Moshier, 1984).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const LOWEST: f32 = -87.336_54; // ln of the smallest normal number
    let zero = x < LOWEST;
    let x = if zero { LOWEST } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    // 2^n in two factors, each of which is a normal number for n up to 129.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    let result = p * power(half) * power(n.wrapping_sub(half));
    if zero { 0.0 } else { result }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation as act;

    use super::*;
    use crate::tensor::Device;

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        let mut x = -104.5f32;
        while x < 89.5 {
            let (found, wanted) = (f64::from(exp(x)), f64::from(x).exp());
            if wanted > f64::from(f32::MAX) {
                assert_eq!(found, f64::INFINITY, "{x}");
            } else {
                let unit = wanted * 2f64.powi(-23);
                let zero = found == 0.0 && wanted < 1.000_001 * f64::from(f32::MIN_POSITIVE);
                assert!(zero || (found - wanted).abs() <= 2.0 * unit, "exp({x}) is {wanted:e}, found {found:e}");
            }
            x += 0.0037;
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY), exp(f32::INFINITY)), (1.0, 0.0, f32::INFINITY));
        assert!(exp(f32::NAN).is_nan() && exp(-f32::NAN).is_nan());
    }

    #[test]
    fn activations_equal_burns() {
        let data: Vec<f32> = (0..24_000).map(|i| (i as f32 - 12_000.0) / 1000.0).collect();
        let x = Value::from_f32(data, &[1, 8, 3000], &Device::cpu());
        let pairs = [(gelu_tanh(&x), act::gelu_approximate(x.tensor::<3>())), (silu(&x), act::silu(x.tensor::<3>()))];
        for (found, wanted) in pairs {
            let (found, wanted) = (found.unwrap().read_f32().unwrap(), Value::float(wanted).read_f32().unwrap());
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted).abs() <= 1e-6 * (1.0 + wanted.abs()), "{found} for {wanted}");
            }
        }
        let special = Value::from_f32(vec![f32::INFINITY, f32::NAN, -0.0, 0.0], &[1, 1, 4], &Device::cpu());
        let found = gelu_tanh(&special).unwrap().read_f32().unwrap();
        assert!(found[0] == f32::INFINITY && found[1].is_nan() && found[2..] == [0.0, 0.0]);
    }
}
