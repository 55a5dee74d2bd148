//! What blocks are decoded with: vectors of sixteen bytes, and sixteen floats as one or two vectors.
//!
//! Functions of the standard library that take closures, such as `map` of arrays, are not always inlined, and then lose
//! the vectors: there are none of them here.

use std::arch::x86_64::__m128i;

use pulp::bytemuck::Pod;
use pulp::x86::{V3, V4};
use pulp::{Simd, cast, f32x8, f32x16};

use crate::tensor::inlined;

/// What the exponents of 32-bit floats are larger by than those of halves.
const MORE: i32 = 112 << 23;

/// Vectors for sixteen elements at a time.
pub trait Vectors: Simd {
    /// Sixteen floats.
    type Floats: Pod;

    /// The instructions for sixteen bytes.
    fn bytes(self) -> V3;

    /// Four halves.
    fn halves(self, bits: [u16; 4]) -> [f32; 4];

    /// For each sixteen bytes, a formula of the low four bits, and one of the high four.
    fn nibbles<const B: usize>(
        self,
        bytes: [__m128i; B],
        low: impl Fn(Self::Floats) -> Self::Floats,
        high: impl Fn(Self::Floats) -> Self::Floats,
    ) -> [[Self::Floats; 2]; B];

    /// Sixteen bytes, with 16 added to those whose bit is set.
    fn with_fifth(self, q: __m128i, bits: u16) -> __m128i;

    /// Sixteen signed integers.
    fn integers(self, q: __m128i) -> Self::Floats;

    /// Sixteen halves.
    fn f16s(self, bits: &[u8; 32]) -> Self::Floats;

    /// Sixteen upper halves of floats.
    fn bf16s(self, bits: &[u8; 32]) -> Self::Floats;

    fn times(self, a: Self::Floats, b: f32) -> Self::Floats;

    fn plus(self, a: Self::Floats, b: f32) -> Self::Floats;

    /// Adds products to the sums of the `i`-th sixteen elements: the vectors of a row are added to four sums in turn.
    fn multiply(self, i: usize, a: Self::Floats, b: Self::Floats, sums: &mut [Self::f32s; 4]);
}

impl Vectors for V4 {
    type Floats = f32x16;

    #[inline(always)]
    fn bytes(self) -> V3 {
        *self
    }

    #[inline(always)]
    fn halves(self, bits: [u16; 4]) -> [f32; 4] {
        let bits = cast([cast::<_, u64>(bits), 0]);
        let wide = self.avx512f._mm512_cvtph_ps(self.avx._mm256_castsi128_si256(bits));
        cast(self.avx512f._mm512_castps512_ps128(wide))
    }

    /// The formula is applied to the sixteen numbers that there are, and its values are looked up.
    #[inline(always)]
    fn nibbles<const B: usize>(
        self,
        bytes: [__m128i; B],
        low: impl Fn(f32x16) -> f32x16,
        high: impl Fn(f32x16) -> f32x16,
    ) -> [[f32x16; 2]; B] {
        const ALL: f32x16 = f32x16(0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.);
        let tables = [low(ALL), high(ALL)];
        let mut out = [[ALL; 2]; B];
        for (out, bytes) in out.iter_mut().zip(bytes) {
            // Only the low four bits of an index count.
            let index = self.avx512f._mm512_cvtepu8_epi32(bytes);
            let indices = [index, self.avx512f._mm512_srli_epi32::<4>(index)];
            for i in 0..2 {
                out[i] = cast(self.avx512f._mm512_permutexvar_ps(indices[i], cast(tables[i])));
            }
        }
        out
    }

    #[inline(always)]
    fn with_fifth(self, q: __m128i, bits: u16) -> __m128i {
        self.avx512bw._mm_mask_add_epi8(q, bits, q, self.sse2._mm_set1_epi8(16))
    }

    #[inline(always)]
    fn integers(self, q: __m128i) -> f32x16 {
        cast(self.avx512f._mm512_cvtepi32_ps(self.avx512f._mm512_cvtepi8_epi32(q)))
    }

    #[inline(always)]
    fn f16s(self, bits: &[u8; 32]) -> f32x16 {
        cast(self.avx512f._mm512_cvtph_ps(cast(*bits)))
    }

    #[inline(always)]
    fn bf16s(self, bits: &[u8; 32]) -> f32x16 {
        cast(self.avx512f._mm512_slli_epi32::<16>(self.avx512f._mm512_cvtepu16_epi32(cast(*bits))))
    }

    #[inline(always)]
    fn times(self, a: f32x16, b: f32) -> f32x16 {
        self.mul_f32s(a, self.splat_f32s(b))
    }

    #[inline(always)]
    fn plus(self, a: f32x16, b: f32) -> f32x16 {
        self.add_f32s(a, self.splat_f32s(b))
    }

    #[inline(always)]
    fn multiply(self, i: usize, a: f32x16, b: f32x16, sums: &mut [f32x16; 4]) {
        sums[i % 4] = self.mul_add_f32s(a, b, sums[i % 4]);
    }
}

impl Vectors for V3 {
    type Floats = [f32x8; 2];

    #[inline(always)]
    fn bytes(self) -> V3 {
        self
    }

    /// Without branches, and without numbers that are subnormal in 32 bits, which processors are slow with.
    #[inline(always)]
    fn halves(self, bits: [u16; 4]) -> [f32; 4] {
        let wide = inlined!(|bits: u16| {
            let magnitude = u32::from(bits & 0x7FFF) << 13;
            let subnormal = f32::from_bits(magnitude + (113 << 23)) - f32::from_bits(113 << 23);
            let wide = match magnitude >> 23 {
                0 => subnormal.to_bits(),
                31 => magnitude + 2 * MORE as u32,
                _ => magnitude + MORE as u32,
            };
            f32::from_bits(wide | u32::from(bits & 0x8000) << 16)
        });
        [wide(bits[0]), wide(bits[1]), wide(bits[2]), wide(bits[3])]
    }

    #[inline(always)]
    fn nibbles<const B: usize>(
        self,
        bytes: [__m128i; B],
        low: impl Fn([f32x8; 2]) -> [f32x8; 2],
        high: impl Fn([f32x8; 2]) -> [f32x8; 2],
    ) -> [[[f32x8; 2]; 2]; B] {
        let mut out = [[[self.splat_f32s(0.0); 2]; 2]; B];
        for (out, bytes) in out.iter_mut().zip(bytes) {
            let [a, b] = nibbles(self, bytes);
            *out = [low(self.integers(a)), high(self.integers(b))];
        }
        out
    }

    #[inline(always)]
    fn with_fifth(self, q: __m128i, bits: u16) -> __m128i {
        let byte_of = cast([0u8, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
        let bit_of = cast([1u8, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128]);
        let spread = self.ssse3._mm_shuffle_epi8(self.sse2._mm_set1_epi16(bits.cast_signed()), byte_of);
        let set = self.sse2._mm_cmpeq_epi8(self.sse2._mm_and_si128(spread, bit_of), bit_of);
        self.sse2._mm_add_epi8(q, self.sse2._mm_and_si128(set, self.sse2._mm_set1_epi8(16)))
    }

    #[inline(always)]
    fn integers(self, q: __m128i) -> [f32x8; 2] {
        let eight = inlined!(|q| cast(self.avx._mm256_cvtepi32_ps(self.avx2._mm256_cvtepi8_epi32(q))));
        [eight(q), eight(self.sse2._mm_srli_si128::<8>(q))]
    }

    /// As in `halves`.
    #[inline(always)]
    fn f16s(self, bits: &[u8; 32]) -> [f32x8; 2] {
        let splat = inlined!(|x| self.avx._mm256_set1_epi32(x));
        let eight = inlined!(|bits| {
            let bits = self.avx2._mm256_cvtepu16_epi32(bits);
            let magnitude = self.avx2._mm256_slli_epi32::<13>(self.avx2._mm256_and_si256(bits, splat(0x7FFF)));
            let sign = self.avx2._mm256_slli_epi32::<16>(self.avx2._mm256_and_si256(bits, splat(0x8000)));
            let infinite = self.avx2._mm256_cmpgt_epi32(magnitude, splat((31 << 23) - 1));
            let more = self.avx2._mm256_add_epi32(splat(MORE), self.avx2._mm256_and_si256(infinite, splat(MORE)));
            let least = splat(MORE + (1 << 23));
            let small: f32x8 = cast(self.avx2._mm256_add_epi32(magnitude, least));
            let small = cast(self.sub_f32s(small, cast(least)));
            let is_small = self.avx2._mm256_cmpgt_epi32(splat(1 << 23), magnitude);
            let large = self.avx2._mm256_add_epi32(magnitude, more);
            cast(self.avx2._mm256_or_si256(self.avx2._mm256_blendv_epi8(large, small, is_small), sign))
        });
        let [a, b]: [__m128i; 2] = cast(*bits);
        [eight(a), eight(b)]
    }

    #[inline(always)]
    fn bf16s(self, bits: &[u8; 32]) -> [f32x8; 2] {
        let eight = inlined!(|bits| cast(self.avx2._mm256_slli_epi32::<16>(self.avx2._mm256_cvtepu16_epi32(bits))));
        let [a, b]: [__m128i; 2] = cast(*bits);
        [eight(a), eight(b)]
    }

    #[inline(always)]
    fn times(self, a: [f32x8; 2], b: f32) -> [f32x8; 2] {
        let b = self.splat_f32s(b);
        [self.mul_f32s(a[0], b), self.mul_f32s(a[1], b)]
    }

    #[inline(always)]
    fn plus(self, a: [f32x8; 2], b: f32) -> [f32x8; 2] {
        let b = self.splat_f32s(b);
        [self.add_f32s(a[0], b), self.add_f32s(a[1], b)]
    }

    #[inline(always)]
    fn multiply(self, i: usize, a: [f32x8; 2], b: [f32x8; 2], sums: &mut [f32x8; 4]) {
        for half in 0..2 {
            let sum = &mut sums[(2 * i + half) % 4];
            *sum = self.mul_add_f32s(a[half], b[half], *sum);
        }
    }
}

/// The half-precision number at byte `at` of a block, in its bits.
#[inline(always)]
pub fn half_at(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

/// Sixteen of `bytes`.
#[inline(always)]
pub fn sixteen(bytes: &[u8], at: usize) -> __m128i {
    cast(*bytes[at..].first_chunk::<16>().expect("sixteen bytes"))
}

/// The low and the high four bits of sixteen bytes.
#[inline(always)]
pub fn nibbles(v3: V3, bytes: __m128i) -> [__m128i; 2] {
    let mask = v3.sse2._mm_set1_epi8(15);
    [v3.sse2._mm_and_si128(bytes, mask), v3.sse2._mm_and_si128(v3.sse2._mm_srli_epi16::<4>(bytes), mask)]
}

/// Sixteen bytes less a number.
#[inline(always)]
pub fn less(v3: V3, q: __m128i, by: i8) -> __m128i {
    v3.sse2._mm_sub_epi8(q, v3.sse2._mm_set1_epi8(by))
}

/// Keeps scales in memory, from where one of them fills a vector at no cost. The compiler would keep them in a register,
/// and shuffle each out of it.
#[inline(always)]
pub fn in_memory<T: Copy>(scales: T) -> T {
    *std::hint::black_box(&scales)
}

/// Hands out `scale q`, with a scale for each sixteen integers.
#[inline(always)]
pub fn scaled<S: Vectors, const V: usize>(
    simd: S,
    q: &[__m128i; V],
    scale: &[f32; V],
    mut take: impl FnMut(usize, S::Floats),
) {
    for first in (0..V).step_by(4) {
        for i in 0..4 {
            take(first + i, simd.times(simd.integers(q[first + i]), scale[first + i]));
        }
    }
}

/// Hands out `scale q + by`, with a scale and an addend for each sixteen integers.
#[inline(always)]
pub fn moved<S: Vectors, const V: usize>(
    simd: S,
    q: &[__m128i; V],
    scale: &[f32; V],
    by: &[f32; V],
    mut take: impl FnMut(usize, S::Floats),
) {
    for first in (0..V).step_by(4) {
        for i in 0..4 {
            let product = simd.times(simd.integers(q[first + i]), scale[first + i]);
            take(first + i, simd.plus(product, by[first + i]));
        }
    }
}
