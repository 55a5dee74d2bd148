//! The older quantised blocks of GGUF: 32 elements with one scale `d`, in half precision, and in some a minimum `m`.
//!
//! Of 4-bit values the low halves of 16 bytes are the elements 0 to 15, the high halves 16 to 31; fifth bits are next
//! to them, bit `j` for element `j`.

use super::half;

/// `d (q - 8)`: d, 16 bytes.
pub fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half(block, 0);
    for (j, &byte) in block[2..].iter().enumerate() {
        out[j] = d * (f32::from(byte & 15) - 8.0);
        out[j + 16] = d * (f32::from(byte >> 4) - 8.0);
    }
}

/// `d q + m`: d, m, 16 bytes.
pub fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (j, &byte) in block[4..].iter().enumerate() {
        out[j] = d * f32::from(byte & 15) + m;
        out[j + 16] = d * f32::from(byte >> 4) + m;
    }
}

/// `d (q - 16)`: d, 4 bytes of fifth bits, 16 bytes.
pub fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let d = half(block, 0);
    let fifth = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    for (j, &byte) in block[6..].iter().enumerate() {
        out[j] = d * (f32::from(five_bits(byte & 15, fifth, j)) - 16.0);
        out[j + 16] = d * (f32::from(five_bits(byte >> 4, fifth, j + 16)) - 16.0);
    }
}

/// `d q + m`: d, m, 4 bytes of fifth bits, 16 bytes.
pub fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    let fifth = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    for (j, &byte) in block[8..].iter().enumerate() {
        out[j] = d * f32::from(five_bits(byte & 15, fifth, j)) + m;
        out[j + 16] = d * f32::from(five_bits(byte >> 4, fifth, j + 16)) + m;
    }
}

/// `d q`: d, 32 signed bytes.
pub fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = half(block, 0);
    for (out, &byte) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(byte as i8);
    }
}

/// The low four bits with the fifth one of element `j`.
fn five_bits(low: u8, fifth: u32, j: usize) -> u8 {
    low | (((fifth >> j) & 1) as u8) << 4
}
