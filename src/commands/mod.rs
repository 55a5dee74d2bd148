//! Commands: one table, a file per group; each handler turns arguments into one typed answer.
//!
//! The table in [`table`] is the only place that knows which commands there are: dispatch, abbreviations, help, completion
//! and the manual read it.

mod ablate;
mod activations;
mod attr;
mod backward;
mod bisect;
mod branching;
mod breakpoints;
mod check;
mod circuits;
mod complete;
mod console;
mod data;
mod diagnose;
mod diff;
mod dla;
mod dump;
mod edits;
mod events;
mod exporting;
mod exports;
mod files;
mod generation;
mod golden;
mod heads;
mod help;
mod histogram;
mod info;
mod layers;
mod lens;
#[cfg(test)]
mod limited_tests;
mod lora;
mod motion;
mod neuron;
mod panel;
mod patch;
mod peers;
mod places;
mod probe;
mod rows;
mod saving;
mod screen;
mod selftest;
mod settings;
mod snapshot;
mod steering;
mod stopview;
mod table;
mod texts;
mod times;
mod tokenization;
mod tokens;
mod tracing;
mod values;
mod weights;

use crate::answer::Answer;

pub use console::Console;
pub use heads::HEAD_SCORES;
pub use screen::Screen;
pub use settings::{Outside, SETTINGS, Setting};
pub use table::gdb::{COUNTERPARTS, Counterpart};
pub use table::{Command, GROUPS, Group, Journalled, Takes, commands};

/// What one command line did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The one answer.
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

/// Commands that run after another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Whose they are, for messages.
    pub name: String,
    /// One a line.
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
