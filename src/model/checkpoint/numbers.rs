//! Numbers of fixed width to 64-bit floats: the elements of arrays that are compared with a model's values rather than
//! computed with, and so keep every digit.

use half::{bf16, f16};
use safetensors::tensor::Dtype;

/// A type whose elements are single numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Number {
    /// The type of a safetensors file; `None` for what is not a single real number.
    pub fn of_safetensors(dtype: Dtype) -> Option<Number> {
        Some(match dtype {
            Dtype::BOOL => Number::Bool,
            Dtype::I8 => Number::I8,
            Dtype::I16 => Number::I16,
            Dtype::I32 => Number::I32,
            Dtype::I64 => Number::I64,
            Dtype::U8 => Number::U8,
            Dtype::U16 => Number::U16,
            Dtype::U32 => Number::U32,
            Dtype::U64 => Number::U64,
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            _ => return None,
        })
    }

    /// The type that NumPy calls `i4` or `f8`; `None` for what is not a single real number.
    pub fn of_numpy(name: &str) -> Option<Number> {
        Some(match name {
            "b1" => Number::Bool,
            "i1" => Number::I8,
            "i2" => Number::I16,
            "i4" => Number::I32,
            "i8" => Number::I64,
            "u1" => Number::U8,
            "u2" => Number::U16,
            "u4" => Number::U32,
            "u8" => Number::U64,
            "f2" => Number::F16,
            "f4" => Number::F32,
            "f8" => Number::F64,
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub fn width(self) -> usize {
        match self {
            Number::Bool | Number::I8 | Number::U8 => 1,
            Number::I16 | Number::U16 | Number::F16 | Number::Bf16 => 2,
            Number::I32 | Number::U32 | Number::F32 => 4,
            Number::I64 | Number::U64 | Number::F64 => 8,
        }
    }

    /// The elements that little-endian `bytes` hold. Truth values are 0 and 1; whole numbers beyond 2^53 become the
    /// nearest `f64`.
    pub fn decode(self, bytes: &[u8]) -> Vec<f64> {
        match self {
            Number::Bool => each(bytes, |[byte]| f64::from(byte != 0)),
            Number::I8 => each(bytes, |b| i8::from_le_bytes(b).into()),
            Number::I16 => each(bytes, |b| i16::from_le_bytes(b).into()),
            Number::I32 => each(bytes, |b| i32::from_le_bytes(b).into()),
            Number::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
            Number::U8 => each(bytes, |b| u8::from_le_bytes(b).into()),
            Number::U16 => each(bytes, |b| u16::from_le_bytes(b).into()),
            Number::U32 => each(bytes, |b| u32::from_le_bytes(b).into()),
            Number::U64 => each(bytes, |b| u64::from_le_bytes(b) as f64),
            Number::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f64()),
            Number::Bf16 => each(bytes, |b| bf16::from_le_bytes(b).to_f64()),
            Number::F32 => each(bytes, |b| f32::from_le_bytes(b).into()),
            Number::F64 => each(bytes, f64::from_le_bytes),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|chunk| number(*chunk)).collect()
}
