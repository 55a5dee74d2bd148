//! `info tokens`: what the model reads, and what looks like a mistake in it.

use super::console::Console;
use crate::answer::Answer;

/// Tokens of the focused row, after warnings about them.
pub(super) fn info(console: &mut Console) -> Answer {
    let warnings = warnings(console);
    console.printed.extend(warnings.into_iter().map(|warning| format!("warning: {warning}")));
    Answer::Tokens(console.tokens())
}

fn warnings(console: &Console) -> Vec<String> {
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
    if session.run.generates() && text.ends_with(' ') {
        let message = "the text ends with a space; tokens of words begin with theirs, so what follows will be unusual";
        warnings.push(message.to_string());
    }
    if !model.chat.is_empty() && !console.chat {
        warnings.push("the model has a chat template, and the text is taken as it is; --chat uses the template".into());
    }
    warnings
}
