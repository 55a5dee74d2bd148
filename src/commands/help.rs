//! `help` and `quit`.

use super::console::{Console, Done};
use super::fail::Fail;
use super::table::{COMMANDS, Call};
use crate::answer::{Answer, Cell, Table};
use crate::lang::command::split_command;
use crate::lang::eval::FUNCTIONS;
use crate::lang::{LangError, Span, parse_expr};

/// All commands, or one.
pub fn help(_console: &mut Console, call: Call<'_, '_>) -> Done {
    let Some(word) = split_command(call.args.rest) else {
        let rows = COMMANDS.iter().map(|command| {
            let name = match command.short.first() {
                Some(short) => format!("{} ({short})", command.name),
                None => command.name.to_string(),
            };
            vec![Cell::Text(name), Cell::Text(command.about.into())]
        });
        let columns = vec!["command".to_string(), "what it does".to_string()];
        return Ok(Answer::Table(Table { title: String::new(), columns, rows: rows.collect() }));
    };
    if "functions".starts_with(word.word) && word.word.len() > 3 {
        let rows =
            FUNCTIONS.iter().map(|function| vec![Cell::Text(function.usage()), Cell::Text(function.about.into())]);
        let columns = vec!["function".to_string(), "what it gives".to_string()];
        return Ok(Answer::Table(Table { title: String::new(), columns, rows: rows.collect() }));
    }
    if let Some(function) = FUNCTIONS.iter().find(|function| function.name == word.word) {
        return Ok(Answer::Text(format!("{}\n  {}", function.usage(), function.about)));
    }
    let Some(command) = Console::command(word.word) else {
        let span = Span::new(call.args.offset, call.args.offset + call.args.rest.len());
        return Err(Fail::At(
            LangError::new(format!("no command {}", word.word), span)
                .help("help alone lists them, help functions the functions"),
        ));
    };
    let mut lines = vec![command.usage.to_string(), format!("  {}", command.about)];
    if !command.short.is_empty() {
        lines.push(format!("  short: {}", command.short.join(", ")));
    }
    lines.extend(command.examples.lines().map(|example| format!("  (llmdbg) {example}")));
    Ok(Answer::Text(lines.join("\n")))
}

/// The status as text, which the console turns into an exit.
pub fn quit(console: &mut Console, call: Call<'_, '_>) -> Done {
    if call.args.rest.is_empty() {
        return Ok(Answer::Text("0".into()));
    }
    let expr = parse_expr(call.args.rest, call.args.offset)?;
    let status = console.evaluate(&expr)?.integer(expr.span)?;
    if !(0..=255).contains(&status) {
        return Err(Fail::At(LangError::new(format!("an exit status is 0 to 255, found {status}"), expr.span)));
    }
    Ok(Answer::Text(status.to_string()))
}
