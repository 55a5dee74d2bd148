//! What a program may do: look, change the model, reach outside the session.

use super::error::ToolError;
use crate::commands::{ALL, Console};
use crate::engine::script::{Builtin, builtin, opener};
use crate::lang::command::split_command;

/// What the user has allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Edits of values, weights and prompts, settings, and other models.
    pub changes: bool,
    /// Files that are written, scripts, and programs.
    pub outside: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Nothing,
    Changes,
    Outside,
}

/// Commands that change what later answers are about, and are not in the group of changes.
const CHANGING: [&str; 6] = ["function", "load", "load-dump", "use", "lora", "resume"];

/// Commands that write files or end the session.
const WRITING: [&str; 3] = ["save", "export", "quit"];

/// Groups of commands that change nothing of the model. Another group is not among them until somebody says so.
const LOOKING: [&str; 6] = ["moving", "generating", "stopping", "looking", "explaining", "comparing"];

/// Commands of other groups that change nothing of it either.
const HARMLESS: [&str; 4] = ["layout", "show", "help", "apropos"];

/// Settings that reach outside.
const OUTSIDE: [&str; 2] = ["logging", "shell"];

impl Allowed {
    /// Refuses a line that may not run.
    ///
    /// # Errors
    /// With what it would need.
    pub fn check(self, line: &str) -> Result<(), ToolError> {
        let word = line.split_whitespace().next().unwrap_or_default().to_string();
        match needs(line) {
            Needs::Changes if !self.changes => Err(ToolError::Changes { word }),
            Needs::Outside if !self.outside => Err(ToolError::Outside { word }),
            _ => Ok(()),
        }
    }
}

/// What a line needs. What is not known is taken for the worst.
fn needs(line: &str) -> Needs {
    if line.trim().contains(['\n', '\r']) || opener(line).is_some() {
        return Needs::Outside;
    }
    match builtin(line) {
        Some(Builtin::Echo(_)) => return Needs::Nothing,
        Some(Builtin::With(rest)) => {
            let (setting, command) = rest.split_once(" -- ").unwrap_or((rest, ""));
            return needs(command).max(of_setting(setting));
        }
        Some(_) => return Needs::Outside,
        None => {}
    }
    let Some(call) = split_command(line) else { return Needs::Nothing };
    let Some(command) = Console::command(call.word) else { return Needs::Outside };
    let second = call.subcommand().map_or("", |second| second.word);
    let group = ALL.groups.iter().find(|group| group.commands.iter().any(|known| known.name == command.name));
    match (command.name, group.map_or("", |group| group.name)) {
        ("golden", _) if !second.is_empty() && "check".starts_with(second) => Needs::Nothing,
        ("golden", _) => Needs::Outside,
        ("set", _) => of_setting(call.rest),
        (name, _) if WRITING.contains(&name) => Needs::Outside,
        (_, "changing") => Needs::Changes,
        (name, _) if CHANGING.contains(&name) => Needs::Changes,
        (name, group) if HARMLESS.contains(&name) || LOOKING.contains(&group) => Needs::Nothing,
        _ => Needs::Outside,
    }
}

/// What it needs to set something.
fn of_setting(text: &str) -> Needs {
    let name = text.split_whitespace().next().unwrap_or_default();
    let outside =
        !name.is_empty() && OUTSIDE.iter().any(|setting| setting.starts_with(name) || name.starts_with(setting));
    if outside { Needs::Outside } else { Needs::Changes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::commands;

    #[test]
    fn what_a_line_needs() {
        for (line, wanted) in [
            ("until L2.attn.z", Needs::Nothing),
            ("p 1", Needs::Nothing),
            ("output L2.attn.z", Needs::Nothing),
            ("break L2.attn.z if max($) > 1", Needs::Nothing),
            ("golden check a.json", Needs::Nothing),
            ("golden write a.json", Needs::Outside),
            ("ablate L0H0", Needs::Changes),
            ("set L0.attn.z = 0", Needs::Changes),
            ("set prompt x", Needs::Changes),
            ("with list-size 3 -- list", Needs::Changes),
            ("with list-size 3 -- shell ls", Needs::Outside),
            ("with shell on -- list", Needs::Outside),
            ("set shell on", Needs::Outside),
            ("set logging file x", Needs::Outside),
            ("load tiny-gpt2 as b", Needs::Changes),
            ("save value a.npy logits", Needs::Outside),
            ("export model x", Needs::Outside),
            ("shell ls", Needs::Outside),
            ("!ls", Needs::Outside),
            ("| list | cat", Needs::Outside),
            ("pipe list | cat", Needs::Outside),
            ("so x.ldb", Needs::Outside),
            ("transcript x", Needs::Outside),
            ("alias a = shell", Needs::Outside),
            ("resume x", Needs::Outside),
            ("commands 1\nshell ls\nend", Needs::Outside),
            ("list\nshell ls", Needs::Outside),
            ("if 1\nshell ls\nend", Needs::Outside),
            ("nosuch", Needs::Outside),
            ("quit", Needs::Outside),
            ("", Needs::Nothing),
        ] {
            assert_eq!(needs(line), wanted, "{line}");
        }
        // Whatever the table calls a change of the model, a file or a program needs leave; nothing is forgotten.
        for command in commands() {
            let group = ALL.groups.iter().find(|group| group.commands.iter().any(|known| known.name == command.name));
            let free = needs(command.name) == Needs::Nothing;
            let known = HARMLESS.contains(&command.name) || LOOKING.contains(&group.unwrap().name);
            assert!(!free || known, "{}", command.name);
        }
    }
}
