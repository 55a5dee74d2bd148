//! The element types of ggml by their numbers.

use crate::model::checkpoint::stored::StoredType;

/// A type, and the elements and bytes of one of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GgmlType {
    pub stored: StoredType,
    pub elements: usize,
    pub bytes: usize,
}

/// The type of a number, if it is known. Of the types that cannot be loaded the size is known, so that the other
/// tensors of their file can be placed, and so that they can be refused by name.
pub fn ggml_type(id: u32) -> Option<GgmlType> {
    let Some((_, stored)) = LOADABLE.into_iter().find(|(known, _)| *known == id) else { return unloadable(id) };
    stored.block().map(|(elements, bytes)| GgmlType { stored, elements, bytes })
}

/// The types that can be loaded.
pub fn types() -> impl Iterator<Item = StoredType> {
    LOADABLE.into_iter().map(|(_, stored)| stored)
}

const LOADABLE: [(u32, StoredType); 27] = {
    use StoredType::*;
    [
        (0, F32),
        (1, F16),
        (2, Q4_0),
        (3, Q4_1),
        (6, Q5_0),
        (7, Q5_1),
        (8, Q8_0),
        (10, Q2_K),
        (11, Q3_K),
        (12, Q4_K),
        (13, Q5_K),
        (14, Q6_K),
        (15, Q8_K),
        (16, IQ2_XXS),
        (17, IQ2_XS),
        (18, IQ3_XXS),
        (19, IQ1_S),
        (20, IQ4_NL),
        (21, IQ3_S),
        (22, IQ2_S),
        (23, IQ4_XS),
        (28, F64),
        (29, IQ1_M),
        (30, BF16),
        (34, TQ1_0),
        (35, TQ2_0),
        (39, MXFP4),
    ]
};

fn unloadable(id: u32) -> Option<GgmlType> {
    let (name, elements, bytes) = match id {
        9 => ("q8_1", 32, 36),
        24 => ("i8", 1, 1),
        25 => ("i16", 1, 2),
        26 => ("i32", 1, 4),
        27 => ("i64", 1, 8),
        40 => ("nvfp4", 64, 36),
        41 => ("q1_0", 128, 18),
        _ => return None,
    };
    Some(GgmlType { stored: StoredType::Other(name), elements, bytes })
}
