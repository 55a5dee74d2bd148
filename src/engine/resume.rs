//! `resume`: the commands of a journal again, and the journal goes on.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::journal::{self, Journal};
use super::lists::{failure, fault_of};
use super::messages::Source;
use super::script::{self, Builtin, Opener, opener};
use super::thread::Engine;
use crate::answer::{Answer, Fault};
use crate::commands::Outcome;

impl Engine {
    /// Carries out the commands of a journal. They stand for themselves: those of hooks and stop points are among them. What
    /// failed then fails again, and changes as little.
    pub(super) fn resume(&mut self, id: u64, file: &Path) -> Outcome {
        let read = journal::read(file).and_then(|(_, text)| {
            script::parse(&text).map_err(|(line, message)| format!("{}:{}: {message}", file.display(), line + 1))
        });
        let commands = match read {
            Ok(commands) => commands,
            Err(message) => return failure(&message, Fault::Command),
        };
        let (mut done, mut failed) = (0, 0);
        for command in &commands {
            if self.interrupt.load(Ordering::SeqCst) {
                let message = format!("interrupted after {done} of {} commands", commands.len());
                return failure(&message, Fault::Command);
            }
            let source = Source::Script { file: file.display().to_string(), line: command.line };
            let line = &command.text;
            let outcome = match (opener(line), script::builtin(line)) {
                (Some(Opener::Define | Opener::Document), _) => self.block(id, line, &source, true),
                (_, Some(Builtin::Alias(rest))) => self.alias(rest),
                _ => self.interpreted(line, &source),
            };
            done += 1;
            failed += usize::from(fault_of(&outcome.answer).is_some());
        }
        match Journal::go_on(file) {
            Ok(journal) => self.journal = journal,
            Err(error) => return failure(&format!("{} cannot be written: {error}", file.display()), Fault::Command),
        }
        let commands = if done == 1 { "command" } else { "commands" };
        let failed = if failed > 0 { format!(", {failed} of which failed as before") } else { String::new() };
        let text = format!("Resumed {}: {done} {commands}{failed}.", file.display());
        Outcome { changed: true, ..Outcome::of(Answer::Text(text)) }
    }
}
