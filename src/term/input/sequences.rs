//! The control characters and sequences of terminals: keys as xterm and the Linux console send them, the mouse, and
//! answers.

use std::ops::RangeInclusive;

use super::{Input, Mouse};
use crate::term::graphics::query::Answer;
use crate::term::{Chord, Key};

/// The bits of a modifier parameter, which is one more than their sum.
const SHIFT: u16 = 1;
const ALT: u16 = 2;
const CTRL: u16 = 4;

/// The key of a control character.
pub fn control(byte: u8) -> Chord {
    match byte {
        b'\r' => Chord::plain(Key::Enter),
        b'\t' => Chord::plain(Key::Tab),
        0x7f => Chord::plain(Key::Backspace),
        0x1b => Chord::plain(Key::Esc),
        0 => Chord::ctrl(' '),
        0x01..=0x1a => Chord::ctrl(char::from(byte - 1 + b'a')),
        _ => Chord::ctrl(char::from(byte.saturating_sub(0x1c) + b'4')),
    }
}

/// The key of a letter that ends a sequence of a cursor or function key.
fn lettered(letter: u8) -> Option<Key> {
    Some(match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'F' => Key::End,
        b'H' => Key::Home,
        b'P'..=b'S' => Key::F(letter - b'P' + 1),
        b'Z' => Key::BackTab,
        _ => return None,
    })
}

/// The key of a number that ends with a tilde.
fn numbered(number: u16) -> Option<Key> {
    Some(match number {
        1 | 7 => Key::Home,
        3 => Key::Delete,
        4 | 8 => Key::End,
        5 => Key::PageUp,
        6 => Key::PageDown,
        11..=15 => Key::F(number as u8 - 10),
        17..=21 => Key::F(number as u8 - 11),
        23..=26 => Key::F(number as u8 - 12),
        28 | 29 => Key::F(number as u8 - 13),
        31..=34 => Key::F(number as u8 - 14),
        _ => return None,
    })
}

/// A key of the keypad in application mode: what follows `ESC O`.
pub fn application(letter: u8) -> Option<Chord> {
    lettered(letter).map(Chord::plain)
}

/// A function key of the Linux console: what follows `ESC [ [`.
pub fn console(letter: u8) -> Option<Chord> {
    (b'A'..=b'E').contains(&letter).then(|| Chord::plain(Key::F(letter - b'A' + 1)))
}

/// The mouse as reported by terminals that know only the first form: three bytes, each 32 too large.
pub fn old_mouse(bytes: &[u8]) -> Option<Mouse> {
    let [code, column, row] = bytes else { return None };
    let value = |byte: &u8| byte.checked_sub(32).map(u16::from);
    Mouse::reported(value(code)?, value(column)?, value(row)?, false)
}

/// What a control sequence is: its parameters as they are written, and the letter at its end.
pub fn input(parameters: &[u8], letter: u8) -> Option<Input> {
    let text = std::str::from_utf8(parameters).ok()?;
    let (private, text) = match text.strip_prefix(['?', '<', '>', '=']) {
        Some(rest) => (Some(parameters[0]), rest),
        None => (None, text),
    };
    // Of a parameter in parts, the first counts; the second of a modifier says whether the key was released.
    let parts = |parameter: &str| -> Vec<Option<u16>> { parameter.split(':').map(|part| part.parse().ok()).collect() };
    let all: Vec<Vec<Option<u16>>> = text.split(';').map(parts).collect();
    let number = |at: usize| all.get(at).and_then(|parts| parts.first().copied().flatten());
    match (private, letter) {
        (Some(b'?'), b'c') => Some(Input::Answer(Answer::Attributes((0..all.len()).filter_map(number).collect()))),
        (Some(b'<'), b'M' | b'm') => {
            Mouse::reported(number(0)?, number(1)?, number(2)?, letter == b'm').map(Input::Mouse)
        }
        (None, b'M') => Mouse::reported(number(0)?.checked_sub(32)?, number(1)?, number(2)?, false).map(Input::Mouse),
        (None, b't') => match number(0)? {
            6 => Some(Input::Answer(Answer::Cell { width: number(2)?, height: number(1)? })),
            4 => Some(Input::Answer(Answer::Window { width: number(2)?, height: number(1)? })),
            _ => None,
        },
        (None, _) => {
            let released = all.get(1).and_then(|parts| parts.get(1).copied().flatten()) == Some(3);
            let modifiers = number(1).unwrap_or(1).saturating_sub(1);
            let (key, modifiers) = match letter {
                // xterm's form of keys with modifiers, and that of kitty.
                b'~' if number(0) == Some(27) => (typed(number(2)?)?, modifiers),
                b'u' => (typed(number(0)?)?, modifiers),
                b'~' => (Chord::plain(numbered(number(0)?)?), modifiers),
                letter => (Chord::plain(lettered(letter)?), modifiers),
            };
            let back = key.key == Key::Tab && modifiers & SHIFT != 0;
            let chord = Chord {
                key: if back { Key::BackTab } else { key.key },
                ctrl: key.ctrl || modifiers & CTRL != 0,
                alt: modifiers & ALT != 0,
            };
            (!released).then_some(Input::Key(chord))
        }
        _ => None,
    }
}

/// The numbers that kitty gives to keys without a character, such as Caps Lock.
const NO_CHARACTER: RangeInclusive<u16> = 0xe000..=0xf8ff;

/// The key of a character's number.
fn typed(number: u16) -> Option<Chord> {
    let c = char::from_u32(number.into())?;
    match u8::try_from(number) {
        Ok(byte @ (b'\r' | b'\t' | 0x1b | 0x7f)) => Some(control(byte)),
        _ => (!c.is_control() && !NO_CHARACTER.contains(&number)).then(|| Chord::char(c)),
    }
}

/// The luminance, from 0 to 1, of a colour as X writes it: `rgb:ffff/ffff/dddd`, with one to four hexadecimal digits for each part.
/// The weights are those of Rec. 709, applied to the values as they are encoded: they only have to tell light from dark.
fn luminance(colour: &str) -> Option<f64> {
    let parts = colour.strip_prefix("rgb:").or_else(|| colour.strip_prefix("rgba:"))?;
    let part = |text: &str| {
        let most = 16f64.powi(i32::try_from(text.len()).ok().filter(|digits| (1..=4).contains(digits))?) - 1.0;
        Some(f64::from(u16::from_str_radix(text, 16).ok()?) / most)
    };
    let all: Vec<f64> = parts.split('/').map(part).collect::<Option<_>>()?;
    let [red, green, blue, ..] = all.as_slice() else { return None };
    Some(0.2126 * red + 0.7152 * green + 0.0722 * blue)
}

/// An answer that is a string, from the letter that says what it is: `_Gi=31;OK`, `]1337;ReportCellSize=17.0;8.0;2.0`,
/// `]11;rgb:ffff/ffff/ffff`.
pub fn answer(string: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(string).ok()?;
    if let Some(rest) = text.strip_prefix("_G") {
        let (keys, said) = rest.split_once(';')?;
        let id = keys.split(',').find_map(|key| key.strip_prefix("i="))?;
        return Some(Answer::Kitty { id: id.parse().ok()?, fine: said == "OK" });
    }
    if let Some(colour) = text.strip_prefix("]11;") {
        return Some(Answer::Background { light: luminance(colour)? > 0.5 });
    }
    let sizes = text.strip_prefix("]1337;ReportCellSize=")?;
    let sizes: Vec<f64> = sizes.split(';').filter_map(|size| size.parse().ok()).collect();
    let (height, width) = (*sizes.first()?, *sizes.get(1)?);
    // Points, of which each is so many pixels.
    let scale = sizes.get(2).copied().unwrap_or(1.0);
    let pixels = |points: f64| (points * scale).round().clamp(0.0, f64::from(u16::MAX)) as u16;
    Some(Answer::Iterm2 { width: pixels(width), height: pixels(height) })
}
