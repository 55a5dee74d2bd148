//! Lines that are not run as commands: those that fill a pane, and those that are still being typed.

use super::ALL;
use crate::answer::{Answer, ErrorView};
use crate::commands::frame::{Done, Options, takes_expression};
use crate::commands::state::{Call, Command, Console};
use crate::lang::command::{CommandLine, split_command};
use crate::lang::eval::check;
use crate::lang::location::resolve;
use crate::lang::{Expr, LangError, Location, Span, parse_break, parse_expr, parse_list, parse_location, parse_watch};
use crate::tensor::interruptible;

impl Console {
    /// Runs a command whose answer fills a pane. Nothing changes, and nothing of it is kept.
    pub fn query(&mut self, line: &str) -> Answer {
        let Some(call) = split_command(line) else { return Answer::Text(String::new()) };
        let said = self.printed.len();
        let done = self.filling(line, &call);
        self.printed.truncate(said);
        done.unwrap_or_else(|fail| Answer::Error(ErrorView::new(&fail, line)))
    }

    fn filling(&mut self, line: &str, args: &CommandLine<'_>) -> Done {
        let command = ALL.find(args.word, args.span)?;
        if !command.fills {
            let message = format!("{} may change the session: no pane can show it", command.name);
            return Err(LangError::new(message, args.span).into());
        }
        let flag = self.session.interrupt.clone();
        interruptible(&flag, || (command.run)(self, Call { line, args, command, all: &ALL }))
    }

    /// What is wrong with a line that has not been run: the byte range of the fault, and what it is. Words that only the run
    /// itself can judge are taken for right.
    pub fn fault_in(&self, line: &str) -> Option<(Span, String)> {
        let call = split_command(line)?;
        let command = match ALL.find(call.word, call.span) {
            Ok(command) => command,
            // The word may still be on its way.
            Err(_) if call.rest.is_empty() && ALL.commands().any(|known| known.name.starts_with(call.word)) => {
                return None;
            }
            Err(error) => return Some((error.span, error.message)),
        };
        let error = self.fault_of(command, &call)?;
        // A name at the end of the line may go on.
        let (word, next) = self.complete(line, line.len());
        let unfinished = error.span.end >= line.len() && word < line.len() && !next.is_empty();
        (!unfinished).then_some((error.span, error.message))
    }

    /// What is wrong with the arguments of a command: how they are written, or a site, function or layer that there is not.
    fn fault_of(&self, command: &Command, call: &CommandLine<'_>) -> Option<LangError> {
        let (names, block) = (&*self.session.run.names, self.session.block());
        let known = |expr: Expr| check(&expr, names, block);
        let there = |location: Location| resolve(&location, names, block).map(drop);
        let bare = !call.rest.contains(" -") && !call.rest.starts_with('-') && !call.rest.is_empty();
        let found = match command.name {
            "print" | "output" | "display" | "whatis" | "assert" | "backward" | "x" if bare => match command.name {
                "assert" => parse_list(call.rest, call.offset).map(drop),
                _ => parse_expr(call.rest, call.offset).and_then(known),
            },
            "break" | "tbreak" if bare => parse_break(call.rest, call.offset).and_then(|(location, condition)| {
                location.map_or(Ok(()), there)?;
                condition.map_or(Ok(()), known)
            }),
            "watch" if bare => parse_watch(call.rest, call.offset).and_then(|(expr, _)| known(expr)),
            "until" | "goto" | "list" if bare => parse_location(call.rest, call.offset).and_then(there),
            // An option without its value is still being typed.
            _ if command.options.iter().any(takes_expression) => {
                let (options, _) = Options::take(call.rest, call.offset, command.options).ok()?;
                options.check_expressions()
            }
            _ => Ok(()),
        };
        found.err()
    }
}
