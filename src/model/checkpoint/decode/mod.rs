//! Stored blocks to 32-bit floats.
//!
//! The arithmetic of quantised blocks is that of ggml, each product and sum rounded to 32 bits in its order, so that
//! the numbers are those of every other program that reads the file.

mod floats;
mod k_quants;
mod legacy;
mod step;

use super::stored::StoredType;

pub use step::step;

/// Elements of the largest block.
pub const LARGEST_BLOCK: usize = 256;

/// Decodes whole blocks: `out` has room for as many elements as `bytes` holds.
///
/// # Panics
/// If the sizes disagree, or the type cannot be loaded.
pub fn decode(kind: StoredType, bytes: &[u8], out: &mut [f32]) {
    match kind {
        StoredType::F64 => floats::f64s(bytes, out),
        StoredType::F32 => floats::f32s(bytes, out),
        StoredType::F16 => floats::f16s(bytes, out),
        StoredType::BF16 => floats::bf16s(bytes, out),
        StoredType::Q4_0 => blocks(bytes, out, legacy::q4_0),
        StoredType::Q4_1 => blocks(bytes, out, legacy::q4_1),
        StoredType::Q5_0 => blocks(bytes, out, legacy::q5_0),
        StoredType::Q5_1 => blocks(bytes, out, legacy::q5_1),
        StoredType::Q8_0 => blocks(bytes, out, legacy::q8_0),
        StoredType::Q2_K => blocks(bytes, out, k_quants::q2_k),
        StoredType::Q3_K => blocks(bytes, out, k_quants::q3_k),
        StoredType::Q4_K => blocks(bytes, out, k_quants::q4_k),
        StoredType::Q5_K => blocks(bytes, out, k_quants::q5_k),
        StoredType::Q6_K => blocks(bytes, out, k_quants::q6_k),
        StoredType::Q8_K => blocks(bytes, out, k_quants::q8_k),
        StoredType::Other(name) => panic!("{name} cannot be decoded"),
    }
}

/// Decodes elements `first..first + out.len()` of a tensor whose blocks are `bytes`; they need not begin or end with a
/// block.
pub fn decode_range(kind: StoredType, bytes: &[u8], first: usize, out: &mut [f32]) {
    let (elements, size) = kind.block().unwrap_or((1, 1));
    let mut at = first;
    let mut out = out;
    while !out.is_empty() {
        let (block, inside) = (at / elements, at % elements);
        let whole = if inside == 0 { out.len() / elements } else { 0 };
        let taken = if whole > 0 {
            let taken = whole * elements;
            decode(kind, &bytes[block * size..(block + whole) * size], &mut out[..taken]);
            taken
        } else {
            let mut one = [0.0; LARGEST_BLOCK];
            decode(kind, &bytes[block * size..(block + 1) * size], &mut one[..elements]);
            let taken = out.len().min(elements - inside);
            out[..taken].copy_from_slice(&one[inside..inside + taken]);
            taken
        };
        at += taken;
        out = &mut out[taken..];
    }
}

/// Applies the formula of one block to each of several.
fn blocks<const SIZE: usize, const ELEMENTS: usize>(
    bytes: &[u8],
    out: &mut [f32],
    one: impl Fn(&[u8; SIZE], &mut [f32; ELEMENTS]),
) {
    let (stored, rest) = bytes.as_chunks::<SIZE>();
    let (decoded, room) = out.as_chunks_mut::<ELEMENTS>();
    assert!(rest.is_empty() && room.is_empty() && stored.len() == decoded.len(), "whole blocks");
    for (block, out) in stored.iter().zip(decoded) {
        one(block, out);
    }
}

/// The half-precision number at byte `at` of a block.
fn half(block: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of `tools/fixtures/gguf/blocks.py`, which come from the `gguf` package.
    #[test]
    fn every_block_is_decoded_as_the_gguf_package_does_bit_for_bit() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gguf/blocks.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        use StoredType::*;
        for kind in [F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K] {
            let blocks = file.tensor(&format!("{}.blocks", kind.name())).unwrap();
            let values = file.tensor(&format!("{}.values", kind.name())).unwrap();
            let expected: Vec<u32> =
                values.data().chunks(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect();
            let mut found = vec![0.0; expected.len()];
            decode(kind, blocks.data(), &mut found);
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found.to_bits(), *expected, "{kind:?} element {i}: {found} {}", f32::from_bits(*expected));
            }
        }
    }

    #[test]
    fn a_range_is_the_same_as_a_part_of_the_whole() {
        let bytes: Vec<u8> = (0..18 * 4).map(|i| (i * 37 % 251) as u8 & 0x3F).collect();
        let mut all = vec![0.0; 128];
        decode(StoredType::Q4_0, &bytes, &mut all);
        for first in [0, 1, 31, 32, 40, 127] {
            for len in [0, 1, 5, 32, 64, 88] {
                let len = len.min(128 - first);
                let mut part = vec![f32::NAN; len];
                decode_range(StoredType::Q4_0, &bytes, first, &mut part);
                assert_eq!(part, all[first..first + len], "{first} {len}");
            }
        }
    }
}
