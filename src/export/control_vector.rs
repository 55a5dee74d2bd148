//! Control vectors of llama.cpp, as its generator writes them: GGUF version 3, tensors `direction.N` in f32.

use crate::model::control_vector::{ARCHITECTURE, PREFIX};

const MAGIC: &[u8] = b"GGUF";
const VERSION: u32 = 3;

/// Bytes that the data of each tensor begins at a multiple of.
const ALIGNMENT: usize = 32;

/// Numbers of the types of metadata and tensors.
const TEXT: u32 = 8;
const UNSIGNED: u32 = 4;
const F32: u32 = 0;

/// The file of vectors by the number of the block to whose output they are added, for a model of this architecture.
pub fn control_vector(model: &str, vectors: &[(usize, Vec<f32>)]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend(VERSION.to_le_bytes());
    file.extend((vectors.len() as u64).to_le_bytes());
    file.extend(3u64.to_le_bytes());
    for (key, value) in [("general.architecture", ARCHITECTURE), ("controlvector.model_hint", model)] {
        text(&mut file, key);
        file.extend(TEXT.to_le_bytes());
        text(&mut file, value);
    }
    text(&mut file, "controlvector.layer_count");
    file.extend(UNSIGNED.to_le_bytes());
    file.extend((vectors.len() as u32).to_le_bytes());
    let mut at = 0;
    for (number, vector) in vectors {
        text(&mut file, &format!("{PREFIX}{number}"));
        file.extend(1u32.to_le_bytes());
        file.extend((vector.len() as u64).to_le_bytes());
        file.extend(F32.to_le_bytes());
        file.extend((at as u64).to_le_bytes());
        at += (4 * vector.len()).next_multiple_of(ALIGNMENT);
    }
    for (_, vector) in vectors {
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
    }
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    file
}

fn text(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.as_bytes());
}
