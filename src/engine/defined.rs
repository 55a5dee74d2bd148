//! Running the commands that the user defined, their hooks, and blocks given at a prompt.

use super::lists::{List, Until, refused};
use super::messages::Source;
use super::script;
use super::thread::Engine;
use super::tree::{Node, NodeKind, tree};
use super::user::{User, UserCommand, arguments, substituted};
use crate::answer::{Answer, ErrorView};
use crate::commands::{Console, Outcome};
use crate::lang::command::split_command;

/// How deeply commands that the user defined may call each other, as in gdb.
const DEEPEST: usize = 256;

impl Engine {
    pub(super) fn condition(&mut self, line: &str) -> Result<bool, ErrorView> {
        let line = match &self.given {
            Some(given) => substituted(line, given)
                .map_err(|error| ErrorView { message: error.to_string(), ..Default::default() })?,
            None => line.to_string(),
        };
        self.holds_in_session(&line)
    }

    pub(super) fn define(&mut self, node: &Node, file: Option<&str>) -> Outcome {
        let name = match User::name(&node.command.text) {
            Ok(name) => name.to_string(),
            Err(error) => return refused(error),
        };
        if let Some(of) = name.strip_prefix("hook-").or(name.strip_prefix("hookpost-")) {
            if of != "stop" && self.full_name(of).as_deref() != Some(of) {
                return refused(format!("cannot hook {of}: it is not the full name of a command"));
            }
        } else if exists(&name) {
            return refused(format!(
                "{name} is already a command; define hook-{name} or hookpost-{name} to run commands before or after it"
            ));
        }
        match &node.kind {
            NodeKind::Define(body) => {
                let about = self.user.commands.get(&name).map(|old| old.about.clone()).unwrap_or_default();
                let command = UserCommand { body: body.clone(), about, file: file.map(String::from) };
                self.user.commands.insert(name, command);
            }
            NodeKind::Document(lines) => match self.user.commands.get_mut(&name) {
                Some(command) => command.about = lines.clone(),
                None => return refused(format!("{name} is not defined: define it first")),
            },
            _ => {}
        }
        Outcome::of(Answer::Text(String::new()))
    }

    /// `alias NAME = COMMAND`; alone it lists them.
    pub(super) fn alias(&mut self, rest: &str) -> Outcome {
        if rest.is_empty() {
            let lines = self.user.aliases.iter().map(|(name, meant)| format!("alias {name} = {meant}"));
            return Outcome::of(Answer::Text(lines.collect::<Vec<_>>().join("\n")));
        }
        let Some((name, meant)) = rest.split_once('=').map(|(name, meant)| (name.trim(), meant.trim())) else {
            return refused("expected alias NAME = COMMAND");
        };
        if let Err(error) = User::name(&format!("alias {name}")) {
            return refused(error);
        }
        if exists(name) || self.user.commands.contains_key(name) {
            return refused(format!("{name} is already a command"));
        }
        let meant = self.user.expanded(meant);
        let word = script::word_of(&meant);
        if self.full_name(word).is_none() {
            return refused(format!("{name} cannot be an alias of {word:?}: there is no such command"));
        }
        self.user.aliases.insert(name.to_string(), meant);
        Outcome::of(Answer::Text(String::new()))
    }

    fn full_name(&self, word: &str) -> Option<String> {
        let own = self.user.commands.contains_key(word) || BUILTINS.contains(&word);
        let name = if own { word } else { Console::command(word)?.name };
        Some(name.to_string())
    }

    pub(super) fn block(&mut self, id: u64, text: &str, source: &Source, keep_going: bool) -> Outcome {
        let head = text.lines().next().unwrap_or_default();
        let name = format!("`{head}`");
        let nodes = match script::parse(text).and_then(|commands| tree(&commands)) {
            Ok(nodes) => nodes,
            Err((1, message)) => return refused(message),
            Err((line, message)) => return refused(format!("{message} (line {line} of {name})")),
        };
        let file = source.file();
        if let [node] = nodes.as_slice()
            && matches!(node.kind, NodeKind::Define(_) | NodeKind::Document(_))
        {
            return self.define(node, file);
        }
        self.run_list(List { id, name: &name, file, keep_going, until: Until::End }, &nodes)
    }

    fn run_list(&mut self, list: List<'_>, nodes: &[Node]) -> Outcome {
        let ran = self.list(list, nodes);
        self.finished(list, ran)
    }

    pub(super) fn own(&mut self, id: u64, line: &str, keep_going: bool) -> Option<Outcome> {
        let call = split_command(line)?;
        let command = self.user.commands.get(call.word)?.clone();
        Some(self.called(id, call.word, &command, arguments(call.rest), keep_going))
    }

    fn called(
        &mut self,
        id: u64,
        name: &str,
        command: &UserCommand,
        arguments: Vec<String>,
        keep_going: bool,
    ) -> Outcome {
        if self.depth >= DEEPEST {
            return refused(format!("{name} calls itself: commands can call each other at most {DEEPEST} deep"));
        }
        let outer = self.given.replace(arguments);
        self.depth += 1;
        let file = command.file.as_deref();
        let outcome =
            self.run_list(List { id, name, file: file.or(Some(name)), keep_going, until: Until::End }, &command.body);
        self.depth -= 1;
        self.given = outer;
        outcome
    }

    /// Runs the hook of a command, unless it is already running. If it fails, the command does not run.
    pub(super) fn hook(&mut self, id: u64, kind: &str, name: &str, keep_going: bool) -> Option<Outcome> {
        if self.user.commands.is_empty() {
            return None;
        }
        let hook = format!("{kind}-{name}");
        let command = self.user.commands.get(&hook)?.clone();
        if self.hooks.contains(&hook) {
            return None;
        }
        self.hooks.push(hook.clone());
        let mut outcome = self.called(id, &hook, &command, Vec::new(), keep_going);
        self.hooks.pop();
        if let (Answer::Error(error), true) = (&mut outcome.answer, kind == "hook" && name != "stop") {
            error.message += &format!("; {name} was not run");
        }
        let ends = outcome.quit.is_some() || matches!(outcome.answer, Answer::Error(_));
        ends.then_some(outcome)
    }

    /// The full name of the command of a line, under which its hooks are looked up.
    pub(super) fn hooked(&self, line: &str) -> Option<String> {
        if self.user.commands.is_empty() { None } else { self.full_name(script::word_of(line)) }
    }

    pub(super) fn help_of_own(&self, line: &str) -> Option<Outcome> {
        let call = split_command(line)?;
        if self.full_name(call.word)? != "help" {
            return None;
        }
        let text = if call.rest == "user-defined" {
            let first = |command: &UserCommand| command.about.first().cloned().unwrap_or("not documented".into());
            let lines = self.user.commands.iter().map(|(name, command)| format!("{name}  {}", first(command)));
            lines.collect::<Vec<_>>().join("\n")
        } else if let Some(meant) = self.user.aliases.get(call.rest) {
            format!("{} is an alias of {meant}", call.rest)
        } else {
            match self.user.commands.get(call.rest)?.about.join("\n") {
                about if about.is_empty() => "User-defined.".to_string(),
                about => about,
            }
        };
        Some(Outcome::of(Answer::Text(text)))
    }

    pub(super) fn own_names(&self, start: &str) -> Vec<String> {
        let names = self.user.commands.keys().chain(self.user.aliases.keys());
        names.filter(|name| name.starts_with(start) && !name.starts_with("hook")).cloned().collect()
    }
}

const BUILTINS: [&str; 11] =
    ["source", "echo", "alias", "with", "define", "document", "if", "while", "commands", "shell", "pipe"];

fn exists(name: &str) -> bool {
    let named = |command: &crate::commands::Command| command.name == name || command.short.contains(&name);
    BUILTINS.contains(&name) || crate::commands::commands().any(named)
}
