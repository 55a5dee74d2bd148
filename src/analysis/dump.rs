//! Values that were written elsewhere, by this program or from Python: a safetensors file, a tensor for each site.

use std::fs::File;
use std::path::Path;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

/// A file of values.
pub struct Dump {
    path: String,
    map: Mmap,
    names: Vec<String>,
}

/// One of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Dumped {
    /// Shape as it lies in the file.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Vec<f64>,
}

impl Dump {
    /// Opens a file; its header is checked, its values stay where they are.
    ///
    /// # Errors
    /// In words that name the file.
    pub fn open(path: &Path) -> Result<Dump, String> {
        let shown = path.display().to_string();
        let file = File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        #[expect(unsafe_code, reason = "mapping a file is how a large one is read in parts")]
        // SAFETY: the file is only read. If another program changes it meanwhile, numbers are wrong, as they would be read in parts.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| format!("cannot read {shown}: {error}"))?;
        let tensors =
            SafeTensors::deserialize(&map).map_err(|error| format!("{shown} is no safetensors file: {error}"))?;
        let mut names: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
        names.sort();
        Ok(Dump { path: shown, map, names })
    }

    /// The names in it, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A value by its name.
    ///
    /// # Errors
    /// If there is none, or its elements are of a kind that is not read.
    pub fn read(&self, name: &str) -> Result<Dumped, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("{name} in {}: {what}", self.path);
        let tensors = SafeTensors::deserialize(&self.map).map_err(|error| wrong(&error))?;
        let view = tensors.tensor(name).map_err(|error| wrong(&error))?;
        let bytes = view.data();
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
        Ok(Dumped { shape: view.shape().to_vec(), data })
    }
}

fn each<const N: usize>(bytes: &[u8], of: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|chunk| of(*chunk)).collect()
}
