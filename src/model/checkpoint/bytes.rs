//! The bytes of one file: on disk, or part of the executable.
//!
//! Headers are parsed in mapped memory. Tensors are read at their positions: a file that was shortened, or is on a
//! disk that has gone, is then an error, where touching mapped memory would end the process.

#![allow(unsafe_code, reason = "mapping a file is unsafe: another process may change it while it is read")]

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use memmap2::Mmap;

use crate::model::error::LoadError;
use crate::model::file;

/// Bytes of a file that is only read.
#[derive(Debug)]
pub enum FileBytes {
    Mapped(MappedFile),
    Static(&'static [u8]),
    /// Bytes in memory, which tests and fuzz targets make.
    Owned(Vec<u8>),
}

/// A file on disk, and what it was when it was opened.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    file: File,
    stamp: Stamp,
}

/// What changes when somebody writes to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(found: &Metadata) -> Stamp {
        Stamp { length: found.len(), modified: found.modified().ok() }
    }
}

impl FileBytes {
    /// Opens a file. One of length 0, which no system maps, has no bytes.
    pub fn map(path: &Path) -> Result<Self, LoadError> {
        let io = LoadError::io(path);
        let file = file::open(path).map_err(&io)?;
        let stamp = Stamp::of(&file.metadata().map_err(&io)?);
        if stamp.length == 0 {
            return Ok(FileBytes::Static(&[]));
        }
        // SAFETY: the map is only read, and only as bytes, of which every value is valid. Another process that writes
        // to the file while its header is read can change what is read, one that shortens it can end this process; the
        // same holds for every program that maps its input.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(FileBytes::Mapped(MappedFile { map, file, stamp }))
    }

    /// All bytes in memory, mapped where they are a file.
    pub fn all(&self) -> &[u8] {
        match self {
            FileBytes::Mapped(mapped) => &mapped.map,
            FileBytes::Static(bytes) => bytes,
            FileBytes::Owned(bytes) => bytes,
        }
    }

    /// The bytes that are in memory anyway; `None` for a file on disk.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match self {
            FileBytes::Mapped(_) => None,
            FileBytes::Static(_) | FileBytes::Owned(_) => Some(self.all()),
        }
    }

    /// Whether the file is as it was when it was opened.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn unchanged(&self) -> io::Result<bool> {
        let FileBytes::Mapped(mapped) = self else { return Ok(true) };
        Ok(Stamp::of(&mapped.file.metadata()?) == mapped.stamp)
    }

    /// Reads the bytes from `start` on, as many as `out` takes.
    ///
    /// # Errors
    /// If the file has become shorter, or the disk fails.
    pub fn read_at(&self, start: usize, out: &mut [u8]) -> io::Result<()> {
        match self {
            FileBytes::Mapped(mapped) => mapped.file.read_exact_at(out, start as u64),
            FileBytes::Static(_) | FileBytes::Owned(_) => {
                let bytes = self.all().get(start..start + out.len());
                out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// Asks the system to read a range of a file ahead. Failing costs only time.
    pub fn will_need(&self, range: Range<usize>) {
        #[cfg(target_os = "linux")]
        if let FileBytes::Mapped(mapped) = self {
            let length = std::num::NonZeroU64::new(range.len() as u64);
            _ = rustix::fs::fadvise(&mapped.file, range.start as u64, length, rustix::fs::Advice::WillNeed);
        }
        _ = range;
    }
}
