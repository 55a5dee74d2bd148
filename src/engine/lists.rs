//! Lists of commands: script files, and the commands of stop points.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::messages::{Event, Source};
use super::script;
use super::thread::{Done, Engine};
use crate::answer::{Answer, ErrorView, Fault, Reason};
use crate::commands::{Follow, Outcome};

impl Engine {
    /// Runs a script file, guarded against running itself. The outcome sums its commands up.
    pub(super) fn script(&mut self, id: u64, file: &Path, keep_going: bool) -> Outcome {
        let name = file.display().to_string();
        let (text, identity) = match std::fs::read_to_string(file).and_then(|text| Ok((text, file.canonicalize()?))) {
            Ok(read) => read,
            Err(error) => return failure(&format!("cannot read {name}: {error}"), Fault::Command),
        };
        if self.running.contains(&identity) {
            return failure(&format!("{name} is running already: a script cannot source itself"), Fault::Command);
        }
        self.running.push(identity);
        let outcome = self.script_commands(id, &name, &text, keep_going);
        self.running.pop();
        outcome
    }

    fn script_commands(&mut self, id: u64, name: &str, text: &str, keep_going: bool) -> Outcome {
        match self.lines(id, name, text, keep_going, Until::End) {
            Ran::Whole(outcome) => *outcome,
            Ran::Moved(then) => self.follow(id, then, keep_going),
        }
    }

    /// Runs the commands of stop points. One that moves the cursor is the last of its list, and of those that wait: the
    /// model is elsewhere now. What stops it there has its own commands.
    pub(super) fn follow(&mut self, id: u64, lists: Vec<Follow>, keep_going: bool) -> Outcome {
        let mut lists = VecDeque::from(lists);
        let mut last = Outcome::of(Answer::Text(String::new()));
        while let Some(list) = lists.pop_front() {
            match self.lines(id, &list.name, &list.text, keep_going, Until::Moved) {
                Ran::Whole(outcome) if outcome.quit.is_some() || fault_of(&outcome.answer).is_some() => {
                    return *outcome;
                }
                Ran::Whole(outcome) => last = *outcome,
                Ran::Moved(then) => lists = then.into(),
            }
        }
        last
    }

    /// Runs the commands of a text. The outcome sums them up.
    fn lines(&mut self, id: u64, name: &str, text: &str, keep_going: bool, until: Until) -> Ran {
        let commands = match script::parse(text) {
            Ok(commands) => commands,
            Err((line, message)) => return Ran::whole(located(failure(&message, Fault::Command), name, line)),
        };
        let total = commands.len();
        let mut failed = None;
        let mut failures = 0;
        for command in commands {
            if self.interrupt.load(Ordering::SeqCst) {
                let message = format!("{name}: interrupted before line {}", command.line);
                return Ran::whole(failure(&message, Fault::Command));
            }
            let source = Source::Script { file: name.to_string(), line: command.line };
            let mut done = self.timed(|engine| engine.execute(id, &command.text, &source, keep_going));
            done.outcome = located(done.outcome, name, command.line);
            let then = std::mem::take(&mut done.outcome.then);
            let quit = done.outcome.quit;
            let fault = fault_of(&done.outcome.answer);
            let stop = match &done.outcome.answer {
                Answer::Stop(stop) => Some(stop.reason),
                _ => None,
            };
            self.within(id, command.text, done);
            if quit.is_some() {
                return Ran::whole(Outcome { quit, ..Outcome::of(Answer::Text(String::new())) });
            }
            if stop == Some(Reason::Interrupt) {
                return Ran::whole(failure(&format!("{name}: interrupted at line {}", command.line), Fault::Command));
            }
            if stop.is_some() && until == Until::Moved {
                return Ran::Moved(then);
            }
            let after = self.follow(id, then, keep_going);
            if after.quit.is_some() {
                return Ran::whole(after);
            }
            if let Some(fault) = fault.or(fault_of(&after.answer)) {
                failures += 1;
                failed = failed.or(Some(fault));
                if !keep_going {
                    return Ran::whole(failure(&format!("{name}: stopped at line {}", command.line), fault));
                }
            }
        }
        Ran::whole(match failed {
            None => Outcome::of(Answer::Text(String::new())),
            Some(fault) => failure(&format!("{name}: {failures} of {total} commands failed"), fault),
        })
    }

    /// Tells about a command that ran within another one.
    pub(super) fn within(&mut self, id: u64, line: String, done: Done) {
        self.moved(&done.outcome);
        let Outcome { answer, printed, .. } = done.outcome;
        self.send(Event::ScriptAnswer { id, line, answer, at: done.at, ms: done.ms, printed });
    }
}

/// How far a list of commands runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// To its end.
    End,
    /// To the first that moves the cursor.
    Moved,
}

/// How a list of commands ended.
enum Ran {
    /// To its end, or to what keeps it from going on.
    Whole(Box<Outcome>),
    /// With a motion; these are the commands of the stop points that it stopped at.
    Moved(Vec<Follow>),
}

impl Ran {
    fn whole(outcome: Outcome) -> Ran {
        Ran::Whole(Box::new(outcome))
    }
}

pub(super) fn failure(message: &str, fault: Fault) -> Outcome {
    Outcome::of(Answer::Error(ErrorView { message: message.to_string(), fault, ..ErrorView::default() }))
}

fn fault_of(answer: &Answer) -> Option<Fault> {
    match answer {
        Answer::Error(error) => Some(error.fault),
        _ => None,
    }
}

/// Notes in an error which line of which script it comes from, unless it comes from a nested one.
fn located(mut outcome: Outcome, name: &str, line: usize) -> Outcome {
    if let Answer::Error(error) = &mut outcome.answer {
        error.file.get_or_insert_with(|| name.to_string());
        error.line.get_or_insert(line);
    }
    outcome
}
