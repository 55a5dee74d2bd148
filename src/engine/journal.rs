//! The journal: every command that changes state, written as it is given, so that a session can be taken up again.
//!
//! A journal is a file of commands, one after the other; blocks span lines. Its first line says how the program was started. A
//! command is written before it is carried out, in one piece, so that a program that is killed loses none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::model::file;

/// Journals that are kept; older ones are removed when a new one begins.
const KEPT: usize = 20;

/// What the first line starts with.
const HEAD: &str = "#llmdbg-journal ";

/// How the program was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Version of the format.
    pub version: u32,
    /// Where.
    pub folder: String,
    /// The command line, without the program.
    pub arguments: Vec<String>,
}

/// Where commands are written.
#[derive(Debug, Default)]
pub enum Journal {
    /// Nowhere.
    #[default]
    Off,
    /// To a file that is made when there is something to write.
    New(PathBuf, Start),
    /// To a file.
    Open(File),
}

impl Journal {
    /// The folder of journals, in the user's folder for state.
    pub fn folder() -> Option<PathBuf> {
        let folders = directories::ProjectDirs::from("", "", "llmdbg")?;
        Some(folders.state_dir().unwrap_or(folders.data_local_dir()).join("journals"))
    }

    /// A journal in a folder, for a program that was started so.
    pub fn new(folder: &Path, arguments: Vec<String>) -> Journal {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Names are in the order of time.
        let name = format!("{:014}-{}.ldb", now.as_millis(), std::process::id());
        let here = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
        Journal::New(folder.join(name), Start { version: 1, folder: here, arguments })
    }

    /// Writes a command. One that cannot be written is told of in the log, and the journal ends.
    pub fn write(&mut self, command: &str) {
        if let Err(error) = self.try_write(command) {
            tracing::warn!("the journal cannot be written: {error}");
            *self = Journal::Off;
        }
    }

    fn try_write(&mut self, command: &str) -> io::Result<()> {
        if let Journal::New(path, start) = self {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
                prune(folder);
            }
            let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
            let start = serde_json::to_string(start).map_err(io::Error::other)?;
            file.write_all(format!("{HEAD}{start}\n").as_bytes())?;
            *self = Journal::Open(file);
        }
        match self {
            Journal::Open(file) => file.write_all(format!("{command}\n").as_bytes()),
            _ => Ok(()),
        }
    }

    /// Goes on in a journal that was read.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn go_on(path: &Path) -> io::Result<Journal> {
        Ok(Journal::Open(file::open_with(OpenOptions::new().append(true), path)?))
    }
}

/// The youngest journal of a folder.
pub fn last(folder: &Path) -> Option<PathBuf> {
    journals(folder).pop()
}

/// Journals, the oldest first.
fn journals(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "ldb")).collect();
    files.sort();
    files
}

fn prune(folder: &Path) {
    let files = journals(folder);
    for old in &files[..files.len().saturating_sub(KEPT - 1)] {
        // One that cannot be removed does no harm.
        _ = fs::remove_file(old);
    }
}

/// How the program was started, and the commands given since.
///
/// # Errors
/// If it is no journal.
pub fn read(path: &Path) -> Result<(Start, String), String> {
    let text = file::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    let wrong = |what: &str| format!("{} is no journal: {what}", path.display());
    let (head, commands) = text.split_once('\n').ok_or_else(|| wrong("it ends in its first line"))?;
    let start = head.strip_prefix(HEAD).ok_or_else(|| wrong("its first line says something else"))?;
    let start: Start = serde_json::from_str(start).map_err(|error| wrong(&error.to_string()))?;
    match start.version {
        1 => Ok((start, commands.to_string())),
        other => Err(wrong(&format!("it is of version {other}; this program reads version 1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_old_journals_go() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        assert_eq!(last(&folder), None);
        for number in 0..KEPT + 5 {
            let arguments = vec!["model".to_string(), number.to_string()];
            let mut journal = Journal::new(&folder, arguments);
            if let Journal::New(path, _) = &mut journal {
                *path = folder.join(format!("{number:03}.ldb"));
            }
            journal.write("run");
            journal.write("define x\n  step\nend");
        }
        assert_eq!(journals(&folder).len(), KEPT);
        let path = last(&folder).unwrap();
        let mut journal = Journal::go_on(&path).unwrap();
        journal.write("step");
        let (start, commands) = read(&path).unwrap();
        assert_eq!(start.arguments, ["model", "24"]);
        assert_eq!(commands, "run\ndefine x\n  step\nend\nstep\n");
        fs::write(&path, "something\n").unwrap();
        assert!(read(&path).unwrap_err().ends_with("its first line says something else"));
        assert!(read(&folder.join("none")).unwrap_err().starts_with("cannot read"));
    }
}
