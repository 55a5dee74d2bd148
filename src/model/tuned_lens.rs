//! Files of tuned lenses (Belrose et al. 2023): for each block an affine map that is added to what the block reads, so
//! that final norm and unembedding understand it. The layout is that of the package `tuned-lens`: a folder with
//! `params.pt`, whose tensors are `N.weight` `[d, d]` as `[out, in]` and `N.bias`.

use std::path::{Path, PathBuf};

use super::checkpoint::{TensorEntry, TensorFile, open_tensors};
use super::error::LoadError;

/// Why a file is not a lens of the model.
#[derive(Debug, thiserror::Error)]
pub enum TunedLensError {
    #[error("{path} has no {}", NAMES.join(", "))]
    NoFile { path: String },
    #[error(transparent)]
    File(#[from] LoadError),
    #[error("{path} is not a tuned lens: it has no tensors 0.weight, 1.weight, ...")]
    NoLens { path: String },
    #[error("{tensor} in {path} is {shape:?}, and the model is {width} wide: the lens is of a different model")]
    Weight { path: String, tensor: String, shape: Vec<usize>, width: usize },
    #[error("{tensor} in {path} is {shape:?}, not [{width}]")]
    Bias { path: String, tensor: String, shape: Vec<usize>, width: usize },
    #[error("{path} is a lens of {blocks} blocks, and the model has {layers}: it is of a different model")]
    Blocks { path: String, blocks: usize, layers: usize },
}

/// One affine map: `h + h W + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Translator {
    /// `[d, d]` as `[in, out]`, in row-major order.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TunedLens {
    pub width: usize,
    /// In the order of the blocks.
    pub translators: Vec<Translator>,
}

/// Names of the file in a folder, the first that is there counts.
const NAMES: [&str; 3] = ["params.safetensors", "params.pt", "model.safetensors"];

/// Reads a lens from a folder or a file (`.pt`, `.safetensors`) for a model of `layers` blocks and that width.
pub fn read(path: &Path, layers: usize, width: usize) -> Result<TunedLens, TunedLensError> {
    let file = file_of(path)?;
    let path = file.display().to_string();
    let tensors = open_tensors(&file)?;
    let mut translators = Vec::new();
    while let Some(weight) = named(&tensors, translators.len(), "weight") {
        let layer = translators.len();
        if weight.shape != [width, width] {
            let (tensor, shape) = (weight.name.clone(), weight.shape.clone());
            return Err(TunedLensError::Weight { path, tensor, shape, width });
        }
        let data = tensors.read_f32(weight)?;
        let turned = (0..data.len()).map(|i| data[i % width * width + i / width]).collect();
        let bias = match named(&tensors, layer, "bias") {
            Some(bias) if bias.shape == [width] => tensors.read_f32(bias)?,
            Some(bias) => {
                let (tensor, shape) = (bias.name.clone(), bias.shape.clone());
                return Err(TunedLensError::Bias { path, tensor, shape, width });
            }
            None => vec![0.0; width],
        };
        translators.push(Translator { weight: turned, bias });
    }
    match translators.len() {
        0 => Err(TunedLensError::NoLens { path }),
        blocks if blocks != layers => Err(TunedLensError::Blocks { path, blocks, layers }),
        _ => Ok(TunedLens { width, translators }),
    }
}

fn file_of(path: &Path) -> Result<PathBuf, TunedLensError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let found = NAMES.iter().map(|name| path.join(name)).find(|file| file.exists());
    found.ok_or_else(|| TunedLensError::NoFile { path: path.display().to_string() })
}

/// The tensor of a block, whatever comes before its number.
fn named<'a>(tensors: &'a TensorFile, layer: usize, what: &str) -> Option<&'a TensorEntry> {
    let end = format!("{layer}.{what}");
    let is_it = |name: &str| name.strip_suffix(&end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    tensors.entries.iter().find(|entry| is_it(&entry.name))
}
