//! The palette and the pickers: a line of input, and the entries that it finds. The palette has every command, setting and
//! action of a key; the picker of sites has the program, and that of a pane its rows.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use tui_input::Input;

use super::actions::{ACTIONS, Action};
use super::keymap::Keymap;
use super::panes::Pane;
use super::state::State;
use super::tree::Node;
use crate::answer::{Answer, Table, text as lines_of};
use crate::commands::{SETTINGS, Takes, commands};
use crate::engine::messages::OpLine;
use crate::model::site_name;

#[derive(Clone, Debug, Default)]
pub struct Palette {
    pub input: Input,
    /// The selected entry, counted from the best.
    pub chosen: usize,
    pub subject: Subject,
}

/// What is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Subject {
    #[default]
    Commands,
    /// The ops of the program, and the selection before the search, which Esc restores.
    Sites { before: Node },
    /// The rows of a pane, and the one that was selected before.
    Rows { pane: Pane, before: usize },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub about: String,
    pub key: String,
    pub choice: Choice,
}

/// What happens when an entry is chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    Act(Action),
    /// A command runs that needs no arguments.
    Run(&'static str),
    /// The prompt opens with the command typed.
    Type(String),
    Op(usize),
    Row(usize),
}

/// All entries of the palette: commands first, then settings, then the other actions.
pub fn entries(keymap: &Keymap) -> Vec<Entry> {
    let of_command = commands().map(|command| Entry {
        name: command.name.to_string(),
        about: command.about.to_string(),
        key: keymap.key_of(command.name),
        choice: match command.takes {
            // Its arguments are optional.
            Takes::Nothing if bare(command.usage) => Choice::Run(command.name),
            _ => Choice::Type(format!("{} ", command.name)),
        },
    });
    let of_setting = SETTINGS.iter().map(|setting| Entry {
        name: format!("set {}", setting.name),
        about: setting.about.to_string(),
        key: String::new(),
        choice: Choice::Type(format!("set {} ", setting.name)),
    });
    let is_other = |action: &Action| !matches!(action, Action::Command(_) | Action::Palette);
    let of_action = ACTIONS.iter().filter(|info| is_other(&info.action)).map(|info| Entry {
        name: info.name.replace('-', " "),
        about: info.help.to_string(),
        key: keymap.key_of(info.name),
        choice: Choice::Act(info.action),
    });
    of_command.chain(of_setting).chain(of_action).collect()
}

/// Whether the first form of a usage needs no arguments.
fn bare(usage: &str) -> bool {
    let first = usage.lines().next().unwrap_or_default();
    first.split_once(' ').is_none_or(|(_, rest)| rest.starts_with('['))
}

/// The entries that `query` finds, the best first; all of them where nothing is typed.
pub fn found(entries: Vec<Entry>, query: &str) -> Vec<Entry> {
    ranked(entries, query, |entry| entry.about.clone(), |entry| entry.name.clone())
}

/// The entries that the input finds, the best first, and how many there are.
pub fn candidates(state: &State) -> (Vec<Entry>, usize) {
    let entry = |name: String, about: String, choice| Entry { name, about, key: String::new(), choice };
    let all: Vec<Entry> = match state.palette.subject {
        Subject::Commands => entries(&state.keymap),
        Subject::Sites { .. } => {
            let ops = state.snapshot.as_ref().map(|snapshot| snapshot.ops.clone()).unwrap_or_default();
            let of_op =
                |(op, line): (usize, &OpLine)| entry(site_name::short(&line.site), line.site.clone(), Choice::Op(op));
            ops.iter().enumerate().map(of_op).collect()
        }
        Subject::Rows { pane, .. } => {
            let rows = rows(state, pane).into_iter().enumerate();
            rows.map(|(at, row)| entry(row, String::new(), Choice::Row(at))).collect()
        }
    };
    let count = all.len();
    (found(all, state.palette.input.value()), count)
}

/// The rows of a pane that shows an answer, as text.
fn rows(state: &State, pane: Pane) -> Vec<String> {
    let Pane::Query(number) = pane else { return Vec::new() };
    match state.queries.get(number).and_then(|query| query.answer.as_ref()) {
        Some(Answer::Table(table)) => {
            let bare = Table { title: String::new(), ..table.clone() };
            let lines = lines_of::rows(&bare, ROW);
            let heading = lines.len().saturating_sub(table.rows.len());
            lines.into_iter().skip(heading).collect()
        }
        Some(answer) => lines_of::lines(answer, None),
        None => Vec::new(),
    }
}

/// Columns of a row of a table that is searched.
const ROW: usize = 200;

/// Added to the score of an item whose head begins with the query, or is the beginning of it.
const BEGINS: u32 = 1000;

/// The `items` that `query` finds, the best first. A head matches if it has the letters of each word in their order; a
/// text only if it has the words themselves, and counts less. Equals stay in their order.
pub fn ranked<T>(items: Vec<T>, query: &str, text: impl Fn(&T) -> String, head: impl Fn(&T) -> String) -> Vec<T> {
    let query = query.trim();
    if query.is_empty() {
        return items;
    }
    let loose = Pattern::parse(query, CaseMatching::Smart, Normalization::Smart);
    let strict = Pattern::new(query, CaseMatching::Ignore, Normalization::Smart, AtomKind::Substring);
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let mut buffer = Vec::new();
    let mut score = |pattern: &Pattern, text: &str| {
        buffer.clear();
        pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher)
    };
    let scored = items.into_iter().filter_map(|item| {
        let head = head(&item);
        let begins = head.starts_with(query) || (head.len() > 2 && query.starts_with(&head));
        let in_head = score(&loose, &head);
        let both = format!("{head} {}", text(&item));
        let in_text = score(&strict, &both);
        if in_head.is_none() && in_text.is_none() && !begins {
            return None;
        }
        let start = if begins { BEGINS } else { 0 };
        Some((start + 3 * in_head.unwrap_or(0) + in_text.unwrap_or(0), item))
    });
    let mut scored: Vec<(u32, T)> = scored.collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(query: &str) -> Option<String> {
        let (keymap, _) = Keymap::new(None);
        found(entries(&keymap), query).first().map(|entry| entry.name.clone())
    }

    #[test]
    fn a_few_letters_find_a_command_by_name_or_by_what_it_does() {
        assert_eq!(first("step").as_deref(), Some("step"));
        assert_eq!(first("rvst").as_deref(), Some("reverse-step"));
        assert_eq!(first("logit lens").as_deref(), Some("lens"));
        assert_eq!(first("zoom").as_deref(), Some("zoom"));
        assert_eq!(first("qqqqqq"), None);
        let (keymap, _) = Keymap::new(None);
        assert_eq!(found(entries(&keymap), "").len(), entries(&keymap).len());
    }

    #[test]
    fn names_come_before_descriptions_and_settings_are_found() {
        assert_eq!(first("breakpoint").as_deref(), Some("break"));
        assert_eq!(first("temp").as_deref(), Some("set generation temperature"));
        let (keymap, _) = Keymap::new(None);
        let hits = found(entries(&keymap), "temp");
        assert!(hits.len() < 15, "{:?}", hits.iter().map(|entry| &entry.name).collect::<Vec<_>>());
    }
}
