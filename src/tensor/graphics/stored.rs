//! Elements of weights in the form in which a file stores them, widened where they are used.
//!
//! Each is what `checkpoint::decode` makes of it, bit for bit: products of scales and whole numbers are exact in 32 bits
//! for every type here, so that what is left to round is one difference, however a driver contracts it.

use cubecl::prelude::*;

use super::{DeviceF32, DeviceWords, UNITS, units};

/// How the elements of a matrix are stored in words of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "the names of ggml")]
pub enum Form {
    F32,
    BF16,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

impl Form {
    /// Words of which a vector holds four elements, where elements can be read in vectors.
    pub fn vector(self) -> usize {
        match self {
            Form::F32 => 4,
            Form::BF16 | Form::F16 => 2,
            _ => 1,
        }
    }

    /// Whether rows are whole blocks, in which four elements are always read together.
    pub fn in_blocks(self) -> bool {
        self.vector() == 1
    }
}

/// Four elements that follow each other in a row.
pub type Four = Vector<f32, Const<4>>;

#[cube]
fn of(a: f32, b: f32, c: f32, d: f32) -> Four {
    let mut four = Four::new(a);
    four.insert(1usize, b);
    four.insert(2usize, c);
    four.insert(3usize, d);
    four
}

/// The word that begins at a byte.
#[cube]
fn word<N: Size>(words: &[Vector<u32, N>], byte: usize) -> u32 {
    let at = byte / 4;
    let shift = ((byte % 4) * 8) as u32;
    let mut word = words[at].extract(0usize);
    if shift > 0u32 {
        word = (word >> shift) | (words[at + 1].extract(0usize) << (32u32 - shift));
    }
    word
}

/// The byte at an address.
#[cube]
fn byte<N: Size>(words: &[Vector<u32, N>], at: usize) -> u32 {
    (words[at / 4].extract(0usize) >> (((at % 4) * 8) as u32)) & 255u32
}

/// The half-precision number in the lower 16 bits.
#[cube]
fn half(bits: u32) -> f32 {
    let exponent = (bits >> 10u32) & 31u32;
    let fraction = bits & 1023u32;
    let sign = (bits & 0x8000u32) << 16u32;
    // Numbers below the smallest normal one are whole multiples of 2^-24.
    let small = u32::reinterpret(f32::cast_from(fraction) * 5.960_464_5e-8f32);
    let mut wide = ((exponent + 112u32) << 23u32) | (fraction << 13u32);
    if exponent == 0u32 {
        wide = small;
    } else if exponent == 31u32 {
        wide = 0x7f80_0000u32 | (fraction << 13u32);
    }
    f32::reinterpret(sign | wide)
}

#[cube]
fn float(x: u32) -> f32 {
    f32::cast_from(x)
}

/// A byte as a number with a sign.
#[cube]
fn signed(byte: u32) -> f32 {
    f32::cast_from(i32::cast_from(byte ^ 128u32) - 128)
}

/// `d q + m` of four whole numbers in the bytes of a word, from each of which `less` is taken.
#[cube]
fn line(q: u32, less: f32, d: f32, m: f32) -> Four {
    of(
        d * (float(q & 255u32) - less) + m,
        d * (float((q >> 8u32) & 255u32) - less) + m,
        d * (float((q >> 16u32) & 255u32) - less) + m,
        d * (float(q >> 24u32) - less) + m,
    )
}

/// The same without anything added: the sign of zero is that of the product.
#[cube]
fn scaled(q: u32, less: f32, d: f32) -> Four {
    of(
        d * (float(q & 255u32) - less),
        d * (float((q >> 8u32) & 255u32) - less),
        d * (float((q >> 16u32) & 255u32) - less),
        d * (float(q >> 24u32) - less),
    )
}

/// Four bits next to each other as one bit in each byte of a word.
#[cube]
fn bits_to_bytes(bits: u32) -> u32 {
    (bits & 1u32) | ((bits & 2u32) << 7u32) | ((bits & 4u32) << 14u32) | ((bits & 8u32) << 21u32)
}

/// The four elements from the `at`-th on. Where elements are in blocks, or words in vectors, `at` is a multiple of 4, and
/// all of them are there; elsewhere those from `count` on are 0 and not read.
#[cube]
pub fn four<N: Size>(words: &[Vector<u32, N>], at: usize, count: usize, #[comptime] form: Form) -> Four {
    let size = N::value();
    match comptime!(form) {
        Form::F32 => {
            if comptime!(size == 4) {
                Four::reinterpret(words[at / 4])
            } else {
                let mut v = Four::new(0.0f32);
                #[unroll]
                for i in 0..4usize {
                    if i < count {
                        v.insert(i, f32::reinterpret(words[at + i].extract(0usize)));
                    }
                }
                v
            }
        }
        Form::BF16 => {
            if comptime!(size == 2) {
                let (low, high) = (words[at / 4].extract(0usize), words[at / 4].extract(1usize));
                let upper = 0xffff_0000u32;
                of(
                    f32::reinterpret(low << 16u32),
                    f32::reinterpret(low & upper),
                    f32::reinterpret(high << 16u32),
                    f32::reinterpret(high & upper),
                )
            } else {
                let mut v = Four::new(0.0f32);
                #[unroll]
                for i in 0..4usize {
                    if i < count {
                        v.insert(i, f32::reinterpret(half_word(words, at + i) << 16u32));
                    }
                }
                v
            }
        }
        Form::F16 => {
            if comptime!(size == 2) {
                let (low, high) = (words[at / 4].extract(0usize), words[at / 4].extract(1usize));
                of(half(low), half(low >> 16u32), half(high), half(high >> 16u32))
            } else {
                let mut v = Four::new(0.0f32);
                #[unroll]
                for i in 0..4usize {
                    if i < count {
                        v.insert(i, half(half_word(words, at + i)));
                    }
                }
                v
            }
        }
        Form::Q4_0 => {
            let (base, i) = ((at / 32) * 18, at % 32);
            let q = nibbles(words, base + 2, i);
            scaled(q, 8.0f32, half(word(words, base)))
        }
        Form::Q4_1 => {
            let (base, i) = ((at / 32) * 20, at % 32);
            let q = nibbles(words, base + 4, i);
            let scales = word(words, base);
            line(q, 0.0f32, half(scales), half(scales >> 16u32))
        }
        Form::Q5_0 => {
            let (base, i) = ((at / 32) * 22, at % 32);
            let q = nibbles(words, base + 6, i);
            let fifth = bits_to_bytes(word(words, base + 2) >> i as u32) << 4u32;
            scaled(q | fifth, 16.0f32, half(word(words, base)))
        }
        Form::Q5_1 => {
            let (base, i) = ((at / 32) * 24, at % 32);
            let q = nibbles(words, base + 8, i);
            let fifth = bits_to_bytes(word(words, base + 4) >> i as u32) << 4u32;
            let scales = word(words, base);
            line(q | fifth, 0.0f32, half(scales), half(scales >> 16u32))
        }
        Form::Q8_0 => {
            let (base, i) = ((at / 32) * 34, at % 32);
            let q = word(words, base + 2 + i);
            let d = half(word(words, base));
            of(
                d * signed(q & 255u32),
                d * signed((q >> 8u32) & 255u32),
                d * signed((q >> 16u32) & 255u32),
                d * signed(q >> 24u32),
            )
        }
        Form::Q2_K => {
            let (base, i) = ((at / 256) * 84, at % 256);
            let sub = i / 16;
            let both = byte(words, base + sub);
            let scales = word(words, base + 80);
            let d = half(scales) * float(both & 15u32);
            let m = half(scales >> 16u32) * float(both >> 4u32);
            line(two_bits(words, base + 16, i), 0.0f32, d, -m)
        }
        Form::Q3_K => {
            let (base, i) = ((at / 256) * 110, at % 256);
            let sub = i / 16;
            let d = half(word(words, base + 108)) * q3_scale(words, base + 96, sub);
            let third = (word(words, base + (sub % 2) * 16 + i % 16) >> (sub / 2) as u32) & 0x0101_0101u32;
            // Without the third bit, 4 less.
            scaled(two_bits(words, base + 32, i) | (third << 2u32), 4.0f32, d)
        }
        Form::Q4_K => {
            let (base, i) = ((at / 256) * 144, at % 256);
            let q = word(words, base + 16 + (i / 64) * 32 + i % 32);
            let q = (q >> ((i / 32 % 2) * 4) as u32) & 0x0f0f_0f0fu32;
            k_line(words, base, i / 32, q)
        }
        Form::Q5_K => {
            let (base, i) = ((at / 256) * 176, at % 256);
            let q = word(words, base + 48 + (i / 64) * 32 + i % 32);
            let q = (q >> ((i / 32 % 2) * 4) as u32) & 0x0f0f_0f0fu32;
            let fifth = (word(words, base + 16 + i % 32) >> (i / 32) as u32) & 0x0101_0101u32;
            k_line(words, base, i / 32, q | (fifth << 4u32))
        }
        Form::Q6_K => {
            let (base, i) = ((at / 256) * 210, at % 256);
            let (side, quarter) = (i / 128, i / 32 % 4);
            let low = word(words, base + side * 64 + (quarter % 2) * 32 + i % 32);
            let low = (low >> ((quarter / 2) * 4) as u32) & 0x0f0f_0f0fu32;
            let high = word(words, base + 128 + side * 32 + i % 32);
            let high = ((high >> (quarter * 2) as u32) & 0x0303_0303u32) << 4u32;
            let d = half(word(words, base + 208)) * signed(byte(words, base + 192 + i / 16));
            scaled(low | high, 32.0f32, d)
        }
    }
}

/// The 16 bits of an element.
#[cube]
fn half_word<N: Size>(words: &[Vector<u32, N>], at: usize) -> u32 {
    (words[at / 2].extract(0usize) >> ((at % 2) * 16) as u32) & 0xffffu32
}

/// Four of the 32 four-bit numbers from a byte on: the low halves of 16 bytes first.
#[cube]
fn nibbles<N: Size>(words: &[Vector<u32, N>], from: usize, i: usize) -> u32 {
    (word(words, from + i % 16) >> ((i / 16) * 4) as u32) & 0x0f0f_0f0fu32
}

/// Four of the 256 two-bit numbers from a byte on.
#[cube]
fn two_bits<N: Size>(words: &[Vector<u32, N>], from: usize, i: usize) -> u32 {
    let sub = i / 16;
    let bytes = word(words, from + (sub / 8) * 32 + (sub % 2) * 16 + i % 16);
    (bytes >> ((sub % 8 / 2) * 2) as u32) & 0x0303_0303u32
}

/// The `sub`-th of 16 six-bit scales, less 32.
#[cube]
fn q3_scale<N: Size>(words: &[Vector<u32, N>], from: usize, sub: usize) -> f32 {
    let low = (byte(words, from + sub % 8) >> ((sub / 8) * 4) as u32) & 15u32;
    let high = (byte(words, from + 8 + sub % 4) >> ((sub / 4) * 2) as u32) & 3u32;
    float(low | (high << 4u32)) - 32.0f32
}

/// `d sc q - dmin mn`, with the `sub`-th of 8 six-bit scales and minimums.
#[cube]
fn k_line<N: Size>(words: &[Vector<u32, N>], base: usize, sub: usize, q: u32) -> Four {
    let scales = word(words, base);
    let packed = base + 4;
    let mut sc = byte(words, packed + sub) & 63u32;
    let mut mn = byte(words, packed + sub % 4 + 4) & 63u32;
    if sub >= 4 {
        let both = byte(words, packed + sub + 4);
        sc = (both & 15u32) | ((byte(words, packed + sub - 4) >> 6u32) << 4u32);
        mn = (both >> 4u32) | ((byte(words, packed + sub) >> 6u32) << 4u32);
    }
    line(q, 0.0f32, half(scales) * float(sc), -(half(scales >> 16u32) * float(mn)))
}

/// Four floats from the `at`-th on, as `four` gives them.
#[cube]
pub fn four_floats<N: Size>(x: &[Vector<f32, N>], at: usize, count: usize) -> Four {
    let size = N::value();
    if comptime!(size == 4) {
        Four::reinterpret(x[at / 4])
    } else {
        let mut v = Four::new(0.0f32);
        #[unroll]
        for i in 0..4usize {
            if i < count {
                v.insert(i, x[at + i].extract(0usize));
            }
        }
        v
    }
}

/// The sum of the products of elements.
#[cube]
pub fn dot(a: Four, b: Four) -> f32 {
    let c = a * b;
    (c.extract(0usize) + c.extract(1usize)) + (c.extract(2usize) + c.extract(3usize))
}

#[cube(launch)]
fn widen_kernel(words: &[Vector<u32, Const<1>>], out: &mut [f32], count: u32, #[comptime] form: Form) {
    let (at, count) = (ABSOLUTE_POS * 4, count as usize);
    if at < count {
        let v = four(words, at, count - at, form);
        #[unroll]
        for i in 0..4usize {
            if at + i < count {
                out[at + i] = v.extract(i);
            }
        }
    }
}

/// So many elements from the first on, as floats.
pub fn widen(words: &DeviceWords, form: Form, count: usize) -> DeviceF32 {
    let out = words.empty(count);
    let (cubes, dim) = (units(count.div_ceil(4)), CubeDim::new_1d(UNITS));
    widen_kernel::launch(words.client(), cubes, dim, words.arg(), out.arg(), count as u32, form);
    out
}
