//! Completion: commands, subjects, sites, functions, token texts.

use super::console::Console;
use super::table::COMMANDS;
use crate::lang::SiteTable;
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
        let first = before[..start].trim().is_empty();
        let mut found: Vec<String> = Vec::new();
        let mut offer = |name: &str| {
            if name.starts_with(word) {
                found.push(name.to_string());
            }
        };
        if first {
            COMMANDS.iter().for_each(|command| offer(command.name));
            return (start, found);
        }
        if before[..start].trim() == "info" || before[..start].trim() == "i" {
            ["breakpoints", "branches", "display", "edits", "model", "modules", "record", "sites", "tokens", "weights"]
                .into_iter()
                .for_each(&mut offer);
            return (start, found);
        }
        let names = &self.session.run.names;
        for name in names.names().iter().chain(names.modules()).chain(names.on_request()) {
            offer(name);
            if let Some(rest) = name.strip_prefix("blocks.") {
                offer(&format!("L{rest}"));
            }
            let block = self.session.block().map(|block| format!("blocks.{block}."));
            if let Some(rest) = block.and_then(|block| name.strip_prefix(&block).map(str::to_string)) {
                offer(&rest);
            }
        }
        FUNCTIONS.iter().for_each(|function| offer(function.name));
        self.session.variables.keys().for_each(|name| offer(&format!("${name}")));
        for branch in &self.session.run.branches {
            offer(&branch.name);
        }
        found.sort();
        found.dedup();
        found.truncate(MOST);
        (start, found)
    }
}
