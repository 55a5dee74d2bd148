//! A copy of the session in which an investigation runs: whatever it does there, the session is as it was.

use std::collections::HashMap;
use std::mem::take;
use std::sync::atomic::Ordering;

use super::plan::OUTSIDE;
use super::predicate::Answered;
use crate::answer::{Answer, ErrorView, Reason};
use crate::commands::state::{Console, Directory};
use crate::debugger::sides::Peer;
use crate::debugger::{Error, Mark, Result, Session};
use crate::lang::command::split_command;
use crate::lang::eval::Datum;
use crate::lang::{Span, parse_expr};
use crate::tensor::{TensorError, proceed};

/// The copy, and what has run in it. It shares the values of the session; other models and dumps are lent to it, and are given back
/// when this is dropped, whatever happens before.
pub struct Scratch<'a> {
    console: Console,
    lender: &'a mut Console,
    all: &'static Directory,
    /// The name of the model under investigation among those of the session.
    pub own: String,
    /// The branch that experiments start from.
    pub here: String,
    /// Every command that ran, and what it answered.
    pub steps: Vec<(String, Answer)>,
    /// The same as a script, with what was measured as assertions.
    pub script: Vec<String>,
    known: HashMap<String, Answered>,
    tries: usize,
    /// The other models and dumps of the session, in their order, and where each model was.
    names: Vec<(String, Option<Place>)>,
    /// Commands that set settings back that the present experiment has changed.
    lent: Vec<String>,
}

impl<'a> Scratch<'a> {
    /// A copy of the session of a console; with its stop points, if they are part of what is wrong.
    pub fn new(lender: &'a mut Console, all: &'static Directory, with_stops: bool) -> Scratch<'a> {
        let from = &mut lender.session;
        let mut session = Session::from_run(from.run.clone(), from.interrupt.clone());
        (session.name, session.title) = (from.name.clone(), from.title.clone());
        (session.focus, session.adapter) = (from.focus, from.adapter.clone());
        (session.history, session.variables) = (from.history.clone(), from.variables.clone());
        if with_stops {
            session.stops = from.stops.clone();
        }
        session.peers = take(&mut from.peers);
        let place = |peer: &Peer| match peer {
            Peer::Model(other) => Some(Place { live: other.run.live, branch: other.run.current, at: other.run.mark() }),
            Peer::Dump(_) => None,
        };
        let names = session.peers.iter().map(|(name, peer)| (name.clone(), place(peer))).collect();
        let (own, here) = (session.name.clone(), session.run.branch().name.clone());
        let mut console = Console::new(session, lender.model_name.clone());
        (console.chat, console.template) = (lender.chat, lender.template.clone());
        (console.conversations, console.chosen) = (lender.conversations.clone(), lender.chosen.clone());
        Scratch {
            console,
            lender,
            all,
            own,
            here,
            steps: Vec::new(),
            script: Vec::new(),
            known: HashMap::new(),
            tries: 0,
            names,
            lent: Vec::new(),
        }
    }

    pub fn session(&self) -> &Session {
        &self.console.session
    }

    /// Runs a line; what a command refuses is an answer. The same line asked of the same branch is asked once.
    ///
    /// # Errors
    /// If the user interrupts, or the device fails.
    pub fn ask(&mut self, line: &str) -> Result<Answered> {
        if let Some(known) = self.known.get(line) {
            return Ok(known.clone());
        }
        let answered = self.run(line)?;
        self.known.insert(line.to_string(), answered.clone());
        Ok(answered)
    }

    /// The same each time anew, for what changes something.
    ///
    /// # Errors
    /// As [`ask`](Scratch::ask).
    pub fn run(&mut self, line: &str) -> Result<Answered> {
        let restoring = line.strip_prefix("set ").and_then(|setting| self.console.restoring(setting).ok());
        let outside = split_command(line).and_then(|call| self.all.find(call.word, call.span).ok());
        let done = match outside.map(|command| command.name).filter(|name| OUTSIDE.contains(name)) {
            Some(name) => Err(Error::refused(format!("a plan cannot run {name}"))),
            None => self.all.carry_out(&mut self.console, line),
        };
        let mut printed = take(&mut self.console.session.printed);
        printed.append(&mut self.console.printed);
        let answer = match done {
            Ok(Answer::Stop(stop)) if stop.reason == Reason::Interrupt => {
                // A motion takes the flag as its own: the rest is to end too.
                self.console.session.interrupt.store(true, Ordering::SeqCst);
                proceed()?;
                Answer::Stop(stop)
            }
            Ok(answer) => answer,
            Err(error) if ends(&error) => return Err(error),
            Err(error) => Answer::Error(ErrorView::new(&error, line)),
        };
        // A script ends at what fails.
        let failed = matches!(answer, Answer::Error(_));
        self.script.push(if failed { format!("# refused: {line}") } else { line.to_string() });
        self.steps.push((line.to_string(), answer.clone()));
        if let (Some(back), false) = (restoring, failed) {
            self.lent.push(back);
        }
        Ok(Answered::of(line, answer, &printed))
    }

    /// A comment of the script.
    pub fn note(&mut self, words: &str) {
        self.script.extend(words.lines().map(|line| format!("# {line}")));
    }

    /// The number of an expression; what cannot be computed is an error in words.
    ///
    /// # Errors
    /// As [`ask`](Scratch::ask).
    pub fn number(&mut self, variable: &str, expression: &str) -> Result<Result<f64, String>> {
        let answered = self.run(&format!("set ${variable} = {expression}"))?;
        if let Answer::Error(error) = answered.answer {
            return Ok(Err(first_line(&error.message)));
        }
        Ok(self.console.session.variable(variable).number(Span::at(0)).map_err(|error| error.message))
    }

    /// Sets a variable to a number that was measured without an expression.
    pub fn keep(&mut self, variable: &str, x: f64) {
        self.console.session.variables.insert(variable.into(), Datum::Num(x));
        self.script.push(format!("set ${variable} = {}", literal(x)));
    }

    /// Whether a condition holds; the script asserts that it does, or that it does not. A condition that cannot be evaluated does not
    /// hold.
    ///
    /// # Errors
    /// As [`ask`](Scratch::ask).
    pub fn holds(&mut self, condition: &str) -> Result<bool> {
        let truth = parse_expr(condition, 0).map_err(Error::from).and_then(|expr| self.console.evaluate(&expr));
        let holds = match truth {
            Ok(Datum::Bool(truth)) => truth,
            Ok(datum) => datum.number(Span::at(0)).is_ok_and(|x| x != 0.0),
            Err(error) if ends(&error) => return Err(error),
            Err(_) => {
                self.script.push(format!("# cannot be evaluated: {condition}"));
                return Ok(false);
            }
        };
        self.script.push(if holds { format!("assert {condition}") } else { format!("assert !({condition})") });
        Ok(holds)
    }

    /// Goes to a new branch with the edits of the one that experiments start from.
    ///
    /// # Errors
    /// As [`ask`](Scratch::ask).
    pub fn open(&mut self) -> Result<String> {
        loop {
            self.tries += 1;
            let name = format!("try{}", self.tries);
            if self.console.session.run.branch_named(&name).is_none()
                && self.console.session.peer_named(&name).is_none()
            {
                self.run(&format!("branch {name}"))?;
                self.run(&format!("checkout {name}"))?;
                return Ok(name);
            }
        }
    }

    /// Goes back to where experiments start from, with the settings as they were.
    ///
    /// # Errors
    /// As [`ask`](Scratch::ask).
    pub fn close(&mut self) -> Result<()> {
        if self.console.session.name != self.own {
            self.run(&format!("use {}", self.own))?;
        }
        for line in take(&mut self.lent).into_iter().rev() {
            self.run(&line)?;
        }
        self.lent.clear();
        self.run(&format!("checkout {}", self.here))?;
        Ok(())
    }

    /// Goes on from the branch of an experiment: what is asked from now on is asked there.
    pub fn go_on_here(&mut self) {
        self.here = self.console.session.run.branch().name.clone();
        self.known.clear();
        self.lent.clear();
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        if self.console.session.name != self.own {
            _ = self.all.carry_out(&mut self.console, &format!("use {}", self.own));
        }
        let mut peers = take(&mut self.console.session.peers);
        for (name, place) in &self.names {
            let Some(at) = peers.iter().position(|(known, _)| known == name) else { continue };
            let (name, mut peer) = peers.swap_remove(at);
            if let (Peer::Model(other), Some(place)) = (&mut peer, place) {
                place.restore(other);
            }
            self.lender.session.peers.push((name, peer));
        }
    }
}

/// Where a model was that is lent to an investigation.
struct Place {
    live: bool,
    branch: usize,
    at: Mark,
}

impl Place {
    /// Goes back there. What has been computed meanwhile stays, unless nothing had been started.
    fn restore(&self, session: &mut Session) {
        let run = &mut session.run;
        if !self.live && run.live {
            run.kill();
        }
        if (run.current, run.mark()) != (self.branch, self.at) {
            // It has been there: its values are kept, or are computed again.
            _ = run.jump(self.branch, self.at);
            run.live = self.live;
        }
    }
}

/// Whether an error ends the investigation, and is no answer: the device failed, or the user interrupts.
fn ends(error: &Error) -> bool {
    error.cause().is_some_and(|cause| cause.is_fault() || matches!(cause, TensorError::Interrupted(_)))
}

/// A number as an expression.
pub fn literal(x: f64) -> String {
    match x {
        x if x.is_nan() => "nan".into(),
        x if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.into(),
        x => x.to_string(),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}
