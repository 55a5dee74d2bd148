//! The i-quants of GGUF, whose elements are entries of codebooks; blocks of three values; and the four-bit floats of the
//! Open Compute Project (Microscaling Formats 1.0). Products are rounded in the order of the `gguf` package.

use super::{codebooks, half};

/// The values of a codebook of eight: two bits each.
const EIGHTS: [f32; 4] = [8.0, 25.0, 43.0, 0.0];
/// The values of codebooks of four: three bits each.
const FOURS_XXS: [f32; 8] = [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0];
const FOURS_S: [f32; 8] = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0];
/// The sixteen values of four bits.
pub const FOUR_BITS: [f32; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];
/// Floats of four bits (e2m1), doubled.
const E2M1: [f32; 16] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// 256 elements: d, and of each 32 four entries, four signs of seven bits and a scale of four.
pub fn iq2_xxs(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (words, out) in block[2..].as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        let packed = u32::from_le_bytes([words[4], words[5], words[6], words[7]]);
        let scale = d * (0.5 + (packed >> 28) as f32) * 0.25;
        for (l, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            eights(codebooks::IQ2_XXS[usize::from(words[l])], signs(packed >> (7 * l)), scale, out);
        }
    }
}

/// 256 elements: d, 32 entries of nine bits with signs of seven, 16 scales of four bits.
pub fn iq2_xs(block: &[u8; 74], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (i, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let code = u16::from_le_bytes([block[2 + 2 * i], block[3 + 2 * i]]);
        let scale = d * (0.5 + f32::from(nibble(&block[66..], i / 2))) * 0.25;
        eights(codebooks::IQ2_XS[usize::from(code & 511)], signs(u32::from(code >> 9)), scale, out);
    }
}

/// 256 elements: d, 32 entries of ten bits, 32 bytes of signs, 16 scales of four bits.
pub fn iq2_s(block: &[u8; 82], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (i, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let upper = usize::from(block[66 + i / 4] >> (2 * (i % 4)) & 3);
        let scale = d * (0.5 + f32::from(nibble(&block[74..], i / 2))) * 0.25;
        eights(codebooks::IQ2_S[usize::from(block[2 + i]) | upper << 8], block[34 + i], scale, out);
    }
}

/// 256 elements: d, 64 entries of eight bits, and of each 32 elements four signs of seven bits and a scale of four.
pub fn iq3_xxs(block: &[u8; 98], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (g, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let at = 66 + 4 * g;
        let packed = u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        let scale = d * (0.5 + (packed >> 28) as f32) * 0.5;
        for (j, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let signs = signs(packed >> (7 * (j / 2))) >> (4 * (j % 2));
            fours(codebooks::IQ3_XXS[usize::from(block[2 + 8 * g + j])], &FOURS_XXS, signs, scale, out);
        }
    }
}

/// 256 elements: d, 64 entries of nine bits, 32 bytes of signs, 8 scales of four bits.
pub fn iq3_s(block: &[u8; 110], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (j, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let upper = usize::from(block[66 + j / 8] >> (j % 8) & 1);
        let scale = d * (1.0 + 2.0 * f32::from(nibble(&block[106..], j / 8)));
        let signs = block[74 + j / 2] >> (4 * (j % 2));
        fours(codebooks::IQ3_S[usize::from(block[2 + j]) | upper << 8], &FOURS_S, signs, scale, out);
    }
}

/// 256 elements: d, 32 entries of eleven bits, and of each 32 elements a scale of three bits and the sign of an offset.
pub fn iq1_s(block: &[u8; 50], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (i, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let at = 34 + 2 * (i / 4);
        let packed = u16::from_le_bytes([block[at], block[at + 1]]);
        let scale = d * f32::from(2 * (packed >> 12 & 7) + 1);
        let upper = usize::from(packed >> (3 * (i % 4)) & 7);
        threes(usize::from(block[2 + i]) | upper << 8, packed & 0x8000 != 0, scale, out);
    }
}

/// 256 elements: 32 entries of eleven bits with the sign of an offset, 16 scales of three bits, and d in the four upper
/// bits of each of the four numbers that hold them.
pub fn iq1_m(block: &[u8; 56], out: &mut [f32; 256]) {
    let scales = |i: usize| u16::from_le_bytes([block[48 + 2 * i], block[49 + 2 * i]]);
    let d = (0..4).fold(0, |d, i| d | (scales(i) & 0xF000) >> (12 - 4 * i));
    let d = ::half::f16::from_bits(d).to_f32();
    for (i, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let scale = d * f32::from(2 * (scales(i / 8) >> (3 * (i / 2 % 4)) & 7) + 1);
        let upper = nibble(&block[32..], i);
        threes(usize::from(block[i]) | usize::from(upper & 7) << 8, upper & 8 != 0, scale, out);
    }
}

/// 32 elements: d, 16 bytes of two numbers of a list.
pub fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half(block, 0);
    listed(&block[2..], &FOUR_BITS, d, out);
}

/// 256 elements: d, eight scales of six bits, 16 bytes for each 32 elements.
pub fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let d = half(block, 0);
    for (g, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        listed(&block[8 + 16 * g..24 + 16 * g], &FOUR_BITS, d * iq4_xs_scale(block, g), out);
    }
}

/// The scale of each 32 elements.
pub fn iq4_xs_scale(block: &[u8], g: usize) -> f32 {
    let upper = u16::from_le_bytes([block[2], block[3]]) >> (2 * g) & 3;
    f32::from(nibble(&block[4..8], g) | (upper as u8) << 4) - 32.0
}

/// 32 elements: an exponent, 16 bytes of two floats of four bits.
pub fn mxfp4(block: &[u8; 17], out: &mut [f32; 32]) {
    listed(&block[1..], &E2M1, mxfp4_scale(block[0]), out);
}

/// Half of two to the power of an exponent.
pub fn mxfp4_scale(exponent: u8) -> f32 {
    let exponent = u32::from(exponent);
    f32::from_bits(if exponent < 2 { 0x0020_0000 << exponent } else { (exponent - 1) << 23 })
}

/// 256 elements of three values: five in a byte, four in the last ones, and d.
pub fn tq1_0(block: &[u8; 54], out: &mut [f32; 256]) {
    let d = half(block, 52);
    let parts = [(0, 32, 5), (32, 16, 5), (48, 4, 4)];
    let mut at = 0;
    for (start, width, digits) in parts {
        for digit in 0..digits {
            for byte in &block[start..start + width] {
                let shifted = byte.wrapping_mul(3u8.pow(digit));
                out[at] = d * (f32::from(((u16::from(shifted) * 3) >> 8) as u8) - 1.0);
                at += 1;
            }
        }
    }
}

/// 256 elements of three values, two bits each, and d.
pub fn tq2_0(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = half(block, 64);
    for (i, out) in out.iter_mut().enumerate() {
        let byte = block[i / 128 * 32 + i % 32];
        *out = d * (f32::from(byte >> (2 * (i / 32 % 4)) & 3) - 1.0);
    }
}

/// Eight signs of seven bits: the eighth makes their number even.
fn signs(packed: u32) -> u8 {
    let seven = (packed & 127) as u8;
    seven | ((seven.count_ones() as u8) & 1) << 7
}

/// The `i`-th four bits.
fn nibble(bytes: &[u8], i: usize) -> u8 {
    bytes[i / 2] >> (4 * (i % 2)) & 15
}

fn signed(x: f32, signs: u8, i: usize) -> f32 {
    if signs >> i & 1 == 1 { -x } else { x }
}

fn eights(entry: u16, signs: u8, scale: f32, out: &mut [f32; 8]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = signed(scale * EIGHTS[usize::from(entry >> (2 * i) & 3)], signs, i);
    }
}

fn fours(entry: u16, values: &[f32; 8], signs: u8, scale: f32, out: &mut [f32; 4]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = signed(scale * values[usize::from(entry >> (3 * i) & 7)], signs, i);
    }
}

/// -1, 0 or 1 with an eighth added or taken away.
fn threes(entry: usize, minus: bool, scale: f32, out: &mut [f32; 8]) {
    let offset = if minus { -0.125 } else { 0.125 };
    for (i, out) in out.iter_mut().enumerate() {
        *out = scale * (f32::from(codebooks::IQ1_S[entry] >> (2 * i) & 3) - 1.0 + offset);
    }
}

/// Two numbers of a list in each byte: the low halves are the first elements.
fn listed(bytes: &[u8], values: &[f32; 16], scale: f32, out: &mut [f32; 32]) {
    for (j, &byte) in bytes.iter().enumerate() {
        out[j] = scale * values[usize::from(byte & 15)];
        out[j + 16] = scale * values[usize::from(byte >> 4)];
    }
}
