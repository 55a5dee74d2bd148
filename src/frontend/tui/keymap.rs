//! The actions of keys: the defaults, patched by the user's file.

use std::collections::HashMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

use super::actions::{ACTIONS, Action, ActionInfo};
use super::config::{Problem, Problems, sections};
use crate::term::Chord;

pub const DEFAULT: &str = include_str!("../../../config/keys.toml");

const NO_KEY: &str = "no such key; the comment at the top of keys.toml lists them";

#[derive(Clone, Debug, Default)]
pub struct Keymap {
    /// The keys of each of [`ACTIONS`].
    keys: Vec<Vec<Keys>>,
    actions: HashMap<Keys, Action>,
    /// Keys of command lines of the user's own.
    lines: Vec<(Keys, &'static str)>,
}

/// One key, or two that are pressed one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Keys {
    pub lead: Option<Chord>,
    pub last: Chord,
}

impl Keys {
    pub fn one(last: Chord) -> Self {
        Self { lead: None, last }
    }

    fn parse(name: &str) -> Option<Self> {
        match name.split_once(' ').filter(|(lead, last)| !lead.is_empty() && !last.is_empty()) {
            Some((lead, last)) => Some(Self { lead: Some(Chord::parse(lead)?), last: Chord::parse(last)? }),
            None => Chord::parse(name).map(Self::one),
        }
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lead {
            Some(lead) => write!(f, "{lead} {}", self.last),
            None => self.last.fmt(f),
        }
    }
}

impl Keymap {
    /// The default keys, patched by the text of a user's file; and the mistakes in that text.
    pub fn new(user: Option<&str>) -> (Self, Vec<Problem>) {
        let mut map = Self { keys: vec![Vec::new(); ACTIONS.len()], ..Self::default() };
        let problems = [Some(DEFAULT), user].into_iter().flatten().flat_map(|text| map.apply(text)).collect();
        (map, problems)
    }

    pub fn action(&self, chord: Chord) -> Option<Action> {
        self.actions.get(&Keys::one(chord)).copied()
    }

    pub fn action_after(&self, lead: Chord, last: Chord) -> Option<Action> {
        self.actions.get(&Keys { lead: Some(lead), last }).copied()
    }

    /// The keys that may follow `lead`, with their actions, in the order of [`ACTIONS`]. Empty if there are none.
    pub fn after(&self, lead: Chord) -> Vec<(Chord, &'static ActionInfo)> {
        let all = self.bindings().flat_map(|(info, keys)| keys.iter().map(move |key| (*key, info)));
        all.filter(|(keys, _)| keys.lead == Some(lead)).map(|(keys, info)| (keys.last, info)).collect()
    }

    /// Every action with its keys, in the order of [`ACTIONS`].
    pub fn bindings(&self) -> impl Iterator<Item = (&'static ActionInfo, &[Keys])> {
        ACTIONS.iter().zip(&self.keys).map(|(info, keys)| (info, keys.as_slice()))
    }

    /// The first key of the action called `name`, as it is shown.
    pub fn key_of(&self, name: &str) -> String {
        let found = self.bindings().find(|(info, _)| info.name == name);
        found.and_then(|(_, keys)| keys.first()).map(Keys::to_string).unwrap_or_default()
    }

    fn apply(&mut self, text: &str) -> Vec<Problem> {
        sections(text, "keys are", &["keys", "commands"], |name, table, problems| match name {
            "keys" => self.apply_table(table, problems),
            _ => self.apply_commands(table, problems),
        })
    }

    /// Binds command lines: `"print loss" = ["F5"]`.
    fn apply_commands(&mut self, table: DeTable<'_>, problems: &mut Problems<'_>) {
        for (line, value) in table {
            let entries = value.get_ref().as_array().map_or(&[][..], |entries| entries);
            if entries.is_empty() {
                let message = format!("the keys of \"{}\" must be a list such as [\"F5\"]", line.get_ref());
                problems.add(value.span(), message);
            }
            for entry in entries {
                match entry.get_ref().as_str().and_then(Keys::parse) {
                    None => problems.add(entry.span(), NO_KEY),
                    Some(keys) if self.clashes(keys, "") => {
                        let key = keys.lead.unwrap_or(keys.last);
                        problems.add(entry.span(), format!("{key} cannot be both a key and the first of two keys"));
                    }
                    Some(keys) => self.bind_line(keys, line.get_ref()),
                }
            }
        }
    }

    fn bind_line(&mut self, keys: Keys, line: &str) {
        self.keys.iter_mut().for_each(|known| known.retain(|known| *known != keys));
        self.lines.retain(|(known, _)| *known != keys);
        // A configuration is read once and lasts as long as the program.
        let line: &'static str = String::leak(line.to_string());
        self.lines.push((keys, line));
        self.actions.insert(keys, Action::Command(line));
    }

    /// The command lines of the user's own, with their keys.
    pub fn lines(&self) -> &[(Keys, &'static str)] {
        &self.lines
    }

    fn apply_table(&mut self, table: DeTable<'_>, problems: &mut Problems<'_>) {
        // One key for two actions of the same file is a mistake; a key that is taken from a default is not.
        let mut given: HashMap<Keys, String> = HashMap::new();
        for (name, value) in table {
            let word = name.get_ref().to_string();
            let Some(index) = ACTIONS.iter().position(|info| info.name == word) else {
                problems.unknown("action", &name, ACTIONS.iter().map(|info| info.name));
                continue;
            };
            let DeValue::Array(entries) = value.get_ref() else {
                let message = format!("the keys of \"{word}\" must be a list such as [\"s\"]; its defaults are used");
                problems.add(value.span(), message);
                continue;
            };
            let mut chords = Vec::new();
            for entry in entries {
                let Some(keys) = entry.get_ref().as_str().and_then(Keys::parse) else {
                    problems.add(entry.span(), NO_KEY);
                    continue;
                };
                if self.clashes(keys, &word) {
                    let key = keys.lead.unwrap_or(keys.last);
                    problems.add(entry.span(), format!("{key} cannot be both a key and the first of two keys"));
                } else if let Some(other) = given.get(&keys) {
                    problems.add(entry.span(), format!("{keys} is already the key of \"{other}\""));
                } else {
                    given.insert(keys, word.clone());
                    chords.push(keys);
                }
            }
            if !chords.is_empty() || entries.is_empty() {
                self.bind(index, chords);
            }
        }
    }

    /// Whether a key would both have an action and be the first of two keys. The present keys of the action `word` do
    /// not count.
    fn clashes(&self, keys: Keys, word: &str) -> bool {
        let of_lines = || self.lines.iter().map(|(keys, _)| keys);
        let others =
            || self.bindings().filter(|(info, _)| info.name != word).flat_map(|(_, keys)| keys).chain(of_lines());
        match keys.lead {
            Some(lead) => others().any(|known| *known == Keys::one(lead)),
            None => others().any(|known| known.lead == Some(keys.last)),
        }
    }

    fn bind(&mut self, index: usize, chords: Vec<Keys>) {
        for old in &self.keys[index] {
            self.actions.remove(old);
        }
        for chord in &chords {
            for keys in &mut self.keys {
                keys.retain(|known| known != chord);
            }
            self.actions.insert(*chord, ACTIONS[index].action);
        }
        self.keys[index] = chords;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_names_every_action_and_is_right() {
        let (map, problems) = Keymap::new(None);
        assert_eq!(problems, []);
        for (info, keys) in map.bindings() {
            assert!(!keys.is_empty(), "{}", info.name);
            assert!(keys.iter().all(|key| map.actions.get(key) == Some(&info.action)), "{}", info.name);
        }
    }

    #[test]
    fn a_user_file_patches_by_action() {
        let (map, problems) = Keymap::new(Some("[keys]\nstep = [\"x\"]\nhelp = [\"n\"]\n"));
        assert_eq!(problems, []);
        assert_eq!(map.action(Chord::char('x')), Some(Action::Command("step")));
        assert_eq!(map.action(Chord::char('s')), None);
        assert_eq!(map.action(Chord::char('n')), Some(Action::Help));
        assert_eq!(map.key_of("next"), "");
    }

    #[test]
    fn mistakes_are_named_with_their_line_and_the_defaults_stay() {
        let user = "[keys]\nstpe = [\"x\"]\nnext = \"n\"\nlayer = [\"Foo\"]\nrun = [\"x\"]\ncontinue = [\"x\"]\n";
        let (map, problems) = Keymap::new(Some(user));
        let messages: Vec<String> = problems.iter().map(|problem| problem.describe("keys.toml")).collect();
        assert_eq!(messages.len(), 4, "{messages:?}");
        assert!(messages[0].contains("keys.toml:2: unknown action \"stpe\"; did you mean \"step\"?"));
        assert!(messages[1].contains("keys.toml:3:"));
        assert!(messages[2].contains("keys.toml:4: no such key"));
        assert!(messages[3].contains("x is already the key of"));
        assert_eq!(map.action(Chord::char('n')), Some(Action::Command("next")));
        assert_eq!(map.action(Chord::char('l')), Some(Action::Command("layer")));
    }

    #[test]
    fn any_command_line_may_have_a_key() {
        let (map, problems) =
            Keymap::new(Some("[commands]\n\"print/t softmax(logits[-1])\" = [\"F5\", \"Space x\"]\nlens = [\"s\"]\n"));
        assert_eq!(problems, []);
        assert_eq!(map.action(Chord::parse("F5").unwrap()), Some(Action::Command("print/t softmax(logits[-1])")));
        assert_eq!(map.action(Chord::char('s')), Some(Action::Command("lens")));
        assert_eq!(map.key_of("step"), "");
        assert_eq!(map.lines().len(), 3);
        let (_, problems) = Keymap::new(Some("[commands]\nlens = [\"Foo\"]\nheads = \"x\"\nlist = [\"Space\"]\n"));
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn a_file_that_is_not_toml_changes_nothing() {
        let (map, problems) = Keymap::new(Some("[keys]\nstep = [\n"));
        assert_eq!(problems.len(), 1);
        assert_eq!(map.action(Chord::char('s')), Some(Action::Command("step")));
    }

    #[test]
    fn an_action_may_have_two_keys_in_sequence() {
        let (map, problems) = Keymap::new(Some("[keys]\nlayout-next = [\"Space x\", \"F2\"]\nzoom = [\"s z\"]\n"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("s cannot be both a key and the first of two keys"));
        let space = Chord::char(' ');
        assert_eq!(map.action_after(space, Chord::char('x')), Some(Action::Layout("next")));
        assert_eq!(map.action_after(space, space), None, "the keys given replace the defaults");
        assert!(map.after(space).iter().any(|(key, info)| (*key, info.name) == (Chord::char('a'), "layout-attention")));
        assert_eq!(map.after(Chord::char('s')), []);
    }
}
