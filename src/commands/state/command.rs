//! What a command is, and the list of all of them as commands may ask for it.

use super::console::Console;
use super::gdb;
use crate::answer::Answer;
use crate::commands::frame::{Done, Options, declared};
use crate::debugger::{Error, Result};
use crate::lang::command::{CommandLine, Vocabulary, split_command};
use crate::lang::words::{Word, parse_count, words};
use crate::lang::{Expr, LangError, Span, parse_expr};

/// One command, or one of the things that a command like `info` or `save` takes first.
pub struct Command {
    pub name: &'static str,
    pub short: &'static [&'static str],
    /// What it takes, as in a manual; one form a line.
    pub usage: &'static str,
    pub about: &'static str,
    /// More, if there is more to say: sentences.
    pub help: &'static str,
    /// Its options, `("-top N", "rows, 8 by default")`: what a line of it may have, in parsing as in the manual.
    pub options: &'static [(&'static str, &'static str)],
    /// At least two scripts that run as they are, from the start of a pass of the bundled model.
    pub examples: &'static [&'static str],
    /// What its arguments are, for completion.
    pub takes: Takes,
    /// What an empty line after it does.
    pub repeats: Repeats,
    /// Whether it may change what a screen shows.
    pub changes: bool,
    /// What a journal must have of it.
    pub journalled: Journalled,
    /// Whether its answer may fill a pane: it changes nothing, writes nothing, and leaves nothing after.
    pub fills: bool,
    /// Whether its answer is kept for tables and reports.
    pub recorded: bool,
    pub(crate) run: Run,
}

#[derive(Clone, Copy)]
pub enum Takes {
    Nothing,
    Location,
    /// An expression, an assignment, or anything else with sites and functions in it.
    Expression,
    /// One of these words first, then perhaps an expression.
    Words(&'static [&'static str]),
    /// One of these first, each of which is described like a command.
    Kinds(&'static [Command]),
    /// A subject of `info` first: what any group of commands can report.
    Subjects,
    Setting,
    Change,
    Branch,
    File,
    Command,
}

/// What an empty line after a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    Not,
    Same,
    /// The word of the command alone, which goes on where it ended.
    Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journalled {
    /// Nothing: no later command depends on it.
    Not,
    /// The command, written before it is carried out: it changes what a later one may depend on.
    Before,
    /// How many values it has added to the history: otherwise it only looks, and may take long.
    Values,
}

impl Command {
    /// What the command takes first, each described like a command: subjects of `info`, kinds of files that `save` writes.
    pub fn kinds(&self, all: &Directory) -> Vec<&'static Command> {
        match self.takes {
            Takes::Kinds(kinds) => kinds.iter().collect(),
            Takes::Subjects => all.subjects().collect(),
            _ => Vec::new(),
        }
    }

    /// The words that the command takes first, where usage and help do not name each of them already.
    pub fn words(&self) -> Option<&'static [&'static str]> {
        let Takes::Words(words) = self.takes else { return None };
        let texts = [self.usage, self.help].into_iter();
        let named: Vec<&str> =
            texts.flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || c == '-'))).collect();
        (!words.iter().all(|word| named.contains(word))).then_some(words)
    }
}

/// A command line being run.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The whole line, which spans point into.
    pub line: &'a str,
    pub args: &'a CommandLine<'a>,
    /// The entry that is carried out.
    pub command: &'static Command,
    pub all: &'static Directory,
}

/// What the arguments are read as. Errors have their place in the line.
impl Call<'_> {
    pub fn words(&self) -> Result<Vec<Word>> {
        Ok(words(self.args.rest, self.args.offset)?)
    }

    /// The options of the line, and its other words.
    pub fn options(&self) -> Result<(Options, Vec<Word>)> {
        Options::take(self.args.rest, self.args.offset, self.command.options)
    }

    /// The options before an expression, in which a minus is not an option, and the expression with the byte at which it begins.
    pub fn options_before(&self) -> Result<(Options, &str, usize)> {
        let words = self.words()?;
        let is_option = |word: &Word| {
            let name = word.text.strip_prefix('-').filter(|_| !word.quoted);
            name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        };
        let takes_value = |word: &Word| {
            let of = |option| declared(option);
            self.command.options.iter().map(of).any(|(name, value)| value.is_some() && name.starts_with(&word.text))
        };
        let mut count = 0;
        while let Some(word) = words.get(count).filter(|word| is_option(word)) {
            count += 1 + usize::from(takes_value(word));
        }
        let start = words.get(count).map_or(self.end().start, |word| word.span.start);
        let (before, expression) = self.args.rest.split_at(start - self.args.offset);
        let (options, _) = Options::take(before, self.args.offset, self.command.options)?;
        Ok((options, expression, start))
    }

    pub fn no_arguments(&self) -> Result<()> {
        match self.args.rest {
            "" => Ok(()),
            _ => Err(LangError::new(format!("{} takes no argument", self.args.word), self.span()).into()),
        }
    }

    /// The only argument, if it is given; `what` says what is expected where there are several: a `count`, a `name`.
    pub fn optional_word(&self, what: &str) -> Result<Option<Word>> {
        let mut words = self.words()?;
        match words.get(1) {
            Some(extra) => Err(LangError::new(format!("expected one {what}"), extra.span).into()),
            None => Ok(words.pop()),
        }
    }

    /// The only argument, a count, if it is given.
    pub fn count(&self) -> Result<Option<u64>> {
        Ok(self.optional_word("count")?.map(|word| parse_count(&word)).transpose()?)
    }

    pub fn expr(&self) -> Result<Expr> {
        Ok(parse_expr(self.args.rest, self.args.offset)?)
    }

    /// The error that `what` is expected as the first argument.
    pub fn expected(&self, what: &str, help: impl Into<String>) -> Error {
        LangError::new(format!("expected {what}"), Span::at(self.args.offset)).help(help).into()
    }

    pub fn span(&self) -> Span {
        Span::new(self.args.offset, self.end().start)
    }

    pub fn end(&self) -> Span {
        Span::at(self.args.offset + self.args.rest.len())
    }
}

/// A command that takes nothing, changes nothing and fails: what entries of the table differ from.
pub const PLAIN: Command = Command {
    name: "",
    short: &[],
    usage: "",
    about: "",
    help: "",
    options: &[],
    examples: &[],
    takes: Takes::Nothing,
    repeats: Repeats::Not,
    changes: false,
    journalled: Journalled::Not,
    fills: false,
    recorded: true,
    run: |_, _| Err(Error::Refused(String::new())),
};

pub const LOOKING: Command = Command { fills: true, ..PLAIN };

/// A command that may change what a screen shows.
pub const CHANGING: Command = Command { changes: true, journalled: Journalled::Before, ..PLAIN };

/// A command that only looks, but whose values go into the history, or whose answer is kept for others.
pub const ANALYSING: Command = Command { changes: true, journalled: Journalled::Values, ..PLAIN };

pub const REPEATED: Command = Command { repeats: Repeats::Same, ..CHANGING };

type Run = fn(&mut Console, Call<'_>) -> Done;

/// A subject of `info` without options.
pub const fn subject(name: &'static str, usage: &'static str, about: &'static str, run: Run) -> Command {
    Command { name, usage, about, run, ..LOOKING }
}

/// A kind of file that `save` writes, without options.
pub const fn kind(name: &'static str, usage: &'static str, about: &'static str, run: Run) -> Command {
    Command { name, usage, about, run, ..PLAIN }
}

pub struct Group {
    /// The word that `help` takes.
    pub name: &'static str,
    pub title: &'static str,
    pub commands: &'static [Command],
    pub subjects: &'static [Command],
}

pub struct Directory {
    pub groups: &'static [Group],
}

impl Directory {
    pub fn commands(&self) -> impl Iterator<Item = &'static Command> + use<> {
        self.groups.iter().flat_map(|group| group.commands)
    }

    /// What `info` can report, by name.
    pub fn subjects(&self) -> impl Iterator<Item = &'static Command> + use<> {
        let mut all: Vec<&Command> = self.groups.iter().flat_map(|group| group.subjects).collect();
        all.sort_by_key(|subject| subject.name);
        all.into_iter()
    }

    /// Carries out a line within a command. What is to be kept of it, and what it printed, is for its caller to see to.
    ///
    /// # Errors
    /// As the command itself.
    pub(crate) fn carry_out(&'static self, console: &mut Console, line: &str) -> Done {
        let Some(args) = split_command(line) else { return Ok(Answer::Text(String::new())) };
        let command = self.find(args.word, args.span)?;
        (command.run)(console, Call { line, args: &args, command, all: self })
    }

    /// The command that a word stands for: an exact name, else a reserved short form, else the only name that starts so.
    /// An error has the candidates or the nearest names.
    pub fn find(&self, word: &str, span: Span) -> Result<&'static Command, LangError> {
        named(self.commands(), "", word, span).map_err(|error| match gdb::instead_of(word) {
            Some(instead) => error.help(instead),
            None => error,
        })
    }
}

/// The command of a list that a word stands for; `of` is the command that the list belongs to, empty for all commands.
pub fn named(
    commands: impl Iterator<Item = &'static Command>,
    of: &str,
    word: &str,
    span: Span,
) -> Result<&'static Command, LangError> {
    let all: Vec<&Command> = commands.collect();
    let names: Vec<&str> = all.iter().map(|command| command.name).collect();
    let short: Vec<(&str, &str)> =
        all.iter().flat_map(|command| command.short.iter().map(|short| (*short, command.name))).collect();
    let name = Vocabulary { of, names: &names, short: &short }.resolve(word, span)?;
    let found = all.iter().find(|command| command.name == name);
    found.copied().ok_or_else(|| LangError::new(format!("no command {word}"), span))
}
