//! How the elements of a tensor are stored: floats of several widths, the blocks of quantised GGUF files, and what
//! cannot be computed with.

use safetensors::tensor::Dtype;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "the names are those of the format")]
pub enum StoredType {
    /// 64-bit floats, rounded when they are loaded.
    F64,
    F32,
    F16,
    /// The upper half of a 32-bit float.
    BF16,
    // Quantised blocks; their decoders give the formulas.
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
    Q8_K,
    IQ4_NL,
    IQ4_XS,
    IQ3_XXS,
    IQ3_S,
    IQ2_XXS,
    IQ2_XS,
    IQ2_S,
    IQ1_S,
    IQ1_M,
    TQ1_0,
    TQ2_0,
    MXFP4,
    /// Floats of eight bits: four of exponent and three of mantissa without infinities, or five and two.
    F8_E4M3,
    F8_E5M2,
    /// A type that cannot be loaded, by its name.
    Other(&'static str),
}

/// Names of the types that can be loaded, for messages.
pub const LOADABLE: &str = "f32, f16, bf16, f64, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k, q8_k, iq4_nl, \
                            iq4_xs, iq3_xxs, iq3_s, iq2_xxs, iq2_xs, iq2_s, iq1_s, iq1_m, tq1_0, tq2_0, mxfp4, f8_e4m3 \
                            and f8_e5m2";

const ALL: [StoredType; 29] = {
    use StoredType::*;
    [
        F64, F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K, IQ4_NL, IQ4_XS, IQ3_XXS,
        IQ3_S, IQ2_XXS, IQ2_XS, IQ2_S, IQ1_S, IQ1_M, TQ1_0, TQ2_0, MXFP4, F8_E4M3, F8_E5M2,
    ]
};

/// The names of all types that can be loaded.
pub fn loadable() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|kind| kind.name())
}

/// Types of safetensors and PyTorch that cannot be loaded.
const OTHERS: [&str; 16] = [
    "bool",
    "u8",
    "i8",
    "u16",
    "i16",
    "u32",
    "i32",
    "u64",
    "i64",
    "f4",
    "f6_e2m3",
    "f6_e3m2",
    "f8_e8m0",
    "f8_e4m3fnuz",
    "f8_e5m2fnuz",
    "c64",
];

impl StoredType {
    /// The type of this name. One that cannot be loaded keeps it, if it is known.
    pub fn named(name: &str) -> StoredType {
        let loadable = ALL.iter().find(|kind| kind.name() == name).copied();
        let other = || OTHERS.iter().find(|known| **known == name).map_or("of an unknown type", |known| known);
        loadable.unwrap_or_else(|| StoredType::Other(other()))
    }

    /// The name as it is shown, `f32` or `q4_k`; the elements and the bytes of one block. A float is a block of one.
    fn row(self) -> (&'static str, usize, usize) {
        match self {
            StoredType::F64 => ("f64", 1, 8),
            StoredType::F32 => ("f32", 1, 4),
            StoredType::F16 => ("f16", 1, 2),
            StoredType::BF16 => ("bf16", 1, 2),
            StoredType::Q4_0 => ("q4_0", 32, 18),
            StoredType::Q4_1 => ("q4_1", 32, 20),
            StoredType::Q5_0 => ("q5_0", 32, 22),
            StoredType::Q5_1 => ("q5_1", 32, 24),
            StoredType::Q8_0 => ("q8_0", 32, 34),
            StoredType::Q2_K => ("q2_k", 256, 84),
            StoredType::Q3_K => ("q3_k", 256, 110),
            StoredType::Q4_K => ("q4_k", 256, 144),
            StoredType::Q5_K => ("q5_k", 256, 176),
            StoredType::Q6_K => ("q6_k", 256, 210),
            StoredType::Q8_K => ("q8_k", 256, 292),
            StoredType::IQ4_NL => ("iq4_nl", 32, 18),
            StoredType::IQ4_XS => ("iq4_xs", 256, 136),
            StoredType::IQ3_XXS => ("iq3_xxs", 256, 98),
            StoredType::IQ3_S => ("iq3_s", 256, 110),
            StoredType::IQ2_XXS => ("iq2_xxs", 256, 66),
            StoredType::IQ2_XS => ("iq2_xs", 256, 74),
            StoredType::IQ2_S => ("iq2_s", 256, 82),
            StoredType::IQ1_S => ("iq1_s", 256, 50),
            StoredType::IQ1_M => ("iq1_m", 256, 56),
            StoredType::TQ1_0 => ("tq1_0", 256, 54),
            StoredType::TQ2_0 => ("tq2_0", 256, 66),
            StoredType::MXFP4 => ("mxfp4", 32, 17),
            StoredType::F8_E4M3 => ("f8_e4m3", 1, 1),
            StoredType::F8_E5M2 => ("f8_e5m2", 1, 1),
            StoredType::Other(name) => (name, 0, 0),
        }
    }

    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Elements and bytes of one block; `None` for what cannot be loaded.
    pub fn block(self) -> Option<(usize, usize)> {
        let (_, elements, bytes) = self.row();
        (elements > 0).then_some((elements, bytes))
    }

    /// Whether its elements share a scale with their neighbours.
    pub fn quantised(self) -> bool {
        self.block().is_some_and(|(elements, _)| elements > 1)
    }

    /// The type of a safetensors file, which calls it as we do, in capitals.
    pub fn of_safetensors(dtype: Dtype) -> StoredType {
        StoredType::named(&format!("{dtype:?}").to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_every_type_that_can_be_loaded() {
        for kind in ALL {
            assert!(LOADABLE.split([',', ' ']).any(|word| word == kind.name()), "{kind:?}");
            let is_float = ["f64", "f32", "f16", "bf16", "f8_e4m3", "f8_e5m2"].contains(&kind.name());
            assert_eq!(kind.quantised(), !is_float);
        }
        assert!(StoredType::of_safetensors(Dtype::I8).block().is_none());
        assert_eq!(StoredType::of_safetensors(Dtype::BF16), StoredType::BF16);
        assert_eq!(StoredType::of_safetensors(Dtype::F8_E4M3FNUZ), StoredType::Other("f8_e4m3fnuz"));
        assert_eq!(StoredType::of_safetensors(Dtype::BOOL), StoredType::Other("bool"));
    }
}
