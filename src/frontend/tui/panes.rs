//! The panes, and the layouts that arrange them: the defaults, patched by the user's file.
//!
//! Five panes are built in. Every other pane shows the answer of a command, so a new analysis gets its pane with a line
//! in `config/layouts.toml`.

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::config::{Problem, Problems, did_you_mean, sections};
use crate::commands::Console;

pub const DEFAULT: &str = include_str!("../../../config/layouts.toml");

/// A part of the screen that can have the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pane {
    #[default]
    Program,
    Value,
    /// All heads of a layer, or a grid of layers and heads.
    Heads,
    Tokens,
    /// Commands and answers.
    Console,
    /// The answer of a command: the pane of that number in [`Panes::queries`].
    Query(usize),
}

/// What is wrong with a layout of a file.
#[derive(Debug, Error)]
enum LayoutError {
    #[error("the layout \"{0}\" must be {{ panes = [...], narrow = [\"one\", \"another\"] }}")]
    Shape(String),
    #[error("the layout \"{0}\" needs at least two panes, each only once")]
    Panes(String),
    #[error("{0} is always shown and cannot be part of a layout")]
    Always(String),
    #[error("no pane \"{0}\"{1}")]
    Unknown(String, String),
}

const BUILT_IN: [(&str, Pane); 5] = [
    ("program", Pane::Program),
    ("value", Pane::Value),
    ("heads", Pane::Heads),
    ("tokens", Pane::Tokens),
    ("console", Pane::Console),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrangement {
    pub name: String,
    /// The left column, the upper right, and the panes below it.
    pub panes: Vec<Pane>,
    /// The two panes of a narrower window.
    pub narrow: [Pane; 2],
}

/// A pane that shows the answer of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub name: String,
    pub command: String,
    /// Whether its last row is selected first.
    pub from_end: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panes {
    /// The panes that show answers.
    pub queries: Vec<Query>,
    /// The layouts, in the order of `layout next`.
    pub layouts: Vec<Arrangement>,
}

impl Panes {
    /// The defaults, patched by the text of a user's file; and the mistakes in that text.
    pub fn new(user: Option<&str>) -> (Self, Vec<Problem>) {
        let mut panes = Self::default();
        let problems = [Some(DEFAULT), user].into_iter().flatten().flat_map(|text| panes.apply(text)).collect();
        (panes, problems)
    }

    pub fn names(&self) -> Vec<String> {
        self.layouts.iter().map(|layout| layout.name.clone()).collect()
    }

    /// The layout called `name`, or else the first one.
    pub fn layout(&self, name: &str) -> &Arrangement {
        let found = self.layouts.iter().find(|layout| layout.name == name);
        found.unwrap_or(&self.layouts[0])
    }

    pub fn name(&self, pane: Pane) -> &str {
        match pane {
            Pane::Query(number) => self.queries.get(number).map_or("", |query| &query.name),
            _ => BUILT_IN.iter().find(|(_, known)| *known == pane).map_or("", |(name, _)| name),
        }
    }

    pub fn find(&self, name: &str) -> Option<Pane> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, pane)| *pane);
        built_in.or_else(|| self.queries.iter().position(|query| query.name == name).map(Pane::Query))
    }

    pub fn with(&self, pane: Pane) -> Option<&Arrangement> {
        self.layouts
            .iter()
            .find(|layout| layout.narrow.contains(&pane))
            .or_else(|| self.layouts.iter().find(|layout| layout.panes.contains(&pane)))
    }

    fn apply(&mut self, text: &str) -> Vec<Problem> {
        // Panes first, wherever they are in the file, because layouts name them.
        sections(text, "layouts are", &["panes", "layouts"], |name, table, problems| match name {
            "panes" => self.apply_panes(table, problems),
            _ => self.apply_layouts(table, problems),
        })
    }

    fn apply_panes(&mut self, table: DeTable<'_>, problems: &mut Problems<'_>) {
        for (name, value) in as_written(table) {
            let word = name.get_ref().to_string();
            let mut wrong = |message: String| problems.add(value.span(), message);
            let at = |key: &str| value.get_ref().get(key).and_then(|value| value.get_ref().as_str());
            let (command, from_end) = match (value.get_ref(), at("command"), at("start")) {
                (DeValue::String(command), ..) => (command.to_string(), false),
                (_, Some(command), Some("start") | None) => (command.to_string(), false),
                (_, Some(command), Some("end")) => (command.to_string(), true),
                _ => {
                    let form = "a command in quotes, or { command = \"...\", start = \"end\" }";
                    wrong(format!("the pane \"{word}\" must be {form}"));
                    continue;
                }
            };
            let first = command.split_whitespace().next().unwrap_or_default();
            if BUILT_IN.iter().any(|(known, _)| *known == word) {
                wrong(format!("the pane \"{word}\" is built in and cannot show a command"));
            } else if !Console::command(first).is_some_and(|found| found.fills) {
                wrong(format!("a pane can only show a read-only command, and \"{first}\" is not one"));
            } else {
                let query = Query { name: word, command, from_end };
                match self.queries.iter_mut().find(|known| known.name == query.name) {
                    Some(known) => *known = query,
                    None => self.queries.push(query),
                }
            }
        }
    }

    fn apply_layouts(&mut self, table: DeTable<'_>, problems: &mut Problems<'_>) {
        for (name, value) in as_written(table) {
            let word = name.get_ref().to_string();
            match self.arrangement(&word, value.get_ref()) {
                Ok(found) => match self.layouts.iter_mut().find(|layout| layout.name == word) {
                    Some(known) => *known = found,
                    None => self.layouts.push(found),
                },
                Err(error) => problems.add(value.span(), error.to_string()),
            }
        }
    }

    fn arrangement(&self, name: &str, value: &DeValue<'_>) -> Result<Arrangement, LayoutError> {
        let shape = || LayoutError::Shape(name.to_string());
        let list = |key: &str| -> Result<Vec<Pane>, LayoutError> {
            let entries = value.get(key).and_then(|value| value.get_ref().as_array()).ok_or_else(shape)?;
            let pane = |entry: &DeValue<'_>| {
                let word = entry.as_str().ok_or_else(shape)?;
                let queries = self.queries.iter().map(|query| query.name.as_str());
                let names = BUILT_IN.iter().map(|(known, _)| *known).chain(queries);
                let found = self.find(word).filter(|pane| !matches!(pane, Pane::Tokens | Pane::Console));
                found.ok_or_else(|| match word {
                    "tokens" | "console" => LayoutError::Always(word.to_string()),
                    _ => LayoutError::Unknown(word.to_string(), did_you_mean(word, names)),
                })
            };
            entries.iter().map(|entry| pane(entry.get_ref())).collect()
        };
        let panes = list("panes")?;
        let narrow: [Pane; 2] = list("narrow")?.try_into().map_err(|_| shape())?;
        let distinct = panes.iter().enumerate().all(|(at, pane)| !panes[..at].contains(pane)) && narrow[0] != narrow[1];
        if panes.len() < 2 || !distinct {
            return Err(LayoutError::Panes(name.to_string()));
        }
        Ok(Arrangement { name: name.to_string(), panes, narrow })
    }
}

type Entry<'a> = (Spanned<DeString<'a>>, Spanned<DeValue<'a>>);

/// The entries of a table in the order of the file; the library sorts them by name.
fn as_written(table: DeTable<'_>) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = table.into_iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Screen;

    #[test]
    fn the_default_is_right_and_commands_know_its_layouts() {
        let (panes, problems) = Panes::new(None);
        assert_eq!(problems, []);
        assert_eq!(panes.names(), Screen::default().layouts);
        for (number, Query { name, .. }) in panes.queries.iter().enumerate() {
            assert_eq!(panes.find(name), Some(Pane::Query(number)));
            assert_eq!(panes.name(Pane::Query(number)), name);
        }
    }

    #[test]
    fn a_user_file_adds_and_replaces() {
        let user = "[panes]\nnorms = \"layers norm(resid_post[-1])\"\n\
                    [layouts]\nmine = { panes = [\"program\", \"norms\"], narrow = [\"value\", \"norms\"] }\n";
        let (panes, problems) = Panes::new(Some(user));
        assert_eq!(problems, []);
        let mine = panes.layout("mine");
        assert_eq!(panes.name(mine.panes[1]), "norms");
        assert_eq!(panes.layout("nowhere").name, "program");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let user = "[panes]\nbad = \"step\"\nvalue = \"info sites\"\n[layouts]\na = { panes = [\"progam\", \"value\"], narrow = [\"value\", \"lens\"] }\n\
                    b = { panes = [\"value\"], narrow = [\"value\", \"lens\"] }\nc = 3\n[layout]\n";
        let (panes, problems) = Panes::new(Some(user));
        let messages: Vec<String> = problems.iter().map(|problem| problem.describe("layouts.toml")).collect();
        assert_eq!(messages.len(), 6, "{messages:?}");
        assert!(
            messages[0].contains("layouts.toml:2: a pane can only show a read-only command, and \"step\" is not one")
        );
        assert!(messages[1].contains(":3: the pane \"value\" is built in"));
        assert!(messages[2].contains(":5: no pane \"progam\"; did you mean \"program\"?"));
        assert!(messages[3].contains(":6: the layout \"b\" needs at least two panes"));
        assert!(messages[4].contains(":7: the layout \"c\" must be"));
        assert!(messages[5].contains(":8: unknown section \"layout\"; did you mean \"layouts\"?"));
        assert_eq!(panes.names(), Panes::new(None).0.names());
    }
}
