//! Stored blocks to 32-bit floats.
//!
//! The arithmetic of quantised blocks is that of ggml, each product and sum rounded to 32 bits in its order, so that
//! the numbers are those of every other program that reads the file.

mod codebooks;
mod floats;
mod i_quants;
mod k_quants;
mod legacy;
mod step;
#[cfg(target_arch = "x86_64")]
pub mod x86;

use super::stored::StoredType;

pub use step::step;

/// Elements of the largest block.
pub const LARGEST_BLOCK: usize = 256;

/// Decodes whole blocks: `out` has room for as many elements as `bytes` holds.
///
/// # Panics
/// If the sizes disagree, or the type cannot be loaded.
pub fn decode(kind: StoredType, bytes: &[u8], out: &mut [f32]) {
    let (bytes, out) = after_units(kind, bytes, out);
    if !(bytes.is_empty() && out.is_empty()) {
        decode_one_by_one(kind, bytes, out);
    }
}

/// Decodes what can be in vectors, and returns what is left.
fn after_units<'a>(kind: StoredType, bytes: &'a [u8], out: &'a mut [f32]) -> (&'a [u8], &'a mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        let mut done = (0, 0);
        x86::run(kind, x86::Widen { bytes, out, done: &mut done });
        (&bytes[done.0..], &mut out[done.1..])
    }
    #[cfg(not(target_arch = "x86_64"))]
    (bytes, out)
}

/// The same, element by element: on other processors, and of what is not a whole unit.
fn decode_one_by_one(kind: StoredType, bytes: &[u8], out: &mut [f32]) {
    match kind {
        StoredType::F64 => floats::f64s(bytes, out),
        StoredType::F32 => floats::f32s(bytes, out),
        StoredType::F16 => floats::f16s(bytes, out),
        StoredType::BF16 => floats::bf16s(bytes, out),
        StoredType::F8_E4M3 => floats::f8s(bytes, out, floats::e4m3),
        StoredType::F8_E5M2 => floats::f8s(bytes, out, floats::e5m2),
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
        StoredType::IQ4_NL => blocks(bytes, out, i_quants::iq4_nl),
        StoredType::IQ4_XS => blocks(bytes, out, i_quants::iq4_xs),
        StoredType::IQ3_XXS => blocks(bytes, out, i_quants::iq3_xxs),
        StoredType::IQ3_S => blocks(bytes, out, i_quants::iq3_s),
        StoredType::IQ2_XXS => blocks(bytes, out, i_quants::iq2_xxs),
        StoredType::IQ2_XS => blocks(bytes, out, i_quants::iq2_xs),
        StoredType::IQ2_S => blocks(bytes, out, i_quants::iq2_s),
        StoredType::IQ1_S => blocks(bytes, out, i_quants::iq1_s),
        StoredType::IQ1_M => blocks(bytes, out, i_quants::iq1_m),
        StoredType::TQ1_0 => blocks(bytes, out, i_quants::tq1_0),
        StoredType::TQ2_0 => blocks(bytes, out, i_quants::tq2_0),
        StoredType::MXFP4 => blocks(bytes, out, i_quants::mxfp4),
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
mod tests;
