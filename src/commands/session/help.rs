//! `help` and `quit`.

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::session::settings;
use crate::commands::state::{COUNTERPARTS, Call, Command, Console, Directory, Group, SETTINGS};
use crate::debugger::Error;
use crate::lang::LangError;
use crate::lang::command::split_command;
use crate::lang::eval::{FUNCTIONS, Function};

/// How a program drives this one, in a page.
pub const AGENT: &str = include_str!("../../../config/agent.md");

/// The groups of commands, those of one, all of them, or what a word is.
pub fn help(console: &mut Console, call: Call<'_>) -> Done {
    let Some(word) = split_command(call.args.rest) else { return Ok(groups(call.all)) };
    let second = word.subcommand().map(|second| second.word);
    let word = word.word;
    if let Some(group) = group(call.all, call.args.rest.trim()) {
        let title = format!("{} (help COMMAND describes one)", group.title);
        return Ok(table(group.commands.iter().map(of_command), "command", &title));
    }
    match (word, second) {
        ("groups", None) => return Ok(groups(call.all)),
        ("all", None) => {
            let rows = call.all.groups.iter().flat_map(|group| {
                let of = |command| {
                    let (name, about) = of_command(command);
                    (group.name, name, about)
                };
                group.commands.iter().map(of)
            });
            return Ok(Table::new(["group", "command", "what it does"]).rows(rows).into());
        }
        ("settings", None) => return Ok(settings::all(console)),
        ("agent", None) => return Ok(Answer::Text(AGENT.trim_end().into())),
        ("gdb", None) => {
            let rows = COUNTERPARTS.iter().map(|known| [known.gdb, known.ours, known.differs]);
            return Ok(Table::new(["gdb", "here", "what differs"]).rows(rows).into());
        }
        _ if word.len() > 3 && "functions".starts_with(word) && word != "function" => {
            return Ok(table(FUNCTIONS.iter().map(of_function), "function", ""));
        }
        _ => {}
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
            let setting = SETTINGS.iter().find(|setting| setting.name == call.args.rest.trim());
            if let Some(setting) = setting {
                let text = format!("set {} {}\n  {}", setting.name, setting.takes, setting.about);
                return Ok(Answer::Text(format!("{text}\n  by default: {}", setting.default)));
            }
            let error = LangError::new(format!("no command, group or function {word}"), span);
            Err(error.help(format!("help lists the groups, apropos {word} looks in all descriptions")).into())
        }
    }
}

/// The group that a word names, by its name or the beginning of its title, in any case.
fn group(all: &Directory, text: &str) -> Option<&'static Group> {
    let text = text.to_lowercase();
    let exact = all.groups.iter().find(|group| group.name == text || group.title.to_lowercase() == text);
    // A command of the name comes first.
    let begins =
        |group: &&Group| text.len() > 3 && group.name.starts_with(&text) && all.commands().all(|c| c.name != text);
    exact.or_else(|| all.groups.iter().find(begins))
}

/// Every group in a line, with the names of its commands.
fn groups(all: &Directory) -> Answer {
    let rows = all.groups.iter().map(|group| {
        let names: Vec<&str> = group.commands.iter().map(|command| command.name).collect();
        (format!("help {}", group.name), names.join(", "))
    });
    let title = "help GROUP lists its commands, help COMMAND describes one, help all lists everything.\n\
                 Also help functions, help settings, help gdb; apropos WORD looks in all descriptions.";
    Table::new(["group", "commands"]).title(title).rows(rows).into()
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

fn of_command(command: &Command) -> (String, &'static str) {
    let short = command.short.first().map(|short| format!(" ({short})")).unwrap_or_default();
    (format!("{}{short}", command.name), command.about)
}

fn of_function(function: &Function) -> (String, &'static str) {
    (function.usage(), function.about)
}

fn table(rows: impl Iterator<Item = (String, &'static str)>, what: &str, title: &str) -> Answer {
    let does = if what == "function" { "what it gives" } else { "what it does" };
    Table::new([what, does]).title(title).rows(rows).into()
}

/// `target` where nobody between the prompt and the session has carried it out.
pub fn elsewhere(_console: &mut Console, call: Call<'_>) -> Done {
    let (kind, target) = call.args.rest.split_once(char::is_whitespace).unwrap_or((call.args.rest, ""));
    if kind != "remote" || target.trim().is_empty() {
        return Err(call.expected("remote and where to", "target remote SOCKET, or target remote | COMMAND"));
    }
    Err(Error::refused(
        "target remote works at the prompt of a session of this process, and not in scripts: start llmdbg with --connect",
    ))
}

/// `disconnect`, likewise.
pub fn here(_console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    Err(Error::refused("there is no session elsewhere to come back from; \"target remote\" goes to one"))
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
