//! Keys, as the program knows them, and their names in configuration files and help.

use std::fmt;

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

/// The keys with a name.
const NAMES: [(&str, Key); 15] = [
    ("Enter", Key::Enter),
    ("Esc", Key::Esc),
    ("Tab", Key::Tab),
    ("S-Tab", Key::BackTab),
    ("Backspace", Key::Backspace),
    ("Delete", Key::Delete),
    ("Up", Key::Up),
    ("Down", Key::Down),
    ("Left", Key::Left),
    ("Right", Key::Right),
    ("Home", Key::Home),
    ("End", Key::End),
    ("PgUp", Key::PageUp),
    ("PgDn", Key::PageDown),
    ("Space", Key::Char(' ')),
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
        if let Some((_, key)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(Self::plain(*key));
        }
        let number = name.strip_prefix('F')?.parse().ok().filter(|number| (1..=24).contains(number))?;
        Some(Self::plain(Key::F(number)))
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
        match (NAMES.iter().find(|(_, key)| *key == self.key), self.key) {
            (Some((name, _)), _) => f.write_str(name),
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
