//! The console: commands and their answers, as lines that are wrapped to the pane. The last answers are laid out again when
//! the width of the pane changes, so that a wider one shows the columns that a narrower one had no room for.

use std::collections::VecDeque;

use super::text;
use crate::answer::{Answer, text::lines};

const LIMIT: usize = 5000;

/// The number of answers that are laid out again.
const ANSWERS: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Echo,
    Output,
    Error,
    /// A message of the interface itself.
    Notice,
}

/// An answer among the lines.
#[derive(Clone, Debug)]
struct Shown {
    kind: Kind,
    answer: Answer,
    /// Its first line, counted from the first line that there ever was.
    first: usize,
    count: usize,
}

/// The lines of the console, and how far back it is scrolled.
#[derive(Clone, Debug, Default)]
pub struct Console {
    lines: VecDeque<(Kind, String)>,
    /// Lines that were dropped from the front.
    dropped: usize,
    answers: VecDeque<Shown>,
    /// The columns that the answers are laid out for.
    columns: Option<usize>,
    /// Rows between the last row shown and the end.
    pub back: usize,
}

impl Console {
    pub fn push(&mut self, kind: Kind, line: impl Into<String>) {
        self.back = 0;
        self.lines.push_back((kind, line.into()));
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        let excess = self.lines.len().saturating_sub(LIMIT);
        self.lines.drain(..excess);
        self.dropped += excess;
        while self.answers.front().is_some_and(|shown| shown.first < self.dropped) {
            self.answers.pop_front();
        }
    }

    pub fn extend(&mut self, kind: Kind, lines: impl IntoIterator<Item = impl Into<String>>) {
        lines.into_iter().for_each(|line| self.push(kind, line));
    }

    /// Adds the lines of an answer.
    pub fn answer(&mut self, kind: Kind, answer: &Answer) {
        let (first, lines) = (self.dropped + self.lines.len(), lines(answer, self.columns));
        self.answers.push_back(Shown { kind, answer: answer.clone(), first, count: lines.len() });
        if self.answers.len() > ANSWERS {
            self.answers.pop_front();
        }
        self.extend(kind, lines);
    }

    /// Lays the last answers out for a pane of so many columns.
    pub fn lay_out(&mut self, columns: usize) {
        if self.columns.replace(columns) == Some(columns) {
            return;
        }
        let mut before = std::mem::take(&mut self.lines);
        let mut taken = self.dropped;
        for shown in &mut self.answers {
            self.lines.extend(before.drain(..shown.first - taken));
            before.drain(..shown.count);
            taken = shown.first + shown.count;
            let lines = lines(&shown.answer, Some(columns));
            (shown.first, shown.count) = (self.dropped + self.lines.len(), lines.len());
            self.lines.extend(lines.into_iter().map(|line| (shown.kind, line)));
        }
        self.lines.append(&mut before);
        self.drop_oldest();
    }

    /// Scrolls by `rows`, back when positive, in a pane of this size.
    pub fn scroll(&mut self, rows: isize, columns: usize, height: usize) {
        let all: usize = self.lines.iter().map(|(_, line)| text::wrap(line, columns).len()).sum();
        self.back = self.back.saturating_add_signed(rows).min(all.saturating_sub(height));
    }

    /// Scrolls back to the command of the last answer, if the answer is longer than the pane.
    pub fn open_at_start(&mut self, columns: usize, height: usize) {
        let mut rows = 0;
        for (kind, line) in self.lines.iter().rev() {
            rows += text::wrap(line, columns).len();
            if *kind == Kind::Echo {
                self.back = rows.saturating_sub(height);
                return;
            }
        }
    }

    /// The rows that a pane of this size shows, and the number of later ones.
    pub fn visible(&self, columns: usize, height: usize) -> (Vec<(Kind, String)>, usize) {
        let wanted = height + self.back;
        let mut rows: VecDeque<(Kind, String)> = VecDeque::new();
        for (kind, line) in self.lines.iter().rev() {
            if rows.len() >= wanted {
                break;
            }
            for piece in text::wrap(line, columns).into_iter().rev() {
                rows.push_front((*kind, piece));
            }
        }
        let hidden = self.back.min(rows.len().saturating_sub(height));
        let end = rows.len() - hidden;
        let start = end.saturating_sub(height);
        (rows.range(start..end).cloned().collect(), hidden)
    }

    /// The lines of the last answer, for copying.
    pub fn last_answer(&self) -> String {
        let lines = self.lines.iter().rev().skip_while(|(kind, _)| *kind == Kind::Notice);
        let answer = lines.take_while(|(kind, _)| *kind != Kind::Echo).map(|(_, line)| line.as_str());
        let mut answer: Vec<&str> = answer.collect();
        answer.reverse();
        answer.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_shown_until_scrolled() {
        let mut console = Console::default();
        (0..10).for_each(|n| console.push(Kind::Output, format!("line {n}")));
        let (rows, more) = console.visible(20, 3);
        assert_eq!(rows.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>(), ["line 7", "line 8", "line 9"]);
        assert_eq!(more, 0);
        console.scroll(100, 20, 3);
        let (rows, more) = console.visible(20, 3);
        assert_eq!(rows[0].1, "line 0");
        assert_eq!(more, 7);
        console.push(Kind::Echo, "step");
        assert_eq!(console.visible(20, 1).0[0].1, "step");
    }

    #[test]
    fn a_long_answer_opens_at_its_command_and_a_short_one_at_the_end() {
        let mut console = Console::default();
        console.push(Kind::Echo, "(llmdbg) help");
        console.extend(Kind::Output, (0..9).map(|n| format!("line {n}")));
        console.open_at_start(20, 4);
        let (rows, more) = console.visible(20, 4);
        assert_eq!((rows[0].1.as_str(), more), ("(llmdbg) help", 6));
        console.push(Kind::Echo, "(llmdbg) p 1");
        console.push(Kind::Output, "$1 = 1");
        console.open_at_start(20, 4);
        let (rows, more) = console.visible(20, 4);
        assert_eq!((rows[3].1.as_str(), more), ("$1 = 1", 0));
    }

    #[test]
    fn the_last_answer_is_what_follows_the_last_command() {
        let mut console = Console::default();
        console.push(Kind::Echo, "(llmdbg) p 1");
        console.extend(Kind::Output, ["$1 = 1", "more"]);
        console.push(Kind::Notice, "sent to terminal");
        assert_eq!(console.last_answer(), "$1 = 1\nmore");
    }
}
