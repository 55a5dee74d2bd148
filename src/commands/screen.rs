//! What the full screen shows: chosen by commands, so that scripts and init files can choose it too, and answers that fill panes.

use super::attr::table::NOT_COMPLETE;
use super::console::{Console, Done};
use super::table::{Call, find};
use crate::answer::view::{ScreenView, Shades};
use crate::answer::{Answer, Cell, ErrorView, Table};
use crate::debugger::Error;
use crate::debugger::RunScope;
use crate::lang::command::split_command;
use crate::lang::eval::{Datum, evaluate};
use crate::lang::words::words;
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::interruptible;

/// What the full screen shows.
#[derive(Clone, Debug)]
pub struct Screen {
    /// Layouts that there are, in the order of `layout next`.
    pub layouts: Vec<String>,
    /// Themes that there are.
    pub themes: Vec<String>,
    pub(super) layout: String,
    pub(super) theme: String,
    /// Rows of the console pane; 0 leaves it to the layout.
    pub(super) console_rows: usize,
    /// What tokens are coloured by: `off`, `attribution`, or an expression with a number for each position.
    pub(super) tokens_by: String,
}

impl Default for Screen {
    fn default() -> Screen {
        let all = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        Screen {
            layouts: all(&["program", "attention", "lens", "diff", "grad", "generate", "session"]),
            themes: all(&["dark", "light", "high-contrast", "mono"]),
            layout: "program".into(),
            theme: "dark".into(),
            console_rows: 0,
            tokens_by: "attribution".into(),
        }
    }
}

/// `layout [NAME|next|prev]`.
pub fn layout(console: &mut Console, call: Call<'_>) -> Done {
    let given = words(call.args.rest, call.args.offset)?;
    let screen = &mut console.screen;
    let at = screen.layouts.iter().position(|name| *name == screen.layout).unwrap_or(0);
    let count = screen.layouts.len();
    let to = match given.as_slice() {
        [] => {
            let rows = screen.layouts.iter().map(|name| {
                let here = if *name == screen.layout { "->" } else { "" };
                vec![Cell::Text(here.into()), Cell::Text(name.clone())]
            });
            let columns = ["", "Layout"].map(String::from).to_vec();
            return Ok(Answer::Table(Table { title: String::new(), columns, rows: rows.collect() }));
        }
        [word] if word.text == "next" => (at + 1) % count,
        [word] if word.text == "prev" => (at + count - 1) % count,
        [word] => {
            let starting: Vec<usize> = (0..count).filter(|i| screen.layouts[*i].starts_with(&word.text)).collect();
            match (screen.layouts.iter().position(|name| *name == word.text), starting.as_slice()) {
                (Some(exact), _) => exact,
                (None, [only]) => *only,
                _ => {
                    let error = LangError::new(format!("no layout {}", word.text), word.span);
                    return Err(Error::At(error.help(format!("one of {}, next, prev", screen.layouts.join(", ")))));
                }
            }
        }
        [_, extra, ..] => return Err(Error::At(LangError::new("unexpected word", extra.span))),
    };
    screen.layout.clone_from(&screen.layouts[to]);
    Ok(Answer::Text(String::new()))
}

impl Console {
    /// The screen as chosen.
    pub(super) fn screen_view(&mut self) -> ScreenView {
        let shades = self.shades();
        let screen = &self.screen;
        ScreenView {
            layout: screen.layout.clone(),
            theme: screen.theme.clone(),
            console_rows: screen.console_rows,
            shades,
        }
    }

    /// What colours the tokens of the focused row. What is there no longer colours nothing, and what cannot be had now says so.
    fn shades(&mut self) -> Option<Shades> {
        let text = self.screen.tokens_by.clone();
        match text.as_str() {
            "off" => None,
            "attribution" => {
                let (title, parts) = self.attributed.as_ref()?;
                let tokens = self.tokens();
                let same =
                    parts.len() <= tokens.len() && parts.iter().zip(&tokens).all(|(part, token)| part.0 == token.text);
                // What is not complete says nothing of tokens: they are not coloured by it.
                let complete = !title.starts_with(NOT_COMPLETE);
                let line = title.lines().find(|line| !line.starts_with(NOT_COMPLETE)).unwrap_or_default();
                let line = line.split(": $").next().unwrap_or_default();
                same.then(|| Shades {
                    title: if complete { line.to_string() } else { format!("not complete: {line}") },
                    values: parts.iter().map(|(_, share)| complete.then_some(*share)).collect(),
                })
            }
            _ => {
                let length = self.session.row_length();
                let start = self.session.run.branch().span(self.session.run.pass).start;
                let expr = parse_expr(&text, 0).ok()?;
                let found = evaluate(&expr, &mut RunScope::new(&mut self.session));
                let none = |why: &str| Some(Shades { title: format!("{text}: {why}"), values: Vec::new() });
                let value = match found {
                    Ok(Datum::Tensor(value)) if value.shape().len() == 1 => value,
                    Ok(_) => return none("no number for each position"),
                    Err(_) => return none("not computed"),
                };
                let start = if value.shape()[0] == length { 0 } else { start };
                if start + value.shape()[0] != length {
                    return none("no number for each position");
                }
                let Ok(data) = value.read_f64() else { return none("not readable") };
                let values = (0..start).map(|_| None).chain(data.into_iter().map(Some)).collect();
                Some(Shades { title: text, values })
            }
        }
    }

    /// Runs a command whose answer fills a pane. Nothing changes, and nothing of it is kept.
    pub fn query(&mut self, line: &str) -> Answer {
        let Some(call) = split_command(line) else { return Answer::Text(String::new()) };
        let command = match find(call.word, call.span) {
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
        let done = interruptible(&flag, || (command.run)(self, Call { line, args: &call }));
        self.printed.truncate(said);
        done.unwrap_or_else(|fail| Answer::Error(ErrorView::new(&fail, line)))
    }

    /// What is wrong with a line that has not been run: the byte range of the fault, and what it is. Words that only the run
    /// itself can judge are taken for right.
    pub fn fault_in(&self, line: &str) -> Option<(Span, String)> {
        let call = split_command(line)?;
        let command = match find(call.word, call.span) {
            Ok(command) => command,
            // The word may still be on its way.
            Err(_)
                if call.rest.is_empty() && super::table::commands().any(|known| known.name.starts_with(call.word)) =>
            {
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
