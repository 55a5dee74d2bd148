//! The engine thread: builds the session, runs commands and scripts on it, and outlives their panics.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::Interpreter;
use super::history::Repeat;
use super::journal::{Journal, Recorder, Start};
use super::log::Log;
use super::messages::{Answered, Event, Pc, Request, Source};
use super::panics::{enter_engine, guard, log_panics};
use super::script::{self, opener};
use super::user::User;
use crate::answer::Answer;
use crate::commands::Outcome;
use crate::lang::command::split_command;
use crate::tensor::{Report, compute_here, interruptible, reporting};

/// Progress is reported at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Stack size that allows for deep recursion in expressions and in kernels.
const STACK: usize = 32 << 20;

/// The ends of the channels to an engine thread. The thread ends with [`Request::Shutdown`], after `quit`, or when
/// every sender of requests is gone.
pub struct Handle {
    pub requests: Sender<Request>,
    pub events: Receiver<Event>,
    pub join: std::thread::JoinHandle<()>,
}

#[derive(Debug, Default)]
pub struct Setup {
    pub journal: Journal,
    /// How the program was started, for core files; `None` if it cannot be started so again.
    pub start: Option<Start>,
    /// Files and folders that belong to the user: their commands may run programs.
    pub own_files: Vec<PathBuf>,
    /// Whether a screen shows snapshots, so that values are searched for NaN and infinities.
    pub drawn: bool,
    /// Whether the session goes on after `quit`, which then ends what its user sees of it and nothing else.
    pub outlives: bool,
}

/// Starts the engine thread. `open` runs on it and builds the session; setting `interrupt` asks a running model to
/// pause at its next op (the session looks at the flag; it is cleared before each request).
pub fn spawn<F, E>(open: F, interrupt: Arc<AtomicBool>, setup: Setup) -> std::io::Result<Handle>
where
    F: FnOnce() -> Result<Box<dyn Interpreter>, E> + Send + 'static,
    E: Error,
{
    log_panics();
    let (request_sender, requests) = unbounded();
    let (event_sender, events) = unbounded();
    let join = std::thread::Builder::new().name("engine".into()).stack_size(STACK).spawn(move || {
        enter_engine();
        compute_here();
        let meter = Rc::new(Meter::new(event_sender.clone()));
        let reported = meter.clone();
        let report: Report = Rc::new(move |what, done, total| reported.report(what, done, total));
        reporting(report, || match guard(|| interruptible(&interrupt, open)) {
            Ok(Ok(mut interpreter)) => {
                if setup.drawn {
                    interpreter.watch_values();
                }
                let engine = Engine {
                    interpreter,
                    events: event_sender,
                    meter,
                    interrupt: interrupt.clone(),
                    repeat: Repeat::default(),
                    running: Vec::new(),
                    user: User::default(),
                    given: None,
                    hooks: Vec::new(),
                    depth: 0,
                    verbose: false,
                    journal: Recorder::new(setup.journal, setup.start),
                    own_files: setup.own_files,
                    transcript: None,
                    log: None,
                    captured: None,
                };
                engine.serve(&requests, setup.outlives);
            }
            Ok(Err(error)) => _ = event_sender.send(Event::LoadFailed(error.to_string())),
            Err(panicked) => _ = event_sender.send(Event::LoadFailed(panicked.to_string())),
        });
    })?;
    Ok(Handle { requests: request_sender, events, join })
}

/// Forwards progress, but not more often than a person can read it.
pub(super) struct Meter {
    events: Sender<Event>,
    last: Cell<Instant>,
    /// What is reported instead of the step's own words: the command of a journal that is running again.
    pub(super) instead: RefCell<Option<String>>,
}

impl Meter {
    fn new(events: Sender<Event>) -> Meter {
        Meter { events, last: Cell::new(Instant::now()), instead: RefCell::new(None) }
    }

    /// Begins another piece of work, which is not reported if it is short.
    fn begin(&self) {
        self.last.set(Instant::now());
    }

    fn report(&self, what: &str, done: u64, total: u64) {
        if self.last.get().elapsed() >= PROGRESS_INTERVAL {
            self.begin();
            let what = self.instead.borrow().clone().unwrap_or_else(|| what.to_string());
            _ = self.events.send(Event::Progress { what, done, total });
        }
    }
}

pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) at: Option<Pc>,
    pub(super) ms: f64,
}

pub(super) struct Engine {
    pub(super) interpreter: Box<dyn Interpreter>,
    events: Sender<Event>,
    pub(super) meter: Rc<Meter>,
    pub(super) interrupt: Arc<AtomicBool>,
    repeat: Repeat,
    /// The script files that are running, outermost first.
    pub(super) running: Vec<PathBuf>,
    pub(super) user: User,
    /// The arguments of the one that is running.
    pub(super) given: Option<Vec<String>>,
    pub(super) hooks: Vec<String>,
    /// How many commands that the user defined are running inside each other.
    pub(super) depth: usize,
    /// Whether commands of scripts are shown before they run.
    pub(super) verbose: bool,
    pub(super) journal: Recorder,
    /// The file that commands and answers are written to, as they are shown.
    pub(super) transcript: Option<File>,
    /// The file that answers alone are written to.
    pub(super) log: Option<Log>,
    /// The answers of the commands inside a `pipe` so far.
    pub(super) captured: Option<Vec<String>>,
    /// Files and folders that belong to the user.
    pub(super) own_files: Vec<PathBuf>,
}

impl Engine {
    fn serve(mut self, requests: &Receiver<Request>, outlives: bool) {
        match guard(|| self.interpreter.snapshot()) {
            Ok(snapshot) => self.send(Event::Ready(snapshot)),
            Err(panicked) => return self.send(Event::LoadFailed(panicked.to_string())),
        }
        for request in requests {
            self.interrupt.store(false, Ordering::SeqCst);
            let quit = match request {
                Request::Command { id, line, source } => self.command(id, line, source),
                Request::Script { id, file, keep_going } => {
                    let done = self.timed(|engine| engine.script(id, &file, keep_going, false));
                    self.finish(id, format!("source {}", file.display()), done)
                }
                Request::Panel(request) => {
                    let panel =
                        guard(|| self.interpreter.panel(&request)).unwrap_or_else(|panicked| Err(panicked.into()));
                    self.send(Event::Panel { request, panel });
                    None
                }
                Request::Query { line } => {
                    self.meter.begin();
                    let answer = guard(|| self.interpreter.query(&line));
                    let answer = answer.unwrap_or_else(|panicked| Answer::Error(panicked.into()));
                    self.send(Event::Queried { line, answer });
                    None
                }
                Request::Check { line } => {
                    // The session does not know the commands that the user defined.
                    let own =
                        split_command(&line).is_some_and(|call| self.own_names("").contains(&call.word.to_string()));
                    let builtin = script::builtin(&line).is_some() || opener(&line).is_some();
                    let fault = match own || builtin {
                        true => None,
                        false => guard(|| self.interpreter.fault_in(&line)).unwrap_or_default(),
                    };
                    self.send(Event::Checked { line, fault });
                    None
                }
                Request::Complete { line, cursor } => {
                    let none = |_| (cursor, Vec::new());
                    let (start, mut candidates) =
                        guard(|| self.interpreter.complete(&line, cursor)).unwrap_or_else(none);
                    if let Some(typed) = line.get(start..cursor)
                        && line[..start].trim().is_empty()
                    {
                        candidates.extend(self.own_names(typed));
                        candidates.sort();
                    }
                    self.send(Event::Completions { start, candidates });
                    None
                }
                Request::Shutdown => return,
            };
            if quit.is_some() && !outlives {
                return;
            }
        }
    }

    /// Sends an event. If the frontend is gone, it is dropped.
    pub(super) fn send(&self, event: Event) {
        _ = self.events.send(event);
    }

    fn command(&mut self, id: u64, line: String, source: Source) -> Option<i32> {
        let (line, source) = match source {
            Source::Prompt if line.trim().is_empty() => {
                (self.repeat.line().unwrap_or_default().to_string(), Source::Repeat)
            }
            _ => (line, source),
        };
        if line.trim().is_empty() {
            return self.finish(id, line, self.nothing());
        }
        if source == Source::Prompt {
            self.interpreter.typed(&line);
        }
        let mut done = self.timed(|engine| engine.execute(id, &line, &source, false));
        if source == Source::Prompt {
            self.repeat.note(&line, done.outcome.repeatable);
        }
        let then = std::mem::take(&mut done.outcome.then);
        if !then.is_empty() {
            let text = line.clone();
            done = self.timed(|engine| {
                engine.within(id, text, done);
                engine.follow(id, then, false)
            });
        }
        self.finish(id, line, done)
    }

    /// Reports a finished request to the frontend. Returns the status that `quit` asked for.
    fn finish(&mut self, id: u64, line: String, done: Done) -> Option<i32> {
        self.moved(&done.outcome);
        self.write_down(&line, &done.outcome);
        let Done { outcome: Outcome { answer, printed, quit, .. }, at, ms } = done;
        if let Some(status) = quit {
            self.send(Event::Quit(status));
        }
        self.send(Event::Answer(Answered { id, line, answer, at, ms, printed, in_script: false }));
        quit
    }

    pub(super) fn moved(&mut self, outcome: &Outcome) {
        if outcome.changed {
            match guard(|| self.interpreter.snapshot()) {
                Ok(snapshot) => self.send(Event::Moved(snapshot)),
                Err(panicked) => tracing::error!("no snapshot: {panicked}"),
            }
        }
    }

    pub(super) fn timed(&mut self, run: impl FnOnce(&mut Self) -> Outcome) -> Done {
        let start = Instant::now();
        let outcome = run(self);
        let ms = start.elapsed().as_secs_f64() * 1000.0;
        Done { outcome, at: self.place(), ms }
    }

    fn nothing(&self) -> Done {
        Done { outcome: Outcome::of(Answer::Text(String::new())), at: self.place(), ms: 0.0 }
    }

    pub(super) fn place(&self) -> Option<Pc> {
        guard(|| self.interpreter.place()).unwrap_or_default()
    }

    /// Runs a command in the session, without hooks and without recording it in the journal.
    pub(super) fn interpreted(&mut self, line: &str, source: &Source) -> Outcome {
        self.meter.begin();
        guard(|| self.interpreter.execute(line, source))
            .unwrap_or_else(|panicked| Outcome { changed: true, ..Outcome::of(Answer::Error(panicked.into())) })
    }
}
