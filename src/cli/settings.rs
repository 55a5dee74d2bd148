//! The user's settings: `settings.toml` in the configuration folder, and `--print-config`, which shows the whole
//! configuration.
//!
//! A wrong entry never stops the program: it is reported with its line and the nearest known word, and the default is
//! used.

use std::io::{self, Write};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::commands::{Console, SETTINGS};
use crate::frontend::tui::config::{Problem, did_you_mean, directory, user_file};
use crate::frontend::tui::defaults;

const FILE: &str = "settings.toml";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The path, as shown in messages.
    pub path: String,
    /// The name of each setting, its value as `set` takes it, and its line.
    pub entries: Vec<(String, String, usize)>,
    pub problems: Vec<Problem>,
}

impl Given {
    /// Reads the user's file; without one there are no entries.
    pub fn of_user() -> Given {
        match user_file(directory().as_ref(), FILE) {
            Some((path, text)) => Given { path, ..Given::parse(&text) },
            None => Given::default(),
        }
    }

    /// Reads the text of a file: `list-size = 12`, and groups as tables.
    pub fn parse(text: &str) -> Given {
        let mut given = Given::default();
        let document = match DeTable::parse(text) {
            Ok(document) => document.into_inner(),
            Err(error) => {
                let message = format!("{}; the settings of this file are not used", error.message());
                given.problems.push(Problem::at(text, error.span().unwrap_or_default(), message));
                return given;
            }
        };
        for (name, value) in document {
            match value.get_ref() {
                DeValue::Table(table) => {
                    for (inner, value) in table {
                        let name = format!("{} {}", name.get_ref(), inner.get_ref());
                        given.entry(text, &name, inner.span().start, value);
                    }
                }
                _ => given.entry(text, name.get_ref(), name.span().start, &value),
            }
        }
        given.entries.sort_by_key(|(_, _, line)| *line);
        given.problems.sort_by_key(|problem| problem.line);
        given
    }

    fn entry(&mut self, text: &str, name: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        let mut wrong = |message: String| self.problems.push(Problem::at(text, at..at, message));
        if !SETTINGS.iter().any(|setting| setting.name == name) {
            let near = did_you_mean(name, SETTINGS.iter().map(|setting| setting.name));
            return wrong(format!("unknown setting \"{name}\"{near}"));
        }
        let value = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_string(),
            DeValue::Float(number) => number.as_str().to_string(),
            DeValue::Boolean(switch) => if *switch { "on" } else { "off" }.to_string(),
            _ => return wrong(format!("\"{name}\" must be a number, a string, true or false; the default is used")),
        };
        let line = text[..at].matches('\n').count() + 1;
        self.entries.push((name.to_string(), value, line));
    }

    /// Applies the file to a session, and adds its mistakes to the session's notices. Settings in `without` were given
    /// on the command line, which has precedence.
    pub fn apply(&self, console: &mut Console, without: &[&str]) {
        let mut notices: Vec<(usize, String)> =
            self.problems.iter().map(|problem| (problem.line, problem.describe(&self.path))).collect();
        for (name, value, line) in self.entries.iter().filter(|(name, ..)| !without.contains(&name.as_str())) {
            if let Err(message) = console.configure(name, value, &format!("{FILE}:{line}")) {
                notices.push((*line, format!("{}:{line}: {message}; the default is used", self.path)));
            }
        }
        notices.sort();
        console.notices.extend(notices.into_iter().map(|(_, message)| message));
    }
}

/// Prints the whole configuration as files: the settings with the source of each, then keys, layouts and colours as
/// shipped, each followed by the changes in the user's file.
pub fn print(out: &mut dyn Write) -> io::Result<()> {
    let given = Given::of_user();
    match directory() {
        Some(folder) => writeln!(out, "# Put these files into {}", folder.display())?,
        None => writeln!(out, "# There is no home folder, so there are no configuration files.")?,
    }
    writeln!(out, "\n# ==== {FILE} ====\n# A group is a table, such as [generation].")?;
    for problem in &given.problems {
        writeln!(out, "# wrong: {}", problem.describe(&given.path))?;
    }
    let mut group = "";
    let plain = SETTINGS.iter().filter(|setting| !setting.name.contains(' '));
    for setting in plain.chain(SETTINGS.iter().filter(|setting| setting.name.contains(' '))) {
        let (of, name) = setting.name.split_once(' ').unwrap_or(("", setting.name));
        if of != group {
            writeln!(out, "\n[{of}]")?;
            group = of;
        }
        let own = given.entries.iter().rev().find(|(known, ..)| known == setting.name);
        let (value, from) = match own {
            Some((_, value, line)) => (value.as_str(), format!("{FILE}:{line}")),
            None => (setting.default, "default".to_string()),
        };
        let quoted = if value.parse::<f64>().is_ok() { value.to_string() } else { format!("{value:?}") };
        writeln!(out, "# {}: {}\n{name} = {quoted} # {from}", setting.takes, setting.about)?;
    }
    for (name, text) in defaults() {
        writeln!(out, "\n# ==== {name}: as shipped ====\n{}", text.trim_end())?;
        if let Some((path, own)) = user_file(directory().as_ref(), name) {
            writeln!(out, "\n# ==== {name}: changes in {path} ====\n{}", own.trim_end())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_groups_are_read_with_their_lines() {
        let given = Given::parse("list-size = 12\ntheme = \"light\"\n[generation]\ntemperature = 0.5\nstop = false\n");
        assert_eq!(given.problems, []);
        let entry = |name: &str, value: &str, line| (name.to_string(), value.to_string(), line);
        assert_eq!(
            given.entries,
            [
                entry("list-size", "12", 1),
                entry("theme", "light", 2),
                entry("generation temperature", "0.5", 4),
                entry("generation stop", "off", 5)
            ]
        );
    }

    #[test]
    fn mistakes_are_named_with_their_line_and_the_nearest_name() {
        let given = Given::parse("lits-size = 12\ntop-rows = [1]\n[generation]\ntemprature = 1\n");
        let messages: Vec<String> = given.problems.iter().map(|problem| problem.describe(FILE)).collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert_eq!(messages[0], "settings.toml:1: unknown setting \"lits-size\"; did you mean \"list-size\"?");
        assert!(messages[1].starts_with("settings.toml:2: \"top-rows\" must be a number"));
        assert!(
            messages[2]
                .contains(":4: unknown setting \"generation temprature\"; did you mean \"generation temperature\"?")
        );
        assert_eq!(Given::parse("a = = 1").problems.len(), 1);
    }

    #[test]
    fn the_whole_configuration_is_printed() {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for words in ["list-size = 10 # default", "[generation]", "[layouts]", "[keys]", "[styles]"] {
            assert!(text.contains(words), "{words}");
        }
    }
}
