//! The bytes of a terminal as [`Input`]s.
//!
//! An answer of the terminal may come late, in pieces, and between keys. Two rules keep it from being read as keys: a
//! string of the kind that answers are is never given out before it is known to be something else, and while an answer
//! is awaited, what may be its beginning is kept longer than a key otherwise has to wait.

use std::time::{Duration, Instant};

use super::Input;
use super::sequences;
use crate::term::{Chord, Key};

/// How long the bytes of one key may be apart.
const TOGETHER: Duration = Duration::from_millis(25);

/// How long what may be the beginning of an answer is kept while one is awaited.
const AWAITED: Duration = Duration::from_millis(500);

/// How long the rest of a sequence or an answer that has begun may take; then what has come of it is dropped.
const ABANDONED: Duration = Duration::from_secs(5);

/// The longest answer.
const LONGEST: usize = 4096;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// The beginnings of the answers that are strings: to queries of kitty and of iTerm2, and about the background.
const ANSWERS: [&[u8]; 3] = [b"\x1b_G", b"\x1b]1337;", b"\x1b]11;"];

const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";

#[derive(Debug, Default)]
pub struct Decoder {
    /// What has come and is not decoded.
    bytes: Vec<u8>,
    /// When the last of it came.
    came: Option<Instant>,
    /// Whether the first of them is an escape character after which nothing came at once.
    apart: bool,
}

/// What the first bytes are.
#[derive(Debug, PartialEq)]
enum Step {
    /// So many bytes are this, or nothing of use.
    Take(usize, Option<Input>),
    /// More has to come; if it does not within the time, so many bytes are this.
    Wait(Duration, usize, Option<Input>),
    /// More has to come.
    More,
}

fn key(count: usize, chord: Chord) -> Step {
    Step::Take(count, Some(Input::Key(chord)))
}

impl Decoder {
    pub fn feed(&mut self, bytes: &[u8], now: Instant) {
        if self.bytes == [ESC] {
            self.apart = self.came.is_some_and(|came| now.saturating_duration_since(came) > TOGETHER);
        }
        self.bytes.extend_from_slice(bytes);
        self.came = Some(now);
    }

    /// The next input that is complete at `now`. `awaited` says whether an answer of the terminal is.
    pub fn next(&mut self, now: Instant, awaited: bool) -> Option<Input> {
        while !self.bytes.is_empty() {
            let waited = self.came.map_or(Duration::ZERO, |came| now.saturating_duration_since(came));
            let (count, input) = match self.step(awaited) {
                Step::Take(count, input) => (count, input),
                Step::Wait(limit, count, input) if waited >= limit => (count, input),
                Step::Wait(..) | Step::More => return None,
            };
            self.bytes.drain(..count.min(self.bytes.len()));
            self.apart = false;
            if input.is_some() {
                return input;
            }
        }
        None
    }

    /// When to ask again although nothing has come.
    pub fn due(&self, awaited: bool) -> Option<Instant> {
        match self.bytes.is_empty() {
            true => None,
            false => match self.step(awaited) {
                Step::Wait(limit, ..) => self.came.map(|came| came + limit),
                Step::Take(..) => self.came,
                Step::More => None,
            },
        }
    }

    fn step(&self, awaited: bool) -> Step {
        let bytes = self.bytes.as_slice();
        let (escape, patience) = (Chord::plain(Key::Esc), if awaited { AWAITED } else { TOGETHER });
        let wait = |count, chord| Step::Wait(patience, count, Some(Input::Key(chord)));
        let second = match bytes {
            [] => return Step::More,
            [ESC] => return wait(1, escape),
            [ESC, second, ..] => *second,
            _ => return character(bytes, false),
        };
        let alt = Chord::alt(char::from(second));
        // What an escape key and another one leave when the first was not taken for a key yet.
        let keys = if self.apart { (1, escape) } else { (2, alt) };
        if let Some(answer) = ANSWERS.iter().find(|answer| answer.starts_with(bytes) || bytes.starts_with(answer)) {
            return if bytes.len() < answer.len() { wait(keys.0, keys.1) } else { string(bytes) };
        }
        match (second, bytes.get(2)) {
            (b'[', None) => wait(keys.0, keys.1),
            (b'[', Some(b'0'..=b'9' | b'?')) => sequence(bytes),
            _ if self.apart || second == ESC => key(1, escape),
            (b'[', Some(_)) => sequence(bytes),
            (b'O', None) => wait(2, alt),
            (b'O', Some(last)) => Step::Take(3, sequences::application(*last).map(Input::Key)),
            _ => match character(&bytes[1..], true) {
                Step::Take(count, input) => Step::Take(1 + count, input),
                step => step,
            },
        }
    }
}

/// A typed character, or a control character as the key that it stands for.
fn character(bytes: &[u8], alt: bool) -> Step {
    let length = match bytes[0] {
        control @ (0..0x20 | 0x7f) => return key(1, Chord { alt, ..sequences::control(control) }),
        0x20..0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Step::Take(1, None),
    };
    let given = &bytes[..length.min(bytes.len())];
    match std::str::from_utf8(given) {
        Ok(text) => {
            let typed = text.chars().next().map(|c| Input::Key(Chord { alt, ..Chord::char(c) }));
            Step::Take(length, typed)
        }
        // Nothing is wrong with what has come of it.
        Err(error) if error.error_len().is_none() && given.len() < length => Step::Wait(ABANDONED, given.len(), None),
        Err(_) => Step::Take(1, None),
    }
}

/// An answer that is a string, which ends with a string terminator or, as of xterm, a bell.
fn string(bytes: &[u8]) -> Step {
    let end = |at: usize| match &bytes[at..] {
        [BEL, ..] => Some((at + 1, true)),
        [ESC, b'\\', ..] => Some((at + 2, true)),
        // Another sequence has begun.
        [ESC, _, ..] => Some((at, false)),
        _ => None,
    };
    match (2..bytes.len()).find_map(|at| end(at).map(|(next, whole)| (at, next, whole))) {
        Some((at, next, true)) => Step::Take(next, sequences::answer(&bytes[1..at]).map(Input::Answer)),
        Some((_, next, false)) => Step::Take(next, None),
        None if bytes.len() > LONGEST => Step::Take(bytes.len(), None),
        None => Step::Wait(ABANDONED, bytes.len(), None),
    }
}

/// A control sequence: parameters, and a letter that says what they are of.
fn sequence(bytes: &[u8]) -> Step {
    if bytes.starts_with(PASTE) {
        let text = &bytes[PASTE.len()..];
        let end = text.windows(PASTED.len()).position(|window| window == PASTED);
        return end.map_or(Step::More, |end| {
            let pasted = String::from_utf8_lossy(&text[..end]).into_owned();
            Step::Take(PASTE.len() + end + PASTED.len(), Some(Input::Paste(pasted)))
        });
    }
    match bytes[2] {
        // Function keys of the Linux console, and the oldest form of the mouse's reports.
        b'[' if bytes.len() > 3 => return Step::Take(4, sequences::console(bytes[3]).map(Input::Key)),
        b'M' if bytes.len() > 5 => return Step::Take(6, sequences::old_mouse(&bytes[3..6]).map(Input::Mouse)),
        b'[' | b'M' => return Step::Wait(ABANDONED, bytes.len(), None),
        _ => {}
    }
    match bytes[2..].iter().position(|byte| !(0x20..0x40).contains(byte)) {
        Some(at) if (0x40..0x7f).contains(&bytes[2 + at]) => {
            Step::Take(3 + at, sequences::input(&bytes[2..2 + at], bytes[2 + at]))
        }
        // A control character is no part of a sequence.
        Some(at) => Step::Take(2 + at, None),
        None => Step::Wait(ABANDONED, bytes.len(), None),
    }
}

#[cfg(test)]
mod tests;
