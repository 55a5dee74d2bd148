//! The session as commands see it.

use std::collections::BTreeMap;

use super::dump::Dump;
use super::table::{Call, find};
use super::{Command, Follow, Journalled, Outcome};
use crate::answer::{Answer, ErrorView, Fault, Table};
use crate::debugger::{Error, Finding, Mark, Result, Session};
use crate::lang::command::split_command;
use crate::tensor::{device_failed, interruptible};

/// A session, and what commands keep between each other.
pub struct Console {
    /// Everything the user has set up.
    pub session: Session,
    /// A short name of the model.
    pub model_name: String,
    /// Whether the prompts went through a chat template.
    pub chat: bool,
    /// Where the last `x` ended.
    pub(super) dump: Option<Dump>,
    pub(super) chosen: super::settings::Chosen,
    /// Highest display number given.
    pub(super) displays: usize,
    /// Highest checkpoint number given.
    pub(super) highest_checkpoint: usize,
    /// The last attribution to positions: what is said of it, and each token's share.
    pub(super) attributed: Option<(String, Vec<(String, f64)>)>,
    /// What an interrupted sweep of patches has found, and what it was of.
    pub(super) swept: Option<(String, Vec<f64>)>,
    /// The table of the last `diff`.
    pub(super) compared: Option<Table>,
    /// Commands and what they answered, for tables and reports; the oldest are forgotten.
    pub(super) record: Vec<(String, Answer)>,
    /// What is to be said at the start: mistakes in files of configuration.
    pub notices: Vec<String>,
    /// Where settings come from that are not as at the start.
    pub(super) origins: BTreeMap<&'static str, String>,
    /// What the full screen shows.
    pub screen: super::Screen,
    pub(super) printed: Vec<String>,
    pub(super) listing: super::snapshot::Listing,
    pub(super) shown_stop: Option<crate::answer::StopView>,
    pub(super) watches_values: bool,
}

/// Commands that are kept for tables and reports.
const RECORDED: usize = 4096;

/// What a handler gives.
pub type Done = Result<Answer>;

impl Console {
    /// A console on a session.
    pub fn new(session: Session, model_name: impl Into<String>) -> Console {
        let listing = super::snapshot::Listing::of(&session);
        let notices = session.run.model.report.replaced.clone();
        Console {
            session,
            model_name: model_name.into(),
            chat: false,
            dump: None,
            chosen: super::settings::Chosen::default(),
            displays: 0,
            highest_checkpoint: 0,
            attributed: None,
            swept: None,
            compared: None,
            record: Vec::new(),
            notices,
            origins: BTreeMap::new(),
            screen: super::Screen::default(),
            printed: Vec::new(),
            listing,
            shown_stop: None,
            watches_values: false,
        }
    }

    /// Runs one command line. A repeated `x` goes on where the last one ended.
    pub fn execute(&mut self, line: &str, repeated: bool) -> Outcome {
        let line = if repeated && self.dump.is_some() && Self::is_dump(line) { "x" } else { line };
        let Some(call) = split_command(line) else { return Outcome::of(Answer::Text(String::new())) };
        let command = match find(call.word, call.span) {
            Ok(command) => command,
            Err(error) => return Outcome::of(Answer::Error(ErrorView::new(&Error::At(error), line))),
        };
        let before = self.standing();
        let flag = self.session.interrupt.clone();
        let done = interruptible(&flag, || (command.run)(self, Call { line, args: &call }));
        let failed = device_failed();
        let half_done = done.is_err() && self.standing() != before;
        let mut printed = std::mem::take(&mut self.session.printed);
        printed.append(&mut self.printed);
        let then = self.commands_of(&done);
        if let Ok(answer) = &done {
            self.keep_stop(answer);
        }
        self.keep(line, &done, command);
        let (answer, quit) = match done {
            Ok(Answer::Text(text)) if command.name == "quit" => (Answer::Text(String::new()), text.parse().ok()),
            Ok(answer) => (answer, None),
            Err(fail) => {
                let mut view = ErrorView::new(&fail, line);
                // An expression or an analysis makes a sentence of what a device says, which is no mistake of the command.
                if failed && view.fault == Fault::Command {
                    view.fault = Fault::Model;
                }
                if half_done {
                    view.message += &format!("\nthe command was carried out in part: {}", self.whereabouts());
                }
                (Answer::Error(view), None)
            }
        };
        Outcome { answer, printed, changed: command.changes, half_done, quit, repeatable: command.repeats, then }
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

    /// Keeps a command and its answer, but for those that write files.
    fn keep(&mut self, line: &str, done: &Done, command: &Command) {
        if matches!(command.name, "save" | "quit" | "help") {
            return;
        }
        let answer = match done {
            Ok(answer) => answer.clone(),
            Err(fail) => Answer::Error(ErrorView::new(fail, line)),
        };
        if self.record.len() >= RECORDED {
            self.record.drain(..RECORDED / 4);
        }
        self.record.push((line.trim().to_string(), answer));
    }

    /// Forgets what was shown of another model.
    pub(super) fn forget_shown(&mut self) {
        self.listing = super::snapshot::Listing::of(&self.session);
        (self.dump, self.shown_stop, self.attributed, self.compared) = (None, None, None, None);
    }

    /// The commands of the stop points that a motion stopped at.
    fn commands_of(&self, done: &Done) -> Vec<Follow> {
        let findings = match (done, &self.session.last_stop) {
            (Ok(Answer::Stop(_)), Some(stop)) => stop.findings.as_slice(),
            _ => &[],
        };
        let with_commands = findings.iter().filter(|finding| !finding.commands.is_empty());
        let follow = |finding: &Finding| Follow {
            name: format!("commands of {} {}", finding.kind, finding.number),
            text: finding
                .commands
                .iter()
                .map(|line| if line == "silent" { "\n".into() } else { format!("{line}\n") })
                .collect(),
        };
        with_commands.map(follow).collect()
    }

    /// What a journal must have of a command.
    pub fn journalled(line: &str) -> Journalled {
        let command = split_command(line).and_then(|call| Self::command(call.word));
        command.map_or(Journalled::Not, |command| command.journalled)
    }

    fn is_dump(line: &str) -> bool {
        split_command(line).and_then(|call| Self::command(call.word)).is_some_and(|command| command.name == "x")
    }

    /// The command of that name or abbreviation.
    pub fn command(word: &str) -> Option<&'static Command> {
        find(word, crate::lang::Span::new(0, word.len())).ok()
    }
}
