//! The init file of a project: `.llmdbg` in the working folder, which runs only after the user has trusted it.
//!
//! Entering a folder with somebody else's files must not run them. `llmdbg trust` records a file with its whole text,
//! and a file whose text has changed since then is no longer trusted.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::engine::state_folder;
use crate::model::file;

pub const PROJECT_FILE: &str = ".llmdbg";

/// The largest init file, in bytes.
const LARGEST: u64 = 1 << 20;

/// A file that may be run as long as it has this text.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trusted {
    file: PathBuf,
    text: String,
}

#[derive(Debug, Error)]
#[error("cannot trust {}: {error}", file.display())]
pub struct TrustError {
    file: PathBuf,
    error: io::Error,
}

/// The files that are trusted: `trusted.json` in the state folder.
#[derive(Debug)]
pub struct Trust {
    store: PathBuf,
}

impl Trust {
    /// The files that the user trusts; `None` without a state folder.
    pub fn of_user() -> Option<Trust> {
        Some(Trust { store: state_folder()?.join("trusted.json") })
    }

    /// Whether a file may be run: it was trusted under this path and with this text.
    pub fn holds(&self, file: &Path) -> bool {
        let read = || -> io::Result<Trusted> { Ok(Trusted { file: file.canonicalize()?, text: text_of(file)? }) };
        read().is_ok_and(|now| self.read().is_ok_and(|all| all.contains(&now)))
    }

    /// Trusts a file with its present text; returns its full path.
    pub fn add(&self, file: &Path) -> Result<PathBuf, TrustError> {
        let failed = |what: &Path, error: io::Error| TrustError { file: what.to_path_buf(), error };
        let text = text_of(file).map_err(|error| failed(file, error))?;
        let path = file.canonicalize().map_err(|error| failed(file, error))?;
        let mut all = self.read().map_err(|error| failed(&self.store, error))?;
        all.retain(|known| known.file != path);
        all.push(Trusted { file: path.clone(), text });
        self.write(&all).map_err(|error| failed(&self.store, error))?;
        Ok(path)
    }

    fn read(&self) -> io::Result<Vec<Trusted>> {
        match file::read_text(&self.store) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Writes a new file and renames it, so that an interruption leaves the old list.
    fn write(&self, all: &[Trusted]) -> io::Result<()> {
        if let Some(folder) = self.store.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = self.store.with_extension("json.new");
        fs::write(&fresh, serde_json::to_string_pretty(all)?)?;
        fs::rename(fresh, &self.store)
    }
}

fn text_of(file: &Path) -> io::Result<String> {
    let size = file::regular(file)?;
    if size > LARGEST {
        return Err(io::Error::other(format!("{size} bytes are too many for an init file")));
    }
    file::read_text(file)
}

#[derive(Debug, PartialEq, Eq)]
pub enum Project {
    Nothing,
    File(PathBuf),
    /// It is not trusted, or has changed since.
    Untrusted(PathBuf),
}

pub fn project(folder: &Path, trust: Option<&Trust>) -> Project {
    let file = folder.join(PROJECT_FILE);
    if !file.is_file() {
        Project::Nothing
    } else if trust.is_some_and(|trust| trust.holds(&file)) {
        Project::File(file)
    } else {
        Project::Untrusted(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_trusted_by_path_and_text() {
        let folder = tempfile::tempdir().unwrap();
        let trust = Trust { store: folder.path().join("state/trusted.json") };
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("other")).unwrap();
        assert_eq!(project(folder.path(), Some(&trust)), Project::Nothing);
        let file = at(PROJECT_FILE);
        fs::write(&file, "echo hi\n").unwrap();
        assert_eq!(project(folder.path(), Some(&trust)), Project::Untrusted(file.clone()));
        assert_eq!(trust.add(&file).unwrap(), file.canonicalize().unwrap());
        assert_eq!(project(folder.path(), Some(&trust)), Project::File(file.clone()));
        assert_eq!(project(folder.path(), None), Project::Untrusted(file.clone()));
        fs::copy(&file, at("other/.llmdbg")).unwrap();
        assert_eq!(project(&at("other"), Some(&trust)), Project::Untrusted(at("other/.llmdbg")));
        fs::write(&file, "shell rm -r ~\n").unwrap();
        assert_eq!(project(folder.path(), Some(&trust)), Project::Untrusted(file.clone()));
        trust.add(&file).unwrap();
        trust.add(&at("other/.llmdbg")).unwrap();
        assert!(trust.holds(&file) && trust.holds(&at("other/.llmdbg")));
        assert_eq!(trust.read().unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let trust = Trust { store: folder.path().join("trusted.json") };
        let file = folder.path().join(PROJECT_FILE);
        assert!(trust.add(&file).unwrap_err().to_string().starts_with("cannot trust "));
        fs::write(&file, "run\n").unwrap();
        fs::write(&trust.store, "not json").unwrap();
        assert!(!trust.holds(&file));
        assert!(trust.add(&file).unwrap_err().to_string().contains("trusted.json"));
        fs::remove_file(&trust.store).unwrap();
        fs::write(&file, vec![b'#'; LARGEST as usize + 1]).unwrap();
        assert!(trust.add(&file).unwrap_err().to_string().ends_with("are too many for an init file"));
    }
}
