//! Commands: one table, a file per group; each handler turns arguments into one typed answer.

use crate::answer::Answer;

/// What one command line did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The one answer.
    pub answer: Answer,
    /// Lines that were printed on the way (`echo`, `printf`), before the answer.
    pub printed: Vec<String>,
    /// Whether the state that a frontend shows may have changed.
    pub changed: bool,
    /// Set by `quit`.
    pub quit: Option<i32>,
    /// Whether an empty line at a prompt repeats this command.
    pub repeatable: bool,
}

impl Outcome {
    /// An answer that changed nothing and is not repeated by an empty line.
    pub fn of(answer: Answer) -> Self {
        Outcome { answer, printed: Vec::new(), changed: false, quit: None, repeatable: false }
    }
}
