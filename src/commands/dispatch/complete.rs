//! Completion, by what the command of the line takes.

use super::ALL;
use crate::commands::frame::{declared, takes_expression};
use crate::commands::state::{Console, Takes, settings};
use crate::lang::SiteTable;
use crate::lang::command::{CommandLine, split_command};
use crate::lang::eval::FUNCTIONS;

const MOST: usize = 200;

impl Console {
    /// Candidates for the word before byte `cursor` of `line`, and the byte at which they replace it.
    pub fn complete(&self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let cursor = (0..=cursor.min(line.len())).rev().find(|&i| line.is_char_boundary(i)).unwrap_or(0);
        let before = &line[..cursor];
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
            found.extend(settings::candidates(call.rest));
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
            Takes::Location | Takes::Words(_) | Takes::Kinds(_) | Takes::Subjects => self.sites(),
            Takes::Branch => self.session.run.branches.iter().map(|branch| branch.name.clone()).collect(),
            Takes::Command => {
                let names = ALL.commands().map(|command| command.name).chain(ALL.groups.iter().map(|group| group.name));
                names.chain(["functions"]).map(String::from).collect()
            }
            Takes::Expression | Takes::Change => {
                let mut all = self.sites();
                all.extend(FUNCTIONS.iter().map(|function| function.name.to_string()));
                all.extend(self.session.variables.keys().map(|name| format!("${name}")));
                all.extend(self.session.run.branches.iter().map(|branch| branch.name.clone()));
                all
            }
        }
    }

    /// Sites and modules, in long and short spelling and relative to the block at the cursor.
    fn sites(&self) -> Vec<String> {
        let names = &self.session.run.names;
        let block = self.session.block().map(|block| format!("blocks.{block}."));
        let mut all = Vec::new();
        for name in names.names().iter().chain(names.modules()).chain(names.on_request()) {
            all.push(name.clone());
            all.extend(name.strip_prefix("blocks.").map(|rest| format!("L{rest}")));
            all.extend(block.as_ref().and_then(|block| name.strip_prefix(block)).map(String::from));
        }
        all
    }
}
