//! From a line to its outcome.

use super::ALL;
use crate::answer::{Answer, ErrorView, Fault};
use crate::commands::frame::{Done, Follow, Outcome};
use crate::commands::state::{Call, Command, Console, Journalled, Repeats};
use crate::debugger::{Error, Finding, Mark};
use crate::lang::Span;
use crate::lang::command::split_command;
use crate::tensor::{FOR_A_PASS, device_failed, give_back, interruptible};

impl Console {
    /// Runs one command line. A command that goes on where it ended is repeated by its word alone.
    pub fn execute(&mut self, line: &str, repeated: bool) -> Outcome {
        let word = split_command(line)
            .map(|call| call.word)
            .filter(|word| repeated && Self::command(word).is_some_and(|command| command.repeats == Repeats::Word));
        let line = word.unwrap_or(line);
        let Some(call) = split_command(line) else { return Outcome::of(Answer::Text(String::new())) };
        let command = match ALL.find(call.word, call.span) {
            Ok(command) => command,
            Err(error) => return Outcome::of(Answer::Error(ErrorView::new(&Error::At(error), line))),
        };
        let before = self.standing();
        let flag = self.session.interrupt.clone();
        // A device reports a failure when the command that it is about may have ended.
        let done = match self.session.see_to_faults() {
            Ok(()) => interruptible(&flag, || (command.run)(self, Call { line, args: &call, command, all: &ALL })),
            Err(error) => Err(error.into()),
        };
        let done = match (done, self.session.see_to_faults()) {
            (Ok(_), Err(error)) => Err(error.into()),
            (done, _) => done,
        };
        let failed = device_failed();
        give_back(self.session.run.recorded(), FOR_A_PASS);
        let half_done = done.is_err() && self.standing() != before;
        let mut printed = std::mem::take(&mut self.session.printed);
        printed.append(&mut self.printed);
        let then = self.commands_of(&done);
        if let Ok(answer) = &done {
            self.keep_stop(answer);
        }
        let answer = match done {
            Ok(answer) => answer,
            Err(error) => {
                let mut view = ErrorView::new(&error, line);
                // An expression makes a sentence of what a device says, which is not a mistake of the command.
                if failed && view.fault == Fault::Command {
                    view.fault = Fault::Model;
                }
                if half_done {
                    view.message += &format!("\nthe command was carried out in part: {}", self.whereabouts());
                }
                Answer::Error(view)
            }
        };
        if command.recorded {
            self.memory.record.keep(line, &answer);
        }
        Outcome {
            answer,
            printed,
            changed: command.changes,
            half_done,
            quit: self.quits.take(),
            repeatable: command.repeats != Repeats::Not,
            then,
        }
    }

    /// Where the run is: what a command that fails leaves as it was, or tells of.
    fn standing(&self) -> (usize, Mark, bool) {
        let run = &self.session.run;
        (run.current, run.mark(), run.live)
    }

    fn whereabouts(&self) -> String {
        let run = &self.session.run;
        let (op, ops) = (run.cursor, run.program.ops.len());
        format!("the cursor is now at op {op} of {ops}, pass {}, branch {}", run.pass, run.branch().name)
    }

    /// The commands of the stop points that a motion stopped at.
    fn commands_of(&self, done: &Done) -> Vec<Follow> {
        let findings = match (done, &self.session.last_stop) {
            (Ok(Answer::Stop(_)), Some(stop)) => stop.findings.as_slice(),
            _ => &[],
        };
        let with_commands = findings.iter().filter(|finding| !finding.commands.is_empty());
        let line = |line: &String| if line == "silent" { "\n".into() } else { format!("{line}\n") };
        let follow = |finding: &Finding| Follow {
            name: format!("commands of {} {}", finding.kind, finding.number),
            text: finding.commands.iter().map(line).collect(),
        };
        with_commands.map(follow).collect()
    }

    pub fn journalled(line: &str) -> Journalled {
        let command = split_command(line).and_then(|call| Self::command(call.word));
        command.map_or(Journalled::Not, |command| command.journalled)
    }

    /// The command of that name or abbreviation.
    pub fn command(word: &str) -> Option<&'static Command> {
        ALL.find(word, Span::new(0, word.len())).ok()
    }
}
