//! Writing answers to a stream, as text or as JSON.

use std::io::{self, Write};

use crate::answer::{Answer, ErrorView, json, text};
use crate::engine::messages::Answered;

/// Writes what a command printed, and its answer, as lines of text; tables are made to fit a `width`. Errors are left to
/// [`error`].
pub fn answer(out: &mut dyn Write, answered: &Answered, width: Option<usize>) -> io::Result<()> {
    for line in &answered.printed {
        writeln!(out, "{}", text::visible_line(line))?;
    }
    if !matches!(answered.answer, Answer::Error(_)) {
        for line in text::wrapped_lines(&answered.answer, width) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()
}

/// Writes the JSON object of a command on one line.
pub fn object(out: &mut dyn Write, answered: &Answered) -> io::Result<()> {
    let Answered { line, answer, at, ms, printed, .. } = answered;
    writeln!(out, "{}", json::written(&json::object(line, answer, at.as_ref(), *ms, printed)))?;
    out.flush()
}

/// Writes an error with its place in a script, `FILE:LINE: message`, or else with `prefix`.
pub fn error(err: &mut dyn Write, error: &ErrorView, prefix: &str) -> io::Result<()> {
    let message = text::lines(&Answer::Error(error.clone()), None).join("\n");
    match (&error.file, error.line) {
        (Some(file), Some(line)) => writeln!(err, "{}:{line}: {message}", text::visible(file))?,
        _ => writeln!(err, "{prefix}{message}")?,
    }
    err.flush()
}
