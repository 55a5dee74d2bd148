//! The K-quants of GGUF: blocks of 256 elements in sub-blocks of 16 or 32, whose small integer scales `sc` (and
//! minimums `mn`) multiply scales `d` and `dmin` of the whole block.

use super::half;

/// `d sc q - dmin mn`: 16 bytes with sc in the low and mn in the high half, 64 bytes of 2-bit values, d, dmin.
///
/// Each 32 bytes hold 128 elements: the lowest two bits of all of them first.
pub fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (scales, values) = (&block[..16], &block[16..80]);
    let (d, dmin) = (half(block, 80), half(block, 82));
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = d * f32::from(scales[sub] & 15);
        let minimum = dmin * f32::from(scales[sub] >> 4);
        let (bytes, shift) = two_bits(values, sub);
        for (out, &byte) in out.iter_mut().zip(bytes) {
            *out = scale * f32::from((byte >> shift) & 3) - minimum;
        }
    }
}

/// `d (sc - 32) (q - 4)`, without the 4 where the third bit is set: 32 bytes of third bits, 64 bytes of 2-bit values,
/// 12 bytes with 16 six-bit sc, d.
pub fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let (third, values, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let d = half(block, 108);
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = d * f32::from(q3_scale(packed, sub));
        let (bytes, shift) = two_bits(values, sub);
        let (mask, from) = (1 << (sub / 2), (sub % 2) * 16);
        for ((out, &byte), &bits) in out.iter_mut().zip(bytes).zip(&third[from..]) {
            let q = ((byte >> shift) & 3) as i8 - if bits & mask == 0 { 4 } else { 0 };
            *out = scale * f32::from(q);
        }
    }
}

/// `d sc q - dmin mn`: d, dmin, 12 bytes with 8 six-bit sc and mn, 128 bytes; of each 32 bytes the low halves are 32
/// elements and the high halves the next 32.
pub fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    four_bits(block, &[0; 32], &block[16..], out);
}

/// `d sc q - dmin mn`: as Q4_K, with 32 bytes of fifth bits before the 128 bytes, bit `j` for sub-block `j`.
pub fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    four_bits(block, &block[16..48], &block[48..], out);
}

fn four_bits(block: &[u8], fifth: &[u8], values: &[u8], out: &mut [f32; 256]) {
    let (d, dmin) = (half(block, 0), half(block, 2));
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (sc, mn) = scale_and_minimum(&block[4..16], sub);
        let (scale, minimum) = (d * f32::from(sc), dmin * f32::from(mn));
        let shift = 4 * (sub % 2);
        for ((out, &byte), &bits) in out.iter_mut().zip(&values[sub / 2 * 32..]).zip(fifth) {
            let q = (byte >> shift) & 15 | ((bits >> sub) & 1) << 4;
            *out = scale * f32::from(q) - minimum;
        }
    }
}

/// `d sc (q - 32)`: 128 bytes of low halves, 64 bytes of upper two bits, 16 signed sc, d.
///
/// In each half of 128 elements, 64 bytes hold the low four bits (low halves first) and 32 bytes the upper two.
pub fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half(block, 208);
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (side, quarter) = (sub / 4, sub % 4);
        let low = &low[side * 64 + (quarter % 2) * 32..];
        let high = &high[side * 32..];
        let (low_shift, high_shift) = (4 * (quarter / 2), 2 * quarter);
        let scale = [0, 1].map(|i| d * f32::from(scales[sub * 2 + i] as i8));
        for (l, out) in out.iter_mut().enumerate() {
            let q = (low[l] >> low_shift) & 15 | ((high[l] >> high_shift) & 3) << 4;
            *out = scale[l / 16] * f32::from(q as i8 - 32);
        }
    }
}

/// `d q`: d in 32 bits, 256 signed bytes, and sums of 16 of them, which only products use.
pub fn q8_k(block: &[u8; 292], out: &mut [f32; 256]) {
    let d = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    for (out, &byte) in out.iter_mut().zip(&block[4..260]) {
        *out = d * f32::from(byte as i8);
    }
}

/// Bytes and shift of the 2-bit values of sub-block `sub` of 16 elements.
fn two_bits(values: &[u8], sub: usize) -> (&[u8], usize) {
    (&values[sub / 8 * 32 + (sub % 2) * 16..], sub % 8 / 2 * 2)
}

/// The `sub`-th of 16 six-bit scales in 12 bytes, less 32: low halves in 8 bytes, upper two bits in 4.
pub(super) fn q3_scale(packed: &[u8], sub: usize) -> i8 {
    let low = (packed[sub % 8] >> (4 * (sub / 8))) & 15;
    let high = (packed[8 + sub % 4] >> (2 * (sub / 4))) & 3;
    (low | high << 4) as i8 - 32
}

/// The `sub`-th of 8 six-bit scales and minimums in 12 bytes.
pub(super) fn scale_and_minimum(packed: &[u8], sub: usize) -> (u8, u8) {
    if sub < 4 {
        return (packed[sub] & 63, packed[sub + 4] & 63);
    }
    let (both, low, high) = (packed[sub + 4], packed[sub - 4], packed[sub]);
    (both & 15 | (low >> 6) << 4, both >> 4 | (high >> 6) << 4)
}
