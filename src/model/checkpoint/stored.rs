//! How the elements of a tensor are stored: floats of several widths, the blocks of quantised GGUF files, and what
//! cannot be computed with.

use safetensors::tensor::Dtype;

/// An element type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "the names are those of the format")]
pub enum StoredType {
    /// 64-bit floats, rounded when they are loaded.
    F64,
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a 32-bit float.
    BF16,
    /// Blocks of 32: `d (q - 8)`, 4 bits.
    Q4_0,
    /// Blocks of 32: `d q + m`, 4 bits.
    Q4_1,
    /// Blocks of 32: `d (q - 16)`, 5 bits.
    Q5_0,
    /// Blocks of 32: `d q + m`, 5 bits.
    Q5_1,
    /// Blocks of 32: `d q`, 8 bits.
    Q8_0,
    /// Blocks of 256: `d sc q - dmin mn`, 2 bits.
    Q2_K,
    /// Blocks of 256: `d (sc - 32) (q - 4)`, 3 bits.
    Q3_K,
    /// Blocks of 256: `d sc q - dmin mn`, 4 bits.
    Q4_K,
    /// Blocks of 256: `d sc q - dmin mn`, 5 bits.
    Q5_K,
    /// Blocks of 256: `d sc (q - 32)`, 6 bits.
    Q6_K,
    /// Blocks of 256: `d q`, 8 bits and a 32-bit scale.
    Q8_K,
    /// A type that cannot be loaded, by its name.
    Other(&'static str),
}

/// Names of the types that can be loaded, for messages.
pub const LOADABLE: &str = "f32, f16, bf16, f64, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k and q8_k";

impl StoredType {
    /// The name as it is shown: `f32`, `q4_k`.
    pub fn name(self) -> &'static str {
        match self {
            StoredType::F64 => "f64",
            StoredType::F32 => "f32",
            StoredType::F16 => "f16",
            StoredType::BF16 => "bf16",
            StoredType::Q4_0 => "q4_0",
            StoredType::Q4_1 => "q4_1",
            StoredType::Q5_0 => "q5_0",
            StoredType::Q5_1 => "q5_1",
            StoredType::Q8_0 => "q8_0",
            StoredType::Q2_K => "q2_k",
            StoredType::Q3_K => "q3_k",
            StoredType::Q4_K => "q4_k",
            StoredType::Q5_K => "q5_k",
            StoredType::Q6_K => "q6_k",
            StoredType::Q8_K => "q8_k",
            StoredType::Other(name) => name,
        }
    }

    /// Elements and bytes of one block; `None` for what cannot be loaded. A float is a block of one.
    pub fn block(self) -> Option<(usize, usize)> {
        Some(match self {
            StoredType::F64 => (1, 8),
            StoredType::F32 => (1, 4),
            StoredType::F16 | StoredType::BF16 => (1, 2),
            StoredType::Q4_0 => (32, 18),
            StoredType::Q4_1 => (32, 20),
            StoredType::Q5_0 => (32, 22),
            StoredType::Q5_1 => (32, 24),
            StoredType::Q8_0 => (32, 34),
            StoredType::Q2_K => (256, 84),
            StoredType::Q3_K => (256, 110),
            StoredType::Q4_K => (256, 144),
            StoredType::Q5_K => (256, 176),
            StoredType::Q6_K => (256, 210),
            StoredType::Q8_K => (256, 292),
            StoredType::Other(_) => return None,
        })
    }

    /// Whether its elements share a scale with their neighbours.
    pub fn quantised(self) -> bool {
        self.block().is_some_and(|(elements, _)| elements > 1)
    }

    /// The type of a safetensors file.
    pub fn of_safetensors(dtype: Dtype) -> StoredType {
        match dtype {
            Dtype::F64 => StoredType::F64,
            Dtype::F32 => StoredType::F32,
            Dtype::F16 => StoredType::F16,
            Dtype::BF16 => StoredType::BF16,
            Dtype::BOOL => StoredType::Other("bool"),
            Dtype::U8 => StoredType::Other("u8"),
            Dtype::I8 => StoredType::Other("i8"),
            Dtype::U16 => StoredType::Other("u16"),
            Dtype::I16 => StoredType::Other("i16"),
            Dtype::U32 => StoredType::Other("u32"),
            Dtype::I32 => StoredType::Other("i32"),
            Dtype::U64 => StoredType::Other("u64"),
            Dtype::I64 => StoredType::Other("i64"),
            Dtype::F4 => StoredType::Other("f4"),
            Dtype::F6_E2M3 => StoredType::Other("f6_e2m3"),
            Dtype::F6_E3M2 => StoredType::Other("f6_e3m2"),
            Dtype::F8_E5M2 => StoredType::Other("f8_e5m2"),
            Dtype::F8_E4M3 => StoredType::Other("f8_e4m3"),
            Dtype::F8_E8M0 => StoredType::Other("f8_e8m0"),
            Dtype::F8_E4M3FNUZ => StoredType::Other("f8_e4m3fnuz"),
            Dtype::F8_E5M2FNUZ => StoredType::Other("f8_e5m2fnuz"),
            Dtype::C64 => StoredType::Other("c64"),
            _ => StoredType::Other("of an unknown type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_every_type_that_can_be_loaded() {
        use StoredType::*;
        for kind in [F64, F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K] {
            assert!(LOADABLE.split([',', ' ']).any(|word| word == kind.name()), "{kind:?}");
            assert_eq!(kind.quantised(), kind.name().starts_with('q'));
        }
        assert!(StoredType::of_safetensors(Dtype::I8).block().is_none());
    }
}
