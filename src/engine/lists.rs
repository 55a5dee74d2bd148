//! Lists of commands: script files, blocks, commands of the user's own, and the commands of stop points.

use std::collections::VecDeque;
use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::messages::{Answered, Event, Source};
use super::script::{self, Command};
use super::thread::{Done, Engine};
use super::tree::{Node, NodeKind, tree};
use super::user::substituted;
use crate::answer::{Answer, ErrorView, Fault, Reason, text};
use crate::commands::{Follow, Outcome};

impl Engine {
    /// Runs a script file, but refuses to run it inside itself. The outcome summarises its commands.
    pub(super) fn script(&mut self, id: u64, file: &Path, keep_going: bool, verbose: bool) -> Outcome {
        let name = file.display().to_string();
        let text = match crate::model::file::read_script(file) {
            Ok(text) => text,
            Err(error) => return refused(format!("cannot read {name}: {error}")),
        };
        // A script read through a descriptor has no path.
        let identity = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        if self.running.contains(&identity) {
            return refused(format!("{name} is already running: a script cannot source itself"));
        }
        self.running.push(identity);
        let outer = self.verbose;
        self.verbose |= verbose;
        let outcome = self.script_commands(id, &name, &text, keep_going);
        self.verbose = outer;
        self.running.pop();
        outcome
    }

    fn script_commands(&mut self, id: u64, name: &str, text: &str, keep_going: bool) -> Outcome {
        let list = List { id, name, file: Some(name), keep_going, until: Until::End };
        let ran = self.text(list, text);
        self.finished(list, ran)
    }

    /// The outcome of a list, after the commands of the stop points that ended it.
    pub(super) fn finished(&mut self, list: List<'_>, ran: Ran) -> Outcome {
        match ran {
            Ran::Whole(outcome) => *outcome,
            Ran::Moved(then) => self.follow(list.id, then, list.keep_going),
        }
    }

    /// Runs the commands of stop points. A command that moves the cursor is the last of its list and ends the lists
    /// after it, because the model is elsewhere then; the stop there has its own commands.
    pub(super) fn follow(&mut self, id: u64, lists: Vec<Follow>, keep_going: bool) -> Outcome {
        let mut lists = VecDeque::from(lists);
        let mut last = Outcome::of(Answer::Text(String::new()));
        while let Some(list) = lists.pop_front() {
            let name = list.name.as_str();
            let outer = self.given.take();
            let ran = self.text(List { id, name, file: Some(name), keep_going, until: Until::Moved }, &list.text);
            self.given = outer;
            match ran {
                Ran::Whole(outcome) if outcome.quit.is_some() || fault_of(&outcome.answer).is_some() => {
                    return *outcome;
                }
                Ran::Whole(outcome) => last = *outcome,
                Ran::Moved(then) => lists = then.into(),
            }
        }
        last
    }

    fn text(&mut self, list: List<'_>, text: &str) -> Ran {
        match script::parse(text).and_then(|commands| tree(&commands)) {
            Ok(nodes) => self.list(list, &nodes),
            Err((line, message)) => Ran::whole(located(refused(message), list.file, line)),
        }
    }

    pub(super) fn list(&mut self, list: List<'_>, nodes: &[Node]) -> Ran {
        match self.nodes(list, nodes) {
            Flow::Ended(ran) => ran,
            Flow::On(Some(fault), failures) => {
                let message = format!("{}: {failures} of {} commands failed", list.name, nodes.len());
                Ran::whole(failure(message, fault))
            }
            Flow::On(None, _) | Flow::Break | Flow::Continue => Ran::whole(Outcome::of(Answer::Text(String::new()))),
        }
    }

    /// Runs commands in order; continues after a failure only if the list says so.
    fn nodes(&mut self, list: List<'_>, nodes: &[Node]) -> Flow {
        let mut first = None;
        let mut failures = 0;
        for node in nodes {
            if let Some(interrupted) = self.interrupted(list, node.command.line) {
                return interrupted;
            }
            match self.node(list, node) {
                Flow::On(None, _) => {}
                Flow::On(Some(fault), _) => {
                    failures += 1;
                    first = first.or(Some(fault));
                    if !list.keep_going {
                        let message = format!("{}: stopped at line {}", list.name, node.command.line);
                        return Flow::ended(failure(message, fault));
                    }
                }
                other => return other,
            }
        }
        Flow::On(first, failures)
    }

    fn interrupted(&self, list: List<'_>, line: usize) -> Option<Flow> {
        self.interrupt
            .load(Ordering::SeqCst)
            .then(|| Flow::ended(refused(format!("{}: interrupted before line {line}", list.name))))
    }

    fn node(&mut self, list: List<'_>, node: &Node) -> Flow {
        match &node.kind {
            NodeKind::Break => Flow::Break,
            NodeKind::Continue => Flow::Continue,
            NodeKind::Line => self.line(list, &node.command),
            NodeKind::If { arms, otherwise } => {
                for (head, body) in arms {
                    match self.holds(list, head) {
                        Ok(true) => return self.nodes(list, body),
                        Ok(false) => {}
                        Err(fault) => return Flow::On(Some(fault), 1),
                    }
                }
                self.nodes(list, otherwise)
            }
            NodeKind::While(body) => {
                let mut first = None;
                loop {
                    if let Some(interrupted) = self.interrupted(list, node.command.line) {
                        return interrupted;
                    }
                    match self.holds(list, &node.command) {
                        Ok(true) => {}
                        Ok(false) => return Flow::On(first, 1),
                        Err(fault) => return Flow::On(first.or(Some(fault)), 1),
                    }
                    match self.nodes(list, body) {
                        Flow::On(fault, _) => first = first.or(fault),
                        Flow::Break => return Flow::On(first, 1),
                        Flow::Continue => {}
                        ended => return ended,
                    }
                }
            }
            NodeKind::Define(_) | NodeKind::Document(_) => {
                let outcome = self.timed(|engine| engine.define(node, list.file));
                self.report(list, &node.command, outcome)
            }
        }
    }

    /// Whether the condition of a line holds. If it cannot be evaluated, that is reported as a failure.
    fn holds(&mut self, list: List<'_>, head: &Command) -> Result<bool, Fault> {
        let mut truth = false;
        let done = self.timed(|engine| match engine.condition(&head.text) {
            Ok(holds) => {
                truth = holds;
                Outcome::of(Answer::Text(String::new()))
            }
            Err(error) => Outcome::of(Answer::Error(error)),
        });
        match fault_of(&done.outcome.answer) {
            None => Ok(truth),
            Some(fault) => {
                _ = self.report(list, head, done);
                Err(fault)
            }
        }
    }

    /// Reports a command that runs no other commands.
    fn report(&mut self, list: List<'_>, command: &Command, mut done: Done) -> Flow {
        done.outcome = located(done.outcome, list.file, command.line);
        let fault = fault_of(&done.outcome.answer);
        self.within(list.id, command.text.clone(), done);
        Flow::On(fault, 1)
    }

    fn line(&mut self, list: List<'_>, command: &Command) -> Flow {
        let given = self.given.as_deref();
        let text = match given.map_or(Ok(command.text.clone()), |given| substituted(&command.text, given)) {
            Ok(text) => text,
            Err(error) => {
                let done = self.timed(|_| refused(error));
                return self.report(list, command, done);
            }
        };
        let source = list.source(command.line);
        let mut done = self.timed(|engine| engine.execute(list.id, &text, &source, list.keep_going));
        if self.verbose {
            let shown = text.lines().map(|line| format!("+{line}"));
            done.outcome.printed = shown.chain(std::mem::take(&mut done.outcome.printed)).collect();
        }
        done.outcome = located(done.outcome, list.file, command.line);
        let then = std::mem::take(&mut done.outcome.then);
        let quit = done.outcome.quit;
        let fault = fault_of(&done.outcome.answer);
        let stop = match &done.outcome.answer {
            Answer::Stop(stop) => Some(stop.reason),
            _ => None,
        };
        self.within(list.id, text, done);
        if quit.is_some() {
            return Flow::ended(Outcome { quit, ..Outcome::of(Answer::Text(String::new())) });
        }
        if stop == Some(Reason::Interrupt) {
            return Flow::ended(refused(format!("{}: interrupted at line {}", list.name, command.line)));
        }
        if stop.is_some() && list.until == Until::Moved {
            return Flow::Ended(Ran::Moved(then));
        }
        let after = self.follow(list.id, then, list.keep_going);
        if after.quit.is_some() {
            return Flow::ended(after);
        }
        Flow::On(fault.or(fault_of(&after.answer)), 1)
    }

    /// Reports a command that ran inside another.
    pub(super) fn within(&mut self, id: u64, line: String, done: Done) {
        self.moved(&done.outcome);
        if let Some(captured) = &mut self.captured
            && fault_of(&done.outcome.answer).is_none()
        {
            captured.extend(done.outcome.printed);
            captured.extend(text::lines(&done.outcome.answer, None));
            return;
        }
        self.write_down(&line, &done.outcome);
        let Done { outcome: Outcome { answer, printed, .. }, at, ms } = done;
        self.send(Event::Answer(Answered { id, line, answer, at, ms, printed, in_script: true }));
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub id: u64,
    pub name: &'a str,
    /// The file that errors name; `None` for what was typed.
    pub file: Option<&'a str>,
    pub keep_going: bool,
    pub until: Until,
}

impl List<'_> {
    fn source(&self, line: usize) -> Source {
        match self.file {
            Some(file) => Source::Script { file: file.to_string(), line },
            None => Source::Option,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    End,
    Moved,
}

pub(super) enum Ran {
    /// At its end, or at a failure that stopped it.
    Whole(Box<Outcome>),
    /// At a motion; with the commands of the stop points that stopped the motion.
    Moved(Vec<Follow>),
}

impl Ran {
    fn whole(outcome: Outcome) -> Ran {
        Ran::Whole(Box::new(outcome))
    }
}

enum Flow {
    /// With the next command; holds the first failure and the number of failures.
    On(Option<Fault>, usize),
    Break,
    Continue,
    Ended(Ran),
}

impl Flow {
    fn ended(outcome: Outcome) -> Flow {
        Flow::Ended(Ran::whole(outcome))
    }
}

/// A command that was wrong or cannot be done.
pub(super) fn refused(message: impl Display) -> Outcome {
    failure(message, Fault::Command)
}

fn failure(message: impl Display, fault: Fault) -> Outcome {
    Outcome::of(Answer::Error(ErrorView { message: message.to_string(), fault, ..ErrorView::default() }))
}

pub(super) fn fault_of(answer: &Answer) -> Option<Fault> {
    match answer {
        Answer::Error(error) => Some(error.fault),
        _ => None,
    }
}

/// Adds to an error the script and the line that it comes from, unless it comes from a nested script.
fn located(mut outcome: Outcome, file: Option<&str>, line: usize) -> Outcome {
    if let (Answer::Error(error), Some(file)) = (&mut outcome.answer, file) {
        error.file.get_or_insert_with(|| file.to_string());
        error.line.get_or_insert(line);
    }
    outcome
}
