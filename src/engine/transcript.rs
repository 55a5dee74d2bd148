//! `transcript FILE`: writes commands and answers to a file, as they are shown.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::lists::refused;
use super::thread::Engine;
use crate::answer::{Answer, text};
use crate::commands::Outcome;

impl Engine {
    pub(super) fn transcript(&mut self, rest: &str) -> Outcome {
        let text = |text: String| Outcome::of(Answer::Text(text));
        match rest {
            "" => refused("transcript needs a file name, or off"),
            "off" => match self.transcript.take() {
                Some(_) => text("The transcript has ended.".into()),
                None => refused("no transcript is being written"),
            },
            name => match File::create(Path::new(name)) {
                Ok(file) => {
                    self.transcript = Some(file);
                    text(format!("Writing a transcript to {name}."))
                }
                Err(error) => refused(format!("cannot write {name}: {error}")),
            },
        }
    }

    /// Writes a command and its answer to the transcript, and the answer to the log. If the transcript cannot be
    /// written, it ends, and the diagnostics say why.
    pub(super) fn write_down(&mut self, line: &str, outcome: &Outcome) {
        self.log_answer(outcome);
        let Some(file) = &mut self.transcript else { return };
        let mut written = String::new();
        for (number, line) in line.lines().enumerate() {
            written.push_str(if number == 0 { "(llmdbg) " } else { "> " });
            written.push_str(line);
            written.push('\n');
        }
        for line in outcome.printed.iter().cloned().chain(text::lines(&outcome.answer, None)) {
            written.push_str(&line);
            written.push('\n');
        }
        if let Err(error) = file.write_all(written.as_bytes()) {
            tracing::warn!("the transcript cannot be written: {error}");
            self.transcript = None;
        }
    }
}
