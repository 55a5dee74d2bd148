//! The tensors of a dictionary: in their files, or in memory where they have to be made.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use zip::ZipArchive;

use super::DictionaryError;
use crate::model::checkpoint::{Checkpoint, FileBytes, npy, open_tensors, tensors_in_memory};
use crate::model::families::Layout;
use crate::model::memory_check;
use crate::model::role::WeightId;
use crate::model::text::bytes;
use crate::model::weights::{Apart, Held, Piece, Source};
use crate::tensor::{Device, Value, transposed};

/// An array of a zip file is unpacked whole: none may be larger.
const LARGEST: u64 = 16 << 30;

/// A weight of a dictionary.
#[derive(Clone, Debug)]
pub enum Tensor {
    /// In a file, from which it is read when it is used.
    File { files: Arc<Checkpoint>, name: String, layout: Layout, shape: Vec<usize> },
    /// Made when the dictionary was read.
    Memory(Value),
}

impl Tensor {
    pub fn vector(data: Vec<f32>) -> Tensor {
        let shape = [data.len()];
        Tensor::Memory(Value::from_f32(data, &shape, &Device::cpu()))
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            Tensor::File { shape, .. } => shape,
            Tensor::Memory(value) => value.shape(),
        }
    }

    /// As a weight in a store, used on the device of that number.
    pub(super) fn held(&self, id: WeightId, device: usize) -> Held {
        let shape = self.shape().to_vec();
        let piece = match self {
            Tensor::Memory(value) => Piece::Memory(value.clone()),
            Tensor::File { files, name, layout, .. } => {
                let count = shape.iter().product();
                Piece::File(Source {
                    tensor: name.clone(),
                    layout: *layout,
                    id,
                    offset: 0,
                    run: count,
                    period: count,
                    shape: shape.clone(),
                    apart: Some(Apart(files.clone())),
                })
            }
        };
        Held { shape, pieces: vec![piece], on: vec![device] }
    }
}

/// The tensors of a file by their names. What has been taken is remembered, so that nothing is left out in silence.
pub struct Tensors {
    pub path: String,
    from: From,
    /// Those that have been taken.
    taken: std::cell::RefCell<Vec<String>>,
}

enum From {
    Files(Arc<Checkpoint>),
    Arrays(BTreeMap<String, npy::Array>),
}

impl Tensors {
    /// Opens a file of safetensors, of PyTorch, or of NumPy.
    pub fn open(path: &Path) -> Result<Tensors, DictionaryError> {
        let shown = path.display().to_string();
        let from = if path.extension().is_some_and(|end| end == "npz") {
            From::Arrays(arrays(path)?)
        } else {
            From::Files(Arc::new(Checkpoint::single(open_tensors(path)?)?))
        };
        Ok(Tensors { path: shown, from, taken: Vec::new().into() })
    }

    /// Safetensors that are part of the executable.
    pub fn in_memory(name: &str, bytes: &'static [u8]) -> Result<Tensors, DictionaryError> {
        let from = From::Files(Arc::new(Checkpoint::single(tensors_in_memory(name, bytes)?)?));
        Ok(Tensors { path: name.to_owned(), from, taken: Vec::new().into() })
    }

    pub fn names(&self) -> Vec<String> {
        match &self.from {
            From::Files(files) => files.entries().iter().map(|entry| entry.name.clone()).collect(),
            From::Arrays(arrays) => arrays.keys().cloned().collect(),
        }
    }

    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match &self.from {
            From::Files(files) => files.find(name).map(|(_, entry)| entry.shape.clone()),
            From::Arrays(arrays) => arrays.get(name).map(|array| array.shape.clone()),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// The first of several names that is there.
    pub fn named<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// The same where one must be there.
    pub fn wanted<'a>(&self, names: &[&'a str]) -> Result<&'a str, DictionaryError> {
        let missing = || DictionaryError::Missing { path: self.path.clone(), tensor: names.join(" or ") };
        self.named(names).ok_or_else(missing)
    }

    /// Notes that a tensor is of no importance for what is computed.
    pub fn passed_over(&self, names: &[&str]) {
        self.taken.borrow_mut().extend(names.iter().map(|name| (*name).to_owned()));
    }

    /// Refuses tensors that nothing has taken.
    pub fn all_taken(&self) -> Result<(), DictionaryError> {
        let taken = self.taken.borrow();
        match self.names().into_iter().find(|name| !taken.contains(name)) {
            Some(tensor) => Err(DictionaryError::Unused { path: self.path.clone(), tensor }),
            None => Ok(()),
        }
    }

    /// The numbers of a tensor, in row-major order.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, DictionaryError> {
        self.passed_over(&[name]);
        match &self.from {
            From::Files(files) => {
                let (file, entry) = files.find(name).ok_or_else(|| self.missing(name))?;
                Ok(file.read_f32(entry)?)
            }
            From::Arrays(arrays) => {
                let array = arrays.get(name).ok_or_else(|| self.missing(name))?;
                Ok(array.data.iter().map(|&x| x as f32).collect())
            }
        }
    }

    /// A vector of `count` numbers; of one number, that number so often.
    pub fn vector(&self, name: &str, count: usize) -> Result<Vec<f32>, DictionaryError> {
        let shape = self.shape(name).ok_or_else(|| self.missing(name))?;
        let elements: usize = shape.iter().product();
        if elements == 1 && count != 1 {
            return Ok(vec![self.read(name)?[0]; count]);
        }
        if elements != count || shape.iter().filter(|length| **length != 1).count() > 1 {
            return Err(self.shape_error(name, format!("[{count}]")));
        }
        self.read(name)
    }

    /// A matrix that is stored as `[from, to]`, or with `turned` as `[to, from]`: as `[from, to]`. A `table` is kept with
    /// its rows one after another, so that single ones can be read.
    pub fn matrix(
        &self,
        name: &str,
        [from, to]: [usize; 2],
        turned: bool,
        table: bool,
    ) -> Result<Tensor, DictionaryError> {
        let stored = if turned { [to, from] } else { [from, to] };
        if self.shape(name).ok_or_else(|| self.missing(name))? != stored {
            return Err(self.shape_error(name, format!("{stored:?}")));
        }
        let layout = match (table, turned) {
            (true, false) => Some(Layout::Table),
            (true, true) => None,
            (false, true) => Some(Layout::OutIn),
            (false, false) => Some(Layout::InOut),
        };
        if let (From::Files(files), Some(layout)) = (&self.from, layout) {
            self.passed_over(&[name]);
            return Ok(Tensor::File { files: files.clone(), name: name.to_owned(), layout, shape: vec![from, to] });
        }
        let data = self.read(name)?;
        // Linear weights lie as `[to, from]` in memory, tables as `[from, to]`.
        Ok(Tensor::Memory(if table {
            let data = if turned { transposed(data, to, from) } else { data };
            Value::from_f32(data, &[from, to], &Device::cpu())
        } else {
            Value::linear(if turned { data } else { transposed(data, from, to) }, from, to, &Device::cpu())
        }))
    }

    fn missing(&self, name: &str) -> DictionaryError {
        DictionaryError::Missing { path: self.path.clone(), tensor: name.to_owned() }
    }

    pub fn shape_error(&self, name: &str, wanted: String) -> DictionaryError {
        let found = self.shape(name).unwrap_or_default();
        DictionaryError::Shape { path: self.path.clone(), tensor: name.to_owned(), found, wanted }
    }
}

/// The arrays of an npz file.
fn arrays(path: &Path) -> Result<BTreeMap<String, npy::Array>, DictionaryError> {
    let shown = path.display().to_string();
    let wrong = |message: String| DictionaryError::Unreadable { path: shown.clone(), message };
    let file = FileBytes::map(path).map_err(|error| wrong(error.to_string()))?;
    let mut archive = ZipArchive::new(std::io::Cursor::new(file.all())).map_err(|error| wrong(error.to_string()))?;
    let names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let mut all = BTreeMap::new();
    for name in names {
        let Some(short) = name.strip_suffix(".npy") else { continue };
        let mut entry = archive.by_name(&name).map_err(|error| wrong(error.to_string()))?;
        let size = entry.size();
        if size > LARGEST || memory_check::too_little(size.saturating_mul(3)).is_some() {
            return Err(wrong(format!("{short} has {}, and memory does not hold that", bytes(size))));
        }
        let mut data = Vec::new();
        // A compressed entry can hold more than it says.
        (&mut entry).take(size.saturating_add(1)).read_to_end(&mut data).map_err(|error| wrong(error.to_string()))?;
        let array = npy::parse(&data).map_err(|error| wrong(format!("{short}: {error}")))?;
        all.insert(short.to_owned(), array);
    }
    Ok(all)
}
