//! What the full screen shows: chosen by commands, so that scripts and init files can choose it too, and answers that fill panes.

use crate::answer::view::{ScreenView, Shades};
use crate::commands::state::{Console, NOT_COMPLETE};
use crate::debugger::RunScope;
use crate::lang::eval::{Datum, evaluate};
use crate::lang::parse_expr;

#[derive(Clone, Debug)]
pub struct Screen {
    /// Layouts that there are, in the order of `layout next`.
    pub layouts: Vec<String>,
    pub themes: Vec<String>,
    pub(crate) layout: String,
    pub(crate) theme: String,
    /// Rows of the console pane; 0 leaves it to the layout.
    pub(crate) console_rows: usize,
    /// Whether the keys, and not the prompt, have the keyboard at the start.
    pub(crate) keys_first: bool,
    /// Milliseconds that a letter waits for the next one in key mode.
    pub(crate) key_wait: u64,
    pub(crate) mouse: bool,
    /// Whether and how maps are drawn in pixels: `auto`, `on`, `off`, or the name of a protocol.
    pub(crate) pixels: String,
    /// What tokens are coloured by: `off`, `attribution`, or an expression with a number for each position.
    pub(crate) tokens_by: String,
}

impl Default for Screen {
    fn default() -> Screen {
        let all = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        Screen {
            layouts: all(&["program", "attention", "lens", "diff", "grad", "generate", "stream", "graph", "session"]),
            themes: all(&["auto", "dark", "light", "high-contrast", "mono"]),
            layout: "program".into(),
            theme: "auto".into(),
            console_rows: 0,
            keys_first: false,
            key_wait: 250,
            mouse: false,
            pixels: "auto".into(),
            tokens_by: "attribution".into(),
        }
    }
}

impl Console {
    pub(crate) fn screen_view(&mut self) -> ScreenView {
        let shades = self.shades();
        let screen = &self.screen;
        ScreenView {
            layout: screen.layout.clone(),
            theme: screen.theme.clone(),
            console_rows: screen.console_rows,
            keys_first: screen.keys_first,
            key_wait: screen.key_wait,
            mouse: screen.mouse,
            pixels: screen.pixels.clone(),
            shades,
        }
    }

    /// What colours the tokens of the focused row. What is there no longer colours nothing, and what cannot be had now says so.
    fn shades(&mut self) -> Option<Shades> {
        let text = self.screen.tokens_by.clone();
        match text.as_str() {
            "off" => None,
            "attribution" => {
                let (title, parts) = self.memory.attributed.as_ref()?;
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
}
