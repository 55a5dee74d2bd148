//! The older quantised blocks of GGUF: 32 elements with one scale `d`, in half precision, and in some a minimum `m`.
//!
//! Of 4-bit values the low halves of 16 bytes are the elements 0 to 15, the high halves 16 to 31; fifth bits are next
//! to them, bit `j` for element `j`.

use super::half;

/// `d (q - 8)`: d, 16 bytes.
pub fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half(block, 0);
    nibbles(&block[2..], 0, out, |q| d * (q - 8.0));
}

/// `d q + m`: d, m, 16 bytes.
pub fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    nibbles(&block[4..], 0, out, |q| d * q + m);
}

/// `d (q - 16)`: d, 4 bytes of fifth bits, 16 bytes.
pub fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let d = half(block, 0);
    let fifth = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    nibbles(&block[6..], fifth, out, |q| d * (q - 16.0));
}

/// `d q + m`: d, m, 4 bytes of fifth bits, 16 bytes.
pub fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    let fifth = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    nibbles(&block[8..], fifth, out, |q| d * q + m);
}

/// `d q`: d, 32 signed bytes.
pub fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = half(block, 0);
    for (out, &byte) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(byte as i8);
    }
}

/// The formula of the four bits of each half of 16 bytes, with the fifth one of each element.
fn nibbles(bytes: &[u8], fifth: u32, out: &mut [f32; 32], formula: impl Fn(f32) -> f32) {
    let number = |low: u8, j: usize| formula(f32::from(low | (((fifth >> j) & 1) as u8) << 4));
    for (j, &byte) in bytes.iter().enumerate() {
        out[j] = number(byte & 15, j);
        out[j + 16] = number(byte >> 4, j + 16);
    }
}
