//! Floats, and the older quantised blocks two at a time; see `legacy` for what is in them.

#![allow(non_camel_case_types, reason = "the names are those of the format")]

use std::arch::x86_64::__m128i;

use super::Unit;
use super::vectors::{Vectors, half_at, in_memory, less, moved, nibbles, scaled, sixteen};
use crate::tensor::inlined;

pub struct F16;

impl Unit<128, 4> for F16 {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 128], mut take: impl FnMut(usize, S::Floats)) {
        for (i, bits) in unit.as_chunks().0.iter().enumerate() {
            take(i, simd.f16s(bits));
        }
    }
}

pub struct BF16;

impl Unit<128, 4> for BF16 {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 128], mut take: impl FnMut(usize, S::Floats)) {
        for (i, bits) in unit.as_chunks().0.iter().enumerate() {
            take(i, simd.bf16s(bits));
        }
    }
}

pub struct Q4_0;

impl Unit<36, 4> for Q4_0 {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 36], mut take: impl FnMut(usize, S::Floats)) {
        let [d, ..] = scales::<S, 18>(simd, unit);
        for (i, block) in unit.as_chunks::<18>().0.iter().enumerate() {
            let formula = inlined!(|q| simd.times(simd.plus(q, -8.0), d[i]));
            let [[low, high]] = simd.nibbles([sixteen(block, 2)], formula, formula);
            take(2 * i, low);
            take(2 * i + 1, high);
        }
    }
}

pub struct Q4_1;

impl Unit<40, 4> for Q4_1 {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 40], mut take: impl FnMut(usize, S::Floats)) {
        let [d, m] = scales::<S, 20>(simd, unit);
        for (i, block) in unit.as_chunks::<20>().0.iter().enumerate() {
            let formula = inlined!(|q| simd.plus(simd.times(q, d[i]), m[i]));
            let [[low, high]] = simd.nibbles([sixteen(block, 4)], formula, formula);
            take(2 * i, low);
            take(2 * i + 1, high);
        }
    }
}

pub struct Q5_0;

impl Unit<44, 4> for Q5_0 {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 44], take: impl FnMut(usize, S::Floats)) {
        let v3 = simd.bytes();
        let q = two::<22>(
            unit,
            inlined!(|block: &[u8]| {
                let [low, high] = five_bits(simd, block, 2);
                [less(v3, low, 16), less(v3, high, 16)]
            }),
        );
        let [d, ..] = scales::<S, 22>(simd, unit);
        scaled(simd, &q, &twice(d), take);
    }
}

pub struct Q5_1;

impl Unit<48, 4> for Q5_1 {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 48], take: impl FnMut(usize, S::Floats)) {
        let q = two::<24>(unit, inlined!(|block| five_bits(simd, block, 4)));
        let [d, m] = scales::<S, 24>(simd, unit);
        moved(simd, &q, &twice(d), &twice(m), take);
    }
}

pub struct Q8_0;

impl Unit<68, 4> for Q8_0 {
    #[inline(always)]
    fn each<S: Vectors>(simd: S, unit: &[u8; 68], take: impl FnMut(usize, S::Floats)) {
        let q = two::<34>(unit, inlined!(|block| [sixteen(block, 2), sixteen(block, 18)]));
        let [d, ..] = scales::<S, 34>(simd, unit);
        scaled(simd, &q, &twice(d), take);
    }
}

/// The integers of two blocks.
#[inline(always)]
fn two<const SIZE: usize>(unit: &[u8], integers: impl Fn(&[u8]) -> [__m128i; 2]) -> [__m128i; 4] {
    let ([a, b], [c, d]) = (integers(&unit[..SIZE]), integers(&unit[SIZE..]));
    [a, b, c, d]
}

/// The first two half-precision numbers of two blocks: d of both, and m of both if they have one.
#[inline(always)]
fn scales<S: Vectors, const SIZE: usize>(simd: S, unit: &[u8]) -> [[f32; 2]; 2] {
    let at = inlined!(|at| half_at(unit, at));
    let [d, e, m, n] = in_memory(simd.halves([at(0), at(SIZE), at(2), at(SIZE + 2)]));
    [[d, e], [m, n]]
}

/// A number of each block for each sixteen elements.
#[inline(always)]
fn twice([a, b]: [f32; 2]) -> [f32; 4] {
    [a, a, b, b]
}

/// The integers of a block with four bytes of fifth bits before those of four bits.
#[inline(always)]
fn five_bits<S: Vectors>(simd: S, block: &[u8], at: usize) -> [__m128i; 2] {
    let [low, high] = nibbles(simd.bytes(), sixteen(block, at + 4));
    [simd.with_fifth(low, half_at(block, at)), simd.with_fifth(high, half_at(block, at + 2))]
}
