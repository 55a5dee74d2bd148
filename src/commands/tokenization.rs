//! `info tokens`: what the model reads, and what looks like a mistake in it.

use super::console::Console;
use crate::answer::text::quoted;
use crate::answer::{Answer, TokenView};
use crate::model::{Row, Token, Tokenizer};

impl Console {
    /// Tokens of the focused row, without what their text says of them.
    pub(super) fn tokens(&self) -> Vec<TokenView> {
        self.described(None)
    }

    fn described(&self, found: Option<(usize, Vec<Token>)>) -> Vec<TokenView> {
        let run = &self.session.run;
        let row_index = self.session.focus.row;
        let Some(row) = self.session.focused_row() else { return Vec::new() };
        let token = |pos: usize| {
            let id = row.ids[pos];
            let tokenizer = run.model.tokenizer.as_ref();
            let bytes = tokenizer.map_or_else(Vec::new, |tokenizer| tokenizer.token_bytes(id));
            let text = self.token_text(id);
            let of_text = found.as_ref().and_then(|(first, tokens)| tokens.get(pos.checked_sub(*first)?));
            let plain = || tokenizer.is_some_and(|tokenizer| tokenizer.is_special(id));
            let special = of_text.map_or_else(plain, |token| token.special);
            let offsets = of_text.filter(|token| !token.offsets.is_empty());
            TokenView {
                pos,
                row: row_index,
                id,
                text,
                bytes,
                real: row.mask[pos],
                special,
                offsets: offsets.map(|token| (token.offsets.start, token.offsets.end)),
                word: of_text.and_then(|token| token.word),
            }
        };
        (0..self.session.row_length()).map(token).collect()
    }
}

/// Where the text of a row begins, and the tokens of it; none if its tokens are no longer those of its text.
fn of_text(console: &Console, row: &Row) -> Option<(usize, Vec<Token>)> {
    let tokenizer = console.session.run.model.tokenizer.as_ref()?;
    let text = row.text.as_deref()?;
    let tokens = match &row.second_text {
        Some(second) => tokenizer.encode_pair(text, second, true),
        None => tokenizer.encode(text, !console.chat),
    };
    let first = row.mask.iter().position(|real| *real)?;
    let tokens = tokens.ok()?;
    let here = row.ids.get(first..first + tokens.len())?;
    here.iter().eq(tokens.iter().map(|token| &token.id)).then_some((first, tokens))
}

/// Tokens of the focused row, after warnings about them and what was done to the text.
pub(super) fn info(console: &mut Console) -> Answer {
    let steps = steps(console);
    console.printed.extend(steps);
    let warnings = warnings(console);
    console.printed.extend(warnings.into_iter().map(|warning| format!("warning: {warning}")));
    let found = console.session.focused_row().and_then(|row| of_text(console, row));
    Answer::Tokens(console.described(found))
}

/// What the tokenizer did to the texts before it looked for tokens.
fn steps(console: &Console) -> Vec<String> {
    let Some(tokenizer) = &console.session.run.model.tokenizer else { return Vec::new() };
    let Some(row) = console.session.focused_row() else { return Vec::new() };
    let mut told = Vec::new();
    for (text, which) in [(&row.text, "text"), (&row.second_text, "second text")] {
        let Some(text) = text else { continue };
        let Ok(steps) = tokenizer.steps(text) else {
            told.push(format!("the tokenizer cannot say what it does to the {which} first"));
            continue;
        };
        if let Some(normalized) = steps.normalized {
            told.push(format!("the {which} was normalized to {}", quoted(&normalized)));
        }
        if !steps.added.is_empty() && !console.chat {
            let tokens: Vec<String> = steps.added.iter().map(|token| quoted(token)).collect();
            told.push(format!("taken as tokens of their own in the {which}: {}", tokens.join(" ")));
        }
    }
    told
}

/// What is unusual about the tokens of the focused row.
pub(super) fn warnings(console: &Console) -> Vec<String> {
    let session = &console.session;
    let model = &session.run.model;
    let special = &model.special;
    let Some(row) = session.focused_row() else { return Vec::new() };
    let real: Vec<(usize, u32)> =
        (0..session.row_length()).filter(|&pos| row.mask[pos]).map(|pos| (pos, row.ids[pos])).collect();
    let mut warnings = Vec::new();
    let begins = |id: u32| special.bos == Some(id) || special.cls == Some(id);
    if let [(_, first), (_, second), ..] = real[..]
        && first == second
        && begins(first)
    {
        let text = console.token_text(first);
        warnings
            .push(format!("the text begins with {text:?} twice: the tokenizer adds it, so leave it out of the prompt"));
    }
    // Where the token for what is not known also ends texts, it is no sign of anything.
    if let Some(unknown) = special.unk.filter(|id| !special.eos.contains(id) && special.bos != Some(*id)) {
        let places: Vec<String> =
            real.iter().filter(|(_, id)| *id == unknown).map(|(pos, _)| pos.to_string()).collect();
        if !places.is_empty() {
            warnings.push(format!("the vocabulary lacks what stands at position {}", places.join(", ")));
        }
    }
    let Some(text) = &row.text else { return warnings };
    let cut = model.tokenizer.as_ref().and_then(Tokenizer::cut);
    let limits = [(special.longest, "the tokenizer is meant for"), (cut, "the tokenizer's file cuts texts at")];
    for (limit, what) in limits {
        if let Some(limit) = limit.filter(|limit| real.len() > *limit) {
            warnings.push(format!("{what} {limit} tokens; here all {} are read", real.len()));
        }
    }
    if session.run.generates() && text.ends_with(' ') {
        let message = "the text ends with a space; tokens of words begin with theirs, so what follows will be unusual";
        warnings.push(message.to_string());
    }
    if !model.chat.is_empty() && !console.chat {
        warnings.push("the model has a chat template, and the text is taken as it is; --chat uses the template".into());
    }
    warnings
}
