//! Completion, by what the command of the line takes.

use super::ALL;
use crate::answer::text::quoted;
use crate::commands::frame::{declared, takes_expression};
use crate::commands::state::{Console, Takes, settings};
use crate::lang::SiteTable;
use crate::lang::command::{CommandLine, split_command};
use crate::lang::eval::FUNCTIONS;
use crate::model::role::Stack;
use crate::model::site_name::{self, InBlock};

const MOST: usize = 200;

impl Console {
    /// Candidates for the word before byte `cursor` of `line`, and the byte at which they replace it.
    pub fn complete(&self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let cursor = (0..=cursor.min(line.len())).rev().find(|&i| line.is_char_boundary(i)).unwrap_or(0);
        let before = &line[..cursor];
        if let Some(found) = self.in_quotes(before).or_else(|| self.files(before)) {
            return found;
        }
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '$');
        let start =
            before.rfind(|c: char| !is_word(c)).map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        let mut found: Vec<String> = match split_command(&before[..start]) {
            None => ALL.commands().map(|command| command.name.to_string()).collect(),
            Some(call) => self.arguments(&call),
        };
        found.retain(|name| name.starts_with(word));
        if !before[..start].trim().is_empty() {
            found.sort();
            found.dedup();
        }
        found.truncate(MOST);
        (start, found)
    }

    /// Inside quotes: the tokens of the focused row that go on like this.
    fn in_quotes(&self, before: &str) -> Option<(usize, Vec<String>)> {
        let quotes = before.match_indices('"').filter(|(at, _)| !before[..*at].ends_with('\\'));
        let start = quotes.collect::<Vec<_>>().chunks(2).last().and_then(|pair| match pair {
            [(open, _)] => Some(open + 1),
            _ => None,
        })?;
        let typed = &before[start..];
        let mut found: Vec<String> = Vec::new();
        for token in self.tokens() {
            let text = quoted(&token.text);
            let text = text.trim_matches('"').to_string() + "\"";
            if (text.starts_with(typed) || text.trim_start().starts_with(typed)) && !found.contains(&text) {
                found.push(text);
            }
        }
        found.truncate(MOST);
        Some((start, found))
    }

    /// For a command, or an option, that takes a file: the files and folders that go on like this.
    fn files(&self, before: &str) -> Option<(usize, Vec<String>)> {
        let call = split_command(before)?;
        let command = Self::command(call.word).filter(|_| before.len() > call.span.end)?;
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let option = before[..start].split_whitespace().last().filter(|word| word.starts_with('-'));
        let takes_file = |option: &str| {
            let of = command.options.iter().map(declared).find(|(name, _)| *name == option);
            of.is_some_and(|(_, value)| value.is_some_and(|value| value.ends_with("FILE")))
        };
        let is_file = matches!(command.takes, Takes::File) && !before[start..].starts_with('-');
        if !is_file && !option.is_some_and(takes_file) {
            return None;
        }
        let typed = &before[start..];
        let (folder, name) = typed.rfind('/').map_or(("", typed), |at| typed.split_at(at + 1));
        let entries = std::fs::read_dir(if folder.is_empty() { "." } else { folder }).ok()?;
        let shown = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.ok()?;
            let end = if entry.path().is_dir() { "/" } else { "" };
            let found = entry.file_name().into_string().ok()?;
            let hidden = found.starts_with('.') && !name.starts_with('.');
            (found.starts_with(name) && !hidden).then(|| format!("{folder}{found}{end}"))
        };
        let mut found: Vec<String> = entries.filter_map(shown).collect();
        found.sort();
        found.truncate(MOST);
        Some((start, found))
    }

    /// What may come next in the arguments of a command: its options, and what it takes.
    fn arguments(&self, call: &CommandLine<'_>) -> Vec<String> {
        let Some(mut command) = Self::command(call.word) else { return self.candidates(Takes::Expression, true) };
        let first = call.rest.is_empty();
        let kinds = command.kinds(&ALL);
        let mut found = match first && !kinds.is_empty() {
            true => kinds.iter().map(|kind| kind.name.to_string()).collect(),
            false => self.candidates(command.takes, first),
        };
        if let Some(kind) = call.subcommand().and_then(|word| kinds.into_iter().find(|kind| kind.name == word.word)) {
            command = kind;
        }
        if matches!(command.takes, Takes::Setting | Takes::Change) {
            let settings: Vec<String> = settings::candidates(call.rest).collect();
            // After a group or the name of a setting nothing else can come.
            if !first && !settings.is_empty() {
                return settings;
            }
            found.extend(settings);
        }
        // The last option that is named: its expression goes on.
        let named = |option: &&(&'static str, &'static str)| {
            call.rest.split_whitespace().any(|word| word == declared(option).0)
        };
        let last = command.options.iter().filter(named).max_by_key(|option| call.rest.rfind(declared(option).0));
        if last.is_some_and(takes_expression) {
            found.extend(self.candidates(Takes::Expression, false));
        }
        found.extend(command.options.iter().map(|option| declared(option).0.to_string()));
        found
    }

    /// What may be in the arguments of a command; `first` if there is none yet.
    fn candidates(&self, takes: Takes, first: bool) -> Vec<String> {
        match takes {
            Takes::Nothing | Takes::File | Takes::Setting => Vec::new(),
            Takes::Words(words) if first => words.iter().map(|word| word.to_string()).collect(),
            Takes::Location | Takes::Words(_) | Takes::Kinds(_) | Takes::Subjects => {
                self.sites().into_iter().chain(self.heads()).collect()
            }
            Takes::Branch => self.session.run.branches.iter().map(|branch| branch.name.clone()).collect(),
            Takes::Command => {
                let names = ALL.commands().map(|command| command.name).chain(ALL.groups.iter().map(|group| group.name));
                names.chain(["functions"]).map(String::from).collect()
            }
            Takes::Expression | Takes::Change => {
                let mut all = self.sites();
                all.extend(self.heads());
                all.extend(FUNCTIONS.iter().map(|function| function.name.to_string()));
                all.extend(self.session.variables.keys().map(|name| format!("${name}")));
                all.extend(self.session.run.branches.iter().map(|branch| branch.name.clone()));
                all
            }
        }
    }

    /// Heads, in the spelling of a location.
    fn heads(&self) -> impl Iterator<Item = String> {
        let (layers, heads) = (self.session.run.model.spec.n_layers, self.session.run.model.spec.n_heads);
        (0..layers).flat_map(move |layer| (0..heads).map(move |head| format!("L{layer}H{head}")))
    }

    /// Sites and modules, in long and short spelling and relative to the block at the cursor.
    fn sites(&self) -> Vec<String> {
        let names = &self.session.run.names;
        let block = self.session.block();
        let mut all = Vec::new();
        for name in names.names().iter().chain(names.modules()).chain(names.on_request()) {
            all.push(name.clone());
            let Some(at) = InBlock::parse(name) else { continue };
            all.push(site_name::short(name));
            if at.stack == Stack::Main && Some(at.layer) == block && !at.part.is_empty() {
                all.push(at.part.to_owned());
            }
        }
        all
    }
}
