//! Angles of rotary position embeddings.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::model::input::Input;
use crate::model::spec::{Growth, Pairing, Rope, RopeScaling};
use crate::tensor::{Device, Value};

/// Cosines and sines of the positions of a pass.
#[derive(Clone)]
pub struct Rotation {
    pub(in crate::program) pairing: Pairing,
    /// Features of a head before those that turn.
    pub(in crate::program) first: usize,
    /// `[B or 1, T, 1, pairs]`.
    pub(in crate::program) cos: Tensor<4>,
    /// As the cosines.
    pub(in crate::program) sin: Tensor<4>,
    /// The same in host memory: cosines, sines.
    pub(in crate::program) host: Arc<(Vec<f32>, Vec<f32>)>,
}

/// The rotation of the columns `span`, whose positions are given; one row for all if all rows of the batch have the same positions.
///
/// Frequencies that depend on the length of the input follow that of each row, counted to the last real token of the
/// span: rows of a batch do not depend on each other.
pub fn rotation(rope: &Rope, input: &Input, positions: &[Vec<usize>], span: Range<usize>, device: &Device) -> Rotation {
    let length_of = |row: usize| {
        let real = span.clone().filter(|&column| input.rows[row].mask[column]);
        if rope.depends_on_length() {
            real.map(|column| positions[row][column - span.start] + 1).max().unwrap_or(1)
        } else {
            1
        }
    };
    let lengths: Vec<usize> = (0..positions.len()).map(length_of).collect();
    let same = |row: usize| positions[row] == positions[0] && lengths[row] == lengths[0];
    let rows = if (0..positions.len()).all(same) { positions.len().min(1) } else { positions.len() };
    let (mut cos, mut sin) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let (frequencies, factor) = frequencies(rope, lengths[row]);
        for &position in &positions[row] {
            for &frequency in &frequencies {
                // An angle is a 32-bit number in transformers.
                let angle = f64::from(position as f32 * frequency);
                cos.push(angle.cos() as f32 * factor);
                sin.push(if rope.backwards { -(angle.sin() as f32) } else { angle.sin() as f32 } * factor);
            }
        }
    }
    let upload =
        |data: &[f32]| Value::from_f32(data.to_vec(), &[rows, span.len(), 1, rope.pairs()], device).tensor::<4>();
    let (pairing, first) = (rope.pairing, rope.first);
    Rotation { pairing, first, cos: upload(&cos), sin: upload(&sin), host: Arc::new((cos, sin)) }
}

/// What queries are multiplied by at their positions, `[B or 1, T, 1, 1]`; in 32 bits, as in transformers.
pub fn factors(growth: Growth, positions: &[Vec<usize>], span: Range<usize>, device: &Device) -> Tensor<4> {
    let columns = [span.collect::<Vec<usize>>()];
    let positions = if growth.by_column { &columns } else { positions };
    let rows = if positions.iter().all(|row| *row == positions[0]) { positions.len().min(1) } else { positions.len() };
    let of = |position: &usize| {
        let steps = ((*position as f32 + growth.first as f32) / growth.every as f32).floor();
        1.0 + growth.beta as f32 * steps.ln_1p()
    };
    let data: Vec<f32> = positions[..rows].iter().flatten().map(of).collect();
    let shape = [rows, data.len() / rows.max(1), 1, 1];
    Value::from_f32(data, &shape, device).tensor()
}

/// Radians per position of each pair of features, and a factor on cosines and sines, for an input of `length` tokens.
///
/// The formulas are those of transformers' `modeling_rope_utils`, in 32 bits where it computes in 32 bits: at position
/// 4000 the last bit of a frequency is the fourth digit of an angle, and models were trained with these.
pub fn frequencies(rope: &Rope, length: usize) -> (Vec<f32>, f32) {
    let dim = rope.dim as f32;
    let exponents: Vec<f32> = (0..rope.pairs()).map(|i| (2 * i) as f32 / dim).collect();
    let powers = |theta: f32| -> Vec<f32> { exponents.iter().map(|&e| pow(theta, e)).collect() };
    let theta = rope.theta as f32;
    let plain = || powers(theta).into_iter().map(|power| 1.0 / power);
    match &rope.scaling {
        RopeScaling::None => (plain().collect(), 1.0),
        RopeScaling::Stored { frequencies } => (frequencies.iter().map(|w| *w as f32).collect(), 1.0),
        RopeScaling::Linear { factor } => (plain().map(|w| w / *factor as f32).collect(), 1.0),
        RopeScaling::Proportional { pairs, factor } => {
            let turns = |(i, w): (usize, f32)| if i < *pairs { w / *factor as f32 } else { 0.0 };
            (plain().enumerate().map(turns).collect(), 1.0)
        }
        RopeScaling::Dynamic { factor, max } => {
            if length as f64 <= *max {
                return (plain().collect(), 1.0);
            }
            let stretched = *factor as f32 * length as f32 / *max as f32 - (*factor as f32 - 1.0);
            let theta = theta * pow(stretched, (f64::from(dim) / (f64::from(dim) - 2.0)) as f32);
            (powers(theta).into_iter().map(|power| 1.0 / power).collect(), 1.0)
        }
        RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_max, truncate } => {
            let ramp = yarn_ramp(rope, [*beta_fast, *beta_slow], *original_max, *truncate);
            let blend = |(power, ramp): (f32, f32)| {
                let kept = 1.0 - ramp;
                1.0 / (*factor as f32 * power) * (1.0 - kept) + 1.0 / power * kept
            };
            (powers(theta).into_iter().zip(ramp).map(blend).collect(), *attention_factor as f32)
        }
        RopeScaling::LongRope { short, long, attention_factor, original_max } => {
            let divisors = if length as f64 > *original_max { long } else { short };
            let each = powers(theta).into_iter().zip(divisors).map(|(power, &by)| 1.0 / (by as f32 * power));
            (each.collect(), *attention_factor as f32)
        }
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max } => {
            let (factor, low, high) = (*factor as f32, *low_freq_factor as f32, *high_freq_factor as f32);
            let (longest, shortest) = (original_max / low_freq_factor, original_max / high_freq_factor);
            let blend = |w: f32| {
                let wavelength = (2.0 * std::f64::consts::PI) as f32 / w;
                if wavelength > longest as f32 {
                    w / factor
                } else if wavelength < shortest as f32 {
                    w
                } else {
                    let share = (*original_max as f32 / wavelength - low) / (high - low);
                    (1.0 - share) * w / factor + share * w
                }
            };
            (plain().map(blend).collect(), 1.0)
        }
    }
}

/// For each pair of features how far its frequency is on the way from kept (0) to divided (1).
fn yarn_ramp(rope: &Rope, betas: [f64; 2], original_max: f64, truncate: bool) -> Vec<f32> {
    let dim = rope.dim as f64;
    let [low, high] = betas.map(|rotations| {
        dim * (original_max / (rotations * 2.0 * std::f64::consts::PI)).ln() / (2.0 * rope.theta.ln())
    });
    let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
    let (low, high) = (low.max(0.0), high.min(dim - 1.0));
    let high = if low == high { high + 0.001 } else { high };
    (0..rope.pairs()).map(|i| ((i as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0)).collect()
}

/// A power of 32-bit numbers, rounded once.
fn pow(base: f32, exponent: f32) -> f32 {
    f64::from(base).powf(f64::from(exponent)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling) -> Rope {
        Rope { theta: 10000.0, first: 0, dim: 8, pairing: Pairing::Half, scaling, backwards: false, tabled: false }
    }

    /// Values that transformers 5.23 gives for heads of width 8 and base 10000.
    #[test]
    fn frequencies_are_those_of_transformers() {
        let yarn = RopeScaling::Yarn {
            factor: 4.0,
            attention_factor: 1.138_629_436_111_989,
            beta_fast: 32.0,
            beta_slow: 1.0,
            original_max: 2048.0,
            truncate: true,
        };
        let dynamic = || RopeScaling::Dynamic { factor: 2.0, max: 16.0 };
        let longrope = || RopeScaling::LongRope {
            short: vec![1.0, 1.5, 2.0, 2.5],
            long: vec![1.0, 2.0, 4.0, 8.0],
            attention_factor: 1.25,
            original_max: 16.0,
        };
        let cases = [
            (RopeScaling::None, 9, [1.0, 0.1, 0.01, 0.001], 1.0),
            (RopeScaling::Linear { factor: 2.5 }, 9, [0.4, 0.04, 0.004, 0.0004], 1.0),
            (dynamic(), 16, [1.0, 0.1, 0.01, 0.001], 1.0),
            (longrope(), 16, [1.0, 0.066_666_67, 0.005, 0.0004], 1.25),
            (longrope(), 17, [1.0, 0.05, 0.0025, 0.000_125], 1.25),
        ];
        for (scaling, length, wanted, factor) in cases {
            let (found, by) = frequencies(&rope(scaling.clone()), length);
            assert_eq!(by, factor, "{scaling:?}");
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found / wanted - 1.0).abs() < 3e-7, "{scaling:?}: {found} for {wanted}");
            }
        }
        // The base of 40 tokens is 10000 (2 * 40/16 - 1)^(8/6).
        let base = 10000f64 * 4f64.powf(8.0 / 6.0);
        let (found, _) = frequencies(&rope(dynamic()), 40);
        for (i, found) in found.iter().enumerate() {
            assert!((f64::from(*found) * base.powf(i as f64 / 4.0) - 1.0).abs() < 5e-7);
        }
        // Ends of the ramp: 8 ln(2048/(32 2pi)) / (2 ln 10000) = 1.008, 8 ln(2048/2pi) / (2 ln 10000) = 2.513.
        let (found, factor) = frequencies(&rope(yarn), 9);
        assert_eq!(factor, 1.138_629_4);
        for (found, wanted) in found.iter().zip([1.0, 0.1, 0.01 * (0.5 + 0.5 / 4.0), 0.001 / 4.0]) {
            assert!((found / wanted - 1.0).abs() < 3e-7, "{found} for {wanted}");
        }
    }
}
