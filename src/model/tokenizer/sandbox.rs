//! A tokenizer in a separate process, or in this one.
//!
//! In this process are those that are part of the program, and all of them where the program is a library of another
//! one.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::error::TokenizerError;
use super::library::{Answer, Change, Changed, Core, Facts, Request};
use crate::model::sandbox::{self, Limits, Worker};

pub const ARGUMENT: &str = "--run-tokenizer";

/// The largest tokenizers take a second and half a gigabyte to read, and a text of a megabyte a second.
const LIMITS: Limits = Limits { memory: 3 << 30, time: Duration::from_secs(15) };

pub enum Place {
    Here(Box<Core>),
    Sandbox(Mutex<Sandbox>),
}

/// A tokenizer in another process. If it ends there, it is read again for the next request.
pub struct Sandbox {
    program: &'static Path,
    file: Vec<u8>,
    /// What was changed since.
    changes: Vec<Change>,
    worker: Option<Worker>,
}

impl Place {
    /// Reads the contents of a `tokenizer.json`, in this process if it is `trusted`.
    pub fn open(bytes: &[u8], trusted: bool) -> Result<(Place, Facts), TokenizerError> {
        match sandbox::program().filter(|_| !trusted) {
            None => Core::open(bytes).map(|(core, facts)| (Place::Here(Box::new(core)), facts)),
            Some(program) => {
                let mut sandbox = Sandbox { program, file: bytes.to_vec(), changes: Vec::new(), worker: None };
                let facts = sandbox.open()?;
                Ok((Place::Sandbox(Mutex::new(sandbox)), facts))
            }
        }
    }

    pub fn change(&mut self, change: Change) -> Result<Changed, TokenizerError> {
        match self {
            Place::Here(core) => core.change(&change),
            Place::Sandbox(sandbox) => sandbox.get_mut().map_err(|_| TokenizerError::FailedBefore)?.change(change),
        }
    }

    /// Answers a request that changes nothing.
    pub fn answer(&self, request: Request) -> Result<Answer, TokenizerError> {
        match self {
            Place::Here(core) => core.look(request),
            Place::Sandbox(sandbox) => sandbox.lock().map_err(|_| TokenizerError::FailedBefore)?.answer(&request),
        }
    }
}

impl Sandbox {
    fn open(&mut self) -> Result<Facts, TokenizerError> {
        self.worker = Some(Worker::start(self.program, ARGUMENT)?);
        let file = std::mem::take(&mut self.file);
        let facts = self.ask(&file);
        self.file = file;
        facts
    }

    fn change(&mut self, change: Change) -> Result<Changed, TokenizerError> {
        let answer = self.answer(&Request::Change(change.clone()))?;
        self.changes.push(change);
        match answer {
            Answer::Change(changed) => Ok(changed),
            _ => Err(TokenizerError::OtherAnswer),
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Answer, TokenizerError> {
        if self.worker.is_none() {
            self.open()?;
            for change in self.changes.clone() {
                self.request(&Request::Change(change))?;
            }
        }
        self.request(request)
    }

    fn request(&mut self, request: &Request) -> Result<Answer, TokenizerError> {
        self.ask(&serde_json::to_vec(request)?)
    }

    fn ask<T: for<'a> serde::Deserialize<'a>>(&mut self, request: &[u8]) -> Result<T, TokenizerError> {
        let mut worker = self.worker.take().ok_or(TokenizerError::NotRunning)?;
        let answer = worker.ask(request, LIMITS.time)?;
        self.worker = Some(worker);
        serde_json::from_slice(&answer).unwrap_or_else(|error| Err(error.into()))
    }
}

/// What the process does: reads the file that it is given first, then answers requests.
pub fn serve(input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut opened: Option<Core> = None;
    sandbox::serve(LIMITS, input, output, &mut |request| {
        let answer = match &mut opened {
            None => {
                let facts = Core::open(&request).map(|(core, facts)| {
                    opened = Some(core);
                    facts
                });
                serde_json::to_vec(&facts)
            }
            Some(core) => {
                let request = serde_json::from_slice(&request).map_err(TokenizerError::from);
                serde_json::to_vec(&request.and_then(|request| core.answer(request)))
            }
        };
        // An empty answer is none.
        answer.unwrap_or_default()
    })
}
