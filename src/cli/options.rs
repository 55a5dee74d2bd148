//! What the command line asks for.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{ArgAction, Args, Parser, ValueEnum};
use thiserror::Error;

use crate::frontend::Action;
use crate::model::DeviceList;
use crate::tensor::Precision;

/// gdb for transformer language models: stop inside a forward pass, inspect it, change it, and continue.
// The texts of the fields are those of --help and of the manual page.
#[derive(Parser, Clone, Debug, PartialEq)]
#[command(
    name = "llmdbg",
    version,
    max_term_width = 100,
    override_usage = "llmdbg [OPTIONS] [MODEL]\n       llmdbg serve --stdio|--socket PATH [OPTIONS] [MODEL]\n       llmdbg mcp [--allow-changes] [--allow-outside] [OPTIONS] [MODEL]\n       llmdbg dap | attach SOCKET | core FILE | tour | models | completions SHELL | man | trust [FILE] | help agent"
)]
#[command(after_help = "`llmdbg tour` is a tour of the program in ten steps.\n\
                  `llmdbg models` lists the models that can be opened by name.\n\
                  `llmdbg man` prints the manual page.\n\
                  `llmdbg completions bash` (or fish, zsh, elvish, powershell) prints completions for a shell.")]
pub struct Options {
    /// Model directory, file or name [default: a small bundled model]
    pub model: Option<String>,
    #[command(flatten)]
    pub input: Input,
    // What to run first, in the order of the command line.
    #[arg(skip)]
    pub actions: Vec<Action>,
    /// Run a command at the start (-ex CMD); -ex and -x run in the order given
    #[arg(long = "ex", value_name = "CMD", allow_hyphen_values = true)]
    pub(super) ex: Vec<String>,
    /// Run a script of commands at the start
    #[arg(short, long = "x", value_name = "FILE")]
    pub(super) x: Vec<PathBuf>,
    /// Run the commands, print their answers, and exit with a status (-batch)
    #[arg(long)]
    pub batch: bool,
    /// Print one JSON object for each command
    #[arg(long)]
    pub json: bool,
    /// Continue after a command that failed
    #[arg(long)]
    pub keep_going: bool,
    /// Device to compute on: auto, cpu, gpu or vulkan (the first adapter is gpu:0); of several, such as gpu:0,gpu:1,
    /// each takes a share of the blocks
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceList,
    /// Blocks for each of several devices, such as 20,12 [default: equal shares]
    #[arg(long, value_name = "NUMBERS", value_parser = block_counts)]
    pub split: Option<BlockCounts>,
    /// Type that values are held in: f32, or f16 for half the memory
    #[arg(long = "dtype", value_name = "TYPE", default_value = "f32")]
    pub precision: Precision,
    /// PEFT LoRA adapter to apply to the model, in a separate branch
    #[arg(long, value_name = "DIR")]
    pub lora: Option<PathBuf>,
    /// Memory for recorded values, such as 512MiB
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = crate::lang::size::parse)]
    pub record_budget: u64,
    /// Memory for weights, which are read when they are used [default: what is free, without the recordings]
    #[arg(long, value_name = "SIZE", value_parser = crate::lang::size::parse)]
    pub weight_budget: Option<u64>,
    // Whether the device is named, and not the default.
    #[arg(skip)]
    pub device_given: bool,
    // Whether the budget is not the default.
    #[arg(skip)]
    pub budget_given: bool,
    /// Do not read the init files and settings.toml (-nx)
    #[arg(long = "nx", action = ArgAction::SetFalse)]
    pub init: bool,
    /// Resume the last session: its model, its input and its commands; --device puts it on another device
    #[arg(long, conflicts_with_all = ["batch", "json"])]
    pub resume: bool,
    /// Connect to a session elsewhere: a command, such as "ssh box llmdbg serve --stdio", or a socket of llmdbg serve
    // What would be the model, its input or its device is said to the server.
    #[arg(
        long,
        value_name = "COMMAND|SOCKET",
        conflicts_with_all = [
            "model", "prompt", "prompt_file", "tokens", "pair", "chat", "chat_template", "system", "chat_file", "pad_to",
            "pad_side", "device", "split", "precision", "lora", "record_budget", "weight_budget", "resume"
        ]
    )]
    pub connect: Option<String>,
    /// Run the session of a core file again (save core), and compare: its model, its input and its commands
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "connect", "model", "prompt", "tokens"])]
    pub core: Option<PathBuf>,
    /// Do not print the banner
    #[arg(short = 'q', long = "q", alias = "quiet")]
    pub quiet: bool,
    /// Use the full-screen interface, even on a dumb terminal
    #[arg(long, conflicts_with_all = ["no_tui", "batch", "json"])]
    pub(super) tui: bool,
    /// Use a plain prompt instead of the full-screen interface
    #[arg(long)]
    pub(super) no_tui: bool,
    /// Write diagnostics to a file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Draw with ASCII characters only
    #[arg(long)]
    pub ascii: bool,
    /// Print the settings, with the source of each, and the keys, layouts and colours, as files to copy
    #[arg(long)]
    pub(super) print_config: bool,
    /// When to use colours: auto, always or never
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = true)]
    pub color: ColorChoice,
}

// The input of the model. An empty one selects the example of the model.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Text for the model to read; repeat the option for a batch
    #[arg(
        id = "prompt",
        short,
        long = "prompt",
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "tokens"
    )]
    pub prompts: Vec<String>,
    /// File that holds the text; repeat the option for a batch
    #[arg(long, value_name = "FILE", conflicts_with = "tokens")]
    pub(super) prompt_file: Vec<PathBuf>,
    /// Token ids for the model to read, such as 1,2,3; repeat the option for a batch
    #[arg(long, value_name = "IDS", value_parser = token_ids)]
    pub tokens: Vec<TokenIds>,
    /// Second text of a pair; --prompt gives the first
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "tokens")]
    pub pair: Option<String>,
    #[command(flatten)]
    pub chat: Option<Chat>,
    /// Pad every row to N tokens; the padding is masked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..).map(|n| n as usize))]
    pub pad_to: Option<usize>,
    /// Side to pad on [default: the tokenizer's padding_side]
    #[arg(long, value_name = "SIDE", value_enum)]
    pub pad_side: Option<PadSide>,
}

/// One row of the batch.
type TokenIds = Vec<u32>;

// How the texts become conversations.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Chat {
    /// Send the prompt as a user message through the model's chat template
    #[arg(long, conflicts_with_all = ["tokens", "pair"])]
    chat: bool,
    /// Chat template to use: the name of one of the model's templates, or a file
    #[arg(id = "chat_template", long = "chat-template", value_name = "NAME|FILE", conflicts_with_all = ["tokens", "pair"])]
    pub template: Option<String>,
    /// System message of the chat, before the user's
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["tokens", "pair"])]
    pub system: Option<String>,
    /// Conversation as JSON, in the form that chat templates read
    #[arg(
        id = "chat_file",
        long = "chat-file",
        value_name = "FILE",
        conflicts_with_all = ["tokens", "pair", "prompt_file", "system"]
    )]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Error)]
#[error("{0:?} is not a token id")]
struct NotATokenId(String);

fn token_ids(text: &str) -> Result<TokenIds, NotATokenId> {
    text.split(',').map(|word| word.trim().parse().map_err(|_| NotATokenId(word.to_string()))).collect()
}

/// How many blocks each device takes.
type BlockCounts = Vec<usize>;

#[derive(Debug, Error)]
#[error("{0:?} is not a number of blocks: give one for each device, such as 20,12")]
struct NotACount(String);

fn block_counts(text: &str) -> Result<BlockCounts, NotACount> {
    text.split(',').map(|word| word.trim().parse().map_err(|_| NotACount(word.to_string()))).collect()
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
        } else if terminal && (self.tui || !self.no_tui && !around.dumb) {
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
