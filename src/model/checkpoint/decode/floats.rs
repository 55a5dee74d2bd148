//! Floats of other widths. Widening is exact; only 64-bit numbers are rounded.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

/// Elements that are converted at a time, through memory that is aligned for them: not every file aligns its data.
const CHUNK: usize = 256;

/// 64-bit floats, rounded to the nearest.
pub fn f64s(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |bytes| f64::from_le_bytes(bytes) as f32);
}

pub fn f32s(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, f32::from_le_bytes);
}

pub fn f16s(bytes: &[u8], out: &mut [f32]) {
    halves(bytes, out, |bits, out| bits.reinterpret_cast::<f16>().convert_to_f32_slice(out));
}

/// The upper halves of 32-bit floats.
pub fn bf16s(bytes: &[u8], out: &mut [f32]) {
    halves(bytes, out, |bits, out| bits.reinterpret_cast::<bf16>().convert_to_f32_slice(out));
}

/// Floats of eight bits, through a table.
pub fn f8s(bytes: &[u8], out: &mut [f32], float: fn(u8) -> f32) {
    let table: [f32; 256] = std::array::from_fn(|bits| float(bits as u8));
    each(bytes, out, |[byte]| table[usize::from(byte)]);
}

/// One sign, four bits of exponent with a bias of 7, three of mantissa; all ones are NaN, and there are no infinities.
pub fn e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
    let size = match (exponent, bits & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2f32.powi(-9),
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    };
    if bits & 0x80 != 0 { -size } else { size }
}

/// The upper half of a 16-bit float.
pub fn e5m2(bits: u8) -> f32 {
    f16::from_bits(u16::from(bits) << 8).to_f32()
}

fn each<const SIZE: usize>(bytes: &[u8], out: &mut [f32], element: impl Fn([u8; SIZE]) -> f32) {
    let (elements, rest) = bytes.as_chunks::<SIZE>();
    assert!(rest.is_empty() && elements.len() == out.len(), "whole elements");
    for (out, &bytes) in out.iter_mut().zip(elements) {
        *out = element(bytes);
    }
}

fn halves(bytes: &[u8], out: &mut [f32], convert: impl Fn(&[u16], &mut [f32])) {
    let (elements, rest) = bytes.as_chunks::<2>();
    assert!(rest.is_empty() && elements.len() == out.len(), "whole elements");
    let mut bits = [0u16; CHUNK];
    for (elements, out) in elements.chunks(CHUNK).zip(out.chunks_mut(CHUNK)) {
        for (bits, &bytes) in bits.iter_mut().zip(elements) {
            *bits = u16::from_le_bytes(bytes);
        }
        convert(&bits[..elements.len()], out);
    }
}
