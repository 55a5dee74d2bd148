//! A checkpoint as people share it: `config.json`, `model.safetensors`, and the files of the tokenizer.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;
use std::{fs, io};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, View};
use serde_json::{Map, Value as Json};

use super::{Cause, ExportError, file, whole};
use crate::model::role::{Role, WeightId};
use crate::model::weights::{FileTensor, Weights};
use crate::tensor::TensorError;

/// The name of a file to write next to the weights, and its bytes.
pub type Companion = (String, Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub tensors: usize,
    pub bytes: u64,
    /// Tensors of the original files that are not in the new one.
    pub left_out: usize,
    /// Whether tensors that were stored in blocks of few bits are now 32-bit floats.
    pub widened: bool,
}

/// Writes a model into a folder that is new or empty. Tensors keep the type that they are stored in, if safetensors has
/// it; those stored in blocks of few bits become 32-bit floats.
///
/// # Errors
/// If a weight cannot be read or a file cannot be written. What was written until then stays.
pub fn write(
    folder: &Path,
    config: &Map<String, Json>,
    weights: &Weights,
    companions: &[Companion],
) -> Result<Written, ExportError> {
    let failed = |error: io::Error| Cause::from(error).at(folder);
    fs::create_dir_all(folder).map_err(failed)?;
    if fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(Cause::from("the folder is not empty; name a new one").at(folder));
    }
    let used: Vec<&FileTensor> = weights.files().iter().filter(|file| belongs(file)).collect();
    let failure = RefCell::new(None);
    let tensors: Vec<(String, Entry<'_>)> = used
        .iter()
        .map(|file| (file.name.clone(), Entry { file, weights, dtype: written_as(&file.dtype), failure: &failure }))
        .collect();
    let bytes = tensors.iter().map(|(_, entry)| entry.data_len() as u64).sum();
    let widened = used.iter().any(|file| written_as(&file.dtype) == Dtype::F32 && file.dtype != "f32");
    let metadata = [("format".to_string(), "pt".to_string())].into_iter().collect();
    whole(&folder.join("model.safetensors"), |partial| {
        safetensors::serialize_to_file(tensors, Some(metadata), partial)?;
        failure.take().map_or(Ok(()), Err)
    })?;
    let mut config = config.clone();
    if widened {
        for key in ["dtype", "torch_dtype"] {
            config.entry(key).and_modify(|dtype| *dtype = "float32".into());
        }
        config.remove("quantization_config");
    }
    let config = serde_json::to_string_pretty(&config).map_err(|error| Cause::from(error).at(folder))?;
    file(folder.join("config.json"), format!("{config}\n"))?;
    for (name, bytes) in companions {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|error| Cause::from(error).at(&path))?;
    }
    Ok(Written { tensors: used.len(), bytes, left_out: weights.files().len() - used.len(), widened })
}

/// Whether a tensor is of the model: its weights, and the frequencies that its rotation takes from there. Layers of
/// sentence-transformers are in files of their own, which are not written.
fn belongs(file: &FileTensor) -> bool {
    let of_other_file = |id: &WeightId| matches!(id.role, Role::DenseW | Role::DenseB);
    file.name.ends_with("rotary_embeddings.inv_freq") || file.layout.is_some() && !file.uses.iter().any(of_other_file)
}

fn written_as(stored: &str) -> Dtype {
    match stored.to_ascii_lowercase().as_str() {
        "f16" => Dtype::F16,
        "bf16" => Dtype::BF16,
        _ => Dtype::F32,
    }
}

/// A tensor that is assembled when it is written.
struct Entry<'a> {
    file: &'a FileTensor,
    weights: &'a Weights,
    dtype: Dtype,
    /// The first failure: [`View`] has no way to return it.
    failure: &'a RefCell<Option<Cause>>,
}

impl Entry<'_> {
    /// As they are stored, where no weight of it is edited and safetensors has the type.
    fn bytes(&self) -> Result<Vec<u8>, Cause> {
        let name = &self.file.name;
        let unreadable = |error: TensorError| Cause::Tensor { name: name.clone(), error: error.into() };
        if let Some(bytes) = self.weights.as_stored(self.file).map_err(unreadable)? {
            return Ok(bytes);
        }
        let value = self.weights.as_in_file(self.file).map_err(unreadable)?;
        let value = value.ok_or_else(|| Cause::Refused(format!("{name}: the model does not use it")))?;
        let elements = value.read_f32().map_err(unreadable)?;
        if elements.len() != self.file.shape.iter().product::<usize>() {
            return Err(Cause::Refused(format!("{name}: it has a different size")));
        }
        Ok(match self.dtype {
            Dtype::F16 => elements.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
            Dtype::BF16 => elements.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
            _ => elements.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
    }
}

impl View for Entry<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.file.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.bytes() {
            Ok(bytes) => bytes.into(),
            Err(cause) => {
                self.failure.borrow_mut().get_or_insert(cause);
                vec![0; self.data_len()].into()
            }
        }
    }

    fn data_len(&self) -> usize {
        let size = if self.dtype == Dtype::F32 { 4 } else { 2 };
        self.file.shape.iter().product::<usize>() * size
    }
}
