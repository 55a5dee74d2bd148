//! Writing values and answers to files.

pub mod control_vector;
pub mod csv;
mod error;
pub mod events;
pub mod html;
pub mod model;
pub mod npy;
pub mod picture;
pub mod report;
pub mod safetensors;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

pub use error::{Cause, ExportError};

/// Writes a file so that an existing one is replaced only when the new one is complete: `fill` is given the name of
/// another file in the same folder.
pub fn whole<E: Into<Cause>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), ExportError> {
    let partial = Partial::of(path).ok_or_else(|| Cause::from("it is not the name of a file").at(path))?;
    // Tried first, as its error would name the unfinished file.
    fs::File::create(&partial.0).map_err(|error| Cause::from(error).at(path))?;
    fill(&partial.0).map_err(|error| error.into().at(path))?;
    fs::rename(&partial.0, path).map_err(|error| Cause::from(error).at(path))
}

/// Writes a file, whole or not at all.
pub fn file(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<(), ExportError> {
    whole(path.as_ref(), |partial| fs::write(partial, content))
}

/// An unfinished file. Removed when it goes out of scope, unless it has been renamed by then.
struct Partial(PathBuf);

impl Partial {
    /// In the folder of `path`, so that renaming never copies.
    fn of(path: &Path) -> Option<Partial> {
        let mut name = OsString::from(".");
        name.push(path.file_name()?);
        name.push(format!(".{}.partial", std::process::id()));
        Some(Partial(path.with_file_name(name)))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It is gone already when all went well.
        _ = fs::remove_file(&self.0);
    }
}
