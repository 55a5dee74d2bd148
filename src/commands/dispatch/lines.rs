//! Lines that are not run as commands: those that fill a pane, and those that are still being typed.

use super::ALL;
use crate::answer::{Answer, ErrorView};
use crate::commands::state::{Call, Console};
use crate::debugger::Error;
use crate::lang::command::split_command;
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::interruptible;

impl Console {
    /// Runs a command whose answer fills a pane. Nothing changes, and nothing of it is kept.
    pub fn query(&mut self, line: &str) -> Answer {
        let Some(call) = split_command(line) else { return Answer::Text(String::new()) };
        let command = match ALL.find(call.word, call.span) {
            Ok(command) => command,
            Err(error) => return Answer::Error(ErrorView::new(&Error::At(error), line)),
        };
        if !command.fills {
            let error =
                LangError::new(format!("{} may change the session: no pane can show it", command.name), call.span);
            return Answer::Error(ErrorView::new(&Error::At(error), line));
        }
        let said = self.printed.len();
        let flag = self.session.interrupt.clone();
        let done = interruptible(&flag, || (command.run)(self, Call { line, args: &call, command, all: &ALL }));
        self.printed.truncate(said);
        done.unwrap_or_else(|fail| Answer::Error(ErrorView::new(&fail, line)))
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
        let wrong = |error: LangError| (error.span, error.message);
        let bare = !call.rest.contains(" -") && !call.rest.starts_with('-') && !call.rest.is_empty();
        match command.name {
            "print" | "output" | "display" | "whatis" | "assert" | "backward" if bare => {
                let parsed = if command.name == "assert" {
                    crate::lang::parse_list(call.rest, call.offset).map(drop)
                } else {
                    parse_expr(call.rest, call.offset).map(drop)
                };
                parsed.err().map(wrong)
            }
            "break" | "tbreak" if bare => crate::lang::parse_break(call.rest, call.offset).err().map(wrong),
            "until" | "goto" | "list" if bare => crate::lang::parse_location(call.rest, call.offset).err().map(wrong),
            _ => None,
        }
    }
}
