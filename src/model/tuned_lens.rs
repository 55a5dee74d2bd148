//! Files of tuned lenses (Belrose et al. 2023): for each block an affine map that is added to what the block reads, so that final norm and
//! unembedding understand it. The layout is that of the package `tuned-lens`: a folder with `params.pt`, whose tensors are `N.weight` `[d, d]`
//! as `[out, in]` and `N.bias`.

use std::path::{Path, PathBuf};

use super::checkpoint::{TensorEntry, TensorFile, open_tensors};

/// One affine map: `h + h W + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Translator {
    /// `[d, d]` as `[in, out]`, in row-major order.
    pub weight: Vec<f32>,
    /// `[d]`.
    pub bias: Vec<f32>,
}

/// The maps of a lens, one for each block.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedLens {
    /// Width of the model.
    pub width: usize,
    /// In the order of the blocks.
    pub translators: Vec<Translator>,
}

/// Names of the file in a folder, the first that is there counts.
const NAMES: [&str; 3] = ["params.safetensors", "params.pt", "model.safetensors"];

/// Reads a lens from a folder or a file (`.pt`, `.safetensors`) for a model of so many blocks and that width.
///
/// # Errors
/// In words: what is wrong with the file, or that it is of another model.
pub fn read(path: &Path, layers: usize, width: usize) -> Result<TunedLens, String> {
    let file = place(path)?;
    let shown = file.display().to_string();
    let tensors = open_tensors(&file).map_err(|error| error.to_string())?;
    let mut translators = Vec::new();
    while let Some(weight) = named(&tensors, translators.len(), "weight") {
        let layer = translators.len();
        if weight.shape != [width, width] {
            return Err(format!(
                "{} in {shown} is {:?}, and the model is {width} wide: the lens is of another model",
                weight.name, weight.shape
            ));
        }
        let data = elements(&tensors, weight)?;
        let turned = (0..data.len()).map(|i| data[i % width * width + i / width]).collect();
        let bias = match named(&tensors, layer, "bias") {
            Some(bias) if bias.shape == [width] => elements(&tensors, bias)?,
            Some(bias) => return Err(format!("{} in {shown} is {:?}, not [{width}]", bias.name, bias.shape)),
            None => vec![0.0; width],
        };
        translators.push(Translator { weight: turned, bias });
    }
    match translators.len() {
        0 => Err(format!("{shown} is no tuned lens: it has no tensors 0.weight, 1.weight, ...")),
        count if count != layers => {
            Err(format!("{shown} is a lens of {count} blocks, and the model has {layers}: it is of another model"))
        }
        _ => Ok(TunedLens { width, translators }),
    }
}

fn place(path: &Path) -> Result<PathBuf, String> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let found = NAMES.iter().map(|name| path.join(name)).find(|file| file.exists());
    found.ok_or_else(|| format!("{} has no {}", path.display(), NAMES.join(", ")))
}

/// The tensor of a block, whatever stands in front of its number.
fn named<'a>(tensors: &'a TensorFile, layer: usize, what: &str) -> Option<&'a TensorEntry> {
    let end = format!("{layer}.{what}");
    let is_it = |name: &str| name.strip_suffix(&end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    tensors.entries().iter().find(|entry| is_it(&entry.name))
}

fn elements(tensors: &TensorFile, entry: &TensorEntry) -> Result<Vec<f32>, String> {
    let mut parts = tensors.read_f32(entry, &[entry.count()]).map_err(|error| error.to_string())?;
    Ok(parts.pop().unwrap_or_default())
}
