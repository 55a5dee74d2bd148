//! One file of tensors, whatever its format: a table, and its stored bytes.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::{fmt, io};

use rayon::prelude::*;

use super::arrange::Arrange;
use super::bytes::FileBytes;
use super::scaled::Scales;
use super::stored::StoredType;
use crate::model::error::LoadError;

/// Bytes that one task reads at a time. A multiple of every page size.
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
    /// How it is packed, where it is made of several tensors.
    pub packed: Option<&'static str>,
    /// By what it is multiplied as it is read.
    pub(super) scales: Option<Arc<Scales>>,
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
        TensorEntry {
            name,
            stored_as,
            dtype,
            shape,
            flipped,
            packed: None,
            scales: None,
            arrange,
            place: Place::Range(range),
        }
    }

    /// Whether its elements are multiplied by scales as they are read.
    pub fn has_scales(&self) -> bool {
        self.scales.is_some()
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

    /// The byte of its file that it begins at; `None` where it is not in one piece.
    pub fn begins(&self) -> Option<usize> {
        match &self.place {
            Place::Range(range) => Some(range.start),
            Place::Reader { .. } => None,
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

    /// The stored bytes of a tensor: blocks as they are in the file.
    ///
    /// # Errors
    /// If the file has changed since it was opened, or a reader fails.
    pub fn stored<'a>(&'a self, entry: &'a TensorEntry) -> Result<Stored<'a>, LoadError> {
        let bytes = match &entry.place {
            Place::Range(range) => match self.bytes.in_memory() {
                Some(all) => Bytes::Memory(Cow::Borrowed(&all[range.clone()])),
                None => Bytes::File(&self.bytes, range.clone()),
            },
            Place::Reader { length, read } => {
                let bytes = read().map_err(|error| self.unreadable(entry, error.to_string()))?;
                if bytes.len() != *length {
                    return Err(self.unreadable(entry, format!("{} bytes where {length} should be", bytes.len())));
                }
                Bytes::Memory(Cow::Owned(bytes))
            }
        };
        match self.bytes.unchanged() {
            Ok(true) => Ok(Stored { file: self, entry, bytes }),
            Ok(false) => Err(LoadError::Changed { path: self.path.clone() }),
            Err(error) => Err(self.unreadable(entry, error.to_string())),
        }
    }

    fn unreadable(&self, entry: &TensorEntry, message: String) -> LoadError {
        LoadError::UnreadableTensor { path: self.path.clone(), tensor: entry.name.clone(), message }
    }

    /// Asks the system to read a part of a tensor ahead, given in bytes.
    pub fn will_need(&self, entry: &TensorEntry, part: Range<usize>) {
        if let Place::Range(range) = &entry.place {
            self.bytes.will_need(range.start + part.start..range.end.min(range.start + part.end));
        }
    }
}

/// The stored bytes of one tensor, which are read where they are asked for.
pub struct Stored<'a> {
    file: &'a TensorFile,
    entry: &'a TensorEntry,
    bytes: Bytes<'a>,
}

enum Bytes<'a> {
    Memory(Cow<'a, [u8]>),
    File(&'a FileBytes, Range<usize>),
}

impl Stored<'_> {
    #[allow(clippy::len_without_is_empty, reason = "a number of bytes, not a collection")]
    pub fn len(&self) -> usize {
        match &self.bytes {
            Bytes::Memory(bytes) => bytes.len(),
            Bytes::File(_, range) => range.len(),
        }
    }

    /// The bytes that are in memory; `None` where they are on disk.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Memory(bytes) => Some(bytes),
            Bytes::File(..) => None,
        }
    }

    /// Reads the bytes from `start` on, as many as `out` takes.
    ///
    /// # Errors
    /// If they are not there any more, or the disk fails.
    pub fn read(&self, start: usize, out: &mut [u8]) -> Result<(), LoadError> {
        match &self.bytes {
            Bytes::Memory(bytes) => out.copy_from_slice(&bytes[start..start + out.len()]),
            Bytes::File(file, range) => {
                assert!(start + out.len() <= range.len(), "bytes of the tensor");
                file.read_at(range.start + start, out).map_err(|error| {
                    let message = match error.kind() {
                        io::ErrorKind::UnexpectedEof => "the file has become shorter".to_owned(),
                        _ => error.to_string(),
                    };
                    self.file.unreadable(self.entry, message)
                })?;
            }
        }
        Ok(())
    }

    /// All bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn into_bytes(self) -> Result<Vec<u8>, LoadError> {
        match self.fetched()?.bytes {
            Bytes::Memory(bytes) => Ok(bytes.into_owned()),
            Bytes::File(..) => unreachable!("fetched"),
        }
    }

    /// Reads all bytes into memory, where decoding single elements costs nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn fetched(mut self) -> Result<Self, LoadError> {
        if let Bytes::File(_, range) = &self.bytes {
            let mut bytes = vec![0; range.len()];
            bytes.par_chunks_mut(PIECE).enumerate().try_for_each(|(i, out)| self.read(i * PIECE, out))?;
            self.bytes = Bytes::Memory(Cow::Owned(bytes));
        }
        Ok(self)
    }
}
