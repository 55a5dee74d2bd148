//! Attention with linear biases: what is added to scores for the position of the key. The formulas differ by family in
//! the slopes of odd numbers of heads, in what positions are counted from, and in rounding; they give the same patterns
//! where a row differs by a constant only, but not the same scores.

use std::sync::Arc;

use burn::tensor::Tensor;
use half::bf16;

use crate::model::input::Input;
use crate::model::spec::{Alibi, ModelSpec};
use crate::tensor::{Device, Value};

/// What is added to the scores of each key, by head.
#[derive(Clone)]
pub struct Bias {
    /// `[B or 1, H, 1, S]`.
    pub(in crate::program) tensor: Tensor<4>,
    /// The same in host memory, `[B or 1, H, S]`.
    pub(in crate::program) host: Arc<[f32]>,
}

/// The biases of all keys up to `keys`.
pub fn bias(
    alibi: Alibi,
    spec: &ModelSpec,
    input: &Input,
    positions: &[Vec<usize>],
    keys: usize,
    device: &Device,
) -> Bias {
    let heads = spec.n_heads;
    let padded = input.rows.iter().any(|row| row.mask[..keys].contains(&false));
    let rows = if padded { input.rows.len() } else { input.rows.len().min(1) };
    let slopes = slopes(alibi, heads);
    // Falcon adds its biases before scaling; all layers are scaled alike.
    let scale = spec.layers.first().map_or(1.0, |layer| layer.scale) as f32;
    let mut data = Vec::with_capacity(rows * heads * keys);
    for (row, positions) in input.rows.iter().zip(positions).take(rows) {
        let last = positions[..keys].last().copied().unwrap_or(0) as f32;
        for &slope in &slopes {
            data.extend((0..keys).map(|key| {
                let position = positions[key] as f32;
                match alibi {
                    // Padding is masked; transformers counts it as position 0.
                    Alibi::Bloom | Alibi::Falcon if !row.mask[key] => 0.0,
                    Alibi::Bloom => slope * position,
                    Alibi::Falcon => {
                        let rounded =
                            bf16::from_f32(bf16::from_f32(slope).to_f32() * bf16::from_f32(position).to_f32());
                        rounded.to_f32() * scale
                    }
                    Alibi::Mpt => slope * (position - last),
                }
            }));
        }
    }
    let tensor = Value::from_f32(data.clone(), &[rows, heads, 1, keys], device).tensor();
    Bias { tensor, host: data.into() }
}

fn slopes(alibi: Alibi, heads: usize) -> Vec<f32> {
    let of_power = |n: usize| (1..=n).map(move |i| 2f64.powf(-8.0 * i as f64 / n as f64) as f32);
    if heads.is_power_of_two() {
        return of_power(heads).collect();
    }
    let next = heads.next_power_of_two();
    match alibi {
        // Those of the next lower power of two, then every second of the next higher one.
        Alibi::Bloom | Alibi::Falcon => of_power(next / 2).chain(of_power(next).step_by(2)).take(heads).collect(),
        // Every second of the next higher power of two, from the second on, then the others.
        Alibi::Mpt => of_power(next).skip(1).step_by(2).chain(of_power(next).step_by(2)).take(heads).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_of_any_number_of_heads() {
        let power = |x: f64| 2f64.powf(x) as f32;
        assert_eq!(slopes(Alibi::Bloom, 4), [-2.0, -4.0, -6.0, -8.0].map(power));
        assert_eq!(slopes(Alibi::Mpt, 4), slopes(Alibi::Bloom, 4));
        assert_eq!(slopes(Alibi::Bloom, 3), [-4.0, -8.0, -2.0].map(power));
        assert_eq!(slopes(Alibi::Bloom, 6), [-2.0, -4.0, -6.0, -8.0, -1.0, -3.0].map(power));
        assert_eq!(slopes(Alibi::Mpt, 3), [-4.0, -8.0, -2.0].map(power));
        assert_eq!(slopes(Alibi::Mpt, 6), [-2.0, -4.0, -6.0, -8.0, -1.0, -3.0].map(power));
        assert_eq!(slopes(Alibi::Mpt, 5), [-2.0, -4.0, -6.0, -8.0, -1.0].map(power));
        assert_eq!(slopes(Alibi::Bloom, 12)[7..], [-8.0, -0.5, -1.5, -2.5, -3.5].map(power));
    }
}
