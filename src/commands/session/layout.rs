//! `layout`: the panes of the full screen, chosen by a command so that scripts and init files can choose them too.

use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::Error;
use crate::lang::LangError;
use crate::lang::words::words;

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
