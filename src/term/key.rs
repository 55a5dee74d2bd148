//! Keys, as the program knows them, and their names in configuration files and help.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key of the keyboard, without Ctrl and Alt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A character as typed, capitals included.
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chord {
    pub key: Key,
    pub ctrl: bool,
    pub alt: bool,
}

/// The keys with a name: that name, the key, and the library's code.
const NAMES: [(&str, Key, KeyCode); 15] = [
    ("Enter", Key::Enter, KeyCode::Enter),
    ("Esc", Key::Esc, KeyCode::Esc),
    ("Tab", Key::Tab, KeyCode::Tab),
    ("S-Tab", Key::BackTab, KeyCode::BackTab),
    ("Backspace", Key::Backspace, KeyCode::Backspace),
    ("Delete", Key::Delete, KeyCode::Delete),
    ("Up", Key::Up, KeyCode::Up),
    ("Down", Key::Down, KeyCode::Down),
    ("Left", Key::Left, KeyCode::Left),
    ("Right", Key::Right, KeyCode::Right),
    ("Home", Key::Home, KeyCode::Home),
    ("End", Key::End, KeyCode::End),
    ("PgUp", Key::PageUp, KeyCode::PageUp),
    ("PgDn", Key::PageDown, KeyCode::PageDown),
    ("Space", Key::Char(' '), KeyCode::Char(' ')),
];

impl Chord {
    pub const fn plain(key: Key) -> Self {
        Self { key, ctrl: false, alt: false }
    }

    pub const fn char(c: char) -> Self {
        Self::plain(Key::Char(c))
    }

    pub const fn ctrl(c: char) -> Self {
        Self { key: Key::Char(c), ctrl: true, alt: false }
    }

    pub const fn alt(c: char) -> Self {
        Self { key: Key::Char(c), ctrl: false, alt: true }
    }

    /// Whether it leaves what was begun: Esc, C-g or C-c.
    pub fn cancels(self) -> bool {
        self.key == Key::Esc || self == Self::ctrl('g') || self == Self::ctrl('c')
    }

    /// The chord that `name` names: `s`, `C-l`, `M-f`, `PgUp`, `F1`.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(rest) = name.strip_prefix("C-").filter(|rest| !rest.is_empty()) {
            return Self::parse(rest).map(|chord| Self { ctrl: true, ..chord });
        }
        if let Some(rest) = name.strip_prefix("M-").filter(|rest| !rest.is_empty()) {
            return Self::parse(rest).map(|chord| Self { alt: true, ..chord });
        }
        let mut characters = name.chars();
        if let (Some(only), None) = (characters.next(), characters.next()) {
            return Some(Self::char(only));
        }
        if let Some((_, key, _)) = NAMES.iter().find(|(known, ..)| *known == name) {
            return Some(Self::plain(*key));
        }
        let number = name.strip_prefix('F')?.parse().ok().filter(|number| (1..=24).contains(number))?;
        Some(Self::plain(Key::F(number)))
    }

    /// The chord of a key event of the library; `None` for events that the program does not use (releases, media keys).
    pub(super) fn from_event(event: KeyEvent) -> Option<Self> {
        if event.kind == crossterm::event::KeyEventKind::Release {
            return None;
        }
        let key = match event.code {
            KeyCode::Char(c) => Key::Char(c),
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Key::BackTab,
            KeyCode::F(number) => Key::F(number),
            code => NAMES.iter().find(|(_, _, known)| *known == code)?.1,
        };
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        Some(Self { key, ctrl, alt })
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("C-")?;
        }
        if self.alt {
            f.write_str("M-")?;
        }
        match (NAMES.iter().find(|(_, key, _)| *key == self.key), self.key) {
            (Some((name, ..)), _) => f.write_str(name),
            (None, Key::Char(c)) => write!(f, "{c}"),
            (None, Key::F(number)) => write!(f, "F{number}"),
            (None, key) => write!(f, "{key:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for name in ["s", "S", "/", "C-l", "M-f", "PgUp", "Space", "S-Tab", "F5", "C-Left", "-", "C-M-x", "["] {
            let chord = Chord::parse(name).expect(name);
            assert_eq!(chord.to_string(), name);
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for name in ["", "Foo", "C-", "F0", "F99", "PageUp"] {
            assert_eq!(Chord::parse(name), None, "{name}");
        }
    }
}
