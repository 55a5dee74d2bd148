//! Earlier input: the command that an empty line repeats, and the lines that a prompt offers again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::state_folder;
use crate::model::file;

const LIMIT: usize = 2000;

#[derive(Debug, Default)]
pub struct Repeat {
    last: Option<String>,
}

impl Repeat {
    /// Records that `line` was given at a prompt. After a command that must not be repeated by accident there is
    /// nothing to repeat.
    pub fn note(&mut self, line: &str, repeatable: bool) {
        self.last = repeatable.then(|| line.to_string());
    }

    pub fn line(&self) -> Option<&str> {
        self.last.as_deref()
    }
}

/// Lines given at prompts, oldest first, each once, kept in a file between sessions.
///
/// The file has one line for each entry. Lines are appended at once, so that nothing is lost when the connection drops,
/// and the file is cut to its limit when it is opened. Without a file the history lasts for the session.
#[derive(Debug, Default)]
pub struct History {
    lines: Vec<String>,
    file: Option<PathBuf>,
}

impl History {
    pub fn default_file() -> Option<PathBuf> {
        Some(state_folder()?.join("history"))
    }

    /// Reads `file`, which need not exist.
    pub fn open(file: &Path) -> io::Result<History> {
        let text = match file::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut history = History { lines: Vec::new(), file: Some(file.to_path_buf()) };
        let given = text.lines().count();
        text.lines().for_each(|line| history.insert(line));
        let surplus = history.lines.len().saturating_sub(LIMIT);
        history.lines.drain(..surplus);
        if given > history.lines.len() + LIMIT / 2 {
            let text: String = history.lines.iter().flat_map(|line| [line, "\n"]).collect();
            fs::write(file, text)?;
        }
        Ok(history)
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Adds `line` as the newest. Blank lines and lines that begin with a space are not kept.
    pub fn push(&mut self, line: &str) -> io::Result<()> {
        let repeated = self.lines.last().is_some_and(|last| last == line);
        if line.trim().is_empty() || line.starts_with(' ') || line.contains('\n') || repeated {
            return Ok(());
        }
        self.insert(line);
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        file::open_with(OpenOptions::new().create(true).append(true), file)?.write_all(format!("{line}\n").as_bytes())
    }

    /// Makes `line` the newest and removes its older occurrence.
    fn insert(&mut self, line: &str) {
        self.lines.retain(|old| old != line);
        self.lines.push(line.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repeatable_commands_are_repeated() {
        let mut repeat = Repeat::default();
        assert_eq!(repeat.line(), None);
        repeat.note("step", true);
        assert_eq!(repeat.line(), Some("step"));
        repeat.note("run", false);
        assert_eq!(repeat.line(), None);
    }

    #[test]
    fn lines_survive_the_session_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/history");
        let mut history = History::open(&file).unwrap();
        for line in ["run", "step", "run", " secret", "", "step", "step"] {
            history.push(line).unwrap();
        }
        assert_eq!(history.lines(), ["run", "step"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "run\nstep\nrun\nstep\n");
        assert_eq!(History::open(&file).unwrap().lines(), ["run", "step"]);
    }

    #[test]
    fn long_files_are_brought_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history");
        let text: String = (0..LIMIT * 2).map(|i| format!("print {i}\n")).collect();
        fs::write(&file, text).unwrap();
        let history = History::open(&file).unwrap();
        assert_eq!(history.lines().len(), LIMIT);
        assert_eq!(history.lines().last().unwrap(), &format!("print {}", LIMIT * 2 - 1));
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), LIMIT);
    }

    #[test]
    fn without_a_file_it_lives_for_the_session() {
        let mut history = History::default();
        history.push("run").unwrap();
        assert_eq!(history.lines(), ["run"]);
    }
}
