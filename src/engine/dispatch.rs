//! Who carries a line out: a hook or a command that the user defined, the engine itself, or the session.

use std::path::Path;

use super::lists::{fault_of, refused};
use super::messages::Source;
use super::panics::guard;
use super::resume::fate_of;
use super::script::{self, Builtin, Opener, opener};
use super::thread::{Done, Engine};
use crate::answer::{Answer, ErrorView};
use crate::commands::{Console, Journalled, Outcome};

impl Engine {
    /// Runs one command line, with nested scripts and hooks.
    pub(super) fn execute(&mut self, id: u64, line: &str, source: &Source, keep_going: bool) -> Outcome {
        let line = &self.user.expanded(line);
        let Some(name) = self.hooked(line) else { return self.unhooked(id, line, source, keep_going) };
        if let Some(ended) = self.hook(id, "hook", &name, keep_going) {
            return ended;
        }
        let done = self.timed(|engine| engine.unhooked(id, line, source, keep_going));
        if fault_of(&done.outcome.answer).is_some() || done.outcome.quit.is_some() {
            return done.outcome;
        }
        let stopped = matches!(done.outcome.answer, Answer::Stop(_));
        let after = stopped.then(|| self.hook(id, "hook", "stop", keep_going)).flatten();
        match after.or_else(|| self.hook(id, "hookpost", &name, keep_going)) {
            Some(ended) => self.after_all(id, line, done, ended),
            None => done.outcome,
        }
    }

    /// The outcome of a command that ran, and after which something else failed: both are reported.
    fn after_all(&mut self, id: u64, line: &str, mut done: Done, mut ended: Outcome) -> Outcome {
        let left_out = !std::mem::take(&mut done.outcome.then).is_empty();
        if let Answer::Error(error) = &mut ended.answer {
            let head = line.lines().next().unwrap_or_default();
            error.message += &format!("; \"{head}\" itself succeeded");
            if left_out {
                error.message += ", but not the commands of its stop point";
            }
        }
        self.within(id, line.to_string(), done);
        ended
    }

    fn unhooked(&mut self, id: u64, line: &str, source: &Source, keep_going: bool) -> Outcome {
        if matches!(opener(line), Some(Opener::If | Opener::While | Opener::Define | Opener::Document)) {
            if matches!(opener(line), Some(Opener::Define | Opener::Document)) {
                self.journal.write(line);
            }
            return self.block(id, line, source, keep_going);
        }
        if let Some(outcome) = self.own(id, line, keep_going).or_else(|| self.help_of_own(line)) {
            return outcome;
        }
        match script::builtin(line) {
            Some(Builtin::Source { name: "", .. }) => refused("source needs a file name"),
            Some(Builtin::Source { name, verbose }) => {
                let folder = source.file().and_then(|file| Path::new(file).parent());
                self.script(id, &script::resolve(name, folder), keep_going, verbose)
            }
            Some(Builtin::Echo(text)) => {
                Outcome { printed: script::echo(text), ..Outcome::of(Answer::Text(String::new())) }
            }
            Some(Builtin::Alias(rest)) => {
                self.journal.write(line);
                self.alias(rest)
            }
            Some(Builtin::With(rest)) => self.with(id, rest, source, keep_going),
            Some(Builtin::Transcript(rest)) => self.transcript(rest),
            Some(Builtin::Shell(command)) => self.shell(command, source),
            Some(Builtin::Pipe(rest)) => self.pipe(id, rest, source, keep_going),
            Some(Builtin::Resume(file)) => self.resume(id, Path::new(file)),
            None => {
                if let (true, Some((start, commands))) = (saves(line), self.journal.story()) {
                    self.interpreter.story(start, commands);
                }
                let kept = self.interpreter.journalled(line);
                if kept == Journalled::Before {
                    self.journal.write(line);
                }
                let held = self.interpreter.remembered();
                let shell = self.interpreter.outside().shell;
                let outcome = self.interpreted(line, source);
                match (kept, self.interpreter.remembered().saturating_sub(held)) {
                    (Journalled::Before, _) => self.journal.note(&fate_of(&outcome)),
                    (Journalled::Values, values @ 1..) => self.journal.looked(line, values),
                    _ => {}
                }
                if let Some(refused) = self.keep_shell_off(shell, source).or_else(|| self.follow_logging(source)) {
                    return refused;
                }
                outcome
            }
        }
    }

    fn with(&mut self, id: u64, rest: &str, source: &Source, keep_going: bool) -> Outcome {
        let Some((setting, command)) = rest.split_once(" -- ").filter(|(_, command)| !command.trim().is_empty()) else {
            return refused("expected with SETTING VALUE -- COMMAND");
        };
        let back = match self.interpreter.restoring(setting) {
            Ok(back) => back,
            Err(error) => return Outcome::of(Answer::Error(error)),
        };
        let set = self.unhooked(id, &format!("set {setting}"), source, keep_going);
        if fault_of(&set.answer).is_some() {
            return set;
        }
        let done = self.timed(|engine| engine.execute(id, command, source, keep_going));
        let restored = self.unhooked(id, &back, source, keep_going);
        let failed = fault_of(&done.outcome.answer).is_none() && fault_of(&restored.answer).is_some();
        if failed { self.after_all(id, command, done, restored) } else { done.outcome }
    }

    pub(super) fn holds_in_session(&mut self, line: &str) -> Result<bool, ErrorView> {
        let interpreter = &mut self.interpreter;
        guard(|| interpreter.condition(line)).unwrap_or_else(|panicked| Err(panicked.into()))
    }
}

/// Whether a line is a command that writes what the session was.
fn saves(line: &str) -> bool {
    Console::command(script::word_of(line)).is_some_and(|command| command.name == "save")
}
