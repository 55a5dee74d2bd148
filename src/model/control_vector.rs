//! Control vectors of llama.cpp: GGUF files of architecture `controlvector`, whose tensors `direction.N`, f32 `[d]`, are added to
//! the output of block N. Its generator numbers the output of block 0 as 1, and there is no 0.

use std::path::Path;

use super::checkpoint::{StoredType, open_gguf_tensors};
use super::error::LoadError;

/// What the architecture of such a file is called.
pub const ARCHITECTURE: &str = "controlvector";

/// What tensors are called before their number.
pub const PREFIX: &str = "direction.";

/// Why a file is not a control vector.
#[derive(Debug, thiserror::Error)]
pub enum ControlVectorError {
    #[error(transparent)]
    File(#[from] LoadError),
    #[error("{path} is a GGUF file of {found}, and not a control vector (general.architecture = controlvector)")]
    Architecture { path: String, found: String },
    #[error("{tensor} in {path} is not direction.N with N at least 1: llama.cpp would refuse it")]
    Name { path: String, tensor: String },
    #[error("{tensor} in {path} has the number of one before it")]
    Twice { path: String, tensor: String },
    #[error("{tensor} in {path} is {dtype} of shape {shape:?}; a control vector is f32 with one axis")]
    Kind { path: String, tensor: String, dtype: String, shape: Vec<usize> },
    #[error("{path} has no tensors direction.1, direction.2, ...")]
    Empty { path: String },
}

#[derive(Clone, Debug, PartialEq)]
pub struct ControlVector {
    /// What model the file says that it is for.
    pub model: Option<String>,
    /// By the number N, in order.
    pub vectors: Vec<(usize, Vec<f32>)>,
}

/// # Errors
/// If it is not a control vector as llama.cpp reads them.
pub fn read(path: &Path) -> Result<ControlVector, ControlVectorError> {
    let file = open_gguf_tensors(path)?;
    let path = file.tensors.path.clone();
    let found = file.text("general.architecture").unwrap_or("an unnamed architecture").to_owned();
    if found != ARCHITECTURE {
        return Err(ControlVectorError::Architecture { path, found });
    }
    let mut vectors: Vec<(usize, Vec<f32>)> = Vec::new();
    for entry in &file.tensors.entries {
        let tensor = entry.name.clone();
        let number = tensor.strip_prefix(PREFIX).and_then(|number| number.parse::<usize>().ok());
        let Some(number) = number.filter(|number| *number > 0) else {
            return Err(ControlVectorError::Name { path, tensor });
        };
        if vectors.iter().any(|(known, _)| *known == number) {
            return Err(ControlVectorError::Twice { path, tensor });
        }
        if entry.dtype != StoredType::F32 || entry.shape.len() != 1 {
            let (dtype, shape) = (entry.dtype.name().to_owned(), entry.shape.clone());
            return Err(ControlVectorError::Kind { path, tensor, dtype, shape });
        }
        vectors.push((number, file.tensors.read_f32(entry)?));
    }
    if vectors.is_empty() {
        return Err(ControlVectorError::Empty { path });
    }
    vectors.sort_by_key(|(number, _)| *number);
    let model = file.text("controlvector.model_hint").map(str::to_owned);
    Ok(ControlVector { model, vectors })
}
