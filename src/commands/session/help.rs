//! `help`, `apropos` and `quit`.

use regex::RegexBuilder;

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::{COUNTERPARTS, Call, Command, Console, Directory, SETTINGS};
use crate::commands::stopping::breakpoints::no_pattern;
use crate::lang::LangError;
use crate::lang::command::split_command;
use crate::lang::eval::{FUNCTIONS, Function};

/// All commands, those of a group, or one.
pub fn help(_console: &mut Console, call: Call<'_>) -> Done {
    let Some(word) = split_command(call.args.rest) else {
        return Ok(table(call.all.commands().map(of_command), "command"));
    };
    let second = word.subcommand().map(|second| second.word);
    let word = word.word;
    if "functions".starts_with(word) && word.len() > 3 {
        return Ok(table(FUNCTIONS.iter().map(of_function), "function"));
    }
    if word == "gdb" {
        let rows = COUNTERPARTS.iter().map(|known| [known.gdb, known.ours, known.differs]);
        return Ok(Table::new(["gdb", "here", "what differs"]).rows(rows).into());
    }
    if let Some(group) = call.all.groups.iter().find(|group| group.name == word) {
        return Ok(table(group.commands.iter().map(of_command), "command"));
    }
    if let Some(function) = FUNCTIONS.iter().find(|function| function.name == word) {
        return Ok(Answer::Text(format!("{}\n  {}", function.usage(), function.about)));
    }
    let span = call.span();
    match call.all.find(word, span) {
        Ok(command) => {
            // help info weights
            let kind = command.kinds(call.all).into_iter().find(|kind| Some(kind.name) == second);
            Ok(Answer::Text(page(kind.unwrap_or(command), call.all)))
        }
        Err(error) if error.to_string().starts_with("Ambiguous") => Err(error.into()),
        Err(_) => {
            let error = LangError::new(format!("no command {word}"), span);
            Err(error.help("help alone lists them, help functions the functions").into())
        }
    }
}

fn page(command: &Command, all: &Directory) -> String {
    let mut lines: Vec<String> = command.usage.lines().map(String::from).collect();
    lines.push(format!("  {}", command.about));
    lines.extend(command.help.lines().map(|line| format!("  {line}")));
    lines.extend(command.words().map(|words| format!("  The first word is one of: {}.", words.join(", "))));
    lines.extend(command.kinds(all).iter().map(|kind| format!("  {}  {}", kind.name, kind.about)));
    lines.extend(command.options.iter().map(|(option, about)| format!("  {option}  {about}")));
    if command.name == "set" {
        lines.push("  settings:".into());
        lines.extend(
            SETTINGS.iter().map(|setting| format!("    {}, {}: {}", setting.name, setting.takes, setting.about)),
        );
    }
    if !command.short.is_empty() {
        lines.push(format!("  short: {}", command.short.join(", ")));
    }
    for example in command.examples {
        lines.push(String::new());
        lines.extend(example.lines().map(|line| format!("  (llmdbg) {line}")));
    }
    lines.join("\n")
}

/// Commands and functions that have something to do with a word.
pub fn apropos(_console: &mut Console, call: Call<'_>) -> Done {
    let span = call.span();
    if call.args.rest.is_empty() {
        return Err(LangError::new("expected what to look for", span).help("apropos breakpoint").into());
    }
    let pattern = RegexBuilder::new(call.args.rest).case_insensitive(true).size_limit(1 << 20).build();
    let pattern = pattern.map_err(|error| no_pattern(&error, span))?;
    let of = |command: &&Command| {
        let texts = [command.name, command.usage, command.about, command.help];
        texts.iter().chain(command.short).any(|text| pattern.is_match(text))
    };
    let found = call.all.commands().filter(of).map(of_command);
    let functions = FUNCTIONS.iter().filter(|f| pattern.is_match(f.name) || pattern.is_match(f.about)).map(of_function);
    let rows: Vec<_> = found.chain(functions).collect();
    match rows.is_empty() {
        true => Ok(Answer::Text("Nothing found.".into())),
        false => Ok(table(rows.into_iter(), "command or function")),
    }
}

fn of_command(command: &Command) -> (String, &'static str) {
    let short = command.short.first().map(|short| format!(" ({short})")).unwrap_or_default();
    (format!("{}{short}", command.name), command.about)
}

fn of_function(function: &Function) -> (String, &'static str) {
    (function.usage(), function.about)
}

fn table(rows: impl Iterator<Item = (String, &'static str)>, what: &str) -> Answer {
    let does = if what == "function" { "what it gives" } else { "what it does" };
    Table::new([what, does]).rows(rows).into()
}

pub fn quit(console: &mut Console, call: Call<'_>) -> Done {
    let mut status = 0;
    if !call.args.rest.is_empty() {
        let expr = call.expr()?;
        status = console.evaluate(&expr)?.integer(expr.span)?;
        if !(0..=255).contains(&status) {
            return Err(LangError::new(format!("an exit status is 0 to 255, found {status}"), expr.span).into());
        }
    }
    console.quits = Some(status as i32);
    Ok(Answer::Text(String::new()))
}
