//! `layout`: the panes of the full screen, chosen by a command so that scripts and init files can choose them too.

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::lang::LangError;

pub fn layout(console: &mut Console, call: Call<'_>) -> Done {
    let given = call.words()?;
    let screen = &mut console.screen;
    let at = screen.layouts.iter().position(|name| *name == screen.layout).unwrap_or(0);
    let count = screen.layouts.len();
    let to = match given.as_slice() {
        [] => {
            let here = |name: &String| if *name == screen.layout { "->" } else { "" };
            let rows = screen.layouts.iter().map(|name| (here(name), name));
            return Ok(Table::new(["", "Layout"]).rows(rows).into());
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
                    return Err(error.help(format!("one of {}, next, prev", screen.layouts.join(", "))).into());
                }
            }
        }
        [_, extra, ..] => return Err(LangError::new("unexpected word", extra.span).into()),
    };
    screen.layout.clone_from(&screen.layouts[to]);
    Ok(Answer::Text(String::new()))
}
