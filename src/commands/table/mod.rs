//! The table of commands, and all that is made of it: dispatch, abbreviations, `help`, `apropos`, completion and the manual.
//!
//! Each group of commands is a file beside this one.

mod changing;
mod comparing;
mod explaining;
pub(super) mod gdb;
mod generating;
mod looking;
mod moving;
mod scripting;
mod session;
mod stopping;

use std::sync::LazyLock;

use super::console::{Console, Done};
use crate::debugger::Error;
use crate::lang::command::{CommandLine, Vocabulary};
use crate::lang::{LangError, Span};

/// One command.
pub struct Command {
    /// Its full name.
    pub name: &'static str,
    /// Short forms that are reserved for it.
    pub short: &'static [&'static str],
    /// What it takes, as in a manual; one form a line.
    pub usage: &'static str,
    /// One line: what it does.
    pub about: &'static str,
    /// More, if there is more to say: sentences.
    pub help: &'static str,
    /// Its options: how they are written, and what they do.
    pub options: &'static [(&'static str, &'static str)],
    /// At least two scripts that run as they are, from the start of a pass of the bundled model.
    pub examples: &'static [&'static str],
    /// What its arguments are, for completion.
    pub takes: Takes,
    /// What an empty line after it does.
    pub repeats: bool,
    /// Whether it may change what a screen shows.
    pub changes: bool,
    /// What a journal must have of it.
    pub journalled: Journalled,
    /// Whether its answer may fill a pane: it changes nothing, writes nothing, and leaves nothing behind.
    pub fills: bool,
    /// Carries it out.
    pub(super) run: fn(&mut Console, Call<'_>) -> Done,
}

/// What the arguments of a command are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or numbers.
    Nothing,
    /// A location, perhaps with a condition.
    Location,
    /// An expression, an assignment, or anything else with sites and functions in it.
    Expression,
    /// One of these words first, then perhaps an expression.
    Words(&'static [&'static str]),
    /// A setting.
    Setting,
    /// An assignment, or a setting and its value.
    Change,
    /// A branch.
    Branch,
    /// A file.
    File,
    /// A command.
    Command,
}

impl Command {
    /// The first words that the command takes, where usage and help do not name each of them already.
    pub fn words(&self) -> Option<&'static [&'static str]> {
        let Takes::Words(words) = self.takes else { return None };
        let texts = [self.usage, self.help].into_iter();
        let named: Vec<&str> =
            texts.flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || c == '-'))).collect();
        (!words.iter().all(|word| named.contains(word))).then_some(words)
    }
}

/// What a journal must have of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journalled {
    /// Nothing: no later command depends on it.
    Not,
    /// The command, written before it is carried out: it changes what a later one may depend on.
    Before,
    /// How many values it has added to the history: otherwise it only looks, and may take long.
    Values,
}

/// A command line being run.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The whole line, which spans point into.
    pub line: &'a str,
    /// Its parts.
    pub args: &'a CommandLine<'a>,
}

/// A command that takes nothing, changes nothing and fails: what entries of the table differ from.
const PLAIN: Command = Command {
    name: "",
    short: &[],
    usage: "",
    about: "",
    help: "",
    options: &[],
    examples: &[],
    takes: Takes::Nothing,
    repeats: false,
    changes: false,
    journalled: Journalled::Not,
    fills: false,
    run: |_, _| Err(Error::Refused(String::new())),
};

/// A command that only looks.
const LOOKING: Command = Command { fills: true, ..PLAIN };

/// A command that may change what a screen shows.
const CHANGING: Command = Command { changes: true, journalled: Journalled::Before, ..PLAIN };

/// A command that only looks, but whose values go into the history, or whose answer is kept for others.
const ANALYSING: Command = Command { changes: true, journalled: Journalled::Values, ..PLAIN };

/// A command that an empty line repeats.
const REPEATED: Command = Command { repeats: true, ..CHANGING };

/// Commands that belong together.
pub struct Group {
    /// The word that `help` takes.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its commands.
    pub commands: &'static [Command],
}

/// Every command, in the order of the manual.
pub static GROUPS: &[Group] = &[
    Group { name: "moving", title: "Moving", commands: moving::COMMANDS },
    Group { name: "generating", title: "Generating", commands: generating::COMMANDS },
    Group { name: "stopping", title: "Stopping", commands: stopping::COMMANDS },
    Group { name: "looking", title: "Looking", commands: looking::COMMANDS },
    Group { name: "explaining", title: "Explaining", commands: explaining::COMMANDS },
    Group { name: "comparing", title: "Comparing and checking", commands: comparing::COMMANDS },
    Group { name: "changing", title: "Changing", commands: changing::COMMANDS },
    Group { name: "scripting", title: "Scripting", commands: scripting::COMMANDS },
    Group { name: "session", title: "The session", commands: session::COMMANDS },
];

/// Every command, in the order of the manual.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    GROUPS.iter().flat_map(|group| group.commands)
}

static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| commands().map(|command| command.name).collect());

static SHORT: LazyLock<Vec<(&str, &str)>> =
    LazyLock::new(|| commands().flat_map(|command| command.short.iter().map(|short| (*short, command.name))).collect());

/// The command that a word stands for: an exact name, else a reserved short form, else the only name that starts so.
///
/// # Errors
/// With the candidates or the nearest names.
pub fn find(word: &str, span: Span) -> Result<&'static Command, LangError> {
    let vocabulary = Vocabulary { of: "", names: &NAMES, short: &SHORT };
    let name = vocabulary.resolve(word, span).map_err(|error| match gdb::instead_of(word) {
        Some(instead) => error.help(instead),
        None => error,
    })?;
    let found = commands().find(|command| command.name == name);
    found.ok_or_else(|| LangError::new(format!("no command {word}"), span))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_command_is_described_and_every_name_is_its_own() {
        let mut names = HashSet::new();
        for command in commands() {
            for name in command.short.iter().chain([&command.name]) {
                assert!(names.insert(*name), "{name} stands for two commands");
            }
            let first = command.usage.split_whitespace().next();
            assert!(
                first
                    .is_some_and(|word| word.split('[').next() == Some(command.name) || word.starts_with(command.name)),
                "{}",
                command.name
            );
            assert!(!command.about.is_empty() && !command.about.ends_with('.'), "{}", command.name);
            assert!(command.examples.len() >= 2, "{} has {} examples", command.name, command.examples.len());
        }
    }

    #[test]
    fn short_forms_win_over_prefixes_and_what_is_not_clear_is_an_error() {
        let name = |word: &str| find(word, Span::new(0, word.len())).map(|command| command.name);
        assert_eq!((name("s"), name("unt"), name("run")), (Ok("step"), Ok("until"), Ok("run")));
        assert!(name("re").unwrap_err().to_string().starts_with("Ambiguous command \"re\": "));
        assert!(name("frobnicate").is_err());
    }
}
