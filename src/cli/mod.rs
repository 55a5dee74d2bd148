//! The command line: what to debug, what to run first, and on which frontend.
//!
//! The spellings are gdb's where gdb has the option: `-batch -ex -x -nx -q` with one dash, and the same with two. `-ex`
//! and `-x` run in the order in which they are given.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::frontend::Action;
use crate::tensor::{DeviceChoice, Precision};

pub mod models;
pub mod open;
pub mod pages;

pub mod init;
pub mod settings;
pub mod trust;

/// Where padding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PadSide {
    /// In front of the text
    Left,
    /// Behind the text
    Right,
}

/// Options that gdb spells with one dash and more than one letter.
const ONE_DASH: [&str; 3] = ["batch", "ex", "nx"];

/// Options whose next argument is theirs, whatever it looks like.
const WITH_VALUE: [&str; 20] = [
    "-p",
    "--prompt",
    "--prompt-file",
    "--tokens",
    "--pair",
    "--pad-to",
    "--pad-side",
    "--chat-template",
    "--system",
    "--chat-file",
    "-ex",
    "--ex",
    "-x",
    "--x",
    "--device",
    "--dtype",
    "--lora",
    "--record-budget",
    "--log",
    "--color",
];

/// What the user wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// Debug a model.
    Debug(Box<Options>),
    /// List the models that can be opened by name.
    Models,
    /// Print completions for a shell.
    Completions(pages::Shell),
    /// Print the manual page.
    Manual,
    /// Take the tour on the bundled model.
    Tour(Box<Options>),
    /// Print all configuration.
    PrintConfig,
    /// Trust the init file of a project.
    Trust(PathBuf),
}

/// How to debug a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Directory, file or name; the bundled default without it.
    pub model: Option<String>,
    /// What the model reads.
    pub input: Input,
    /// What to run first, in order.
    pub actions: Vec<Action>,
    /// No terminal interface: run the actions and leave.
    pub batch: bool,
    /// Objects instead of text.
    pub json: bool,
    /// Go on after a failed command.
    pub keep_going: bool,
    /// Where to compute.
    pub device: DeviceChoice,
    /// What weights and values are held in.
    pub precision: Precision,
    /// Bytes that a recording may hold.
    pub record_budget: u64,
    /// Whether that was asked for, not the default.
    pub budget_given: bool,
    /// A LoRA adapter to lay over the model.
    pub lora: Option<PathBuf>,
    /// Take up the last session.
    pub resume: bool,
    /// Read the user's init file.
    pub init: bool,
    /// No banner.
    pub quiet: bool,
    /// The full-screen interface wanted (`--tui`) or not (`--no-tui`).
    pub tui: Option<bool>,
    /// File for diagnostics.
    pub log: Option<PathBuf>,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// When to use colours.
    pub color: ColorChoice,
}

/// What the model reads. Empty: the model's own example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Texts, one for each row of the batch.
    pub prompts: Vec<String>,
    /// Token ids, one list for each row of the batch; instead of texts.
    pub tokens: Vec<Vec<u32>>,
    /// The second sentence of a pair; there is exactly one text then.
    pub pair: Option<String>,
    /// Pad every row to this many tokens, the padding masked.
    pub pad_to: Option<usize>,
    /// On which side rows are filled up; else as the tokenizer does.
    pub pad_side: Option<PadSide>,
    /// Texts are what a user says in a conversation.
    pub chat: Option<Chat>,
}

/// How a text becomes a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chat {
    /// A template of the model by its name, or a file; the model's own without it.
    pub template: Option<String>,
    /// A message of the system before that of the user.
    pub system: Option<String>,
    /// A file with the whole conversation.
    pub file: Option<PathBuf>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// As many as the terminal announces.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The ways to show a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontend {
    /// Run commands and leave.
    Batch,
    /// A prompt, line by line.
    Plain,
    /// The full screen.
    Tui,
}

/// What decides the frontend besides the options.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Whether the input is a terminal.
    pub stdin_is_terminal: bool,
    /// Whether the output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether `TERM` is `dumb`.
    pub dumb: bool,
}

impl Options {
    /// The frontend for these options.
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

    /// Whether commands are read from the input in batch: with `--json` alone, when nothing else says what to run.
    pub fn reads_input_in_batch(&self) -> bool {
        self.json && !self.batch && self.actions.is_empty()
    }
}

/// gdb for transformer language models: stop inside a forward pass, look, change, go on.
#[derive(Parser, Debug)]
#[command(
    name = "llmdbg",
    version,
    max_term_width = 100,
    override_usage = "llmdbg [OPTIONS] [MODEL]\n       llmdbg tour | models | completions SHELL | man | trust [FILE]"
)]
#[command(
    after_help = "`llmdbg tour` shows the program in ten stops, `llmdbg models` lists the models that can be opened by name, `llmdbg man` prints the manual page,\n\
                  `llmdbg completions bash` (or fish, zsh, elvish, powershell) completions for a shell."
)]
struct Arguments {
    /// Model directory, file or name [default: a small bundled one]
    model: Option<String>,

    /// Text for the model to read; several make a batch
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "tokens")]
    prompt: Vec<String>,

    /// File that holds such a text
    #[arg(long, value_name = "FILE", conflicts_with = "tokens")]
    prompt_file: Vec<PathBuf>,

    /// Token ids for the model to read, such as 1,2,3; several make a batch
    #[arg(long, value_name = "IDS")]
    tokens: Vec<TokenIds>,

    /// Second sentence of a pair, after the one of --prompt
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "tokens")]
    pair: Option<String>,

    /// Wrap the prompt with the model's chat template, as what a user says
    #[arg(long, conflicts_with_all = ["tokens", "pair"])]
    chat: bool,

    /// Chat template to use instead: a name of the model's, or a file
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["tokens", "pair"])]
    chat_template: Option<String>,

    /// What the system says first in a chat
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["tokens", "pair"])]
    system: Option<String>,

    /// Conversation in JSON, as the chat template gets it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tokens", "pair", "prompt_file", "system"])]
    chat_file: Option<PathBuf>,

    /// Pad every row to N tokens; the padding is masked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pad_to: Option<u32>,

    /// Where shorter rows are filled up; else where the tokenizer's padding_side says
    #[arg(long, value_name = "SIDE", value_enum)]
    pad_side: Option<PadSide>,

    /// Run a command first (-ex CMD); runs in order with -x
    #[arg(long = "ex", value_name = "CMD", allow_hyphen_values = true)]
    ex: Vec<String>,

    /// Run a script of commands first
    #[arg(short, long = "x", value_name = "FILE")]
    x: Vec<PathBuf>,

    /// Run the commands, print, leave with a status (-batch)
    #[arg(long)]
    batch: bool,

    /// Print one JSON object for each command
    #[arg(long)]
    json: bool,

    /// Do not stop at the first failed command
    #[arg(long)]
    keep_going: bool,

    /// Where to compute: auto, gpu[:N], vulkan[:N] or cpu
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,

    /// What weights and values are held in: f32, or f16 for half the memory
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: Precision,

    /// LoRA adapter of PEFT to lay over the model, in a branch of its own
    #[arg(long, value_name = "DIR")]
    lora: Option<PathBuf>,

    /// Memory that a recording may take, such as 512MiB
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = crate::lang::size::parse)]
    record_budget: u64,

    /// Read neither the init file nor settings.toml (-nx)
    #[arg(long)]
    nx: bool,

    /// Take up the last session: its model, its input, and every command given
    #[arg(long, conflicts_with_all = ["batch", "json"])]
    resume: bool,

    /// No banner
    #[arg(short, long = "q", alias = "quiet")]
    q: bool,

    /// Full-screen interface, also on a dumb terminal
    #[arg(long, conflicts_with_all = ["no_tui", "batch", "json"])]
    tui: bool,

    /// A prompt instead of the full-screen interface
    #[arg(long)]
    no_tui: bool,

    /// Write diagnostics to a file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,

    /// Print all settings with where they come from, keys, layouts and colours, as files to copy
    #[arg(long)]
    print_config: bool,

    /// When to use colours: auto, always or never
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = true)]
    color: ColorChoice,
}

/// Token ids of one row.
#[derive(Clone, Debug)]
struct TokenIds(Vec<u32>);

impl std::str::FromStr for TokenIds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = |word: &str| word.trim().parse().map_err(|_| format!("{word:?} is not a token id"));
        text.split(',').map(id).collect::<Result<_, _>>().map(TokenIds)
    }
}

/// Reads the arguments, the program's name first. An error knows how to print itself and its exit status: 2 for a
/// mistake, 0 for `--help` and `--version`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let arguments = two_dashes(arguments);
    let words: Vec<_> = arguments.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    match words.iter().map(AsRef::as_ref).collect::<Vec<&str>>().as_slice() {
        ["models"] => return Ok(Invocation::Models),
        ["tour"] => {
            let matches = Arguments::command().try_get_matches_from(["llmdbg", "-q", "--nx", "--device", "cpu"])?;
            let given = Arguments::from_arg_matches(&matches)?;
            return Ok(Invocation::Tour(Box::new(options(given, &matches)?)));
        }
        ["man"] => return Ok(Invocation::Manual),
        ["trust"] => return Ok(Invocation::Trust(trust::PROJECT_FILE.into())),
        ["trust", file] => return Ok(Invocation::Trust(file.into())),
        ["completions"] => return Err(wrong("which shell? bash, elvish, fish, powershell or zsh".to_string())),
        ["completions", shell] => {
            return pages::Shell::from_str(shell, false).map(Invocation::Completions).map_err(wrong);
        }
        _ => {}
    }
    let matches = Arguments::command().try_get_matches_from(arguments)?;
    let given = Arguments::from_arg_matches(&matches)?;
    if given.print_config {
        return Ok(Invocation::PrintConfig);
    }
    Ok(Invocation::Debug(Box::new(options(given, &matches)?)))
}

/// Puts a second dash before gdb's long one-dash options, leaving values alone.
fn two_dashes(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut value = false;
    let mut rest = false;
    let rewrite = |argument: OsString| {
        let Some(text) = argument.to_str().filter(|_| !value && !rest) else {
            value = false;
            return argument;
        };
        rest = text == "--";
        value = WITH_VALUE.contains(&text);
        let name = text.strip_prefix('-').map(|name| name.split_once('=').map_or(name, |(name, _)| name));
        if name.is_some_and(|name| ONE_DASH.contains(&name)) { format!("-{text}").into() } else { argument }
    };
    arguments.into_iter().map(rewrite).collect()
}

/// A mistake in the arguments.
fn wrong(message: String) -> clap::Error {
    Arguments::command().error(ErrorKind::ValueValidation, message)
}

fn options(given: Arguments, matches: &ArgMatches) -> Result<Options, clap::Error> {
    let texts = given.prompt_file.iter().map(|file| {
        let text = crate::model::file::read_script(file);
        let text = text.map_err(|error| wrong(format!("cannot read {}: {error}", file.display())))?;
        // Some editors begin a file with a mark of its encoding, and end it with a line break, that nobody means as part of the prompt.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Ok(text.strip_suffix("\r\n").or(text.strip_suffix('\n')).unwrap_or(text).to_string())
    });
    let texts: Vec<String> = texts.collect::<Result<_, clap::Error>>()?;
    let prompts = in_order(matches, ("prompt", given.prompt), ("prompt_file", texts));
    if given.pair.is_some() && prompts.len() != 1 {
        return Err(wrong(format!("--pair goes with exactly one --prompt, not {}", prompts.len())));
    }
    let commands = given.ex.into_iter().map(Action::Command).collect();
    let scripts = given.x.into_iter().map(Action::Script).collect();
    let asked = given.chat || given.chat_template.is_some() || given.system.is_some() || given.chat_file.is_some();
    let chat = asked.then_some(Chat { template: given.chat_template, system: given.system, file: given.chat_file });
    Ok(Options {
        model: given.model,
        input: Input {
            prompts,
            tokens: given.tokens.into_iter().map(|row| row.0).collect(),
            pair: given.pair,
            pad_to: given.pad_to.map(|n| n as usize),
            pad_side: given.pad_side,
            chat,
        },
        actions: in_order(matches, ("ex", commands), ("x", scripts)),
        batch: given.batch,
        json: given.json,
        keep_going: given.keep_going,
        device: given.device,
        precision: given.dtype,
        record_budget: given.record_budget,
        budget_given: matches.value_source("record_budget") == Some(ValueSource::CommandLine),
        lora: given.lora,
        resume: given.resume,
        init: !given.nx,
        quiet: given.q,
        tui: if given.tui { Some(true) } else { given.no_tui.then_some(false) },
        log: given.log,
        ascii: given.ascii,
        color: given.color,
    })
}

/// The values of two options, in the order in which they stand on the command line.
fn in_order<T>(matches: &ArgMatches, a: (&str, Vec<T>), b: (&str, Vec<T>)) -> Vec<T> {
    let places = |name| matches.indices_of(name).into_iter().flatten();
    let mut values: Vec<(usize, T)> = places(a.0).zip(a.1).chain(places(b.0).zip(b.1)).collect();
    values.sort_by_key(|(place, _)| *place);
    values.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
