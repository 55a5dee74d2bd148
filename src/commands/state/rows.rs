//! Rows of a file of prompts: a text and named fields, from CSV or its kin, JSON, or JSON lines.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::debugger::{Error, Result};
use crate::export::csv;

/// Names under which the text of a prompt is.
pub const TEXTS: [&str; 3] = ["prompt", "text", "sentence"];

/// What may stand between two fields, and what it is called.
const SEPARATORS: [(char, &str); 4] = [(',', "comma"), (';', "semicolon"), ('\t', "tab"), ('|', "bar")];

/// A text, and what else is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it is in the file: its line, or its number.
    pub place: String,
    pub text: String,
    pub fields: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub all: Vec<Row>,
    /// What is unusual about the file.
    pub note: Option<String>,
}

/// What precedes the text of a file that some editors write.
pub fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The rows of a file whose name ends so; none of a file with a text in each line.
///
/// # Errors
/// In words, with the line: what cannot be read, a line with more or fewer fields than there are columns, a file without a column of
/// texts. The columns that were found are named.
pub fn parse(text: &str, file: &str) -> Result<Option<Rows>> {
    let text = unmarked(text);
    let ending = file.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_lowercase());
    match ending.as_str() {
        "csv" | "tsv" => table(text).map(Some),
        "json" if text.trim_start().starts_with('[') => {
            let all: Vec<Json> = serde_json::from_str(text).map_err(|error| error.to_string())?;
            let all = all.into_iter().enumerate().map(|(i, value)| object(value, format!("entry {}", i + 1)));
            Ok(Some(Rows { all: all.collect::<Result<_, _>>()?, note: None }))
        }
        "json" | "jsonl" | "ndjson" => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let one = |(number, line): (usize, &str)| {
                let place = format!("line {}", number + 1);
                let value = serde_json::from_str(line).map_err(|error| format!("{place}: {error}"))?;
                object(value, place)
            };
            Ok(Some(Rows { all: lines.map(one).collect::<Result<_, _>>()?, note: None }))
        }
        _ => match heading(text.lines().next().unwrap_or_default()) {
            Some((_, names)) if names.len() > 1 && text_column(&names).is_some() => {
                let what = format!("its first line has the names of columns ({})", names.join(", "));
                Err(format!("{what}, but its name does not end in .csv or .tsv").into())
            }
            _ => Ok(None),
        },
    }
}

/// The separator of a line of names, and the names: those with a column of texts if there is one, and most columns.
fn heading(line: &str) -> Option<(char, Vec<String>)> {
    let names = |separator| {
        let row = csv::parse(line, separator).ok()?.into_iter().next()?;
        Some((separator, row.fields.iter().map(|name| name.trim().to_string()).collect::<Vec<_>>()))
    };
    let found = SEPARATORS.iter().filter_map(|(separator, _)| names(*separator));
    // The first of those that are alike, which is the comma.
    found.rev().max_by_key(|(_, names)| (text_column(names).is_some(), names.len()))
}

fn text_column(names: &[String]) -> Option<usize> {
    TEXTS.iter().find_map(|text| names.iter().position(|name| name.eq_ignore_ascii_case(text)))
}

fn table(text: &str) -> Result<Rows> {
    let (separator, _) = heading(text.lines().next().unwrap_or_default()).unwrap_or((',', Vec::new()));
    let called = SEPARATORS.iter().find(|(known, _)| *known == separator).map_or("comma", |(_, name)| name);
    let mut rows = csv::parse(text, separator).map_err(|error| error.to_string())?.into_iter();
    let head = rows.next().ok_or("it has no line of names")?;
    // A column without a name, such as the one that pandas writes for its index, is called by its number.
    let named = |(i, name): (usize, &String)| match name.trim() {
        "" => format!("column{}", i + 1),
        name => name.to_string(),
    };
    let names: Vec<String> = head.fields.iter().enumerate().map(named).collect();
    let listed = names.join(", ");
    if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        return Err(Error::refused(format!("two of its columns are called {}: {listed}", twice.1)));
    }
    let Some(at) = text_column(&names) else {
        return Err(Error::refused(format!("it has no column {}; its columns are {listed}", TEXTS.join(", "))));
    };
    let mut all = Vec::new();
    for row in rows {
        let place = format!("line {}", row.line);
        let count = row.fields.len();
        if row.fields.iter().all(String::is_empty) {
            continue;
        }
        if count != names.len() {
            let fields = if count == 1 { "field" } else { "fields" };
            let columns = names.len();
            let quotes = format!("a text that holds a {called} must be in quotes");
            let hint = if count > columns { quotes.as_str() } else { "every line needs all of them" };
            let found = format!("{place} has {count} {fields}, and there are {columns} columns ({listed})");
            return Err(format!("{found}: {hint}").into());
        }
        let mut fields: BTreeMap<String, String> = names.iter().cloned().zip(row.fields).collect();
        let text = fields.remove(&names[at]).unwrap_or_default();
        all.push(Row { place, text, fields });
    }
    let note = (separator != ',').then(|| format!("columns are separated by {called}s: {listed}"));
    Ok(Rows { all, note })
}

fn object(value: Json, place: String) -> Result<Row> {
    let Json::Object(mut object) = value else {
        return Err(Error::refused(format!("{place} is not an object")));
    };
    let Some(name) = TEXTS.iter().find(|name| object.contains_key(**name)) else {
        let found: Vec<&str> = object.keys().map(String::as_str).collect();
        return Err(Error::refused(format!("{place} has no {}; it has {}", TEXTS.join(", "), found.join(", "))));
    };
    let text = match object.remove(*name) {
        Some(Json::String(text)) => text,
        other => {
            return Err(Error::refused(format!("{place}: {name} must be a text, not {}", other.unwrap_or_default())));
        }
    };
    let word = |value: Json| if let Json::String(text) = value { text } else { value.to_string() };
    Ok(Row { place, text, fields: object.into_iter().map(|(name, value)| (name, word(value))).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, file: &str) -> Vec<(String, Vec<String>)> {
        let found = parse(text, file).unwrap().unwrap();
        found.all.into_iter().map(|row| (row.text, row.fields.into_values().collect())).collect()
    }

    fn wrong(text: &str, file: &str) -> String {
        parse(text, file).unwrap_err().to_string()
    }

    #[test]
    fn every_separator_is_found_and_said() {
        let wanted = [("The nurse, who".to_string(), vec!["f".to_string()]), ("b".into(), vec!["m".into()])];
        assert_eq!(rows("prompt,group\n\"The nurse, who\",f\n\nb,m\n", "a.CSV"), wanted);
        for (separator, called) in &SEPARATORS[1..] {
            let text = format!("\u{feff}group{separator}Prompt\r\nf{separator}The nurse, who\r\nm{separator}b\r\n");
            assert_eq!(rows(&text, "a.csv"), wanted, "{called}");
            let note = parse(&text, "a.tsv").unwrap().unwrap().note.unwrap();
            assert_eq!(note, format!("columns are separated by {called}s: group, Prompt"));
        }
        assert_eq!(rows(",text\n0,a;b\n", "a.csv"), [("a;b".to_string(), vec!["0".to_string()])]);
    }

    #[test]
    fn torn_lines_are_refused_with_the_columns() {
        let hint =
            "line 3 has 3 fields, and there are 2 columns (prompt, group): a text that holds a comma must be in quotes";
        assert_eq!(wrong("prompt,group\na,f\nThe nurse, who was late,f\n", "a.csv"), hint);
        let few = wrong("prompt;group\na\n", "a.csv");
        assert_eq!(few, "line 2 has 1 field, and there are 2 columns (prompt, group): every line needs all of them");
        assert_eq!(
            wrong("prompt\na, b\n", "a.csv").split(':').next(),
            Some("line 2 has 2 fields, and there are 1 columns (prompt)")
        );
        assert_eq!(
            wrong("words,group\na,f\n", "a.csv"),
            "it has no column prompt, text, sentence; its columns are words, group"
        );
        assert_eq!(wrong("prompt,group,group\n", "a.csv"), "two of its columns are called group: prompt, group, group");
        assert_eq!(wrong("prompt,group\n\"a,f\n", "a.csv"), "line 2: a quote is opened and never closed");
        assert!(wrong("prompt,group\na,f\n", "a.txt").contains("does not end in .csv"));
        assert_eq!(parse("a prompt, and more\nb\n", "a.txt"), Ok(None));
    }

    #[test]
    fn objects_need_a_text_and_say_what_they_have() {
        assert_eq!(rows("{\"text\": \"a\", \"n\": 3}\n\n{\"prompt\": \"b\"}", "x.json").len(), 2);
        assert_eq!(wrong("[{\"x\": 1, \"y\": 2}]", "x.json"), "entry 1 has no prompt, text, sentence; it has x, y");
        assert_eq!(wrong("{\"prompt\": null}", "x.jsonl"), "line 1: prompt must be a text, not null");
        assert_eq!(wrong("[3]", "x.json"), "entry 1 is not an object");
    }
}
