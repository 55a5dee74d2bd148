//! Commands typed before: walking back through those that begin alike, searching, and keeping them in a file that plain
//! mode shares.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// First line of a file that the line editor of plain mode has written; backslashes are escapes in it.
const ESCAPING: &str = "#V2";

/// Lines kept in memory.
const LIMIT: usize = 2000;

/// The commands, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<String>,
    walk: Option<Walk>,
}

/// A walk with Up and Down: the text typed before it began, and where it is.
#[derive(Clone, Debug)]
struct Walk {
    typed: String,
    at: usize,
}

impl History {
    /// What `path` holds; nothing where it cannot be read.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let escaping = text.starts_with(ESCAPING);
        let mut history = Self::default();
        for line in text.lines().skip(usize::from(escaping)) {
            history.push(&if escaping { line.replace("\\\\", "\\") } else { line.to_string() });
        }
        history
    }

    /// Adds a line; one that is there already moves to the end. Tells whether it is worth keeping.
    pub fn push(&mut self, line: &str) -> bool {
        self.walk = None;
        let line = line.trim();
        if line.is_empty() || self.lines.last().is_some_and(|last| last == line) {
            return false;
        }
        self.lines.retain(|known| known != line);
        self.lines.push(line.to_string());
        if self.lines.len() > LIMIT {
            self.lines.remove(0);
        }
        true
    }

    /// The next older line that begins as the one typed when the walk began.
    pub fn older(&mut self, current: &str) -> Option<String> {
        let walk = self.walk.get_or_insert_with(|| Walk { typed: current.to_string(), at: self.lines.len() });
        let at = self.lines[..walk.at].iter().rposition(|line| line.starts_with(&walk.typed))?;
        walk.at = at;
        Some(self.lines[at].clone())
    }

    /// The next newer such line; at the end of the walk, what was typed.
    pub fn newer(&mut self) -> Option<String> {
        let walk = self.walk.as_mut()?;
        let newer = self.lines.iter().enumerate().skip(walk.at + 1).find(|(_, line)| line.starts_with(&walk.typed));
        match newer {
            Some((at, line)) => {
                walk.at = at;
                Some(line.clone())
            }
            None => self.walk.take().map(|walk| walk.typed),
        }
    }

    /// Ends a walk: the line was edited.
    pub fn stop_walking(&mut self) {
        self.walk = None;
    }

    /// The `skip`-th newest line that contains `query`.
    pub fn search(&self, query: &str, skip: usize) -> Option<&str> {
        self.lines.iter().rev().filter(|line| line.contains(query)).nth(skip).map(String::as_str)
    }
}

/// Appends `line` to the file at `path`.
pub fn remember(path: &Path, line: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let escaping = std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(ESCAPING));
    let line = if escaping { line.replace('\\', "\\\\") } else { line.to_string() };
    writeln!(OpenOptions::new().create(true).append(true).open(path)?, "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(lines: &[&str]) -> History {
        let mut history = History::default();
        for line in lines {
            history.push(line);
        }
        history
    }

    #[test]
    fn a_walk_sees_only_lines_that_begin_alike() {
        let mut history = history(&["break L1", "print logits", "break L2", "step"]);
        assert_eq!(history.older("br").as_deref(), Some("break L2"));
        assert_eq!(history.older("break L2").as_deref(), Some("break L1"));
        assert_eq!(history.older("break L1"), None);
        assert_eq!(history.newer().as_deref(), Some("break L2"));
        assert_eq!(history.newer().as_deref(), Some("br"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn doubles_are_kept_once_and_empty_lines_never() {
        let mut history = history(&["step", "next", "step"]);
        assert!(!history.push("step"));
        assert!(!history.push("  "));
        assert_eq!(history.lines, ["next", "step"]);
    }

    #[test]
    fn search_goes_from_new_to_old() {
        let history = history(&["break L1", "print logits", "break L2"]);
        assert_eq!(history.search("break", 0), Some("break L2"));
        assert_eq!(history.search("break", 1), Some("break L1"));
        assert_eq!(history.search("lens", 0), None);
    }

    #[test]
    fn the_file_reads_back_in_both_formats() {
        let directory = tempfile::tempdir().expect("a directory");
        for head in ["", "#V2\n"] {
            let path = directory.path().join(format!("history{}", head.len()));
            std::fs::write(&path, format!("{head}step\n")).expect("a file");
            remember(&path, "break /L\\d/").expect("appended");
            assert_eq!(History::load(&path).lines, ["step", "break /L\\d/"]);
        }
    }
}
