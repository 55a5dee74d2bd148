//! The engine as batch mode and the plain prompt use it: one request at a time.

use std::path::Path;
use std::sync::Arc;

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

/// The engine, with one request at a time.
pub struct Client {
    handle: Handle,
    next: u64,
}

impl Client {
    /// Takes over a fresh engine.
    pub fn new(handle: Handle) -> Client {
        Client { handle, next: 1 }
    }

    /// Waits until the session is ready. `progress` receives the progress of loading.
    pub fn ready(&mut self, mut progress: impl FnMut(&str, u64, u64)) -> Result<Arc<Snapshot>, Ended> {
        loop {
            match self.handle.events.recv() {
                Ok(Event::Ready(snapshot)) => return Ok(snapshot),
                Ok(Event::Progress { what, done, total }) => progress(&what, done, total),
                Ok(Event::LoadFailed(message)) => return Err(Ended::Failed(message)),
                Ok(_) => {}
                Err(_) => return Err(gone()),
            }
        }
    }

    /// Runs a command line. Every answer goes to `each`: those of the commands of a script that it runs, then its own.
    pub fn command<E>(
        &mut self,
        line: &str,
        source: Source,
        each: impl FnMut(Answered) -> Result<(), E>,
    ) -> Result<Option<Ended>, E> {
        self.command_with_progress(line, source, each, |_, _, _| ())
    }

    /// Like [`Client::command`]; `progress` receives the progress of the command.
    pub fn command_with_progress<E>(
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
                Ok(Event::Quit(status)) => quit = Some(Ended::Quit(status)),
                Ok(_) => {}
                Err(_) => return Ok(Some(quit.unwrap_or_else(gone))),
            }
        }
    }
}

fn gone() -> Ended {
    Ended::Failed("the engine thread has ended unexpectedly".to_string())
}
