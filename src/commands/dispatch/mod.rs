//! Which commands there are, and how a line finds its own.

mod complete;
mod execute;
mod lines;

use super::state::{Command, Directory, Group};
use super::{changing, comparing, explaining, generating, looking, moving, scripting, session, stopping};

pub static ALL: Directory = Directory {
    groups: &[
        group("moving", "Moving", moving::COMMANDS, moving::SUBJECTS),
        group("generating", "Generating", generating::COMMANDS, generating::SUBJECTS),
        group("stopping", "Stopping", stopping::COMMANDS, stopping::SUBJECTS),
        group("looking", "Looking", looking::COMMANDS, looking::SUBJECTS),
        group("explaining", "Explaining", explaining::COMMANDS, explaining::SUBJECTS),
        group("comparing", "Comparing and checking", comparing::COMMANDS, comparing::SUBJECTS),
        group("changing", "Changing", changing::COMMANDS, changing::SUBJECTS),
        group("scripting", "Scripting", scripting::COMMANDS, scripting::SUBJECTS),
        group("session", "The session", session::COMMANDS, session::SUBJECTS),
    ],
};

const fn group(
    name: &'static str,
    title: &'static str,
    commands: &'static [Command],
    subjects: &'static [Command],
) -> Group {
    Group { name, title, commands, subjects }
}

pub fn commands() -> impl Iterator<Item = &'static Command> {
    ALL.commands()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::commands::frame::declared;
    use crate::commands::state::COUNTERPARTS;
    use crate::lang::Span;

    /// Commands, and what commands like `info` and `save` take first.
    fn described() -> Vec<&'static Command> {
        ALL.commands().flat_map(|command| command.kinds(&ALL).into_iter().chain([command])).collect()
    }

    #[test]
    fn every_command_is_described_and_every_name_is_its_own() {
        let mut names = HashSet::new();
        for command in commands() {
            for name in command.short.iter().chain([&command.name]) {
                assert!(names.insert(*name), "{name} names two commands");
            }
            let first = command.usage.split_whitespace().next();
            let named = |word: &str| word.split('[').next() == Some(command.name) || word.starts_with(command.name);
            assert!(first.is_some_and(named), "{}", command.name);
            assert!(command.examples.len() >= 2, "{} has {} examples", command.name, command.examples.len());
        }
        for command in described() {
            assert!(!command.about.is_empty() && !command.about.ends_with('.'), "{}", command.name);
        }
    }

    /// Options are parsed by what a command declares; its usage names the same.
    #[test]
    fn usage_names_the_options_that_are_declared_and_no_other() {
        for command in described() {
            let usage: HashSet<&str> = command
                .usage
                .split(|c: char| !(c.is_ascii_lowercase() || c == '-'))
                .filter(|word| word.len() > 1 && word.starts_with('-') && !word.starts_with("--"))
                .collect();
            let declared: HashSet<&str> = command.options.iter().map(|option| declared(option).0).collect();
            assert_eq!(usage, declared, "{}: {}", command.name, command.usage);
        }
    }

    #[test]
    fn short_forms_win_over_prefixes_and_what_is_not_clear_is_an_error() {
        let name = |word: &str| ALL.find(word, Span::new(0, word.len())).map(|command| command.name);
        assert_eq!((name("s"), name("unt"), name("run")), (Ok("step"), Ok("until"), Ok("run")));
        assert!(name("re").unwrap_err().to_string().starts_with("Ambiguous command \"re\": "));
        assert!(name("frobnicate").is_err());
    }

    #[test]
    fn every_counterpart_of_gdb_is_a_command() {
        for known in COUNTERPARTS {
            let exists = known.ours.is_empty() || commands().any(|command| command.name == known.ours);
            assert!(exists && !known.differs.is_empty(), "{}", known.gdb);
        }
    }
}
