//! Finding the configuration files of the interface, and reporting the mistakes in them.
//!
//! A wrong entry never stops the program: it is reported with its line and the nearest known word, and the default is
//! used.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what is used instead.
    pub message: String,
}

impl Problem {
    /// A mistake at the bytes `span` of `text`.
    pub fn at(text: &str, span: Range<usize>, message: String) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        Self { line: before.matches('\n').count() + 1, message }
    }

    pub fn describe(&self, file: &str) -> String {
        format!("{file}:{}: {}", self.line, self.message)
    }
}

pub struct Problems<'t> {
    text: &'t str,
    found: Vec<Problem>,
}

impl Problems<'_> {
    /// Adds a mistake at the bytes `span`.
    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.found.push(Problem::at(self.text, span, message.into()));
    }

    /// Adds a name of some `kind` that is none of `known`.
    pub fn unknown<'a>(&mut self, kind: &str, name: &Spanned<DeString<'_>>, known: impl IntoIterator<Item = &'a str>) {
        self.add(name.span(), unknown(kind, name.get_ref(), known));
    }
}

/// `unknown action "stpe"; did you mean "step"?`.
pub fn unknown<'a>(kind: &str, word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    format!("unknown {kind} \"{word}\"{}", did_you_mean(word, known))
}

/// Reads a file of sections: calls `apply` with each of `names` that the file has as a table, in the order of `names`.
/// Returns the mistakes, in the order of the file. `what` completes the message if the file cannot be parsed: `keys
/// are`, `theme is`.
pub fn sections(
    text: &str,
    what: &str,
    names: &[&str],
    mut apply: impl FnMut(&str, DeTable<'_>, &mut Problems<'_>),
) -> Vec<Problem> {
    let document = match DeTable::parse(text) {
        Ok(document) => document.into_inner(),
        Err(error) => {
            let message = format!("{}; the default {what} used", error.message());
            return vec![Problem::at(text, error.span().unwrap_or_default(), message)];
        }
    };
    let mut problems = Problems { text, found: Vec::new() };
    let mut known = Vec::new();
    for (name, value) in document {
        match (names.iter().position(|known| known == name.get_ref()), value.into_inner()) {
            (Some(place), DeValue::Table(table)) => known.push((place, table)),
            _ => problems.unknown("section", &name, names.iter().copied()),
        }
    }
    known.sort_by_key(|(place, _)| *place);
    for (place, table) in known {
        apply(names[place], table, &mut problems);
    }
    problems.found.sort_by_key(|problem| problem.line);
    problems.found
}

/// `; did you mean "step"?`, or nothing if no candidate is near.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let distances = candidates.into_iter().map(|known| (strsim::damerau_levenshtein(word, known), known));
    let nearest = distances.min_by_key(|(distance, _)| *distance);
    let near = nearest.filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 2);
    near.map(|(_, candidate)| format!("; did you mean \"{candidate}\"?")).unwrap_or_default()
}

pub fn directory() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "llmdbg").map(|found| found.config_dir().to_path_buf())
}

/// The user's file called `name`, if it exists: its path for messages, and its text.
pub fn user_file(directory: Option<&PathBuf>, name: &str) -> Option<(String, String)> {
    let path = directory?.join(name);
    let text = crate::model::file::read_text(&path).ok()?;
    Some((path.display().to_string(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_know_their_line() {
        let text = "[keys]\nstep = 1\n";
        assert_eq!(Problem::at(text, 7..11, "no".to_string()).describe("keys.toml"), "keys.toml:2: no");
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(did_you_mean("stpe", ["step", "next"]), "; did you mean \"step\"?");
        assert_eq!(did_you_mean("zzzzzz", ["step", "next"]), "");
    }
}
