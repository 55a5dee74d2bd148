//! Values and answers to files.

pub mod csv;
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

/// Writes a file so that one that stands there is replaced only when the new one is complete: `fill` is given the name of
/// another file beside it.
///
/// # Errors
/// In a sentence that names the file.
pub fn whole(path: &Path, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let failed = |what: &dyn std::fmt::Display| format!("cannot write {}: {what}", path.display());
    let partial = Partial::beside(path).ok_or_else(|| failed(&"it is not the name of a file"))?;
    // Tried first, as its error would name the unfinished file.
    fs::File::create(&partial.0).map_err(|error| failed(&error))?;
    fill(&partial.0).map_err(|error| failed(&error))?;
    fs::rename(&partial.0, path).map_err(|error| failed(&error))
}

/// Writes a text file, whole or not at all.
///
/// # Errors
/// In a sentence that names the file.
pub fn text(path: &Path, text: &str) -> Result<(), String> {
    whole(path, |partial| fs::write(partial, text).map_err(|error| error.to_string()))
}

/// An unfinished file. Removed when it goes out of scope, unless it has been renamed by then.
struct Partial(PathBuf);

impl Partial {
    /// In the folder of `path`, so that renaming never copies.
    fn beside(path: &Path) -> Option<Partial> {
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
