//! PyTorch checkpoints: `torch.save` of a dictionary of tensors, in the containers that it has written since 2017.
//!
//! They are pickles. The reader interprets the few instructions that such files are made of and knows the names of the
//! functions that build tensors; no code of a file ever runs. Tensors are read from the file one at a time.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use pytorch_reader::{PytorchReader, Tensor};

use super::stored::StoredType;
use super::tensor_file::Place;
use super::{FileBytes, TensorEntry, TensorFile, pickle};
use crate::model::error::LoadError;
use crate::model::file;

/// Keys under which training scripts put the tensors of the model, next to those of the optimizer.
const WRAPPERS: [&str; 3] = ["state_dict.", "model_state_dict.", "module."];

pub fn open(path: &Path) -> Result<TensorFile, LoadError> {
    let shown = path.display().to_string();
    let size = file::regular(path).map_err(LoadError::io(path))?;
    let bad = |error: &dyn Display| LoadError::BadPytorch { path: shown.clone(), message: error.to_string() };
    pickle::check(path).map_err(|error| bad(&error))?;
    let reader = PytorchReader::new(path).map_err(|error| bad(&error))?;
    let mut tensors = chosen(reader.into_tensors().into_values().collect());
    if tensors.is_empty() {
        return Err(bad(&"it holds no tensors"));
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let entries = tensors.into_iter().map(|tensor| entry(&shown, tensor, size)).collect::<Result<_, _>>()?;
    Ok(TensorFile { path: shown, size, bytes: Arc::new(FileBytes::Static(&[])), entries })
}

/// The tensors of the model, where others are next to it, without the common beginning of their names.
fn chosen(tensors: Vec<Tensor>) -> Vec<Tensor> {
    for wrapper in WRAPPERS {
        if !tensors.iter().any(|tensor| tensor.name.starts_with(wrapper)) {
            continue;
        }
        let inside = tensors.into_iter().filter_map(|mut tensor| {
            tensor.name = tensor.name.strip_prefix(wrapper)?.to_owned();
            Some(tensor)
        });
        return chosen(inside.collect());
    }
    tensors
}

fn entry(path: &str, tensor: Tensor, size: u64) -> Result<TensorEntry, LoadError> {
    let length = tensor.byte_len();
    // A view can have more elements than its storage has; no weight is one.
    if length as u64 > size {
        let message = format!("tensor {:?} claims {length} bytes, the whole file has {size}", tensor.name);
        return Err(LoadError::BadPytorch { path: path.to_owned(), message });
    }
    let (name, dtype, shape, read) = tensor.into_parts();
    Ok(TensorEntry {
        place: Place::Reader { length, read: Arc::new(read) },
        ..TensorEntry::new(name, StoredType::named(&format!("{dtype:?}").to_lowercase()), shape, 0..0)
    })
}
