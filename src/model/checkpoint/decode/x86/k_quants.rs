//! The K-quants, a block at a time; see the other `k_quants` for what is in them.

#![allow(non_camel_case_types, reason = "the names are those of the format")]

use std::arch::x86_64::__m128i;

use pulp::cast;
use pulp::x86::V3;

use super::Unit;
use super::vectors::{Vectors, half_at, in_memory, less, moved, nibbles, scaled, sixteen};
use crate::tensor::inlined;

/// The integers of one block.
type Integers = [__m128i; 16];

pub struct Q2_K;

impl Unit<84, 16> for Q2_K {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 84], take: impl FnMut(usize, S::Floats)) {
        let v3 = simd.bytes();
        let [sc, mn] = nibbles(v3, sixteen(unit, 0));
        let [d, dmin, ..] = simd.halves([half_at(unit, 80), half_at(unit, 82), 0, 0]);
        let (scales, minimums) = (simd.times(simd.integers(sc), d), simd.times(simd.integers(mn), -dmin));
        moved(simd, &two_bits(v3, &unit[16..80]), &in_memory(cast(scales)), &in_memory(cast(minimums)), take);
    }
}

pub struct Q3_K;

impl Unit<110, 16> for Q3_K {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 110], take: impl FnMut(usize, S::Floats)) {
        let v3 = simd.bytes();
        let third = bit_by_bit::<2>(v3, unit);
        let low = two_bits(v3, &unit[32..96]);
        let mut q = low;
        for i in 0..16 {
            q[i] = less(v3, v3.sse2._mm_or_si128(low[i], third[i]), 4);
        }
        let sc = less(v3, q3_scales(&unit[96..108]), 32);
        let scales = simd.times(simd.integers(sc), half(simd, unit, 108));
        scaled(simd, &q, &in_memory(cast(scales)), take);
    }
}

pub struct Q4_K;

impl Unit<144, 16> for Q4_K {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 144], mut take: impl FnMut(usize, S::Floats)) {
        let (scales, minimums) = scales_and_minimums(simd, unit);
        let formula = inlined!(|i| inlined!(move |q| simd.plus(simd.times(q, scales[i]), minimums[i])));
        for first in (0..16).step_by(4) {
            let bytes = [sixteen(unit, 16 + 8 * first), sixteen(unit, 32 + 8 * first)];
            let [[a, c], [b, d]] = simd.nibbles(bytes, formula(first), formula(first + 2));
            take(first, a);
            take(first + 1, b);
            take(first + 2, c);
            take(first + 3, d);
        }
    }
}

pub struct Q5_K;

impl Unit<176, 16> for Q5_K {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 176], take: impl FnMut(usize, S::Floats)) {
        let v3 = simd.bytes();
        let (scales, minimums) = scales_and_minimums(simd, unit);
        let (low, fifth) = (four_bits(v3, &unit[48..]), bit_by_bit::<4>(v3, &unit[16..]));
        let mut q = low;
        for i in 0..16 {
            q[i] = v3.sse2._mm_or_si128(low[i], fifth[i]);
        }
        moved(simd, &q, &scales, &minimums, take);
    }
}

pub struct Q6_K;

impl Unit<210, 16> for Q6_K {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 210], take: impl FnMut(usize, S::Floats)) {
        let v3 = simd.bytes();
        let upper = two_bits(v3, &unit[128..192]);
        let mut q = upper;
        for part in 0..4 {
            // Sixteen of each of four groups of 32: the low halves of two, then the high halves of the same bytes.
            let (side, from) = (part / 2, part % 2);
            let bytes = 64 * side + 16 * from;
            let (first, second) = (nibbles(v3, sixteen(unit, bytes)), nibbles(v3, sixteen(unit, bytes + 32)));
            for (group, low) in [first[0], second[0], first[1], second[1]].into_iter().enumerate() {
                let i = 8 * side + 2 * group + from;
                q[i] = less(v3, v3.sse2._mm_or_si128(low, v3.sse2._mm_slli_epi16::<4>(upper[i])), 32);
            }
        }
        let scales = simd.times(simd.integers(sixteen(unit, 192)), half(simd, unit, 208));
        scaled(simd, &q, &in_memory(cast(scales)), take);
    }
}

pub struct Q8_K;

impl Unit<292, 16> for Q8_K {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 292], mut take: impl FnMut(usize, S::Floats)) {
        let d = f32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]);
        for i in 0..16 {
            take(i, simd.times(simd.integers(sixteen(unit, 4 + 16 * i)), d));
        }
    }
}

#[inline(always)]
fn half<S: Vectors>(simd: S, block: &[u8], at: usize) -> f32 {
    simd.halves([half_at(block, at), 0, 0, 0])[0]
}

/// The 2-bit values of two times 32 bytes.
#[inline(always)]
fn two_bits(v3: V3, values: &[u8]) -> Integers {
    let mut q = [cast([0u8; 16]); 16];
    for part in 0..4 {
        let mut bytes = sixteen(values, 16 * part);
        for quarter in 0..4 {
            q[part / 2 * 8 + quarter * 2 + part % 2] = v3.sse2._mm_and_si128(bytes, v3.sse2._mm_set1_epi8(3));
            bytes = v3.sse2._mm_srli_epi16::<2>(bytes);
        }
    }
    q
}

/// The 4-bit values of four times 32 bytes.
#[inline(always)]
fn four_bits(v3: V3, values: &[u8]) -> Integers {
    let mut q = [cast([0u8; 16]); 16];
    for part in 0..8 {
        let i = part / 2 * 4 + part % 2;
        [q[i], q[i + 2]] = nibbles(v3, sixteen(values, 16 * part));
    }
    q
}

/// Bits of 32 bytes, the lowest of all of them first, shifted left by `TO`.
#[inline(always)]
fn bit_by_bit<const TO: i32>(v3: V3, values: &[u8]) -> Integers {
    let mut q = [cast([0u8; 16]); 16];
    for part in 0..2 {
        let mut bytes = sixteen(values, 16 * part);
        for sub in 0..8 {
            let bit = v3.sse2._mm_and_si128(bytes, v3.sse2._mm_set1_epi8(1));
            q[2 * sub + part] = v3.sse2._mm_slli_epi16::<TO>(bit);
            bytes = v3.sse2._mm_srli_epi16::<1>(bytes);
        }
    }
    q
}

/// `d sc` and `- dmin mn` of a block that begins with d, dmin and the packed scales, for each sixteen elements.
#[inline(always)]
fn scales_and_minimums<S: Vectors>(simd: S, block: &[u8]) -> ([f32; 16], [f32; 16]) {
    let [a, b, low] = words(&block[4..16]);
    // Of the last four, the low halves are in bytes of their own, and the upper two bits in those of the first four.
    let both = |first: u32, low: u32| {
        let last = (first >> 2) & 0x3030_3030 | low & 0x0F0F_0F0F;
        [first & 0x3F3F_3F3F, first & 0x3F3F_3F3F, last, last]
    };
    // Each of eight is that of two times sixteen elements.
    let twice = inlined!(|words: [u32; 4]| {
        let bytes: __m128i = cast(words);
        let order: __m128i = cast([0u8, 0, 1, 1, 2, 2, 3, 3, 8, 8, 9, 9, 10, 10, 11, 11]);
        simd.integers(simd.bytes().ssse3._mm_shuffle_epi8(bytes, order))
    });
    let [d, dmin, ..] = simd.halves([half_at(block, 0), half_at(block, 2), 0, 0]);
    let (scales, minimums) = (simd.times(twice(both(a, low)), d), simd.times(twice(both(b, low >> 4)), -dmin));
    (in_memory(cast(scales)), in_memory(cast(minimums)))
}

/// 16 six-bit scales in 12 bytes: low halves in 8 bytes, upper two bits in 4.
#[inline(always)]
fn q3_scales(packed: &[u8]) -> __m128i {
    let [a, b, high] = words(packed);
    let four = inlined!(|low: u32, high: u32| low & 0x0F0F_0F0F | (high & 0x0303_0303) << 4);
    cast([four(a, high), four(b, high >> 2), four(a >> 4, high >> 4), four(b >> 4, high >> 6)])
}

#[inline(always)]
fn words(packed: &[u8]) -> [u32; 3] {
    let word = inlined!(|i| u32::from_le_bytes([packed[i], packed[i + 1], packed[i + 2], packed[i + 3]]));
    [word(0), word(4), word(8)]
}
