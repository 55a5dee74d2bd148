//! Earlier commands: going back through those that begin alike, and searching. [`crate::engine::history`] keeps them in
//! a file.

use super::palette::ranked;

#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<String>,
    walk: Option<Walk>,
}

/// A walk through the history with Up and Down: the text typed before it began, and the present line.
#[derive(Clone, Debug)]
struct Walk {
    typed: String,
    at: usize,
}

impl History {
    /// These lines, oldest first.
    pub fn new(lines: Vec<String>) -> Self {
        Self { lines, walk: None }
    }

    /// Adds a line, or moves it to the end if it is already there. Returns whether to write it to the file.
    pub fn push(&mut self, line: &str) -> bool {
        self.walk = None;
        let line = line.trim();
        if line.is_empty() || self.lines.last().is_some_and(|last| last == line) {
            return false;
        }
        self.lines.retain(|known| known != line);
        self.lines.push(line.to_string());
        true
    }

    /// The next older line that begins with the text typed before the walk.
    pub fn older(&mut self, current: &str) -> Option<String> {
        let walk = self.walk.get_or_insert_with(|| Walk { typed: current.to_string(), at: self.lines.len() });
        let at = self.lines[..walk.at].iter().rposition(|line| line.starts_with(&walk.typed))?;
        walk.at = at;
        Some(self.lines[at].clone())
    }

    /// The next newer such line; at the end of the walk, the text that was typed.
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

    /// Ends a walk, because the line was edited.
    pub fn stop_walking(&mut self) {
        self.walk = None;
    }

    /// The newest line that begins with `start` and is longer.
    pub fn newest(&self, start: &str) -> Option<&str> {
        self.lines.iter().rev().find(|line| line.len() > start.len() && line.starts_with(start)).map(String::as_str)
    }

    /// The `skip`-th best line that contains the letters of `query` in their order; among equals the newest first.
    pub fn search(&self, query: &str, skip: usize) -> Option<String> {
        let lines: Vec<&str> = self.lines.iter().rev().map(String::as_str).collect();
        let found = ranked(lines, query, |line| (*line).to_string(), |line| (*line).to_string());
        found.into_iter().nth(skip).map(String::from)
    }
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
        assert_eq!(history.search("break", 0).as_deref(), Some("break L2"));
        assert_eq!(history.search("break", 1).as_deref(), Some("break L1"));
        assert_eq!(history.search("plgt", 0).as_deref(), Some("print logits"));
        assert_eq!(history.search("lens", 0), None);
    }
}
