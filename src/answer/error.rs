//! From an error to what is shown of it.

use super::{ErrorView, Fault};
use crate::debugger::Error;
use crate::lang::explained;
use crate::tensor::TensorError;

impl ErrorView {
    /// An error as it is shown, with its place underlined in `line` if it has one there.
    pub fn new(error: &Error, line: &str) -> ErrorView {
        let fault = match error {
            Error::Assert(_) => Fault::Assert,
            error if error.cause().is_some_and(TensorError::is_fault) => Fault::Model,
            _ => Fault::Command,
        };
        let (message, column) = match error {
            Error::At(error) => (explained(line, error), Some(error.column(line))),
            error => (error.to_string(), None),
        };
        ErrorView { message, column, fault, ..ErrorView::default() }
    }
}
