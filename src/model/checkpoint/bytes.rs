//! The bytes of one file: mapped into memory, or part of the executable.
//!
//! A mapped file counts towards the memory of the process as far as it has been touched. What has been read is
//! therefore given back before more is touched: loading holds the converted weights and a few megabytes, never the file
//! as well.

#![allow(unsafe_code, reason = "mapping a file is unsafe: another process may change it while it is read")]

use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use crate::model::error::LoadError;
use crate::model::file;

/// Bytes of a file that is only read.
#[derive(Debug)]
pub enum FileBytes {
    Mapped(Mmap),
    Static(&'static [u8]),
    /// Bytes in memory, which tests and fuzz targets make.
    Owned(Vec<u8>),
}

impl FileBytes {
    /// Maps a file. One of length 0, which no system maps, has no bytes.
    pub fn map(path: &Path) -> Result<Self, LoadError> {
        let io = LoadError::io(path);
        let file = file::open(path).map_err(&io)?;
        if file.metadata().map_err(&io)?.len() == 0 {
            return Ok(FileBytes::Static(&[]));
        }
        // SAFETY: the map is only read, and only as bytes, of which every value is valid. Another process that writes
        // to the file while it is loaded can change what is read, one that shortens it can end this process; the same
        // holds for every program that maps its input.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(FileBytes::Mapped(map))
    }

    pub fn all(&self) -> &[u8] {
        match self {
            FileBytes::Mapped(map) => map,
            FileBytes::Static(bytes) => bytes,
            FileBytes::Owned(bytes) => bytes,
        }
    }

    /// Gives memory back to the system. The bytes can still be read; they come from the file again.
    pub fn release(&self, range: Range<usize>) {
        let FileBytes::Mapped(map) = self else { return };
        // SAFETY: the map is of a file and never written to, so pages that are dropped come back from the file with the
        // same bytes when they are touched again. memmap2 aligns the range to pages. Failing costs only memory.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
    }
}
