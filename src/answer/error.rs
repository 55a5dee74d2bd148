//! From an error to what is shown of it.

use super::{ErrorView, Fault};
use crate::debugger::Error;
use crate::lang::explained;

impl ErrorView {
    /// An error as it is shown, with its place underlined in `line` if it has one there.
    pub fn new(error: &Error, line: &str) -> ErrorView {
        let fault = match error {
            Error::Assert(_) => Fault::Assert,
            Error::Tensor(error) if error.is_fault() => Fault::Model,
            _ => Fault::Command,
        };
        match error {
            Error::At(error) => ErrorView {
                message: explained(line, error),
                column: Some(error.column(line)),
                fault,
                ..ErrorView::default()
            },
            error => ErrorView { message: error.to_string(), fault, ..ErrorView::default() },
        }
    }
}
