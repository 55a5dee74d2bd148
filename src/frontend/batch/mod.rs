//! Batch mode: run commands, print their answers, exit with a status.
//!
//! Answers go to the output as lines of text, or with `--json` as one object for each command. Errors go to the error
//! output, and with `--json` to both. The first error ends the run unless `keep_going` is set; the status is that of
//! the first failure either way, and `quit N` overrides it. A condition that cannot be evaluated stops the program and
//! not the run, as in gdb, and makes the status 1.

use std::io::{self, BufRead, Write};

use super::client::{Client, Ended, Given};
use super::{Action, MODEL_FAILED, print};
use crate::answer::{Answer, ErrorView, Fault};
use crate::engine::messages::{Answered, Source};
use crate::engine::script::{Command, Reader};
use crate::engine::thread::Handle;

/// The commands to run, and how to print their answers.
#[derive(Default)]
pub struct Batch<'a> {
    pub given: Given<'a>,
    /// More commands, one on each line, after the actions.
    pub input: Option<&'a mut dyn BufRead>,
    pub json: bool,
}

/// Runs `batch` on the engine and returns the exit status: 0 if all commands succeeded, 1 if one failed or a condition
/// could not be evaluated, 3 if an `assert` failed, 4 if the model or the device failed, or the status given to `quit`.
///
/// It is not a failure if the reader of the output has gone away.
pub fn run(handle: Handle, batch: Batch<'_>, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    let mut client = Client::new(handle);
    let mut run = Run { json: batch.json, keep_going: batch.given.keep_going, out, err, status: 0, untested: false };
    let status = match run.all(&mut client, batch) {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            // The error output may be the one that failed; then the message is lost.
            _ = writeln!(run.err, "llmdbg: cannot write: {error}");
            1
        }
    };
    client.shut_down();
    status
}

struct Run<'a> {
    json: bool,
    keep_going: bool,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// The status of the first failure so far.
    status: i32,
    /// Whether the program stopped because a condition could not be evaluated.
    untested: bool,
}

impl Run<'_> {
    /// Runs everything and gives the exit status.
    fn all(&mut self, client: &mut Client, batch: Batch<'_>) -> io::Result<i32> {
        match self.until_end(client, batch)? {
            Some(Ended::Quit(status)) => return Ok(status),
            Some(Ended::Failed(message)) => {
                self.fail(&ErrorView { message, fault: Fault::Model, ..ErrorView::default() })?;
            }
            None => {}
        }
        Ok(if self.status == 0 { i32::from(self.untested) } else { self.status })
    }

    /// Runs everything, or what comes before the end of the engine or the failure that ends the run.
    fn until_end(&mut self, client: &mut Client, batch: Batch<'_>) -> io::Result<Option<Ended>> {
        if let Err(ended) = client.ready(&batch.given, self.err)? {
            return Ok(Some(ended));
        }
        // A block may be given over several `-ex`, as in gdb.
        let mut reader = Reader::default();
        for (i, action) in batch.given.actions.iter().enumerate() {
            let ended = match action {
                Action::Command(text) => self.commands(client, reader.push_all(i + 1, text))?,
                Action::Script(file) => {
                    let mut shown = false;
                    client.script(file, self.keep_going, |answered| self.print(&answered, true, &mut shown))?
                }
            };
            if ended.is_some() || self.is_over() {
                return Ok(ended);
            }
        }
        for line in batch.input.into_iter().flat_map(BufRead::lines) {
            let commands = reader.push_all(0, &line?);
            let ended = self.commands(client, commands)?;
            if ended.is_some() || self.is_over() {
                return Ok(ended);
            }
        }
        if let Some(block) = reader.abandon() {
            let first = block.text.lines().next().unwrap_or_default();
            let message = format!("`{first}` has no `end`");
            self.fail(&ErrorView { message, ..ErrorView::default() })?;
        }
        Ok(None)
    }

    fn commands(&mut self, client: &mut Client, commands: Vec<Command>) -> io::Result<Option<Ended>> {
        for command in commands {
            let mut shown = false;
            let print = |answered: Answered| self.print(&answered, false, &mut shown);
            let ended = client.command(&command.text, Source::Option, print, |_, _, _| ())?;
            if ended.is_some() || self.is_over() {
                return Ok(ended);
            }
        }
        Ok(None)
    }

    fn is_over(&self) -> bool {
        self.status != 0 && !self.keep_going
    }

    /// Prints one answer. `script` is set if the request was a script file of the command line, which is not itself a
    /// command; `shown` is set if an error of this request has been printed, of which the error of the request is a
    /// summary.
    fn print(&mut self, answered: &Answered, script: bool, shown: &mut bool) -> io::Result<()> {
        let error = match &answered.answer {
            Answer::Error(error) => Some(error),
            _ => None,
        };
        if let Answer::Stop(stop) = &answered.answer {
            self.untested |= !stop.errors.is_empty();
        }
        let summary = !answered.in_script && *shown;
        let silent = script && !answered.in_script && (summary || error.is_none());
        if self.json && !silent {
            print::object(self.out, answered)?;
        } else if !self.json {
            print::answer(self.out, answered, None)?;
        }
        if let Some(error) = error {
            if !summary {
                self.fail(error)?;
            }
            *shown = true;
        }
        Ok(())
    }

    fn fail(&mut self, error: &ErrorView) -> io::Result<()> {
        if self.status == 0 {
            self.status = match error.fault {
                Fault::Command => 1,
                Fault::Assert => 3,
                Fault::Model => MODEL_FAILED,
            };
        }
        print::error(self.err, error, "llmdbg: ")
    }
}

#[cfg(test)]
mod tests;
