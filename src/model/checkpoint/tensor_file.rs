//! One file of tensors, whatever its format: a table, and its stored bytes.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::{fmt, io};

use super::arrange::Arrange;
use super::bytes::FileBytes;
use super::stored::StoredType;
use crate::model::error::LoadError;

/// Bytes that are read before mapped memory is given back. A multiple of every page size.
pub const PIECE: usize = 4 << 20;

#[derive(Clone, Debug)]
pub struct TensorEntry {
    /// The name that transformers gives it.
    pub name: String,
    /// The name in the file, where it is another.
    pub stored_as: Option<String>,
    pub dtype: StoredType,
    pub shape: Vec<usize>,
    /// Whether a matrix is stored as `[out, in]` where transformers has `[in, out]` under this name.
    pub flipped: bool,
    /// What has to be undone as it is read.
    pub(super) arrange: Arrange,
    pub(super) place: Place,
}

#[derive(Clone)]
pub(super) enum Place {
    /// In the file, one after another.
    Range(Range<usize>),
    /// From their own reader, which copies them.
    Reader { length: usize, read: Arc<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync> },
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Range(range) => write!(f, "{range:?}"),
            Place::Reader { length, .. } => write!(f, "{length} bytes"),
        }
    }
}

impl TensorEntry {
    /// A tensor that is a range of the file.
    pub(super) fn new(name: String, dtype: StoredType, shape: Vec<usize>, range: Range<usize>) -> Self {
        let (stored_as, flipped, arrange) = (None, false, Arrange::SAME);
        TensorEntry { name, stored_as, dtype, shape, flipped, arrange, place: Place::Range(range) }
    }

    pub fn file_name(&self) -> &str {
        self.stored_as.as_deref().unwrap_or(&self.name)
    }

    pub fn bytes(&self) -> usize {
        match &self.place {
            Place::Range(range) => range.len(),
            Place::Reader { length, .. } => *length,
        }
    }

    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// One file: its table of tensors and its bytes.
#[derive(Debug)]
pub struct TensorFile {
    /// Where it is, for messages.
    pub path: String,
    /// Bytes of the whole file.
    pub size: u64,
    /// What holds the entries that do not have their own readers.
    pub(super) bytes: Arc<FileBytes>,
    /// Its tensors, in the order of their bytes.
    pub entries: Vec<TensorEntry>,
}

impl TensorFile {
    pub(super) fn take(&mut self, which: impl Fn(&TensorEntry) -> bool) -> Vec<TensorEntry> {
        self.entries.extract_if(.., |entry| which(entry)).collect()
    }

    /// The stored bytes of a tensor: blocks as they are in the file. Nothing is copied where the file is mapped; give
    /// them back with [`release`](Self::release).
    pub fn stored_bytes(&self, entry: &TensorEntry) -> Result<Cow<'_, [u8]>, LoadError> {
        match &entry.place {
            Place::Range(range) => Ok(Cow::Borrowed(&self.bytes.all()[range.clone()])),
            Place::Reader { length, read } => {
                let unreadable = |message: String| LoadError::UnreadableTensor {
                    path: self.path.clone(),
                    tensor: entry.name.clone(),
                    message,
                };
                let bytes = read().map_err(|error| unreadable(error.to_string()))?;
                match bytes.len() {
                    found if found == *length => Ok(Cow::Owned(bytes)),
                    found => Err(unreadable(format!("{found} bytes where {length} should be"))),
                }
            }
        }
    }

    /// Gives the memory of a tensor back to the system. Its bytes can still be read; they come from the file again.
    pub fn release(&self, entry: &TensorEntry) {
        if let Place::Range(range) = &entry.place {
            self.bytes.release(range.clone());
        }
    }
}
