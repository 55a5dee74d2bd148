//! `help`, `apropos` and `quit`.

use regex::RegexBuilder;

use super::console::{Console, Done};
use super::settings::SETTINGS;
use super::table::gdb::COUNTERPARTS;
use super::table::{Call, Command, GROUPS, commands, find};
use crate::answer::{Answer, Cell, Table};
use crate::debugger::Error;
use crate::lang::command::split_command;
use crate::lang::eval::{FUNCTIONS, Function};
use crate::lang::{LangError, Span, parse_expr};

/// All commands, those of a group, or one.
pub fn help(_console: &mut Console, call: Call<'_>) -> Done {
    let Some(word) = split_command(call.args.rest) else {
        return Ok(table(commands().map(of_command), "command"));
    };
    let word = word.word;
    if "functions".starts_with(word) && word.len() > 3 {
        return Ok(table(FUNCTIONS.iter().map(of_function), "function"));
    }
    if word == "gdb" {
        let rows = COUNTERPARTS
            .iter()
            .map(|known| [known.gdb, known.ours, known.differs].map(|text| Cell::Text(text.to_string())).to_vec());
        let columns = ["gdb", "here", "what differs"].map(String::from).to_vec();
        return Ok(Answer::Table(Table { title: String::new(), columns, rows: rows.collect() }));
    }
    if let Some(group) = GROUPS.iter().find(|group| group.name == word) {
        return Ok(table(group.commands.iter().map(of_command), "command"));
    }
    if let Some(function) = FUNCTIONS.iter().find(|function| function.name == word) {
        return Ok(Answer::Text(format!("{}\n  {}", function.usage(), function.about)));
    }
    let span = Span::new(call.args.offset, call.args.offset + call.args.rest.len());
    match find(word, span) {
        Ok(command) => Ok(Answer::Text(page(command))),
        Err(error) if error.to_string().starts_with("Ambiguous") => Err(Error::At(error)),
        Err(_) => Err(Error::At(
            LangError::new(format!("no command {word}"), span)
                .help("help alone lists them, help functions the functions"),
        )),
    }
}

/// What is said about one command.
fn page(command: &Command) -> String {
    let mut lines: Vec<String> = command.usage.lines().map(String::from).collect();
    lines.push(format!("  {}", command.about));
    lines.extend(command.help.lines().map(|line| format!("  {line}")));
    lines.extend(command.words().map(|words| format!("  The first word is one of: {}.", words.join(", "))));
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
    let span = Span::new(call.args.offset, call.args.offset + call.args.rest.len());
    if call.args.rest.is_empty() {
        return Err(Error::At(LangError::new("expected what to look for", span).help("apropos breakpoint")));
    }
    let pattern = RegexBuilder::new(call.args.rest).case_insensitive(true).size_limit(1 << 20).build();
    let pattern = pattern.map_err(|error| {
        let text = error.to_string();
        Error::At(LangError::new(format!("no regular expression: {}", text.lines().last().unwrap_or(&text)), span))
    })?;
    let of = |command: &&Command| {
        let texts = [command.name, command.usage, command.about, command.help];
        texts.iter().chain(command.short).any(|text| pattern.is_match(text))
    };
    let found = commands().filter(of).map(of_command);
    let functions = FUNCTIONS.iter().filter(|f| pattern.is_match(f.name) || pattern.is_match(f.about)).map(of_function);
    let rows: Vec<_> = found.chain(functions).collect();
    match rows.is_empty() {
        true => Ok(Answer::Text("Nothing found.".into())),
        false => Ok(table(rows.into_iter(), "command or function")),
    }
}

fn of_command(command: &Command) -> Vec<Cell> {
    let name = match command.short.first() {
        Some(short) => format!("{} ({short})", command.name),
        None => command.name.to_string(),
    };
    vec![Cell::Text(name), Cell::Text(command.about.into())]
}

fn of_function(function: &Function) -> Vec<Cell> {
    vec![Cell::Text(function.usage()), Cell::Text(function.about.into())]
}

fn table(rows: impl Iterator<Item = Vec<Cell>>, what: &str) -> Answer {
    let does = if what == "function" { "what it gives" } else { "what it does" };
    let columns = vec![what.to_string(), does.to_string()];
    Answer::Table(Table { title: String::new(), columns, rows: rows.collect() })
}

/// For commands that whoever runs lists of commands carries out, before they reach a session.
pub fn elsewhere(_console: &mut Console, call: Call<'_>) -> Done {
    Err(Error::At(LangError::new(format!("{} cannot stand here", call.args.word), call.args.span)))
}

/// The status as text, which the console turns into an exit.
pub fn quit(console: &mut Console, call: Call<'_>) -> Done {
    if call.args.rest.is_empty() {
        return Ok(Answer::Text("0".into()));
    }
    let expr = parse_expr(call.args.rest, call.args.offset)?;
    let status = console.evaluate(&expr)?.integer(expr.span)?;
    if !(0..=255).contains(&status) {
        return Err(Error::At(LangError::new(format!("an exit status is 0 to 255, found {status}"), expr.span)));
    }
    Ok(Answer::Text(status.to_string()))
}
