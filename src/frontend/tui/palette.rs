//! The palette: every command and every action of a key, found by a few letters of its name or its description.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};
use tui_input::Input;

use super::actions::{ACTIONS, Action};
use super::keymap::Keymap;
use crate::commands::{Takes, commands};

#[derive(Clone, Debug, Default)]
pub struct Palette {
    pub input: Input,
    /// The selected entry, counted from the best.
    pub chosen: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub about: String,
    pub key: String,
    pub choice: Choice,
}

/// What happens when an entry is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    Act(Action),
    /// A command runs that needs no arguments.
    Run(&'static str),
    /// The prompt opens with the command typed.
    Type(&'static str),
}

/// All entries: commands first, then the other actions.
pub fn entries(keymap: &Keymap) -> Vec<Entry> {
    let of_command = commands().map(|command| Entry {
        name: command.name.to_string(),
        about: command.about.to_string(),
        key: keymap.key_of(command.name),
        choice: match command.takes {
            // Its arguments are optional.
            Takes::Nothing if bare(command.usage) => Choice::Run(command.name),
            _ => Choice::Type(command.name),
        },
    });
    let of_action =
        ACTIONS.iter().filter(|info| !matches!(info.action, Action::Command(_) | Action::Palette)).map(|info| Entry {
            name: info.name.replace('-', " "),
            about: info.help.to_string(),
            key: keymap.key_of(info.name),
            choice: Choice::Act(info.action),
        });
    of_command.chain(of_action).collect()
}

/// Whether the first form of a usage needs no arguments.
fn bare(usage: &str) -> bool {
    let first = usage.lines().next().unwrap_or_default();
    first.split_once(' ').is_none_or(|(_, rest)| rest.starts_with('['))
}

/// The entries that `query` finds, the best first; all of them where nothing is typed.
pub fn found(entries: Vec<Entry>, query: &str) -> Vec<Entry> {
    ranked(entries, query, |entry| format!("{} {}", entry.name, entry.about), |entry| entry.name.clone())
}

/// The `items` that `query` finds, the best first: fuzzy, with what begins so and short ones before others. `text` is
/// searched, and a match in `head` counts more. Equals stay in their order.
pub fn ranked<T>(items: Vec<T>, query: &str, text: impl Fn(&T) -> String, head: impl Fn(&T) -> String) -> Vec<T> {
    if query.trim().is_empty() {
        return items;
    }
    let pattern = Pattern::parse(query, CaseMatching::Smart, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut score = |text: &str| {
        buffer.clear();
        pattern.score(nucleo_matcher::Utf32Str::new(text, &mut buffer), &mut matcher)
    };
    let scored = items.into_iter().filter_map(|item| {
        let head = head(&item);
        let start = if head.starts_with(query.trim()) { 1000 } else { 0 };
        let in_head = score(&head).unwrap_or(0);
        Some((score(&text(&item))? + in_head * 2 + start, item))
    });
    let mut scored: Vec<(u32, T)> = scored.collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_letters_find_a_command_by_name_or_by_what_it_does() {
        let (keymap, _) = Keymap::new(None);
        let first = |query: &str| found(entries(&keymap), query).first().map(|entry| entry.name.clone());
        assert_eq!(first("step").as_deref(), Some("step"));
        assert_eq!(first("rvst").as_deref(), Some("reverse-step"));
        assert_eq!(first("logit lens").as_deref(), Some("lens"));
        assert_eq!(first("zoom").as_deref(), Some("zoom"));
        assert_eq!(first("qqqqqq"), None);
        assert_eq!(found(entries(&keymap), "").len(), entries(&keymap).len());
    }
}
