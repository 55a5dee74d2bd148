//! How far apart the numbers are that a stored element can take: twice the error that rounding to it need make.

use half::{bf16, f16};

use super::floats::{e4m3, e5m2};
use super::i_quants::{iq4_xs_scale, mxfp4_scale};
use super::k_quants::{q3_scale, scale_and_minimum};
use super::{LARGEST_BLOCK, decode, half};
use crate::model::checkpoint::stored::StoredType;

/// Distance between neighbouring values at element `at` of one stored block. For floats that is the distance to the
/// next larger magnitude; `None` for 32 and 64 bits, which are not rounded, and for what cannot be loaded.
pub fn step(kind: StoredType, block: &[u8], at: usize) -> Option<f32> {
    Some(match kind {
        StoredType::F16 => of_float(block, |bits| f16::from_bits(bits).to_f32()),
        StoredType::BF16 => of_float(block, |bits| bf16::from_bits(bits).to_f32()),
        StoredType::F8_E4M3 => of_small_float(block, e4m3),
        StoredType::F8_E5M2 => of_small_float(block, e5m2),
        StoredType::Q4_0 | StoredType::Q4_1 | StoredType::Q5_0 | StoredType::Q5_1 | StoredType::Q8_0 => {
            half(block, 0).abs()
        }
        StoredType::Q2_K => (half(block, 80) * f32::from(block[at / 16] & 15)).abs(),
        StoredType::Q3_K => (half(block, 108) * f32::from(q3_scale(&block[96..108], at / 16))).abs(),
        StoredType::Q4_K | StoredType::Q5_K => {
            (half(block, 0) * f32::from(scale_and_minimum(&block[4..16], at / 32).0)).abs()
        }
        StoredType::Q6_K => (half(block, 208) * f32::from(block[192 + at / 16] as i8)).abs(),
        StoredType::Q8_K => f32::from_le_bytes([block[0], block[1], block[2], block[3]]).abs(),
        // Lists and codebooks have gaps of several sizes; these are the largest.
        StoredType::IQ4_NL => 24.0 * half(block, 0).abs(),
        StoredType::IQ4_XS => 24.0 * (half(block, 0) * iq4_xs_scale(block, at / 32)).abs(),
        StoredType::MXFP4 => 4.0 * mxfp4_scale(block[0]),
        StoredType::TQ1_0 => half(block, 52).abs(),
        StoredType::TQ2_0 => half(block, 64).abs(),
        StoredType::IQ3_XXS
        | StoredType::IQ3_S
        | StoredType::IQ2_XXS
        | StoredType::IQ2_XS
        | StoredType::IQ2_S
        | StoredType::IQ1_S
        | StoredType::IQ1_M => return largest_of_group(kind, block, at),
        StoredType::F32 | StoredType::F64 | StoredType::Other(_) => return None,
    })
}

/// Entries of codebooks are chosen for four or eight elements at once, so that any element may be off by as much as the
/// largest of its group of 16 is from zero.
fn largest_of_group(kind: StoredType, block: &[u8], at: usize) -> Option<f32> {
    let mut out = [0.0; LARGEST_BLOCK];
    decode(kind, block, &mut out);
    let group = at / 16 * 16;
    out.get(group..group + 16).map(|group| group.iter().fold(0.0, |most: f32, x| most.max(x.abs())))
}

/// The distance to the next larger magnitude, or for the largest one to the next smaller.
fn of_small_float(block: &[u8], value: impl Fn(u8) -> f32) -> f32 {
    let bits = block[0] & 0x7F;
    let up = value(bits.saturating_add(1)) - value(bits);
    if up.is_finite() { up } else { value(bits) - value(bits.saturating_sub(1)) }
}

fn of_float(block: &[u8], value: impl Fn(u16) -> f32) -> f32 {
    let bits = u16::from_le_bytes([block[0], block[1]]) & 0x7FFF;
    value(bits + 1) - value(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::decode::decode;

    /// Adding one to an element's stored number moves it by a step.
    #[test]
    fn neighbouring_numbers_are_a_step_apart() {
        let block: Vec<u8> = (0..292u32).map(|i| (i * 89 % 113) as u8).collect();
        for (kind, byte, element) in [
            (StoredType::Q4_0, 2, 0),
            (StoredType::Q4_1, 4, 0),
            (StoredType::Q5_0, 6, 0),
            (StoredType::Q5_1, 8, 0),
            (StoredType::Q8_0, 2, 0),
            (StoredType::Q2_K, 16 + 32, 128),
            (StoredType::Q3_K, 32 + 32 + 16, 128 + 16),
            (StoredType::Q4_K, 16 + 32, 64),
            (StoredType::Q5_K, 48 + 96, 192),
            (StoredType::Q6_K, 64, 128),
            (StoredType::Q8_K, 4 + 77, 77),
        ] {
            let (elements, size) = kind.block().unwrap();
            let mut block = block[..size].to_vec();
            let value = |block: &[u8]| {
                let mut out = vec![0.0; elements];
                decode(kind, block, &mut out);
                out[element]
            };
            block[byte] &= 0xFC;
            let before = value(&block);
            block[byte] |= 1;
            let (moved, step) = ((value(&block) - before).abs(), step(kind, &block, element).unwrap());
            assert!(step > 0.0 && (moved - step).abs() <= step * 1e-3, "{kind:?}: {moved} {step}");
        }
    }

    #[test]
    fn steps_of_narrow_floats_grow_with_the_number() {
        let of = |x: f32| step(StoredType::F16, &f16::from_f32(x).to_le_bytes(), 0).unwrap();
        assert_eq!((of(1.0), of(-1.5), of(2.0)), (1.0 / 1024.0, 1.0 / 1024.0, 2.0 / 1024.0));
        assert_eq!(step(StoredType::BF16, &bf16::from_f32(1.0).to_le_bytes(), 0), Some(1.0 / 128.0));
        assert_eq!(step(StoredType::F32, &[0; 4], 0), None);
    }
}
