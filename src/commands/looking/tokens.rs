//! `info tokens`: what the model reads, and what looks like a mistake in it.

use crate::answer::Answer;
use crate::answer::text::quoted;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, tokens};

/// Tokens of the focused row, after warnings about them and what was done to the text.
pub fn info(console: &mut Console, _: Call<'_>) -> Done {
    let steps = steps(console);
    console.printed.extend(steps);
    let warnings = tokens::warnings(console);
    console.printed.extend(warnings.into_iter().map(|warning| format!("warning: {warning}")));
    console.printed.extend(tokens::without_template(console).map(|note| format!("note: {note}")));
    console.printed.extend(source(console));
    let found = console.session.focused_row().and_then(|row| tokens::of_text(console, row));
    Ok(Answer::Tokens(console.described(found)))
}

/// The tokens that the encoder reads, where those of the table are the decoder's.
fn source(console: &Console) -> Option<String> {
    let source = console.session.focused_row()?.source.as_ref()?;
    let token = |(id, real): (&u32, &bool)| match real {
        true => format!("{id} {}", quoted(&console.token_text(*id))),
        false => "padding".to_owned(),
    };
    let tokens: Vec<String> = source.ids.iter().zip(&source.mask).map(token).collect();
    Some(format!("the encoder reads {} tokens: {}", tokens.len(), tokens.join(", ")))
}

/// What the tokenizer did to the texts before it looked for tokens.
fn steps(console: &Console) -> Vec<String> {
    let Some(tokenizer) = &console.session.run.model.tokenizer else { return Vec::new() };
    let Some(row) = console.session.focused_row() else { return Vec::new() };
    let mut lines = Vec::new();
    if let (Some((name, prompt)), Some(_), false) = (&console.session.run.model.prompt, &row.text, console.chat) {
        let prompt = quoted(prompt);
        lines.push(format!("sentence-transformers puts its prompt {name:?} before the text: {prompt}"));
    }
    for (text, which) in [(&row.text, "text"), (&row.second_text, "second text")] {
        let Some(text) = text else { continue };
        let Ok(steps) = tokenizer.steps(text) else {
            lines.push(format!("the tokenizer cannot say what it does to the {which} first"));
            continue;
        };
        if let Some(normalized) = steps.normalized {
            lines.push(format!("the {which} was normalized to {}", quoted(&normalized)));
        }
        if !steps.added.is_empty() && !console.chat {
            let tokens: Vec<String> = steps.added.iter().map(|token| quoted(token)).collect();
            lines.push(format!("taken as separate tokens in the {which}: {}", tokens.join(" ")));
        }
    }
    lines
}
