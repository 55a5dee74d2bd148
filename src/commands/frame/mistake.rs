//! Mistakes in the arguments of a line.

use crate::debugger::{Error, Result};
use crate::lang::words::Word;
use crate::lang::{LangError, Span};

/// A mistake at a place of the line, with what to write there.
pub fn mistake(message: impl Into<String>, span: Span, help: impl Into<String>) -> Error {
    LangError::new(message, span).help(help).into()
}

/// Refuses words that a command does not take.
///
/// # Errors
/// At the first of them, with what the command takes.
pub fn no_more(words: &[Word], help: &str) -> Result<()> {
    words.first().map_or(Ok(()), |extra| Err(mistake("unexpected word", extra.span, help)))
}
