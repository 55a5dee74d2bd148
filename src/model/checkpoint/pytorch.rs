//! PyTorch checkpoints: `torch.save` of a dictionary of tensors, in the containers that it has written since 2017.
//!
//! They are pickles. The reader interprets the few instructions that such files are made of and knows the names of the
//! functions that build tensors; no code of a file ever runs. Tensors are read from the file one at a time.

use std::path::Path;
use std::sync::Arc;

use pytorch_reader::{DType, PytorchReader, Tensor};

use super::arrange::Arrange;
use super::stored::StoredType;
use super::tensor_file::Place;
use super::{FileBytes, TensorEntry, TensorFile, pickle};
use crate::model::error::LoadError;
use crate::model::file;

/// Keys under which training scripts put the tensors of the model, next to those of the optimizer.
const WRAPPERS: [&str; 3] = ["state_dict.", "model_state_dict.", "module."];

/// Reads the table of a file.
pub fn open(path: &Path) -> Result<TensorFile, LoadError> {
    let shown = path.display().to_string();
    let size = match file::regular(path) {
        Ok(size) => size,
        Err(source) => return Err(LoadError::Io { path: shown, source }),
    };
    let bad = |message: String| LoadError::BadPytorch { path: shown.clone(), message };
    pickle::check(path).map_err(|error| bad(error.to_string()))?;
    let reader = PytorchReader::new(path).map_err(|error| bad(error.to_string()))?;
    let mut tensors = chosen(reader.into_tensors().into_values().collect());
    if tensors.is_empty() {
        return Err(bad("it holds no tensors".into()));
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let entries = tensors.into_iter().map(|tensor| entry(&shown, tensor, size)).collect::<Result<_, _>>()?;
    Ok(TensorFile::new(shown.clone(), size, Arc::new(FileBytes::Static(&[])), entries))
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
        name,
        stored_as: None,
        dtype: stored(dtype),
        shape,
        flipped: false,
        arrange: Arrange::SAME,
        place: Place::Reader { length, read: Arc::new(read) },
    })
}

fn stored(dtype: DType) -> StoredType {
    match dtype {
        DType::F64 => StoredType::F64,
        DType::F32 => StoredType::F32,
        DType::F16 => StoredType::F16,
        DType::BF16 => StoredType::BF16,
        DType::I64 => StoredType::Other("i64"),
        DType::I32 => StoredType::Other("i32"),
        DType::I16 => StoredType::Other("i16"),
        DType::I8 => StoredType::Other("i8"),
        DType::U64 => StoredType::Other("u64"),
        DType::U32 => StoredType::Other("u32"),
        DType::U16 => StoredType::Other("u16"),
        DType::U8 => StoredType::Other("u8"),
        DType::Bool => StoredType::Other("bool"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `tools/fixtures/pytorch.py`: 24 numbers, and what can be seen of them.
    #[test]
    fn tensors_that_share_storage_are_gathered_as_torch_sees_them() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch/views.bin");
        let file = open(Path::new(path)).unwrap();
        let read = |name: &str| {
            let entry = file.entries().iter().find(|entry| entry.name == name).unwrap();
            (entry.shape.clone(), file.read_f32(entry, &[entry.count()]).unwrap().remove(0))
        };
        let turned: Vec<f32> = (0..6).flat_map(|column| (0..4).map(move |row| (row * 6 + column) as f32)).collect();
        assert_eq!(read("turned"), (vec![6, 4], turned));
        assert_eq!(read("part"), (vec![3, 4], (6..18).map(|x| x as f32).collect()));
        assert_eq!(read("wide"), (vec![3], vec![0.0; 3]));
    }
}
