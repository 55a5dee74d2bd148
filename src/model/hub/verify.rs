//! Whether a file on this machine still is what the hub gave.
//!
//! Two places say what it should hash to: the cache, whose blobs are named by their hashes, and what `hf download
//! --local-dir` notes next to the files that it puts into a folder.

use std::fs;
use std::path::Path;

use super::digest::Expected;
use crate::model::error::LoadError;
use crate::model::file;

/// What became of a file since the hub gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the same; the kind of hash, and the hash.
    Same(&'static str, String),
    /// It is another; what it hashes to now, as a clause, and the hash that the hub gave.
    Other(String, String),
    /// Nothing says what it should hash to.
    Unknown,
}

/// Hashes a file and compares; `progress` gets the number of bytes each time.
///
/// # Errors
/// If the file cannot be read, and what `progress` fails with.
pub fn verify<E: From<LoadError>>(path: &Path, progress: impl FnMut(usize) -> Result<(), E>) -> Result<Verdict, E> {
    let unreadable = LoadError::io(path);
    let mut file = file::open(path).map_err(&unreadable)?;
    let expected = given(path);
    let Some((kind, hash)) = expected.known() else { return Ok(Verdict::Unknown) };
    let mut digest = expected.start(file.metadata().map_err(&unreadable)?.len());
    digest.read(&mut file, |error| unreadable(error).into(), progress)?;
    Ok(match expected.check(digest) {
        Ok(()) => Verdict::Same(kind, hash.to_owned()),
        Err((found, wanted)) => Verdict::Other(found, wanted),
    })
}

/// What the hub said that a file hashes to.
fn given(path: &Path) -> Expected {
    match in_cache(path).or_else(|| noted(path)) {
        Some(hash) => Expected::of(None, Some(&hash), &hash),
        None => Expected::Nothing,
    }
}

/// The name of the blob that a file of the cache is a link to.
fn in_cache(path: &Path) -> Option<String> {
    let blob = fs::canonicalize(path).ok()?;
    let named = |folder: Option<&Path>| Some(folder?.file_name()?.to_str()?.to_owned());
    let (blobs, model) = (named(blob.parent())?, named(blob.ancestors().nth(2))?);
    (blobs == "blobs" && model.starts_with("models--")).then(|| named(Some(&blob)))?
}

/// The second line of the note about a file in the folder that it was downloaded into, or in one above.
fn noted(path: &Path) -> Option<String> {
    let note = |folder: &Path| {
        let inside = path.strip_prefix(folder).ok()?.to_str()?;
        file::read_text(&folder.join(format!(".cache/huggingface/download/{inside}.metadata"))).ok()
    };
    let text = path.ancestors().skip(1).find_map(note)?;
    text.lines().nth(1).map(|hash| hash.trim().to_owned())
}
