//! The options of a command line, by what the command declares.
//!
//! A command declares each option once, as `("-top N", "rows, 8 by default")`. From that come its parsing, `help`, completion and
//! the manual.

use super::mistake;
use crate::answer::Table;
use crate::debugger::Result;
use crate::lang::words::{Given, OptionSpec, Word, parse_count, take_options};

/// How an option is written and what it does: `("-top N", "rows, 8 by default")`. With a word after its name it takes a value.
pub type Declared = (&'static str, &'static str);

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

impl Options {
    /// Takes the options out of the words of a line; the other words are returned next to them.
    ///
    /// # Errors
    /// With its place, if one is not declared, is ambiguous, or lacks its value.
    pub fn take(words: Vec<Word>, of: &'static [Declared]) -> Result<(Options, Vec<Word>)> {
        let specs: Vec<OptionSpec> = of
            .iter()
            .map(|option| {
                let (name, value) = declared(option);
                OptionSpec { name, takes_value: value.is_some() }
            })
            .collect();
        let (given, left) = take_options(words, &specs)?;
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
