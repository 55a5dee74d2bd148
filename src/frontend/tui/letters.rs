//! Letters in key mode that turn out to begin a command.
//!
//! Someone who is used to a prompt types `break` where `b` is a key. A letter that would change the session therefore
//! waits for a moment: if the next one makes it the beginning of a command, the prompt opens with both, and neither acts.
//! A letter that repeats the one before acts at once, so that a key can be held down.

use std::time::{Duration, Instant};

use crate::commands::commands;
use crate::term::{Chord, Key};

/// Letters further apart than this do not belong to the same word.
const WORD: Duration = Duration::from_secs(2);

/// How long a letter counts as the one before, so that its repetition acts at once.
const REPEATED: Duration = Duration::from_millis(1500);

/// The letters that spell a command, wherever they were typed.
const SPELLED: usize = 3;

#[derive(Clone, Debug, Default)]
pub struct Letters {
    /// The letter that waits, and since when.
    waiting: Option<(Chord, Instant)>,
    /// Letters that followed each other before the wait was over.
    quick: String,
    /// Letters that followed each other within [`WORD`].
    slow: String,
    last: Option<(Chord, Instant)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// It waits for the next one.
    Waits,
    /// These letters begin a command. `acted` says whether any of them had acted as a key before.
    Word { text: String, acted: bool },
    /// The letter that was waiting acts, if there was one, and then the key is taken as it is.
    Acts(Option<Chord>),
}

impl Letters {
    /// Takes a key. `changes` says whether its action would change the session or the prompt.
    pub fn key(&mut self, chord: Chord, changes: bool, wait: Duration, now: Instant) -> Letter {
        let waiting = self.waiting.take();
        let first = waiting.map(|(first, _)| first);
        let letter = match chord {
            Chord { key: Key::Char(c), ctrl: false, alt: false } if c.is_ascii_lowercase() && !wait.is_zero() => c,
            _ => {
                (self.quick, self.slow, self.last) = (String::new(), String::new(), None);
                return Letter::Acts(first);
            }
        };
        let since = self.last.map(|(_, last)| now.saturating_duration_since(last));
        let repeated = self.last.is_some_and(|(last, _)| last == chord) && since.is_some_and(|since| since < REPEATED);
        self.last = Some((chord, now));
        add(&mut self.quick, letter, since.is_some_and(|since| since < wait));
        add(&mut self.slow, letter, since.is_some_and(|since| since < WORD));
        // Of a quick word, only letters that change nothing can have acted.
        let acted = self.quick.len() < 2;
        if !acted || self.slow.len() >= SPELLED {
            let all = std::mem::take(self);
            return Letter::Word { text: if acted { all.slow } else { all.quick }, acted };
        }
        if changes && !repeated && first.is_none() && begins(&letter.to_string()) {
            self.waiting = Some((chord, now));
            return Letter::Waits;
        }
        Letter::Acts(first)
    }

    /// The letter that has waited long enough.
    pub fn due(&mut self, wait: Duration, now: Instant) -> Option<Chord> {
        let due = self.waiting.take_if(|(_, since)| now.saturating_duration_since(*since) >= wait);
        due.map(|(chord, _)| chord)
    }

    pub fn waiting(&self) -> Option<(Chord, Instant)> {
        self.waiting
    }
}

/// Continues a word, or begins one where the letters so far do not go on to a command.
fn add(word: &mut String, letter: char, continues: bool) {
    word.push(letter);
    if !continues || !begins(word) {
        *word = letter.to_string();
    }
}

fn begins(text: &str) -> bool {
    commands().any(|command| command.name.starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(250);

    /// What becomes of letters that are typed this many milliseconds apart; a letter that waits acts at the end.
    fn typed(text: &str, apart: u64) -> Vec<Letter> {
        let (mut letters, start) = (Letters::default(), Instant::now());
        let mut all = Vec::new();
        for (at, c) in text.chars().enumerate() {
            let now = start + Duration::from_millis(apart * at as u64);
            all.extend(letters.due(WAIT, now).map(|chord| Letter::Acts(Some(chord))));
            all.push(letters.key(Chord::char(c), true, WAIT, now));
            if let Some(Letter::Word { .. }) = all.last() {
                break;
            }
        }
        all
    }

    fn word(text: &str, acted: bool) -> Letter {
        Letter::Word { text: text.into(), acted }
    }

    #[test]
    fn a_command_that_is_typed_is_never_taken_for_keys() {
        for command in commands().filter(|command| command.name.len() > 2 && !command.name.contains('-')) {
            let found = typed(command.name, 120);
            assert_eq!(found[0], Letter::Waits, "{}", command.name);
            assert_eq!(found[1], word(&command.name[..2], false), "{}", command.name);
        }
    }

    #[test]
    fn slow_typing_is_noticed_at_the_third_letter() {
        let found = typed("break", 600);
        assert_eq!(found.last(), Some(&word("bre", true)));
    }

    #[test]
    fn a_letter_alone_acts_after_the_wait_and_its_repetition_at_once() {
        assert_eq!(typed("s", 0), [Letter::Waits]);
        let mut letters = Letters::default();
        let now = Instant::now();
        assert_eq!(letters.key(Chord::char('s'), true, WAIT, now), Letter::Waits);
        assert_eq!(letters.due(WAIT, now + WAIT / 2), None);
        assert_eq!(letters.due(WAIT, now + WAIT), Some(Chord::char('s')));
        assert_eq!(letters.key(Chord::char('s'), true, WAIT, now + WAIT * 2), Letter::Acts(None));
    }

    #[test]
    fn keys_in_a_row_that_spell_nothing_act_in_their_order() {
        let mut letters = Letters::default();
        let now = Instant::now();
        assert_eq!(letters.key(Chord::char('s'), true, WAIT, now), Letter::Waits);
        assert_eq!(letters.key(Chord::char('n'), true, WAIT, now), Letter::Acts(Some(Chord::char('s'))));
        assert_eq!(letters.key(Chord::plain(Key::Enter), true, WAIT, now), Letter::Acts(None));
    }

    #[test]
    fn no_wait_means_no_recognition() {
        let mut letters = Letters::default();
        for c in "break".chars() {
            let found = letters.key(Chord::char(c), true, Duration::ZERO, Instant::now());
            assert_eq!(found, Letter::Acts(None));
        }
    }
}
