//! What a step of a plan looks for in an answer: tests of a row, or of the answer's JSON object, joined by `and`.
//!
//! `Finding contains "NaN" and Measured > 3`, `line matches "byte (?<byte>[0-9]+)"`, `/stop/reason == "end"`.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value as Json;

use crate::answer::{Answer, Cell, json, text};
use crate::lang::strings;

/// Tests that all have to hold.
#[derive(Clone, Debug)]
pub struct Predicate(Vec<Test>);

#[derive(Clone, Debug)]
struct Test {
    /// A column, or a pointer into the answer's JSON object if it begins with `/`.
    of: String,
    is: Is,
}

#[derive(Clone, Debug)]
enum Is {
    /// A number on one side of a limit.
    Number(Order, f64),
    Text {
        equal: bool,
        to: String,
    },
    Contains(String),
    Matches(Box<Regex>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
}

const OPERATORS: [(&str, Option<Order>); 8] = [
    ("==", Some(Order::Equal)),
    ("!=", Some(Order::Unequal)),
    ("<=", Some(Order::AtMost)),
    (">=", Some(Order::AtLeast)),
    ("<", Some(Order::Below)),
    (">", Some(Order::Above)),
    ("contains", None),
    ("matches", None),
];

impl Predicate {
    /// Reads `COLUMN OPERATOR VALUE and ...`. A column of several words is in quotes; a value is a number or a text in quotes.
    ///
    /// # Errors
    /// In words, if it is written otherwise.
    pub fn parse(text: &str) -> Result<Predicate, String> {
        let (mut left, mut tests) = (text.trim_start(), Vec::new());
        loop {
            let (of, rest) = column(left)?;
            let (name, order, rest) = operator(rest).ok_or_else(|| {
                format!("expected ==, !=, <, <=, >, >=, contains or matches after {of:?}, found {rest:?}")
            })?;
            let (is, rest) = value(name, order, rest)?;
            tests.push(Test { of, is });
            left = match rest.trim_start() {
                "" => return Ok(Predicate(tests)),
                rest => match rest.strip_prefix("and").filter(|rest| rest.starts_with(char::is_whitespace)) {
                    Some(rest) => rest.trim_start(),
                    None => return Err(format!("expected \"and\" or the end, found {rest:?}")),
                },
            };
        }
    }

    /// What the groups of its patterns have found, if it holds of a row.
    pub fn found(&self, row: &Row<'_>) -> Option<Vec<(String, String)>> {
        let mut groups = Vec::new();
        self.0.iter().all(|test| test.holds(row, &mut groups)).then_some(groups)
    }

    /// Whether it is about why a command failed.
    pub fn expects_failure(&self) -> bool {
        self.0.iter().any(|test| test.of == "error")
    }
}

fn column(text: &str) -> Result<(String, &str), String> {
    if text.starts_with('"') {
        let (of, length) = strings::literal(text, 0).map_err(|error| error.message)?;
        return Ok((of, text[length..].trim_start()));
    }
    let end = text.find(|c: char| c.is_whitespace() || "=!<>".contains(c)).unwrap_or(text.len());
    match end {
        0 => Err(format!("expected a column or /pointer, found {text:?}")),
        _ => Ok((text[..end].to_string(), text[end..].trim_start())),
    }
}

fn operator(text: &str) -> Option<(&'static str, Option<Order>, &str)> {
    OPERATORS.iter().find_map(|(name, order)| Some((*name, *order, text.strip_prefix(name)?.trim_start())))
}

fn value<'a>(name: &str, order: Option<Order>, text: &'a str) -> Result<(Is, &'a str), String> {
    if text.starts_with('"') {
        let (value, length) = match name {
            // The pattern has backslashes itself.
            "matches" => pattern(text)?,
            _ => strings::literal(text, 0).map_err(|error| error.message)?,
        };
        let is = match (name, order) {
            ("contains", _) => Is::Contains(value),
            ("matches", _) => Is::Matches(Box::new(Regex::new(&value).map_err(|error| error.to_string())?)),
            (_, Some(Order::Equal)) => Is::Text { equal: true, to: value },
            (_, Some(Order::Unequal)) => Is::Text { equal: false, to: value },
            _ => return Err(format!("{name} compares numbers, not {value:?}")),
        };
        return Ok((is, &text[length..]));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    match (order, text[..end].parse::<f64>()) {
        (Some(order), Ok(number)) => Ok((Is::Number(order, number), &text[end..])),
        _ => Err(format!("expected {} after {name}, found {:?}", expected(order), &text[..end])),
    }
}

fn expected(order: Option<Order>) -> &'static str {
    if order.is_some() { "a number or a text in quotes" } else { "a text in quotes" }
}

/// A text in quotes in which a backslash only keeps a quote from ending it, and how many bytes it takes.
fn pattern(text: &str) -> Result<(String, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, at + 1)),
            '\\' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                out.push('"');
                _ = chars.next();
            }
            c => out.push(c),
        }
    }
    Err(format!("{text} has no closing quote"))
}

impl Test {
    fn holds(&self, row: &Row<'_>, groups: &mut Vec<(String, String)>) -> bool {
        let Some(cell) = row.cell(&self.of) else { return false };
        match &self.is {
            Is::Number(order, limit) => number(&cell).is_some_and(|x| match order {
                Order::Equal => x == *limit,
                Order::Unequal => x != *limit,
                Order::Below => x < *limit,
                Order::AtMost => x <= *limit,
                Order::Above => x > *limit,
                Order::AtLeast => x >= *limit,
            }),
            Is::Text { equal, to } => (written(&cell) == *to) == *equal,
            Is::Contains(part) => written(&cell).contains(part),
            Is::Matches(pattern) => {
                let text = written(&cell);
                let Some(found) = pattern.captures(&text) else { return false };
                for name in pattern.capture_names().flatten() {
                    if let Some(group) = found.name(name) {
                        groups.push((name.to_string(), group.as_str().to_string()));
                    }
                }
                true
            }
        }
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Int(x) => Some(*x as f64),
        Cell::Num(x) => Some(*x),
        Cell::Bool(x) => Some(f64::from(u8::from(*x))),
        Cell::Text(text) => text.parse().ok(),
        Cell::Empty => None,
    }
}

/// A cell as a command takes it.
pub fn written(cell: &Cell) -> String {
    match cell {
        Cell::Int(x) => x.to_string(),
        Cell::Num(x) => x.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Bool(x) => x.to_string(),
        Cell::Empty => String::new(),
    }
}

/// One row of an answer: the cells of a table, or a line.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    pub cells: BTreeMap<String, Cell>,
    json: &'a Json,
}

impl Row<'_> {
    fn cell(&self, of: &str) -> Option<Cell> {
        if !of.starts_with('/') {
            return self.cells.get(of).cloned();
        }
        Some(match self.json.pointer(of)? {
            Json::Number(x) => Cell::Num(x.as_f64()?),
            Json::Bool(x) => Cell::Bool(*x),
            Json::String(text) => Cell::Text(text.clone()),
            Json::Null => Cell::Empty,
            other => Cell::Text(other.to_string()),
        })
    }
}

/// What a command answered, as rows.
#[derive(Clone, Debug)]
pub struct Answered {
    pub answer: Answer,
    json: Json,
    rows: Vec<BTreeMap<String, Cell>>,
}

impl Answered {
    /// The rows of a table, each with its title as `title`; the element of a value of one as `value`; of any other answer, and of
    /// what was printed before it, each line as `line`; of a failure, its message as `error`. Where a table leaves the text of
    /// the row above out, it is put in.
    pub fn of(line: &str, answer: Answer, printed: &[String]) -> Answered {
        let one = |name: &str, cell: Cell| BTreeMap::from([(name.to_string(), cell)]);
        let lines = |lines: Vec<String>| lines.into_iter().map(|line| one("line", line.into())).collect::<Vec<_>>();
        let mut rows = lines(printed.to_vec());
        match &answer {
            Answer::Table(table) => {
                let title = table.title.clone();
                let mut above: Vec<Cell> = Vec::new();
                if table.rows.is_empty() {
                    rows.push(one("title", title.clone().into()));
                }
                for row in &table.rows {
                    let continues = row.first().is_some_and(|cell| *cell == Cell::Text(String::new()));
                    let filled = row.iter().enumerate().map(|(i, cell)| match cell {
                        Cell::Text(text) if text.is_empty() && continues => above.get(i).unwrap_or(cell).clone(),
                        cell => cell.clone(),
                    });
                    above = filled.collect();
                    let mut cells: BTreeMap<String, Cell> =
                        table.columns.iter().cloned().zip(above.iter().cloned()).collect();
                    cells.insert("title".into(), title.clone().into());
                    rows.push(cells);
                }
            }
            Answer::Error(error) => rows.push(one("error", (&error.message).into())),
            Answer::Value(value) => {
                let data = value.data.as_deref().unwrap_or_default();
                if let [x] = data {
                    rows.push(one("value", (*x).into()));
                }
            }
            other => rows.extend(lines(text::lines(other, None))),
        }
        let json = json::object(line, &answer, None, 0.0, printed);
        Answered { answer, json, rows }
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { cells: cells.clone(), json: &self.json })
    }

    /// Adds the column `Ratio`: the number of a column relative to its median over the rows whose `like` differs in the number of the
    /// block alone.
    pub fn with_ratio(mut self, column: &str, like: &str) -> Answered {
        let kind = |row: &BTreeMap<String, Cell>| row.get(like).map(written).map(|text| without_numbers(&text));
        let mut by_kind: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for row in &self.rows {
            if let (Some(kind), Some(x)) = (kind(row), row.get(column).and_then(number)) {
                by_kind.entry(kind).or_default().push(x);
            }
        }
        by_kind.values_mut().for_each(|all| all.sort_by(f64::total_cmp));
        for row in &mut self.rows {
            let usual = kind(row).and_then(|kind| by_kind.get(&kind)).filter(|all| all.len() > 1);
            if let (Some(usual), Some(x)) = (usual, row.get(column).and_then(number)) {
                // Of two, the smaller one: a fault is too large more often than the others are too small.
                row.insert("Ratio".into(), Cell::Num(x / usual[(usual.len() - 1) / 2]));
            }
        }
        self
    }
}

/// A name without its numbers: what weights of all blocks have in common.
fn without_numbers(text: &str) -> String {
    text.split('.').map(|part| if part.parse::<usize>().is_ok() { "*" } else { part }).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Table;

    #[test]
    fn rows_are_found_by_their_cells_and_patterns_name_parts() {
        let table = Table::new(["", "Finding", "At", "Max abs"])
            .title("two\nlines")
            .row(("error", "holds \"NaN\"", "blocks.1.mlp.W_in", 3.0))
            .row(("", "", "blocks.2.mlp.W_in", f64::INFINITY));
        let answered = Answered::of("x", table.into(), &["printed 7".into()]);
        let found = |text: &str| {
            let predicate = Predicate::parse(text).unwrap();
            answered.rows().filter_map(|row| predicate.found(&row)).collect::<Vec<_>>()
        };
        assert_eq!(found("Finding contains \"NaN\"").len(), 2);
        assert_eq!(found("Finding == \"holds \\\"NaN\\\"\" and \"Max abs\" < 4").len(), 1);
        assert_eq!(found("At matches \"blocks\\.(?<n>\\d+)\" and \"Max abs\" > 4"), [[("n".into(), "2".into())]]);
        assert_eq!(found("line matches \"printed (?<x>.)\""), [[("x".into(), "7".into())]]);
        assert_eq!((found("title contains \"lines\"").len(), found("Absent == 1").len()), (2, 0));
        assert_eq!(found("/kind == \"table\" and /table/rows/0/3 == 3").len(), 3);
    }

    #[test]
    fn what_is_not_a_predicate_is_refused_in_words() {
        for (text, part) in [
            ("", "expected a column"),
            ("Finding", "after \"Finding\""),
            ("Finding < \"x\"", "compares numbers"),
            ("Finding contains 3", "a text in quotes after contains"),
            ("Finding matches \"(\"", "unclosed group"),
            ("Finding == 3 or x == 2", "expected \"and\""),
            ("Finding == \"x", "closing quote"),
        ] {
            let error = Predicate::parse(text).unwrap_err();
            assert!(error.contains(part) || error.contains("string"), "{text}: {error}");
        }
    }

    #[test]
    fn a_ratio_is_to_the_same_weight_of_other_blocks() {
        let names = ["blocks.0.ln1.w", "blocks.1.ln1.w", "blocks.2.ln1.w", "ln_final.w"];
        let rows = names.iter().zip([1.0, 30.0, 2.0, 500.0]);
        let table = Table::new(["Role", "Std"]).rows(rows.map(|(name, x)| (*name, x)));
        let answered = Answered::of("x", table.into(), &[]).with_ratio("Std", "Role");
        let ratios: Vec<Option<Cell>> = answered.rows().map(|row| row.cells.get("Ratio").cloned()).collect();
        assert_eq!(ratios, [Some(Cell::Num(0.5)), Some(Cell::Num(15.0)), Some(Cell::Num(1.0)), None]);
    }
}
