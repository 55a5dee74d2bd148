//! Numbers of fixed width to 64-bit floats: the elements of arrays that are compared with a model's values rather than
//! computed with, and so keep every digit.

use half::{bf16, f16};
use safetensors::tensor::Dtype;

/// The type that NumPy calls `i4` or `f8`; `None` for what is not a single real number.
pub fn of_numpy(name: &str) -> Option<Dtype> {
    Some(match name {
        "b1" => Dtype::BOOL,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        _ => return None,
    })
}

/// The elements that little-endian `bytes` hold; `None` for what are not single real numbers. Truth values are 0 and 1;
/// whole numbers beyond 2^53 become the nearest `f64`.
pub fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::BOOL => each(bytes, |[byte]| f64::from(byte != 0)),
        Dtype::I8 => each(bytes, |b| i8::from_le_bytes(b).into()),
        Dtype::I16 => each(bytes, |b| i16::from_le_bytes(b).into()),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b).into()),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
        Dtype::U8 => each(bytes, |b| u8::from_le_bytes(b).into()),
        Dtype::U16 => each(bytes, |b| u16::from_le_bytes(b).into()),
        Dtype::U32 => each(bytes, |b| u32::from_le_bytes(b).into()),
        Dtype::U64 => each(bytes, |b| u64::from_le_bytes(b) as f64),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f64()),
        Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f64()),
        Dtype::F32 => each(bytes, |b| f32::from_le_bytes(b).into()),
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        _ => return None,
    })
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|chunk| number(*chunk)).collect()
}
