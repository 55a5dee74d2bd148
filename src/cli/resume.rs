//! `--resume`: the options of the last session.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Invocation, Options, parse};
use crate::comparing::core_file::CoreError;
use crate::engine::journal::{self, Journal, JournalError, Start};
use crate::frontend::Action;

#[derive(Debug, Error)]
pub enum ResumeError {
    #[error("there is no session to resume: no journal has been written")]
    NoJournal,
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Core(#[from] CoreError),
    #[error("cannot resume {}: this version does not know its command line", .0.display())]
    Arguments(PathBuf),
    #[error("cannot go to {folder}: {error}")]
    Folder { folder: String, error: io::Error },
}

/// The options of the last session; what this command line says about the interface, and the device that it names, replace
/// what that one said. The working folder becomes that of the session.
pub fn resumed(now: &Options) -> Result<Options, ResumeError> {
    let file = Journal::folder().and_then(|folder| journal::last(&folder)).ok_or(ResumeError::NoJournal)?;
    let (start, _) = journal::read(&file)?;
    // The actions of that command line are in the journal.
    of_start(now, start, &file, vec![Action::Command(format!("resume {}", file.display()))])
}

/// The options of a session that was started so; `first` is what it begins with. The working folder becomes that of the
/// session.
pub(super) fn of_start(now: &Options, start: Start, file: &Path, first: Vec<Action>) -> Result<Options, ResumeError> {
    let program = std::iter::once("llmdbg".to_string());
    let then = match parse(program.chain(start.arguments).map(Into::into)) {
        Ok(Invocation::Debug(options)) => *options,
        _ => return Err(ResumeError::Arguments(file.to_path_buf())),
    };
    let folder = start.folder;
    std::env::set_current_dir(&folder).map_err(|error| ResumeError::Folder { folder, error })?;
    // A split is one of the devices that are named with it.
    let (device, split) = match now.device_given {
        true => (now.device.clone(), now.split.clone()),
        false => (then.device, now.split.clone().or(then.split)),
    };
    let mut actions = first;
    actions.extend(now.actions.iter().cloned());
    Ok(Options {
        model: then.model,
        input: then.input,
        lora: then.lora,
        device,
        split,
        precision: then.precision,
        record_budget: then.record_budget,
        weight_budget: then.weight_budget,
        actions,
        init: false,
        ..now.clone()
    })
}
