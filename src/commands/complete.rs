//! Completion, by what the command of the line takes.

use super::console::Console;
use super::table::{GROUPS, Takes, commands};
use crate::lang::SiteTable;
use crate::lang::command::split_command;
use crate::lang::eval::FUNCTIONS;

/// Most candidates that are given.
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
            None => commands().map(|command| command.name.to_string()).collect(),
            Some(call) => {
                let takes = Self::command(call.word).map_or(Takes::Expression, |command| command.takes);
                let mut found = self.candidates(takes, call.rest.is_empty());
                if matches!(takes, Takes::Setting | Takes::Change) {
                    found.extend(super::settings::candidates(call.rest));
                }
                found
            }
        };
        found.retain(|name| name.starts_with(word));
        if !before[..start].trim().is_empty() {
            found.sort();
            found.dedup();
        }
        found.truncate(MOST);
        (start, found)
    }

    /// What may stand in the arguments of a command; `first` if nothing stands there yet.
    fn candidates(&self, takes: Takes, first: bool) -> Vec<String> {
        match takes {
            Takes::Nothing | Takes::File | Takes::Setting => Vec::new(),
            Takes::Words(words) if first => words.iter().map(|word| word.to_string()).collect(),
            Takes::Location | Takes::Words(_) => self.sites(),
            Takes::Branch => self.session.run.branches.iter().map(|branch| branch.name.clone()).collect(),
            Takes::Command => {
                let names = commands().map(|command| command.name).chain(GROUPS.iter().map(|group| group.name));
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
