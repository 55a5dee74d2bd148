//! The prompt: a line that is edited as in a shell.

use std::ops::Range;

use tui_input::{Input, InputRequest};

use super::history::History;
use crate::term::{Chord, Key};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    #[default]
    Command,
    /// Part of an earlier line to search for.
    History {
        before: String,
        /// The number of newer matches that were skipped.
        skip: usize,
    },
}

/// Keys of a shell, as patterns.
pub const C_N: Chord = Chord::ctrl('n');
pub const C_P: Chord = Chord::ctrl('p');
const C_E: Chord = Chord::ctrl('e');
const C_F: Chord = Chord::ctrl('f');

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The line or the cursor may have changed.
    Edited,
    Accepted(String),
    /// The prompt is to be closed.
    Left,
    /// The word at this byte of the line is to be completed.
    Complete(String, usize),
    /// The key has no meaning at the prompt.
    Unused,
}

#[derive(Clone, Debug, Default)]
pub struct Prompt {
    pub input: Input,
    pub purpose: Purpose,
    pub history: History,
    /// Candidates are to be listed when they arrive, because Tab was pressed twice.
    pub list_candidates: bool,
    /// The line and the byte that candidates were requested for.
    asked: Option<(String, usize)>,
    /// The line that was checked last, and the mistake in it.
    judged: (String, Option<Fault>),
    judging: bool,
}

/// A mistake in a line: its bytes, and a message.
pub type Fault = (Range<usize>, String);

impl Prompt {
    /// Starts a line that already contains `text`.
    pub fn open(&mut self, purpose: Purpose, text: &str) {
        self.input = Input::new(text.to_string());
        self.purpose = purpose;
        self.asked = None;
    }

    /// Starts a search of the history; the line is kept in case the search is cancelled.
    pub fn open_history_search(&mut self) {
        let before = self.input.value().to_string();
        self.open(Purpose::History { before, skip: 0 }, "");
    }

    /// The line that a search of the history has found.
    pub fn found(&self) -> Option<String> {
        match &self.purpose {
            Purpose::History { skip, .. } => self.history.search(self.input.value(), *skip),
            _ => None,
        }
    }

    /// The rest of the newest earlier line that begins like this one, if the cursor is at the end.
    pub fn ghost(&self) -> Option<&str> {
        let value = self.input.value();
        let at_end = self.byte_cursor() == value.len();
        if self.purpose != Purpose::Command || value.trim().is_empty() || !at_end {
            return None;
        }
        self.history.newest(value).map(|line| &line[value.len()..]).filter(|rest| !rest.is_empty())
    }

    /// The line to be checked, if it differs from the last one checked and no check is pending.
    pub fn unjudged(&mut self) -> Option<String> {
        let line = self.input.value();
        let due = self.purpose == Purpose::Command && !self.judging && self.judged.0 != line && !line.trim().is_empty();
        self.judging |= due;
        due.then(|| line.to_string())
    }

    pub fn checked(&mut self, line: &str, fault: Option<Fault>) {
        self.judging = false;
        self.judged = (line.to_string(), fault);
    }

    /// The mistake in the present line. A mistake at its end is left out, because the line may only be unfinished.
    pub fn fault(&self) -> Option<&Fault> {
        let line = self.input.value();
        let fault = self.judged.1.as_ref().filter(|_| self.judged.0 == line && self.purpose == Purpose::Command)?;
        (fault.0.start < line.trim_end().len() && line.is_char_boundary(fault.0.start)).then_some(fault)
    }

    pub fn byte_cursor(&self) -> usize {
        let value = self.input.value();
        value.char_indices().nth(self.input.cursor()).map_or(value.len(), |(byte, _)| byte)
    }

    /// Inserts text from the clipboard; it stays one line.
    pub fn paste(&mut self, text: &str) {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let at = self.byte_cursor();
        let value = self.input.value();
        let joined = format!("{}{}{}", &value[..at], line, &value[at..]);
        let cursor = self.input.cursor() + line.chars().count();
        self.input = Input::new(joined).with_cursor(cursor);
    }

    pub fn key(&mut self, chord: Chord) -> Outcome {
        if matches!(self.purpose, Purpose::History { .. }) {
            return self.history_key(chord);
        }
        let twice = self.asked.is_some();
        if chord != Chord::plain(Key::Tab) {
            self.asked = None;
        }
        match chord {
            Chord { key: Key::Enter, .. } => Outcome::Accepted(self.input.value_and_reset()),
            _ if chord == Chord::ctrl('c') && !self.input.value().is_empty() => {
                self.input.reset();
                self.history.stop_walking();
                Outcome::Edited
            }
            _ if chord.cancels() => self.leave(),
            Chord { key: Key::Tab, .. } => self.complete(twice),
            Chord { key: Key::Up, .. } | C_P => self.walk(true),
            Chord { key: Key::Down, .. } | C_N => self.walk(false),
            _ if chord == Chord::ctrl('r') => {
                self.open_history_search();
                Outcome::Edited
            }
            Chord { key: Key::Backspace, .. } if self.input.value().is_empty() => self.leave(),
            Chord { key: Key::Right | Key::End, .. } | C_F | C_E if self.ghost().is_some() => self.take_ghost(),
            _ => match edit(chord) {
                Some(request) => {
                    if self.input.handle(request).is_some_and(|changed| changed.value) {
                        self.history.stop_walking();
                    }
                    Outcome::Edited
                }
                None => Outcome::Unused,
            },
        }
    }

    fn take_ghost(&mut self) -> Outcome {
        let line = format!("{}{}", self.input.value(), self.ghost().unwrap_or_default());
        self.input = Input::new(line);
        Outcome::Edited
    }

    fn leave(&mut self) -> Outcome {
        self.input.reset();
        self.history.stop_walking();
        Outcome::Left
    }

    fn walk(&mut self, older: bool) -> Outcome {
        let line = if older { self.history.older(self.input.value()) } else { self.history.newer() };
        if let Some(line) = line {
            self.input = Input::new(line);
        }
        Outcome::Edited
    }

    fn complete(&mut self, twice: bool) -> Outcome {
        if self.purpose != Purpose::Command {
            return Outcome::Edited;
        }
        let wanted = (self.input.value().to_string(), self.byte_cursor());
        self.list_candidates = twice && self.asked.as_ref() == Some(&wanted);
        self.asked = Some(wanted.clone());
        Outcome::Complete(wanted.0, wanted.1)
    }

    /// Inserts the common beginning of all `candidates`; returns those that are to be listed. Late answers to an older
    /// line do nothing.
    pub fn completed(&mut self, start: usize, candidates: &[String]) -> Vec<String> {
        let current = (self.input.value().to_string(), self.byte_cursor());
        if self.asked.as_ref() != Some(&current) {
            return Vec::new();
        }
        let (line, cursor) = current;
        let (Some(typed), Some(first)) = (line.get(start..cursor), candidates.first()) else { return Vec::new() };
        let mut common = first.as_str();
        for candidate in &candidates[1..] {
            let alike = common.char_indices().zip(candidate.chars()).find(|((_, a), b)| a != b);
            let end = alike.map_or(common.len().min(candidate.len()), |((at, _), _)| at);
            common = &common[..end];
        }
        let gained = common.len() > typed.len() || (candidates.len() == 1 && common != typed);
        if gained {
            let space = if candidates.len() == 1 && cursor == line.len() { " " } else { "" };
            let head = format!("{}{common}{space}", &line[..start]);
            let place = head.chars().count();
            self.input = Input::new(format!("{head}{}", &line[cursor..])).with_cursor(place);
            self.asked = None;
            return Vec::new();
        }
        if self.list_candidates { candidates.to_vec() } else { Vec::new() }
    }

    fn history_key(&mut self, chord: Chord) -> Outcome {
        let Purpose::History { before, skip } = &mut self.purpose else { return Outcome::Unused };
        match chord {
            _ if chord.cancels() => {
                let before = std::mem::take(before);
                self.open(Purpose::Command, &before);
            }
            _ if chord == Chord::ctrl('r') => {
                *skip += usize::from(self.history.search(self.input.value(), *skip + 1).is_some());
            }
            Chord { key: Key::Char(_) | Key::Backspace, ctrl: false, alt: false } => {
                *skip = 0;
                edit(chord).and_then(|request| self.input.handle(request));
            }
            // Any other key accepts the line that was found, and then acts on it.
            _ => {
                let line = self.found().unwrap_or_default();
                self.open(Purpose::Command, &line);
                return self.key(chord);
            }
        }
        Outcome::Edited
    }
}

/// The editing request of a key, as in emacs and shells.
pub fn edit(chord: Chord) -> Option<InputRequest> {
    use InputRequest as Edit;
    let Chord { key, ctrl, alt } = chord;
    Some(match (key, ctrl, alt) {
        (Key::Left, false, false) | (Key::Char('b'), true, false) => Edit::GoToPrevChar,
        (Key::Right, false, false) | (Key::Char('f'), true, false) => Edit::GoToNextChar,
        (Key::Left, ..) | (Key::Char('b'), false, true) => Edit::GoToPrevWord,
        (Key::Right, ..) | (Key::Char('f'), false, true) => Edit::GoToNextWord,
        (Key::Home, ..) | (Key::Char('a'), true, false) => Edit::GoToStart,
        (Key::End, ..) | (Key::Char('e'), true, false) => Edit::GoToEnd,
        (Key::Backspace, _, true) | (Key::Char('w'), true, false) => Edit::DeletePrevWord,
        (Key::Backspace, ..) | (Key::Char('h'), true, false) => Edit::DeletePrevChar,
        (Key::Delete, ..) | (Key::Char('d'), true, false) => Edit::DeleteNextChar,
        (Key::Char('d'), false, true) => Edit::DeleteNextWord,
        (Key::Char('u'), true, false) => Edit::DeleteFromStart,
        (Key::Char('k'), true, false) => Edit::DeleteTillEnd,
        (Key::Char('y'), true, false) => Edit::Yank,
        (Key::Char(c), false, false) => Edit::InsertChar(c),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(prompt: &mut Prompt, text: &str) {
        text.chars().for_each(|c| drop(prompt.key(Chord::char(c))));
    }

    #[test]
    fn the_line_is_edited_as_in_a_shell() {
        let mut prompt = Prompt::default();
        type_in(&mut prompt, "print logits");
        prompt.key(Chord::ctrl('w'));
        type_in(&mut prompt, "loss");
        prompt.key(Chord::ctrl('a'));
        type_in(&mut prompt, "x");
        assert_eq!(prompt.input.value(), "xprint loss");
        prompt.key(Chord::ctrl('k'));
        prompt.key(Chord::ctrl('y'));
        assert_eq!(prompt.key(Chord::plain(Key::Enter)), Outcome::Accepted("xprint loss".to_string()));
        assert_eq!(prompt.input.value(), "");
    }

    #[test]
    fn completion_inserts_the_common_beginning_and_lists_at_the_second_tab() {
        let mut prompt = Prompt::default();
        type_in(&mut prompt, "p blocks.2.attn.s");
        let both = ["blocks.2.attn.scores".to_string(), "blocks.2.attn.scores_raw".to_string()];
        assert_eq!(prompt.key(Chord::plain(Key::Tab)), Outcome::Complete("p blocks.2.attn.s".to_string(), 17));
        assert_eq!(prompt.completed(2, &both), Vec::<String>::new());
        assert_eq!(prompt.input.value(), "p blocks.2.attn.scores");
        prompt.key(Chord::plain(Key::Tab));
        assert_eq!(prompt.completed(2, &both), Vec::<String>::new());
        prompt.key(Chord::plain(Key::Tab));
        assert_eq!(prompt.completed(2, &both), both);
        prompt.key(Chord::char('_'));
        assert_eq!(prompt.completed(2, &both), Vec::<String>::new(), "an answer to an older line");
        prompt.key(Chord::plain(Key::Tab));
        prompt.completed(2, &both[1..]);
        assert_eq!(prompt.input.value(), "p blocks.2.attn.scores_raw ");
    }

    #[test]
    fn a_history_search_narrows_repeats_and_takes() {
        let mut prompt = Prompt::default();
        for line in ["break L1", "step", "break L2"] {
            prompt.history.push(line);
        }
        type_in(&mut prompt, "half");
        prompt.key(Chord::ctrl('r'));
        type_in(&mut prompt, "br");
        assert_eq!(prompt.found().as_deref(), Some("break L2"));
        prompt.key(Chord::ctrl('r'));
        assert_eq!(prompt.found().as_deref(), Some("break L1"));
        prompt.key(Chord::ctrl('g'));
        assert_eq!(prompt.input.value(), "half");
        prompt.key(Chord::ctrl('r'));
        type_in(&mut prompt, "L1");
        assert_eq!(prompt.key(Chord::plain(Key::Enter)), Outcome::Accepted("break L1".to_string()));
    }

    #[test]
    fn a_paste_stays_one_line() {
        let mut prompt = Prompt::default();
        prompt.open(Purpose::Command, "set  = 1");
        prompt.key(Chord::ctrl('a'));
        (0..4).for_each(|_| drop(prompt.key(Chord::ctrl('f'))));
        prompt.paste("a\nb");
        assert_eq!(prompt.input.value(), "set a b = 1");
    }

    #[test]
    fn the_rest_of_an_earlier_line_is_offered_and_taken_at_the_end_only() {
        let mut prompt = Prompt::default();
        for line in ["break L1.attn.pattern", "break L2"] {
            prompt.history.push(line);
        }
        type_in(&mut prompt, "break");
        assert_eq!(prompt.ghost(), Some(" L2"));
        prompt.key(Chord::ctrl('b'));
        assert_eq!(prompt.ghost(), None);
        prompt.key(Chord::plain(Key::Right));
        assert_eq!(prompt.input.value(), "break");
        type_in(&mut prompt, " L1");
        assert_eq!(prompt.ghost(), Some(".attn.pattern"));
        prompt.key(Chord::plain(Key::Right));
        assert_eq!(prompt.input.value(), "break L1.attn.pattern");
        assert_eq!(prompt.ghost(), None);
    }

    #[test]
    fn the_result_of_a_check_holds_for_its_line_alone() {
        let mut prompt = Prompt::default();
        type_in(&mut prompt, "p foo(");
        assert_eq!(prompt.unjudged().as_deref(), Some("p foo("));
        assert_eq!(prompt.unjudged(), None, "one at a time");
        prompt.checked("p foo(", Some((2..5, "no function".into())));
        assert_eq!(prompt.fault().map(|fault| fault.1.as_str()), Some("no function"));
        type_in(&mut prompt, "x");
        assert_eq!(prompt.fault(), None);
        assert_eq!(prompt.unjudged().as_deref(), Some("p foo(x"));
        prompt.checked("p foo(x", Some((7..7, "unfinished".into())));
        assert_eq!(prompt.fault(), None, "the line may go on");
    }
}
