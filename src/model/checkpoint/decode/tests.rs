use super::*;

pub const KINDS: [StoredType; 13] = {
    use StoredType::*;
    [F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K]
};

/// Any bytes are blocks: among the scales of these are infinities, NaN and subnormal numbers. An odd number of blocks
/// is not a whole number of units.
#[test]
fn blocks_are_decoded_in_vectors_as_one_by_one_bit_for_bit() {
    for kind in KINDS {
        let (elements, size) = kind.block().unwrap();
        let blocks = 10_000 / elements.isqrt() + 1;
        let bytes = noise(blocks * size);
        let (mut found, mut wanted) = (vec![1.0; blocks * elements], vec![2.0; blocks * elements]);
        decode(kind, &bytes, &mut found);
        decode_one_by_one(kind, &bytes, &mut wanted);
        for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            // Which NaN a sum of two is, nothing promises.
            let same = found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan();
            assert!(same, "{kind:?} element {i}: {found} for {wanted}");
        }
    }
}

/// Bytes without a pattern.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = len as u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// The numbers of `tools/fixtures/gguf/blocks.py`, which come from the `gguf` package.
#[test]
fn every_block_is_decoded_as_the_gguf_package_does_bit_for_bit() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gguf/blocks.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    use StoredType::*;
    const OTHERS: [StoredType; 14] =
        [IQ4_NL, IQ4_XS, IQ3_XXS, IQ3_S, IQ2_XXS, IQ2_XS, IQ2_S, IQ1_S, IQ1_M, TQ1_0, TQ2_0, MXFP4, F8_E4M3, F8_E5M2];
    for kind in KINDS.into_iter().chain(OTHERS) {
        let blocks = file.tensor(&format!("{}.blocks", kind.name())).unwrap();
        let values = file.tensor(&format!("{}.values", kind.name())).unwrap();
        let expected: Vec<u32> =
            values.data().chunks(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect();
        let mut found = vec![0.0; expected.len()];
        decode(kind, blocks.data(), &mut found);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            if f32::from_bits(*expected).is_nan() && found.is_nan() {
                continue;
            }
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
