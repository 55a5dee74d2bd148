//! What a pickle would make, counted before it is read.
//!
//! A byte of a pickle can make a list, which takes two hundred bytes of memory, and a few bytes before a long run of
//! zeros a text of gigabytes. So the instructions are counted first, without carrying them out, and a file that makes
//! more than any checkpoint does is refused.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::model::file;

/// Values that a file may make. One of 25,000 tensors makes half of them.
const MOST_VALUES: u64 = 1 << 20;

/// Bytes of text and of other data that a file may make, in addition to its tensors.
const MOST_BYTES: u64 = 128 << 20;

/// Longest line of an instruction that is written as text.
const LONGEST_LINE: u64 = 1 << 16;

/// Pickles before the data of a file as PyTorch before 1.6 wrote it: a magic number, two versions, the tensors, and the
/// order of their data.
const LEGACY: usize = 5;

/// Where an archive of tar says that it is one, and how.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Why a file is refused before it is read.
#[derive(Debug, thiserror::Error)]
pub enum PickleError {
    #[error("it makes more than {MOST_VALUES} values, and a checkpoint makes a few dozen for each tensor")]
    Values,
    #[error("it holds more than {MOST_BYTES} bytes of text and other data outside of tensors")]
    Bytes,
    #[error("it has a line of more than {LONGEST_LINE} bytes")]
    Line,
    #[error("it is a tar archive, as PyTorch wrote until 2017; load it there and save it again")]
    Tar,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Refuses a file whose pickles make more than a checkpoint does. What is wrong with them otherwise is left to their
/// reader.
///
/// # Errors
/// What it makes too much of, or why it cannot be opened.
pub fn check(path: &Path) -> Result<(), PickleError> {
    let mut start = Vec::new();
    let mut budget = Budget { values: MOST_VALUES, bytes: MOST_BYTES };
    let mut opened = BufReader::new(file::open(path)?);
    (&mut opened).take((TAR.0 + TAR.1.len()) as u64).read_to_end(&mut start)?;
    if start.starts_with(b"PK") {
        return budget.zip(path);
    }
    if start.get(TAR.0..) == Some(TAR.1) {
        return Err(PickleError::Tar);
    }
    let mut all = io::Cursor::new(start).chain(opened);
    (0..LEGACY).try_for_each(|_| budget.pickle(&mut all))
}

/// What is still allowed.
struct Budget {
    values: u64,
    bytes: u64,
}

impl Budget {
    fn zip(&mut self, path: &Path) -> Result<(), PickleError> {
        let opened = file::open(path)?;
        let Ok(mut archive) = ZipArchive::new(BufReader::new(opened)) else { return Ok(()) };
        let name = |name: zip::result::ZipResult<std::borrow::Cow<'_, str>>| Some(name.ok()?.into_owned());
        let pickles = archive.file_names().filter_map(name).filter(|name| name.ends_with("data.pkl"));
        for name in pickles.collect::<Vec<_>>() {
            if let Ok(entry) = archive.by_name(&name) {
                self.pickle(&mut BufReader::new(entry))?;
            }
        }
        Ok(())
    }

    /// The instructions up to the end of a pickle, or to one that no reader knows.
    fn pickle(&mut self, all: &mut impl BufRead) -> Result<(), PickleError> {
        loop {
            match self.instruction(all) {
                Ok(true) => {}
                // An error of reading: it ends too early, which its reader reports.
                Ok(false) | Err(PickleError::Io(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Counts one instruction; returns whether there is another.
    fn instruction(&mut self, all: &mut impl BufRead) -> Result<bool, PickleError> {
        let code = number(all, 1)? as u8;
        let pushes = b"ILFVgP(2NcdltJKMGTUX)]}hjBC".contains(&code) || matches!(code, 0x85..=0x8f | 0x91 | 0x96);
        if pushes {
            self.values = self.values.checked_sub(1).ok_or(PickleError::Values)?;
        }
        match code {
            b'.' => return Ok(false),
            b'I' | b'L' | b'F' | b'V' | b'g' | b'p' | b'P' => self.line(all)?,
            b'c' => self.line(all).and_then(|()| self.line(all))?,
            b'K' | b'h' | b'q' | 0x80 => self.pass(all, 1)?,
            b'M' => self.pass(all, 2)?,
            b'J' | b'j' | b'r' => self.pass(all, 4)?,
            b'G' | 0x95 => self.pass(all, 8)?,
            b'U' | b'C' | 0x8a | 0x8c => self.counted(all, 1)?,
            b'T' | b'X' | b'B' | 0x8b => self.counted(all, 4)?,
            0x8d | 0x8e | 0x96 => self.counted(all, 8)?,
            0x81 | 0x85..=0x89 | 0x8f..=0x94 => {}
            _ if b"(012NRbdltsa)]}euQ".contains(&code) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn line(&mut self, all: &mut impl BufRead) -> Result<(), PickleError> {
        let mut line = Vec::new();
        all.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        match line.last() {
            Some(b'\n') => self.spend(line.len() as u64),
            _ if line.len() as u64 == LONGEST_LINE => Err(PickleError::Line),
            _ => Err(cut_off()),
        }
    }

    /// Bytes that follow their length, which takes `width` bytes.
    fn counted(&mut self, all: &mut impl BufRead, width: usize) -> Result<(), PickleError> {
        let length = number(all, width)?;
        self.spend(length)?;
        self.pass(all, length)
    }

    fn pass(&mut self, all: &mut impl BufRead, length: u64) -> Result<(), PickleError> {
        match io::copy(&mut all.take(length), &mut io::sink())? {
            passed if passed == length => Ok(()),
            _ => Err(cut_off()),
        }
    }

    fn spend(&mut self, bytes: u64) -> Result<(), PickleError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(PickleError::Bytes)?;
        Ok(())
    }
}

/// A number of `width` bytes, the lowest first.
fn number(all: &mut impl BufRead, width: usize) -> io::Result<u64> {
    let mut bytes = [0; 8];
    all.read_exact(&mut bytes[..width])?;
    Ok(u64::from_le_bytes(bytes))
}

fn cut_off() -> PickleError {
    PickleError::Io(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<(), PickleError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pt");
        std::fs::write(&path, bytes).unwrap();
        check(&path)
    }

    #[test]
    fn what_a_pickle_makes_is_counted() {
        let lists = |count: usize| [&b"\x80\x02"[..], &b"]".repeat(count), b"."].concat();
        let most = MOST_VALUES as usize;
        assert!(of(&lists(most)).is_ok());
        let values = of(&lists(most + 1)).unwrap_err();
        assert!(matches!(values, PickleError::Values) && values.to_string().contains("more than 1048576 values"));
        // What an instruction carries is not a value.
        assert!(of(&[&b"\x80\x02"[..], b"U\xff", &b"]".repeat(300), b"."].concat()).is_ok());
        let text = [&b"\x80\x02\x8d"[..], &(1u64 << 40).to_le_bytes(), b"abc"].concat();
        assert!(matches!(of(&text), Err(PickleError::Bytes)));
        assert!(matches!(of(&[&b"\x80\x02V"[..], &[b'x'; 1 << 17], b"\n."].concat()), Err(PickleError::Line)));
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(matches!(of(&tar), Err(PickleError::Tar)));
        // What else is wrong is left to the reader.
        assert!(of(b"").is_ok() && of(b"\x80\x02X\xff\xff\0\0").is_ok() && of(b"\x80\x02\xff").is_ok());
    }

    #[test]
    fn what_was_saved_is_within_it() {
        for name in ["gpt2.bin", "gpt2-legacy.bin", "gpt2-training.pt", "views.bin"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch").join(name);
            assert!(check(&path).is_ok(), "{name}");
        }
    }
}
