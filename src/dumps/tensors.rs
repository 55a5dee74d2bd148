//! A file of tensors by name, written by this program or from Python: safetensors, or NumPy's npz.

use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;
use zip::ZipArchive;

use super::Result;
use crate::model::checkpoint::{FileBytes, npy, numbers};
use crate::model::{memory_check, text};

/// An array of a zip file is unpacked whole: none may be larger.
const LARGEST: u64 = 16 << 30;

/// A file of tensors by name; values are read when they are asked for.
pub struct Tensors {
    path: String,
    bytes: FileBytes,
    zipped: bool,
    names: Vec<String>,
}

/// A tensor, its elements in row-major order.
pub type Found = npy::Array;

impl Tensors {
    /// Opens a file; its header is checked, its values stay where they are.
    pub fn open(path: &Path) -> Result<Tensors> {
        let shown = path.display().to_string();
        if path.is_dir() {
            return Err(format!("{shown} is a folder: name a file of values in it").into());
        }
        let bytes = FileBytes::map(path).map_err(|error| error.to_string())?;
        let zipped = bytes.all().starts_with(b"PK");
        let mut names: Vec<String> = if zipped {
            let archive = archive(bytes.all()).map_err(|error| format!("{shown} is not an npz file: {error}"))?;
            let array = |name: zip::result::ZipResult<std::borrow::Cow<'_, str>>| {
                name.ok()?.strip_suffix(".npy").map(str::to_owned)
            };
            archive.file_names().filter_map(array).collect()
        } else {
            let tensors = SafeTensors::deserialize(bytes.all());
            let tensors = tensors.map_err(|error| format!("{shown} is not a safetensors file: {error}"))?;
            tensors.names().into_iter().map(str::to_owned).collect()
        };
        if names.is_empty() {
            return Err(format!("{shown} holds no arrays").into());
        }
        names.sort();
        Ok(Tensors { path: shown, bytes, zipped, names })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The names in it, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What the writer noted with the tensors: the metadata of a safetensors file.
    pub fn note(&self, key: &str) -> Option<String> {
        let (_, header) = SafeTensors::read_metadata(self.bytes.all()).ok().filter(|_| !self.zipped)?;
        header.metadata().as_ref()?.get(key).cloned()
    }

    /// A tensor by its name.
    ///
    /// # Errors
    /// If there is none, or its elements are of a kind that is not read.
    pub fn read(&self, name: &str) -> Result<Found> {
        let wrong = |what: &dyn std::fmt::Display| format!("{name} in {}: {what}", self.path);
        if self.zipped {
            let mut archive = archive(self.bytes.all()).map_err(|error| wrong(&error))?;
            let mut entry = archive.by_name(&format!("{name}.npy")).map_err(|error| wrong(&error))?;
            let size = entry.size();
            if size > LARGEST {
                return Err(wrong(&"it is larger than an array that is read at once may be").into());
            }
            fits(size).map_err(|error| wrong(&error))?;
            let mut bytes = Vec::new();
            // A compressed entry can hold more than it says.
            (&mut entry).take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
            return npy::parse(&bytes).map_err(|error| wrong(&error).into());
        }
        let tensors = SafeTensors::deserialize(self.bytes.all()).map_err(|error| wrong(&error))?;
        let view = tensors.tensor(name).map_err(|error| wrong(&error))?;
        let bytes = view.data();
        fits(bytes.len() as u64).map_err(|error| wrong(&error))?;
        let dtype = view.dtype();
        let data = numbers::decode(dtype, bytes);
        let data = data.ok_or_else(|| wrong(&format!("elements of type {dtype:?} are not read")))?;
        Ok(Found { shape: view.shape().to_vec(), data })
    }
}

/// Refuses an array of so many bytes that memory cannot hold, with its elements in 64 bits.
fn fits(bytes: u64) -> Result<()> {
    let needed = bytes.saturating_mul(3);
    match memory_check::too_little(needed) {
        Some(free) => {
            let (needed, free) = (text::bytes(needed), text::bytes(free));
            Err(format!("to read it takes {needed} of memory, and {free} are free").into())
        }
        None => Ok(()),
    }
}

fn archive(bytes: &[u8]) -> zip::result::ZipResult<ZipArchive<std::io::Cursor<&[u8]>>> {
    ZipArchive::new(std::io::Cursor::new(bytes))
}
