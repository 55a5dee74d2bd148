//! The engine as batch mode and the plain prompt use it: one request at a time.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Action;
use super::progress::Line;
use crate::answer::Answer;
use crate::engine::messages::{Answered, Event, Request, Snapshot, Source};
use crate::engine::thread::Handle;

/// Why the engine has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// `quit` was given, with this status.
    Quit(i32),
    /// Loading failed, or the thread ended; holds a message.
    Failed(String),
}

/// What batch mode and the plain prompt have in common.
#[derive(Clone, Copy, Default)]
pub struct Given<'a> {
    /// Commands and scripts, in order.
    pub actions: &'a [Action],
    /// Whether to continue after a failed command.
    pub keep_going: bool,
    /// Show progress on the error output, which must be a terminal.
    pub progress: bool,
    /// Set when the model is loaded.
    pub loaded: Option<&'a AtomicBool>,
}

pub struct Client {
    handle: Handle,
    next: u64,
    snapshot: Arc<Snapshot>,
}

impl Client {
    pub fn new(handle: Handle) -> Client {
        Client { handle, next: 1, snapshot: Arc::default() }
    }

    /// Waits until the session is ready, and prints its notices. The progress of loading is shown if `given` asks for
    /// it.
    pub fn ready(&mut self, given: &Given<'_>, err: &mut dyn Write) -> io::Result<Result<Arc<Snapshot>, Ended>> {
        let mut line = Line::new(given.progress);
        let ready = loop {
            match self.handle.events.recv() {
                Ok(Event::Ready(snapshot)) => break Ok(snapshot),
                Ok(Event::Progress { what, done, total }) => line.report(err, &what, done, total),
                Ok(Event::LoadFailed(message)) => break Err(Ended::Failed(message)),
                Ok(_) => {}
                Err(_) => break Err(gone()),
            }
        };
        line.clear(err)?;
        if let Ok(snapshot) = &ready {
            self.snapshot = snapshot.clone();
        }
        if let Some(loaded) = given.loaded {
            loaded.store(true, Ordering::SeqCst);
        }
        for notice in ready.iter().flat_map(|snapshot| &snapshot.notices) {
            writeln!(err, "llmdbg: {notice}")?;
        }
        Ok(ready)
    }

    /// Runs a command line. Every answer goes to `each`: those of the commands of a script that it runs, then its own.
    /// `progress` receives the progress of the command.
    pub fn command<E>(
        &mut self,
        line: &str,
        source: Source,
        each: impl FnMut(Answered) -> Result<(), E>,
        progress: impl FnMut(&str, u64, u64),
    ) -> Result<Option<Ended>, E> {
        let id = self.id();
        self.ask(Request::Command { id, line: line.to_string(), source }, id, each, progress)
    }

    pub fn script<E>(
        &mut self,
        file: &Path,
        keep_going: bool,
        each: impl FnMut(Answered) -> Result<(), E>,
    ) -> Result<Option<Ended>, E> {
        let id = self.id();
        self.ask(Request::Script { id, file: file.to_path_buf(), keep_going }, id, each, |_, _, _| ())
    }

    /// The session as the last command left it.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The answer of a read-only command, which leaves nothing behind.
    pub fn query(&mut self, line: &str) -> Result<Answer, Ended> {
        let request = Request::Query { line: line.to_string() };
        if self.handle.requests.send(request).is_ok() {
            while let Ok(event) = self.handle.events.recv() {
                match event {
                    Event::Queried { answer, .. } => return Ok(answer),
                    Event::LoadFailed(message) => return Err(Ended::Failed(message)),
                    event => self.note(&event),
                }
            }
        }
        Err(gone())
    }

    /// Takes note of a state of the session.
    fn note(&mut self, event: &Event) {
        if let Event::Moved(snapshot) = event {
            self.snapshot = snapshot.clone();
        }
    }

    /// Candidates for the text before byte `cursor` of `line`.
    pub fn complete(&mut self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let request = Request::Complete { line: line.to_string(), cursor };
        if self.handle.requests.send(request).is_ok() {
            while let Ok(event) = self.handle.events.recv() {
                if let Event::Completions { start, candidates } = event {
                    return (start, candidates);
                }
            }
        }
        (cursor, Vec::new())
    }

    /// Ends the engine and waits for its end.
    pub fn shut_down(self) {
        // Both fail only if the engine has already ended.
        _ = self.handle.requests.send(Request::Shutdown);
        _ = self.handle.join.join();
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn ask<E>(
        &mut self,
        request: Request,
        wanted: u64,
        mut each: impl FnMut(Answered) -> Result<(), E>,
        mut progress: impl FnMut(&str, u64, u64),
    ) -> Result<Option<Ended>, E> {
        if self.handle.requests.send(request).is_err() {
            return Ok(Some(gone()));
        }
        let mut quit = None;
        loop {
            match self.handle.events.recv() {
                Ok(Event::Answer(answered)) if answered.in_script => each(answered)?,
                Ok(Event::Answer(answered)) if answered.id == wanted => {
                    each(answered)?;
                    return Ok(quit);
                }
                Ok(Event::Progress { what, done, total }) => progress(&what, done, total),
                Ok(Event::LoadFailed(message)) => return Ok(Some(Ended::Failed(message))),
                Ok(Event::Quit(status)) => quit = Some(Ended::Quit(status)),
                Ok(event) => self.note(&event),
                Err(_) => return Ok(Some(quit.unwrap_or_else(gone))),
            }
        }
    }
}

fn gone() -> Ended {
    Ended::Failed("the engine thread has ended unexpectedly".to_string())
}
