//! What one command line did.

use crate::answer::Answer;
use crate::debugger::Result;

pub type Done = Result<Answer>;

/// What one command line did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub answer: Answer,
    /// Lines that were printed on the way (`echo`, `printf`), before the answer.
    pub printed: Vec<String>,
    /// Whether the state that a frontend shows may have changed.
    pub changed: bool,
    /// Whether it failed after it had moved the cursor; what fails otherwise changes nothing.
    pub half_done: bool,
    /// Set by `quit`.
    pub quit: Option<i32>,
    /// Whether an empty line at a prompt repeats this command.
    pub repeatable: bool,
    /// What runs next: the commands of the stop points that stopped.
    pub then: Vec<Follow>,
}

/// Commands that run after a different one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Whose they are, for messages.
    pub name: String,
    pub text: String,
}

impl Outcome {
    /// An answer that changed nothing and is not repeated by an empty line.
    pub fn of(answer: Answer) -> Self {
        Outcome {
            answer,
            printed: Vec::new(),
            changed: false,
            half_done: false,
            quit: None,
            repeatable: false,
            then: Vec::new(),
        }
    }
}
