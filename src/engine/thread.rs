//! The engine thread: builds the session, runs commands and scripts on it, and outlives their panics.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::Interpreter;
use super::history::Repeat;
use super::journal::Journal;
use super::lists::{failure, fault_of};
use super::log::Log;
use super::messages::{Event, Pc, Request, Source};
use super::resume::fate_of;
use super::script::{self, Builtin, Opener, opener};
use super::user::User;
use crate::answer::{Answer, ErrorView, Fault};
use crate::commands::{Journalled, Outcome};
use crate::lang::command::split_command;
use crate::tensor::{Report, compute_here, interruptible, reporting};

/// Progress is reported at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Room for deep recursion in expression evaluation and in kernels.
const STACK: usize = 32 << 20;

/// The ends of the channels to an engine thread. The thread ends with [`Request::Shutdown`], after `quit`, or when every
/// sender of requests is gone.
pub struct Handle {
    /// To the engine.
    pub requests: Sender<Request>,
    /// From the engine.
    pub events: Receiver<Event>,
    /// The thread.
    pub join: std::thread::JoinHandle<()>,
}

/// Starts the engine thread. `open` runs on it and builds the session; setting `interrupt` asks a running model to pause
/// at its next op (the session looks at the flag; it is cleared before each request).
pub fn spawn<F>(open: F, interrupt: Arc<AtomicBool>) -> std::io::Result<Handle>
where
    F: FnOnce() -> Result<Box<dyn Interpreter>, String> + Send + 'static,
{
    spawn_with(open, interrupt, Setup::default())
}

/// What an engine is given besides its session.
#[derive(Debug, Default)]
pub struct Setup {
    /// Where commands that change state are written.
    pub journal: Journal,
    /// Files of the user's own, and folders of such: they may run programs.
    pub own_files: Vec<PathBuf>,
    /// Whether snapshots are drawn, so that values are looked at for their marks.
    pub drawn: bool,
}

/// The same with a journal of the commands.
pub fn spawn_with<F>(open: F, interrupt: Arc<AtomicBool>, setup: Setup) -> std::io::Result<Handle>
where
    F: FnOnce() -> Result<Box<dyn Interpreter>, String> + Send + 'static,
{
    quiet_panics_of_the_engine();
    let (request_sender, requests) = unbounded();
    let (event_sender, events) = unbounded();
    let join = std::thread::Builder::new().name("engine".into()).stack_size(STACK).spawn(move || {
        ON_ENGINE.set(true);
        compute_here();
        let meter = Rc::new(Meter::new(event_sender.clone()));
        let reported = meter.clone();
        let report: Report = Rc::new(move |what, done, total| reported.report(what, done, total));
        reporting(report, || match guard(|| interruptible(&interrupt, open)).unwrap_or_else(Err) {
            Ok(mut interpreter) => {
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
                    journal: setup.journal,
                    own_files: setup.own_files,
                    transcript: None,
                    log: None,
                    captured: None,
                };
                engine.serve(&requests);
            }
            Err(message) => _ = event_sender.send(Event::LoadFailed(message)),
        });
    })?;
    Ok(Handle { requests: request_sender, events, join })
}

thread_local! {
    static ON_ENGINE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is an engine thread, whose panics are caught and answered. Panic hooks that restore the
/// terminal ask this first.
pub fn on_engine_thread() -> bool {
    ON_ENGINE.get()
}

/// Panics of the engine go to the log instead of the screen; those of other threads to the hook that was there before.
fn quiet_panics_of_the_engine() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if on_engine_thread() {
                tracing::error!("panic in the engine: {info}\n{}", std::backtrace::Backtrace::force_capture());
            } else {
                others(info);
            }
        }));
    });
}

/// Runs `f`; a panic in it becomes an error message.
fn guard<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        format!("internal error: {} (please report; the session continues)", panic_message(payload.as_ref()))
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}

/// Passes progress on, but not more often than a person can read it.
pub(super) struct Meter {
    events: Sender<Event>,
    last: Cell<Instant>,
    /// What is reported in place of the step's own words: which command of a journal is carried out again.
    pub(super) instead: RefCell<Option<String>>,
}

impl Meter {
    fn new(events: Sender<Event>) -> Meter {
        Meter { events, last: Cell::new(Instant::now()), instead: RefCell::new(None) }
    }

    /// From here on it is another piece of work, which is not reported if it is short.
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

/// A command that was carried out.
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
    /// Commands of the user's own.
    pub(super) user: User,
    /// The arguments of the one that runs.
    pub(super) given: Option<Vec<String>>,
    /// The hooks that are running.
    pub(super) hooks: Vec<String>,
    /// How many commands of the user's own run each other.
    pub(super) depth: usize,
    /// Whether commands of scripts are shown before they run.
    pub(super) verbose: bool,
    /// Where commands that change state are written.
    pub(super) journal: Journal,
    /// Where commands and answers are written as they are shown.
    pub(super) transcript: Option<File>,
    /// Where answers alone are.
    pub(super) log: Option<Log>,
    /// What commands inside a `pipe` have answered so far.
    pub(super) captured: Option<Vec<String>>,
    /// Files of the user's own, and folders of such.
    pub(super) own_files: Vec<PathBuf>,
}

impl Engine {
    fn serve(mut self, requests: &Receiver<Request>) {
        match guard(|| self.interpreter.snapshot()) {
            Ok(snapshot) => self.send(Event::Ready(snapshot)),
            Err(message) => return self.send(Event::LoadFailed(message)),
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
                    let panel = guard(|| self.interpreter.panel(&request)).unwrap_or_else(Err);
                    self.send(Event::Panel { request, panel });
                    None
                }
                Request::Query { line } => {
                    self.meter.begin();
                    let answer = guard(|| self.interpreter.query(&line));
                    let answer = answer.unwrap_or_else(|message| failure(&message, Fault::Model).answer);
                    self.send(Event::Queried { line, answer });
                    None
                }
                Request::Check { line } => {
                    // Commands of the user's own are known here alone.
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
            if quit.is_some() {
                return;
            }
        }
    }

    /// The frontend may be gone already; then there is nobody to tell.
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

    /// Tells the frontend about a finished request. Gives the status that `quit` asked for.
    fn finish(&mut self, id: u64, line: String, done: Done) -> Option<i32> {
        self.moved(&done.outcome);
        self.write_down(&line, &done.outcome);
        let Done { outcome: Outcome { answer, printed, quit, .. }, at, ms } = done;
        if let Some(status) = quit {
            self.send(Event::Quit(status));
        }
        self.send(Event::Answer { id, line, answer, at, ms, printed });
        quit
    }

    pub(super) fn moved(&mut self, outcome: &Outcome) {
        if outcome.changed {
            match guard(|| self.interpreter.snapshot()) {
                Ok(snapshot) => self.send(Event::Moved(snapshot)),
                Err(message) => tracing::error!("no snapshot: {message}"),
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

    /// Carries out one command line, nested scripts and hooks included.
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

    /// The outcome of a command that was carried out, and after which something else failed: both are told.
    fn after_all(&mut self, id: u64, line: &str, mut done: Done, mut ended: Outcome) -> Outcome {
        let left_out = !std::mem::take(&mut done.outcome.then).is_empty();
        if let Answer::Error(error) = &mut ended.answer {
            let head = line.lines().next().unwrap_or_default();
            error.message += &format!("; \"{head}\" itself was carried out");
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
            Some(Builtin::Source { name: "", .. }) => failure("source needs a file name", Fault::Command),
            Some(Builtin::Source { name, verbose }) => {
                let folder = match source {
                    Source::Script { file, .. } => Path::new(file).parent(),
                    _ => None,
                };
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

    /// A command as the session carries it out, without hooks and without a trace in the journal.
    pub(super) fn interpreted(&mut self, line: &str, source: &Source) -> Outcome {
        self.meter.begin();
        guard(|| self.interpreter.execute(line, source))
            .unwrap_or_else(|message| Outcome { changed: true, ..failure(&message, Fault::Model) })
    }

    /// Runs a command while a setting is another one.
    fn with(&mut self, id: u64, rest: &str, source: &Source, keep_going: bool) -> Outcome {
        let Some((setting, command)) = rest.split_once(" -- ").filter(|(_, command)| !command.trim().is_empty()) else {
            return failure("expected with SETTING VALUE -- COMMAND", Fault::Command);
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

    /// Whether the condition of an `if` or `while` line holds.
    pub(super) fn holds_in_session(&mut self, line: &str) -> Result<bool, ErrorView> {
        let interpreter = &mut self.interpreter;
        guard(|| interpreter.condition(line))
            .unwrap_or_else(|message| Err(ErrorView { message, fault: Fault::Model, ..ErrorView::default() }))
    }
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
