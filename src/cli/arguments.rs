//! Reading the arguments of the command line.

use std::ffi::OsString;
use std::fmt::Display;
use std::mem::take;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, ValueEnum};

use super::core_file::Part;
use super::options::Options;
use super::{doors, pages, trust};
use crate::frontend::Action;
use crate::frontend::mcp::Allowed;
use crate::remote::Door;

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
    Serve(Door, Box<Options>),
    Attach(PathBuf),
    Mcp(Allowed, Box<Options>),
    AgentHelp,
    Core(PathBuf, Part),
    /// With the words that every session begins with.
    Dap(Vec<OsString>, Box<Options>),
}

/// Reads the arguments, the program's name first. An error knows how to print itself and its exit status: 2 for a
/// mistake, 0 for `--help` and `--version`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let arguments = two_dashes(arguments);
    let words: Vec<_> = arguments.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    match words.iter().map(AsRef::as_ref).collect::<Vec<&str>>().as_slice() {
        ["models"] => return Ok(Invocation::Models),
        ["tour"] => {
            let words = ["llmdbg", "-q", "--nx", "--device", "cpu"].map(OsString::from);
            return Ok(Invocation::Tour(Box::new(options(words.to_vec())?)));
        }
        ["man"] => return Ok(Invocation::Manual),
        ["trust"] => return Ok(Invocation::Trust(trust::PROJECT_FILE.into())),
        ["trust", file] => return Ok(Invocation::Trust(file.into())),
        ["completions"] => return Err(wrong("completions needs a shell: bash, elvish, fish, powershell or zsh")),
        ["completions", shell] => {
            return pages::Shell::from_str(shell, false).map(Invocation::Completions).map_err(wrong);
        }
        ["serve", ..] => return doors::serve(&arguments),
        ["mcp", ..] => return doors::mcp(&arguments),
        ["dap", ..] => return doors::dap(&arguments),
        ["core", file] => return Ok(Invocation::Core(file.into(), Part::Summary)),
        ["core", file, "commands"] => return Ok(Invocation::Core(file.into(), Part::Commands)),
        ["core", file, "sites"] => return Ok(Invocation::Core(file.into(), Part::Sites(String::new()))),
        ["core", file, "sites", text] => return Ok(Invocation::Core(file.into(), Part::Sites((*text).into()))),
        ["core", file, "value", site] => return Ok(Invocation::Core(file.into(), Part::Value((*site).into()))),
        ["core", ..] => {
            return Err(wrong("core needs a file, and then nothing, commands, sites [TEXT], or value SITE"));
        }
        ["help", "agent"] => return Ok(Invocation::AgentHelp),
        ["attach", socket] => return Ok(Invocation::Attach(socket.into())),
        ["attach", ..] => return Err(wrong("attach needs the socket of a server")),
        _ => {}
    }
    let options = options(arguments)?;
    Ok(if options.print_config { Invocation::PrintConfig } else { Invocation::Debug(Box::new(options)) })
}

/// Puts a second dash before gdb's long one-dash options, leaving values alone.
pub(super) fn two_dashes(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
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
    let command = Options::command();
    let options = command.get_arguments().filter(|option| option.get_action().takes_values());
    let spelled = options.flat_map(|option| {
        let long = option.get_long().map(|name| format!("--{name}"));
        long.into_iter().chain(option.get_short().map(|name| format!("-{name}")))
    });
    spelled.chain(["-ex".to_string()]).collect()
}

pub(super) fn wrong(message: impl Display) -> clap::Error {
    Options::command().error(ErrorKind::ValueValidation, message)
}

pub(super) fn options(arguments: Vec<OsString>) -> Result<Options, clap::Error> {
    let matches = Options::command().try_get_matches_from(arguments)?;
    let mut options = Options::from_arg_matches(&matches)?;
    if options.print_config {
        return Ok(options);
    }
    let input = &mut options.input;
    let texts = input.prompt_file.iter().map(|file| {
        let text = crate::model::file::read_script(file);
        let text = text.map_err(|error| wrong(format!("cannot read {}: {error}", file.display())))?;
        // Some editors begin a file with a byte order mark and end it with a line break; neither is part of the prompt.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Ok(text.strip_suffix("\r\n").or(text.strip_suffix('\n')).unwrap_or(text).to_string())
    });
    let texts: Vec<String> = texts.collect::<Result<_, clap::Error>>()?;
    input.prompts = in_order(&matches, ("prompt", take(&mut input.prompts)), ("prompt_file", texts));
    if input.pair.is_some() && input.prompts.len() != 1 {
        return Err(wrong(format!("--pair needs exactly one --prompt, not {}", input.prompts.len())));
    }
    let commands = options.ex.iter().cloned().map(Action::Command).collect();
    let scripts = options.x.iter().cloned().map(Action::Script).collect();
    options.actions = in_order(&matches, ("ex", commands), ("x", scripts));
    let given = |option| matches.value_source(option) == Some(ValueSource::CommandLine);
    (options.device_given, options.budget_given) = (given("device"), given("record_budget"));
    Ok(options)
}

/// The values of two options, in the order of the command line.
fn in_order<T>(matches: &ArgMatches, a: (&str, Vec<T>), b: (&str, Vec<T>)) -> Vec<T> {
    let places = |name| matches.indices_of(name).into_iter().flatten();
    let mut values: Vec<(usize, T)> = places(a.0).zip(a.1).chain(places(b.0).zip(b.1)).collect();
    values.sort_by_key(|(place, _)| *place);
    values.into_iter().map(|(_, value)| value).collect()
}
