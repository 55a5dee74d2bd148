//! The journal: every command that changes state, written when it is given, so that a session can be resumed.
//!
//! A journal is a file of commands; blocks span lines. Its first line says how the program was started. A command is
//! written before it runs, in one piece, so that none is lost when the program is killed. The outcome follows as a
//! comment on a separate line: that the command was refused, or where it was interrupted. Read-only commands are
//! recorded when they are done, with the number of values that they added to the history.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::script::{Command, Reader};
use super::state_folder;
use crate::model::file;

/// How many journals are kept; older ones are removed when a new one begins.
const KEPT: usize = 20;

const VERSION: u32 = 1;

/// Bytes of commands that are kept in memory.
const MOST_KEPT: usize = 16 << 20;

const HEAD: &str = "#llmdbg-journal ";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub version: u32,
    pub folder: String,
    /// The command line, without the program.
    pub arguments: Vec<String>,
}

impl Start {
    /// That of a program in this folder, with these arguments.
    pub fn of(arguments: Vec<String>) -> Start {
        let folder = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
        Start { version: VERSION, folder, arguments }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of its first line among those of the commands, from 1.
    pub line: usize,
    /// The command; a block has several lines.
    pub text: String,
    pub fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ran, or the program ended before the outcome was recorded.
    Done,
    /// It changed nothing: it was refused, or interrupted before it had an effect.
    Refused,
    /// It was a motion, and was interrupted in this pass, before this op.
    Interrupted { pass: usize, op: usize },
    /// It was a read-only command that added so many values to the history.
    Looked(usize),
}

impl Entry {
    /// The lines of the journal that record it.
    fn written(&self) -> String {
        let text = &self.text;
        match &self.fate {
            Fate::Done => format!("{text}\n"),
            Fate::Looked(values) => format!("#looked {values} {text}\n"),
            fate => format!("{text}\n{}", fate.note()),
        }
    }
}

impl Fate {
    /// The line that follows the command in the journal; empty if the command ran.
    fn note(&self) -> String {
        match self {
            Fate::Done | Fate::Looked(_) => String::new(),
            Fate::Refused => "#refused\n".into(),
            Fate::Interrupted { pass, op } => format!("#interrupted {pass} {op}\n"),
        }
    }
}

/// The commands of a journal's text after its first line; and the first line of an incomplete block at the end, which
/// was being written when the program was killed.
pub fn entries(text: &str) -> (Vec<Entry>, Option<String>) {
    let (mut all, mut reader) = (Vec::<Entry>::new(), Reader::default());
    for (number, line) in text.lines().enumerate() {
        let note = line.strip_prefix('#').filter(|_| !reader.is_open());
        let words: Vec<&str> = note.map(|note| note.splitn(3, ' ').collect()).unwrap_or_default();
        match (words.as_slice(), all.last_mut()) {
            (["refused"], Some(last)) => last.fate = Fate::Refused,
            (["interrupted", pass, op], Some(last)) => {
                if let (Ok(pass), Ok(op)) = (pass.parse(), op.parse()) {
                    last.fate = Fate::Interrupted { pass, op };
                }
            }
            (["looked", values, text], _) => {
                if let Ok(values) = values.parse() {
                    all.push(Entry { line: number + 1, text: text.to_string(), fate: Fate::Looked(values) });
                }
            }
            _ => {
                let one = reader.push(number + 1, line);
                all.extend(one.map(|Command { line, text, .. }| Entry { line, text, fate: Fate::Done }));
            }
        }
    }
    let cut = reader.abandon().and_then(|block| block.text.lines().next().map(String::from));
    (all, cut)
}

/// Rewrites a journal with the outcomes of its commands. If it cannot be written, it stays as it was.
pub fn rewrite(path: &Path, start: &Start, entries: &[Entry]) -> io::Result<()> {
    let start = serde_json::to_string(start).map_err(io::Error::other)?;
    let commands: String = entries.iter().map(Entry::written).collect();
    let fresh = path.with_extension("new");
    fs::write(&fresh, format!("{HEAD}{start}\n{commands}"))?;
    fs::rename(fresh, path)
}

#[derive(Debug, Default)]
pub enum Journal {
    #[default]
    Off,
    /// To a file that is created when there is something to write.
    New(PathBuf, Start),
    Open(File),
}

impl Journal {
    pub fn folder() -> Option<PathBuf> {
        Some(state_folder()?.join("journals"))
    }

    /// A new journal in a folder, for a program that was started with these arguments.
    pub fn new(folder: &Path, arguments: Vec<String>) -> Journal {
        Journal::New(folder.join(fresh_name()), Start::of(arguments))
    }

    /// Writes a command. If that fails, the journal ends, and the diagnostics say why.
    pub fn write(&mut self, command: &str) {
        self.put(&format!("{command}\n"));
    }

    pub fn note(&mut self, fate: &Fate) {
        self.put(&fate.note());
    }

    /// Records a read-only command, and how many values it added to the history.
    pub fn looked(&mut self, command: &str, values: usize) {
        self.put(&format!("#looked {values} {command}\n"));
    }

    fn put(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Err(error) = self.try_write(text) {
            tracing::warn!("the journal cannot be written: {error}");
            *self = Journal::Off;
        }
    }

    fn try_write(&mut self, text: &str) -> io::Result<()> {
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
            Journal::Open(file) => file.write_all(text.as_bytes()),
            _ => Ok(()),
        }
    }

    /// Continues a journal that was read.
    pub fn go_on(path: &Path) -> io::Result<Journal> {
        Ok(Journal::Open(file::open_with(OpenOptions::new().append(true), path)?))
    }
}

/// What a session records of itself: in its journal, and in memory for core files, which a session without a journal
/// has too.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    journal: Journal,
    start: Option<Start>,
    text: String,
}

impl Recorder {
    pub(super) fn new(journal: Journal, start: Option<Start>) -> Recorder {
        Recorder { journal, start, text: String::new() }
    }

    /// Writes a command.
    pub(super) fn write(&mut self, command: &str) {
        self.journal.write(command);
        self.keep(&format!("{command}\n"));
    }

    pub(super) fn note(&mut self, fate: &Fate) {
        self.journal.note(fate);
        self.keep(&fate.note());
    }

    pub(super) fn looked(&mut self, command: &str, values: usize) {
        self.journal.looked(command, values);
        self.keep(&Entry { line: 0, text: command.to_string(), fate: Fate::Looked(values) }.written());
    }

    /// Continues what was recorded of an earlier session.
    pub(super) fn go_on(&mut self, journal: Journal, start: Start, entries: &[Entry]) {
        *self = Recorder::new(journal, Some(start));
        entries.iter().for_each(|entry| self.keep(&entry.written()));
    }

    fn keep(&mut self, text: &str) {
        self.text += text;
        if self.text.len() > MOST_KEPT {
            (self.start, self.text) = (None, String::new());
        }
    }

    /// How the program was started, and the commands since; `None` if that is not known, or too much.
    pub(super) fn story(&self) -> Option<(&Start, &str)> {
        Some((self.start.as_ref()?, &self.text))
    }
}

/// Writes a new journal with these commands.
///
/// # Errors
/// If the folder or the file cannot be made.
pub fn of_commands(folder: &Path, start: &Start, commands: &[Entry]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    prune(folder);
    let path = folder.join(fresh_name());
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
    let start = serde_json::to_string(start).map_err(io::Error::other)?;
    let commands: String = commands.iter().map(Entry::written).collect();
    file.write_all(format!("{HEAD}{start}\n{commands}").as_bytes())?;
    Ok(path)
}

/// A name that no other journal has; names sort in the order of time.
fn fresh_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:014}-{}.ldb", now.as_millis(), std::process::id())
}

pub fn last(folder: &Path) -> Option<PathBuf> {
    journals(folder).pop()
}

fn journals(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "ldb")).collect();
    files.sort();
    files
}

fn prune(folder: &Path) {
    let files = journals(folder);
    for old in &files[..files.len().saturating_sub(KEPT - 1)] {
        // A file that cannot be removed does no harm.
        _ = fs::remove_file(old);
    }
}

#[derive(Debug, Error)]
pub enum JournalError {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is not a journal: {reason}", path.display())]
    NotAJournal {
        path: PathBuf,
        /// What is wrong with its first line.
        reason: String,
    },
    #[error("{} is a journal of version {version}; this program reads version {VERSION}", path.display())]
    Version { path: PathBuf, version: u32 },
}

/// How the program was started, and the commands given since.
pub fn read(path: &Path) -> Result<(Start, String), JournalError> {
    let text = file::read(path).map_err(|error| JournalError::Unreadable { path: path.to_path_buf(), error })?;
    let text = String::from_utf8_lossy(&text);
    let wrong = |reason: &str| JournalError::NotAJournal { path: path.to_path_buf(), reason: reason.to_string() };
    let (head, commands) = text.split_once('\n').ok_or_else(|| wrong("it has no complete first line"))?;
    let start = head.strip_prefix(HEAD).ok_or_else(|| wrong("its first line is not that of a journal"))?;
    let start: Start = serde_json::from_str(start).map_err(|error| wrong(&error.to_string()))?;
    match start.version {
        VERSION => Ok((start, commands.to_string())),
        version => Err(JournalError::Version { path: path.to_path_buf(), version }),
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
        assert!(read(&path).unwrap_err().to_string().ends_with("its first line is not that of a journal"));
        assert!(read(&folder.join("none")).unwrap_err().to_string().starts_with("cannot read"));
    }

    #[test]
    fn what_came_of_commands_is_noted_after_them_and_a_cut_block_loses_itself_alone() {
        let text = "run\n#interrupted 1 7\nstep x\n#refused\n#looked 2 attr heads # all\ndocument y\n#refused\nend\nset $x = 1\ndefine z\nstep\n";
        let (found, cut) = entries(text);
        let of: Vec<(&str, &Fate)> = found.iter().map(|entry| (entry.text.as_str(), &entry.fate)).collect();
        let wanted = [
            ("run", &Fate::Interrupted { pass: 1, op: 7 }),
            ("step x", &Fate::Refused),
            ("attr heads # all", &Fate::Looked(2)),
            ("document y\n#refused\nend", &Fate::Done),
            ("set $x = 1", &Fate::Done),
        ];
        assert_eq!((of.as_slice(), cut.as_deref()), (&wanted[..], Some("define z")));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ldb");
        let start = Start { version: 1, folder: "/".into(), arguments: vec!["model".into()] };
        rewrite(&path, &start, &found).unwrap();
        let (start_then, commands) = read(&path).unwrap();
        assert_eq!((start_then, entries(&commands).0.len()), (start, found.len()));
        assert!(entries(&commands).0.iter().zip(&found).all(|(a, b)| (&a.text, &a.fate) == (&b.text, &b.fate)));
    }
}
