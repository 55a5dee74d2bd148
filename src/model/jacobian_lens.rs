//! Files of Jacobian lenses: for each block a matrix that says how the model's last state follows from the output of the block,
//! on average over texts. The layout is that of TransformerLens: a file of PyTorch with `J`, a dictionary of `[d, d]` by block
//! (`[out, in]`), next to `n_prompts`, `source_layers` and `d_model`; or the same tensors, `J.N`, in safetensors.

use std::collections::BTreeMap;
use std::path::Path;

use super::checkpoint::open_tensors;
use super::error::LoadError;

/// Why a file is not a lens of the model.
#[derive(Debug, thiserror::Error)]
pub enum JacobianLensError {
    #[error(transparent)]
    File(#[from] LoadError),
    #[error("{path} is not a Jacobian lens: it has no tensors J.0, J.1, ...")]
    NoLens { path: String },
    #[error("{path} is a fit that has not ended (jacobian_sum): finish it, or save its mean as J")]
    Unfinished { path: String },
    #[error("{tensor} in {path} is none of J.0, J.1, ...")]
    Unknown { path: String, tensor: String },
    #[error("{tensor} in {path} is of block {block}, and the model has {layers}: it is of a different model")]
    Block { path: String, tensor: String, block: usize, layers: usize },
    #[error("{tensor} in {path} is {shape:?}, and the model is {width} wide: the lens is of a different model")]
    Shape { path: String, tensor: String, shape: Vec<usize>, width: usize },
}

/// The matrices `[d, d]` as `[out, in]`, in row-major order, by block.
#[derive(Clone, Debug, PartialEq)]
pub struct JacobianLens {
    pub width: usize,
    pub maps: BTreeMap<usize, Vec<f32>>,
}

/// Reads a lens for a model of `layers` blocks and that width.
///
/// # Errors
/// If it is not a lens, or of a different model.
pub fn read(path: &Path, layers: usize, width: usize) -> Result<JacobianLens, JacobianLensError> {
    let tensors = open_tensors(path)?;
    let path = path.display().to_string();
    let mut maps = BTreeMap::new();
    for entry in &tensors.entries {
        let tensor = entry.name.clone();
        if tensor.starts_with("jacobian_sum") {
            return Err(JacobianLensError::Unfinished { path });
        }
        let number = tensor.strip_prefix("J.").and_then(|number| number.parse::<usize>().ok());
        // What else a file says of itself is in numbers, not in tensors.
        let Some(block) = number else {
            match tensor.starts_with("metadata") {
                true => continue,
                false if tensors.entries.iter().any(|entry| entry.name.starts_with("J.")) => {
                    return Err(JacobianLensError::Unknown { path, tensor });
                }
                false => return Err(JacobianLensError::NoLens { path }),
            }
        };
        if block >= layers {
            return Err(JacobianLensError::Block { path, tensor, block, layers });
        }
        if entry.shape != [width, width] {
            let shape = entry.shape.clone();
            return Err(JacobianLensError::Shape { path, tensor, shape, width });
        }
        maps.insert(block, tensors.read_f32(entry)?);
    }
    match maps.is_empty() {
        true => Err(JacobianLensError::NoLens { path }),
        false => Ok(JacobianLens { width, maps }),
    }
}
