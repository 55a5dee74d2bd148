//! Reading the arguments of the command line.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use thiserror::Error;

use super::options::{Chat, ColorChoice, Input, Options, PadSide};
use super::{pages, trust};
use crate::frontend::Action;
use crate::tensor::{DeviceChoice, Precision};

/// Options that gdb spells with one dash and more than one letter.
const ONE_DASH: [&str; 3] = ["batch", "ex", "nx"];

#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    Debug(Box<Options>),
    Models,
    Completions(pages::Shell),
    Manual,
    Tour(Box<Options>),
    PrintConfig,
    Trust(PathBuf),
}

/// gdb for transformer language models: stop inside a forward pass, inspect it, change it, and continue.
#[derive(Parser, Debug)]
#[command(
    name = "llmdbg",
    version,
    max_term_width = 100,
    override_usage = "llmdbg [OPTIONS] [MODEL]\n       llmdbg tour | models | completions SHELL | man | trust [FILE]"
)]
#[command(after_help = "`llmdbg tour` is a tour of the program in ten steps.\n\
                  `llmdbg models` lists the models that can be opened by name.\n\
                  `llmdbg man` prints the manual page.\n\
                  `llmdbg completions bash` (or fish, zsh, elvish, powershell) prints completions for a shell.")]
pub(super) struct Arguments {
    /// Model directory, file or name [default: a small bundled model]
    model: Option<String>,

    /// Text for the model to read; repeat the option for a batch
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "tokens")]
    prompt: Vec<String>,

    /// File that holds the text; repeat the option for a batch
    #[arg(long, value_name = "FILE", conflicts_with = "tokens")]
    prompt_file: Vec<PathBuf>,

    /// Token ids for the model to read, such as 1,2,3; repeat the option for a batch
    #[arg(long, value_name = "IDS")]
    tokens: Vec<TokenIds>,

    /// Second text of a pair; --prompt gives the first
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "tokens")]
    pair: Option<String>,

    /// Send the prompt as a user message through the model's chat template
    #[arg(long, conflicts_with_all = ["tokens", "pair"])]
    chat: bool,

    /// Chat template to use: the name of one of the model's templates, or a file
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["tokens", "pair"])]
    chat_template: Option<String>,

    /// System message of the chat, before the user's
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["tokens", "pair"])]
    system: Option<String>,

    /// Conversation as JSON, in the form that chat templates read
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tokens", "pair", "prompt_file", "system"])]
    chat_file: Option<PathBuf>,

    /// Pad every row to N tokens; the padding is masked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pad_to: Option<u32>,

    /// Side to pad on [default: the tokenizer's padding_side]
    #[arg(long, value_name = "SIDE", value_enum)]
    pad_side: Option<PadSide>,

    /// Run a command at the start (-ex CMD); -ex and -x run in the order given
    #[arg(long = "ex", value_name = "CMD", allow_hyphen_values = true)]
    ex: Vec<String>,

    /// Run a script of commands at the start
    #[arg(short, long = "x", value_name = "FILE")]
    x: Vec<PathBuf>,

    /// Run the commands, print their answers, and exit with a status (-batch)
    #[arg(long)]
    batch: bool,

    /// Print one JSON object for each command
    #[arg(long)]
    json: bool,

    /// Continue after a command that failed
    #[arg(long)]
    keep_going: bool,

    /// Device to compute on: auto, gpu[:N], vulkan[:N] or cpu
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,

    /// Type of weights and values: f32, or f16 for half the memory
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: Precision,

    /// PEFT LoRA adapter to apply to the model, in a separate branch
    #[arg(long, value_name = "DIR")]
    lora: Option<PathBuf>,

    /// Memory for recorded values, such as 512MiB
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = crate::lang::size::parse)]
    record_budget: u64,

    /// Do not read the init files and settings.toml (-nx)
    #[arg(long)]
    nx: bool,

    /// Resume the last session: its model, its input and its commands
    #[arg(long, conflicts_with_all = ["batch", "json"])]
    resume: bool,

    /// Do not print the banner
    #[arg(short, long = "q", alias = "quiet")]
    q: bool,

    /// Use the full-screen interface, even on a dumb terminal
    #[arg(long, conflicts_with_all = ["no_tui", "batch", "json"])]
    tui: bool,

    /// Use a plain prompt instead of the full-screen interface
    #[arg(long)]
    no_tui: bool,

    /// Write diagnostics to a file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,

    /// Print the settings, with the source of each, and the keys, layouts and colours, as files to copy
    #[arg(long)]
    print_config: bool,

    /// When to use colours: auto, always or never
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = true)]
    color: ColorChoice,
}

#[derive(Clone, Debug)]
struct TokenIds(Vec<u32>);

#[derive(Debug, Error)]
#[error("{0:?} is not a token id")]
struct NotATokenId(String);

impl std::str::FromStr for TokenIds {
    type Err = NotATokenId;

    fn from_str(text: &str) -> Result<Self, NotATokenId> {
        let id = |word: &str| word.trim().parse().map_err(|_| NotATokenId(word.to_string()));
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
        ["completions"] => return Err(wrong("completions needs a shell: bash, elvish, fish, powershell or zsh")),
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
    let with_value = with_value();
    let (mut value, mut rest) = (false, false);
    let rewrite = |argument: OsString| {
        let Some(text) = argument.to_str().filter(|_| !value && !rest) else {
            value = false;
            return argument;
        };
        rest = text == "--";
        value = with_value.iter().any(|option| option == text);
        let name = text.strip_prefix('-').map(|name| name.split_once('=').map_or(name, |(name, _)| name));
        if name.is_some_and(|name| ONE_DASH.contains(&name)) { format!("-{text}").into() } else { argument }
    };
    arguments.into_iter().map(rewrite).collect()
}

/// The options whose next argument is theirs, whatever it looks like.
fn with_value() -> Vec<String> {
    let command = Arguments::command();
    let options = command.get_arguments().filter(|option| option.get_action().takes_values());
    let spelled = options.flat_map(|option| {
        let long = option.get_long().map(|name| format!("--{name}"));
        long.into_iter().chain(option.get_short().map(|name| format!("-{name}")))
    });
    spelled.chain(["-ex".to_string()]).collect()
}

fn wrong(message: impl Display) -> clap::Error {
    Arguments::command().error(ErrorKind::ValueValidation, message)
}

fn options(given: Arguments, matches: &ArgMatches) -> Result<Options, clap::Error> {
    let texts = given.prompt_file.iter().map(|file| {
        let text = crate::model::file::read_script(file);
        let text = text.map_err(|error| wrong(format!("cannot read {}: {error}", file.display())))?;
        // Some editors begin a file with a byte order mark and end it with a line break; neither is part of the prompt.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Ok(text.strip_suffix("\r\n").or(text.strip_suffix('\n')).unwrap_or(text).to_string())
    });
    let texts: Vec<String> = texts.collect::<Result<_, clap::Error>>()?;
    let prompts = in_order(matches, ("prompt", given.prompt), ("prompt_file", texts));
    if given.pair.is_some() && prompts.len() != 1 {
        return Err(wrong(format!("--pair needs exactly one --prompt, not {}", prompts.len())));
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

/// The values of two options, in the order of the command line.
fn in_order<T>(matches: &ArgMatches, a: (&str, Vec<T>), b: (&str, Vec<T>)) -> Vec<T> {
    let places = |name| matches.indices_of(name).into_iter().flatten();
    let mut values: Vec<(usize, T)> = places(a.0).zip(a.1).chain(places(b.0).zip(b.1)).collect();
    values.sort_by_key(|(place, _)| *place);
    values.into_iter().map(|(_, value)| value).collect()
}
