//! What the command line asks for.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::frontend::Action;
use crate::tensor::{DeviceChoice, Precision};

/// How to debug a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// A directory, a file or a name; `None` for the bundled default.
    pub model: Option<String>,
    pub input: Input,
    /// What to run first, in order.
    pub actions: Vec<Action>,
    /// Run the actions and exit, without an interface.
    pub batch: bool,
    pub json: bool,
    pub keep_going: bool,
    pub device: DeviceChoice,
    pub precision: Precision,
    /// Bytes that a recording may take.
    pub record_budget: u64,
    /// Whether the budget was given and is not the default.
    pub budget_given: bool,
    pub lora: Option<PathBuf>,
    pub resume: bool,
    pub init: bool,
    pub quiet: bool,
    /// Whether the full-screen interface is wanted (`--tui`) or not (`--no-tui`); `None` if neither was given.
    pub tui: Option<bool>,
    pub log: Option<PathBuf>,
    pub ascii: bool,
    pub color: ColorChoice,
}

/// The input of the model. An empty one stands for the model's own example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// One text for each row of the batch.
    pub prompts: Vec<String>,
    /// One list of token ids for each row of the batch, instead of texts.
    pub tokens: Vec<Vec<u32>>,
    /// The second text of a pair; there is exactly one text then.
    pub pair: Option<String>,
    /// Pad every row to this many tokens; padding is masked.
    pub pad_to: Option<usize>,
    /// The side to pad on; `None` leaves it to the tokenizer.
    pub pad_side: Option<PadSide>,
    /// Send the texts as messages of a conversation.
    pub chat: Option<Chat>,
}

/// How a text becomes a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chat {
    /// The name of one of the model's templates, or a file; `None` for the model's default.
    pub template: Option<String>,
    /// The system message before the user's.
    pub system: Option<String>,
    /// A file with the whole conversation.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PadSide {
    /// Before the text
    Left,
    /// After the text
    Right,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// As many as the terminal says that it has.
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontend {
    Batch,
    /// A prompt, line by line.
    Plain,
    Tui,
}

/// What decides on the frontend, apart from the options.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    pub stdin_is_terminal: bool,
    pub stdout_is_terminal: bool,
    pub dumb: bool,
}

impl Options {
    pub fn frontend(&self, around: Surroundings) -> Frontend {
        let terminal = around.stdin_is_terminal && around.stdout_is_terminal;
        if self.batch || self.json {
            Frontend::Batch
        } else if terminal && self.tui.unwrap_or(!around.dumb) {
            Frontend::Tui
        } else {
            Frontend::Plain
        }
    }

    /// Whether batch mode reads commands from the input: with `--json` alone, when nothing else says what to run.
    pub fn reads_input_in_batch(&self) -> bool {
        self.json && !self.batch && self.actions.is_empty()
    }
}
