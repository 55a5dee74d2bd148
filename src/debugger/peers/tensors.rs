//! A file of tensors by name, written by this program or from Python: safetensors, or NumPy's npz.

use std::io::Read;
use std::path::Path;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use zip::ZipArchive;

use crate::model::{file, memory_check, npy, text};

/// An array of a zip file is unpacked whole: none may be larger.
const LARGEST: u64 = 16 << 30;

/// What takes less is not worth asking the system for what is free.
const SMALL: u64 = 64 << 20;

/// A file of tensors by name; values are read when they are asked for.
pub struct Tensors {
    path: String,
    map: Mmap,
    zipped: bool,
    names: Vec<String>,
}

/// One of its tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Shape as it lies in the file.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Vec<f64>,
}

impl Tensors {
    /// Opens a file; its header is checked, its values stay where they are.
    ///
    /// # Errors
    /// In words that name the file.
    pub fn open(path: &Path) -> Result<Tensors, String> {
        let shown = path.display().to_string();
        if path.is_dir() {
            return Err(format!("{shown} is a folder: name a file of values in it"));
        }
        let file = file::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        #[expect(unsafe_code, reason = "mapping a file is how a large one is read in parts")]
        // SAFETY: the file is only read. If another program changes it meanwhile, numbers are wrong, as they would be read in parts.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| format!("cannot read {shown}: {error}"))?;
        let zipped = map.starts_with(b"PK");
        let mut names: Vec<String> = if zipped {
            let archive = archive(&map).map_err(|error| format!("{shown} is no npz file: {error}"))?;
            let array = |name: zip::result::ZipResult<std::borrow::Cow<'_, str>>| {
                name.ok()?.strip_suffix(".npy").map(str::to_owned)
            };
            archive.file_names().filter_map(array).collect()
        } else {
            let tensors =
                SafeTensors::deserialize(&map).map_err(|error| format!("{shown} is no safetensors file: {error}"))?;
            tensors.names().into_iter().map(str::to_owned).collect()
        };
        if names.is_empty() {
            return Err(format!("{shown} holds no arrays"));
        }
        names.sort();
        Ok(Tensors { path: shown, map, zipped, names })
    }

    /// The file, as it was named.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The names in it, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What the writer noted beside the tensors: the metadata of a safetensors file.
    pub fn note(&self, key: &str) -> Option<String> {
        let (_, header) = SafeTensors::read_metadata(&self.map).ok().filter(|_| !self.zipped)?;
        header.metadata().as_ref()?.get(key).cloned()
    }

    /// A tensor by its name.
    ///
    /// # Errors
    /// If there is none, or its elements are of a kind that is not read.
    pub fn read(&self, name: &str) -> Result<Found, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("{name} in {}: {what}", self.path);
        if self.zipped {
            let mut archive = archive(&self.map).map_err(|error| wrong(&error))?;
            let mut entry = archive.by_name(&format!("{name}.npy")).map_err(|error| wrong(&error))?;
            if entry.size() > LARGEST {
                return Err(wrong(&"it is larger than an array that is read at once may be"));
            }
            let size = entry.size();
            fits(size).map_err(|error| wrong(&error))?;
            let mut bytes = Vec::new();
            // A compressed entry can hold more than it says.
            (&mut entry).take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
            let array = npy::parse(&bytes).map_err(|error| wrong(&error))?;
            return Ok(Found { shape: array.shape, data: array.data });
        }
        let tensors = SafeTensors::deserialize(&self.map).map_err(|error| wrong(&error))?;
        let view = tensors.tensor(name).map_err(|error| wrong(&error))?;
        let bytes = view.data();
        fits(bytes.len() as u64).map_err(|error| wrong(&error))?;
        let data = match view.dtype() {
            Dtype::F32 => each(bytes, |b| f64::from(f32::from_le_bytes(b))),
            Dtype::F64 => each(bytes, f64::from_le_bytes),
            Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f64()),
            Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f64()),
            Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
            Dtype::I32 => each(bytes, |b| f64::from(i32::from_le_bytes(b))),
            Dtype::U8 | Dtype::BOOL => each(bytes, |b: [u8; 1]| f64::from(b[0])),
            other => return Err(wrong(&format!("elements of type {other:?} are not read"))),
        };
        Ok(Found { shape: view.shape().to_vec(), data })
    }
}

/// Refuses an array of so many bytes that memory cannot hold, with its elements in 64 bits.
fn fits(bytes: u64) -> Result<(), String> {
    let needed = bytes.saturating_mul(3);
    match if needed > SMALL { memory_check::available() } else { None } {
        Some(free) if needed > free => {
            Err(format!("to read it takes {} of memory, and {} are free", text::bytes(needed), text::bytes(free)))
        }
        _ => Ok(()),
    }
}

fn archive(bytes: &[u8]) -> zip::result::ZipResult<ZipArchive<std::io::Cursor<&[u8]>>> {
    ZipArchive::new(std::io::Cursor::new(bytes))
}

fn each<const N: usize>(bytes: &[u8], of: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|chunk| of(*chunk)).collect()
}
