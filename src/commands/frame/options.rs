//! The options of a command line, by what the command declares.
//!
//! A command declares each option once, as `("-top N", "rows, 8 by default")`. From that come its parsing, `help`, completion and
//! the manual.

use super::mistake;
use crate::answer::Table;
use crate::debugger::{Error, Result};
use crate::lang::words::{Given, OptionSpec, Takes, Word, parse_count, take_options};
use crate::lang::{Expr, LangError};

/// How an option is written and what it does: `("-top N", "rows, 8 by default")`. With a word after its name it takes a value;
/// if that is `EXPR`, an expression.
pub type Declared = (&'static str, &'static str);

/// What the value of an option that takes an expression is called.
const EXPRESSION: &str = "EXPR";

/// What every command that lists rows takes, with the same meaning: see [`Options::rows`].
pub const TOP: Declared = ("-top N", "list N rows");
pub const SORT: Declared = ("-sort COLUMN", "sort by a column, the largest first");
pub const ALL: Declared = ("-all", "list every row");

/// The options that a line has, all of which are declared. To ask for one that the command does not declare panics.
#[derive(Clone, Debug)]
pub struct Options {
    given: Vec<Given>,
    declared: &'static [Declared],
}

/// The name of a declared option, and the name of its value if it takes one.
pub fn declared(option: &Declared) -> (&'static str, Option<&'static str>) {
    match option.0.split_once(' ') {
        Some((name, value)) => (name, Some(value)),
        None => (option.0, None),
    }
}

/// Whether the value of a declared option is an expression.
pub fn takes_expression(option: &Declared) -> bool {
    declared(option).1 == Some(EXPRESSION)
}

impl Options {
    /// Takes the options out of the arguments of a line, which begin at byte `offset`; the other words are returned next to
    /// them.
    ///
    /// # Errors
    /// With its place, if one is not declared, is ambiguous, or lacks its value.
    pub fn take(text: &str, offset: usize, of: &'static [Declared]) -> Result<(Options, Vec<Word>)> {
        let spec = |option: &Declared| {
            let (name, value) = declared(option);
            let takes = match value {
                None => Takes::Nothing,
                Some(EXPRESSION) => Takes::Expression,
                Some(_) => Takes::Word,
            };
            OptionSpec { name, takes }
        };
        let (given, left) = take_options(text, offset, &of.iter().map(spec).collect::<Vec<_>>())?;
        Ok((Options { given, declared: of }, left))
    }

    /// The first occurrence of an option.
    pub fn get(&self, name: &str) -> Option<&Given> {
        self.all(name).next()
    }

    /// Every occurrence of an option that may be repeated.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Given> {
        assert!(self.declared.iter().any(|option| declared(option).0 == name), "{name} is not declared");
        self.given.iter().filter(move |option| option.name == name)
    }

    /// Whether an option is given.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of an option.
    pub fn value(&self, name: &str) -> Option<&Word> {
        self.get(name).and_then(|option| option.value.as_ref())
    }

    /// The value of an option as an expression, and as it is written.
    ///
    /// # Errors
    /// With its place and the name of the option, if it is not one.
    pub fn expr(&self, name: &str) -> Result<Option<(Expr, &str)>> {
        let Some(option) = self.get(name) else { return Ok(None) };
        Ok(expression(option)?.map(|expr| (expr, option.value.as_ref().map_or("", |word| &word.text))))
    }

    /// Every value of these options that has to be an expression.
    ///
    /// # Errors
    /// As [`expr`](Options::expr).
    pub fn check_expressions(&self) -> Result<(), LangError> {
        let takes = |option: &&Given| {
            self.declared.iter().any(|known| takes_expression(known) && declared(known).0 == option.name)
        };
        self.given.iter().filter(takes).try_for_each(|option| expression(option).map(drop))
    }

    /// The error that a word has no meaning where it is: after which option, and what the command takes.
    pub fn stray(&self, word: &Word, help: &str) -> Error {
        let end = |option: &Given| option.value.as_ref().map_or(option.span, |value| value.span).end;
        let before = self.given.iter().filter(|option| end(option) < word.span.start).max_by_key(|option| end(option));
        let after = before.map_or(String::new(), |option| match &option.value {
            Some(value) => format!(" after {} {}", option.name, value.text),
            None => format!(" after {}", option.name),
        });
        mistake(format!("unexpected word {}{after}", word.text), word.span, help)
    }

    /// The value of an option as a number of things, at least 1.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        Ok(self.value(name).map(parse_count).transpose()?.map(|count| count as usize))
    }

    /// The table with the rows that [`TOP`], [`SORT`] and [`ALL`] ask for, as far as the command declares them. Without any,
    /// it lists what it says itself.
    ///
    /// # Errors
    /// At the value of `-sort`, if no column or several begin with it, or at that of `-top`, if it is not a count.
    pub fn rows(&self, mut table: Table) -> Result<Table> {
        let given = |option: Declared| self.declared.contains(&option).then(|| self.get(declared(&option).0)).flatten();
        if let Some(word) = given(SORT).and_then(|sort| sort.value.as_ref()) {
            let column = column(&table, word)?;
            table = table.sorted(column);
        }
        if given(ALL).is_some() {
            table = table.whole();
        }
        match given(TOP) {
            Some(_) => Ok(table.top(self.count("-top")?.unwrap_or(usize::MAX))),
            None => Ok(table),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Given> {
        self.given.iter()
    }
}

/// The value of an option as an expression. A mistake in it is said to be that of the option.
pub fn expression(option: &Given) -> Result<Option<Expr>, LangError> {
    let Some(word) = &option.value else { return Ok(None) };
    word.expr().map(Some).map_err(|error| {
        let help = error
            .help
            .clone()
            .unwrap_or_else(|| format!("{} takes an expression, up to the next option or in quotes", option.name));
        LangError { message: format!("{}: {}", option.name, error.message), ..error }.help(help)
    })
}

/// The column whose name a word is, or the only one whose name begins so: a narrow table shows no more of it.
fn column(table: &Table, word: &Word) -> Result<usize> {
    let typed = word.text.to_lowercase();
    let names: Vec<String> = table.columns.iter().map(|name| name.to_lowercase()).collect();
    let begin: Vec<usize> = (0..names.len()).filter(|&i| !typed.is_empty() && names[i].starts_with(&typed)).collect();
    let found = names.iter().position(|name| *name == typed && !typed.is_empty());
    match (found, begin.as_slice()) {
        (Some(column), _) => Ok(column),
        (None, [column]) => Ok(*column),
        (None, several) => {
            let what = if several.is_empty() { "no column is called" } else { "several columns begin with" };
            let known: Vec<&str> = table.columns.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
            let help = format!("columns: {}", known.join(", "));
            Err(mistake(format!("{what} {}", word.text), word.span, help))
        }
    }
}
