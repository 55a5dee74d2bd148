//! Mistakes in the arguments of a line.

use crate::debugger::{Error, Result};
use crate::lang::words::Word;
use crate::lang::{LangError, Span};

/// A mistake at a place of the line, with what to write there.
pub fn mistake(message: impl Into<String>, span: Span, help: impl Into<String>) -> Error {
    LangError::new(message, span).help(help).into()
}

/// A number that a word gives: `what` names it and its range.
///
/// # Errors
/// At the word, if it is not a number or is not allowed.
pub fn number(word: &Word, allowed: impl Fn(&f64) -> bool, what: &str) -> Result<f64> {
    let found = word.text.parse().ok().filter(allowed);
    found.ok_or_else(|| LangError::new(format!("{} is not a {what}", word.text), word.span).into())
}

/// Refuses words that a command does not take.
///
/// # Errors
/// At the first of them, with what the command takes.
pub fn no_more(words: &[Word], help: &str) -> Result<()> {
    words.first().map_or(Ok(()), |extra| Err(mistake("unexpected word", extra.span, help)))
}
