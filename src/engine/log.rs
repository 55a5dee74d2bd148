//! `set logging`: answers, as they are shown, are also written to a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use super::lists::refused;
use super::messages::Source;
use super::thread::Engine;
use crate::answer::text;
use crate::commands::Outcome;

pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Engine {
    /// Opens or closes the log according to the settings. If it cannot be opened, the command fails and the settings
    /// stay as they were.
    pub(super) fn follow_logging(&mut self, source: &Source) -> Option<Outcome> {
        let wanted = self.interpreter.outside().log;
        if wanted.as_ref() == self.log.as_ref().map(|log| &log.path) {
            return None;
        }
        let Some(path) = wanted else {
            self.log = None;
            return None;
        };
        let overwrite = self.interpreter.outside().overwrite;
        let opened = OpenOptions::new().create(true).write(true).append(!overwrite).truncate(overwrite).open(&path);
        match opened {
            Ok(file) => {
                self.log = Some(Log { path, file });
                None
            }
            Err(error) => {
                let back = match &self.log {
                    Some(log) => format!("set logging file {}", log.path.display()),
                    None => "set logging enabled off".into(),
                };
                _ = self.interpreted(&back, source);
                Some(refused(format!("cannot write {}: {error}", path.display())))
            }
        }
    }

    /// Writes an answer to the log, if there is one. If that fails, the log ends, and the diagnostics say why.
    pub(super) fn log_answer(&mut self, outcome: &Outcome) {
        let Some(log) = &mut self.log else { return };
        let lines = outcome.printed.iter().map(|line| text::visible_line(line));
        let written: String = lines.chain(text::lines(&outcome.answer, None)).map(|line| line + "\n").collect();
        if let Err(error) = log.file.write_all(written.as_bytes()) {
            tracing::warn!("the log cannot be written: {error}");
            self.log = None;
        }
    }
}
