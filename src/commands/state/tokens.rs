//! The tokens that the model reads, and what is unusual about them.

use std::borrow::Cow;

use crate::answer::TokenView;
use crate::answer::text::quoted;
use crate::commands::state::Console;
use crate::model::tokenizer::Otherwise;
use crate::model::{Row, Token};

impl Console {
    /// Tokens of the focused row, without what their text says of them.
    pub(crate) fn tokens(&self) -> Vec<TokenView> {
        self.described(None)
    }

    pub(crate) fn described(&self, found: Option<(usize, Vec<Token>)>) -> Vec<TokenView> {
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
pub fn of_text(console: &Console, row: &Row) -> Option<(usize, Vec<Token>)> {
    let tokenizer = console.session.run.model.tokenizer.as_ref()?;
    let text = row.text.as_deref()?;
    let whole = whole_text(console, text);
    if row.source.is_some() {
        return None;
    }
    let tokens = match &row.second_text {
        Some(second) => tokenizer.encode_pair(&whole, second, true),
        None => tokenizer.encode(&whole, !console.chat),
    };
    let first = row.mask.iter().position(|real| *real)?;
    let mut tokens = tokens.ok()?;
    // Offsets are those in the text that was given.
    let prompt = whole.len() - text.len();
    for token in tokens.iter_mut().filter(|token| token.type_id == 0) {
        token.offsets = token.offsets.start.saturating_sub(prompt)..token.offsets.end.saturating_sub(prompt);
    }
    let here = row.ids.get(first..first + tokens.len())?;
    here.iter().eq(tokens.iter().map(|token| &token.id)).then_some((first, tokens))
}

/// The text with what sentence-transformers puts before it.
fn whole_text<'a>(console: &Console, text: &'a str) -> Cow<'a, str> {
    if console.chat { text.into() } else { console.session.run.model.with_prompt(text) }
}

/// What is unusual about the tokens of the focused row.
pub fn warnings(console: &Console) -> Vec<String> {
    let session = &console.session;
    let model = &session.run.model;
    let special = &model.special;
    let Some(row) = session.focused_row() else { return Vec::new() };
    if row.source.is_some() {
        // The text is that of the encoder, and the tokens are those of the decoder.
        return row.text.iter().filter_map(|text| read_otherwise(console, row, text)).collect();
    }
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
    warnings.extend(without_beginning(console, row, &real));
    warnings.extend(ended(console, &real));
    // Where the token for what is not known also ends texts, it is not a sign of anything.
    if let Some(unknown) = special.unk.filter(|id| !special.eos.contains(id) && special.bos != Some(*id)) {
        let places: Vec<String> =
            real.iter().filter(|(_, id)| *id == unknown).map(|(pos, _)| pos.to_string()).collect();
        if !places.is_empty() {
            warnings.push(format!("the vocabulary lacks what is at position {}", places.join(", ")));
        }
    }
    let Some(text) = &row.text else { return warnings };
    warnings.extend(limits(console, row, text, real.len()));
    warnings.extend(read_otherwise(console, row, text));
    if session.run.generates() && text.ends_with(' ') {
        let message = "the text ends with a space; tokens of words begin with theirs, so what follows will be unusual";
        warnings.push(message.to_string());
    }
    warnings
}

/// A text that a chat model reads without its chat template: nothing is wrong with it.
pub fn without_template(console: &Console) -> Option<String> {
    let given = console.session.focused_row().is_some_and(|row| row.text.is_some());
    let plain = given && !console.session.run.model.chat.is_empty() && !console.chat;
    plain.then(|| "the text was not put through the model's chat template, which --chat does".into())
}

/// A text of a model whose tokenizer names a token that begins texts, without that token.
fn without_beginning(console: &Console, row: &Row, real: &[(usize, u32)]) -> Option<String> {
    let run = &console.session.run;
    let (model, tokenizer) = (&run.model, run.model.tokenizer.as_ref()?);
    let named = tokenizer.named();
    let bos = named.text("bos_token")?;
    let id = tokenizer.spelled(bos)?;
    let asked = named.settings.get("add_bos_token").and_then(|flag| flag.as_bool());
    // A token that also ends texts or begins the turns of a chat is often named and not used.
    let other = model.special.eos.contains(&id) || model.chat.all.iter().any(|template| template.text.contains(bos));
    let expected = asked.unwrap_or(!other);
    let begins = real.iter().any(|(_, found)| *found == id);
    let applies = expected && !begins && !console.chat && run.generates() && row.text.is_some();
    applies.then(|| {
        format!(
            "the text does not begin with {bos:?}, the tokenizer's bos_token, and the tokenizer does not add it: if the model \
             was trained with it, put it before the prompt"
        )
    })
}

/// A token that ends a text within or after the text of a model that goes on from it. Turns of a chat end so.
fn ended(console: &Console, real: &[(usize, u32)]) -> Option<String> {
    let run = &console.session.run;
    if console.chat || !run.generates() {
        return None;
    }
    let ends: Vec<&(usize, u32)> = real.iter().skip(1).filter(|(_, id)| run.model.special.eos.contains(id)).collect();
    let (last, id) = ends.last()?;
    let text = console.token_text(*id);
    Some(match real.last().is_some_and(|(pos, _)| pos == last) {
        true => format!(
            "the prompt ends with {text:?}, a token that ends texts: what the model says next begins another text"
        ),
        false => {
            let places: Vec<String> = ends.iter().map(|(pos, _)| pos.to_string()).collect();
            format!("there are tokens that end texts within the prompt, at position {}", places.join(", "))
        }
    })
}

/// A text that is longer than what its tokenizer is meant for.
fn limits(console: &Console, row: &Row, text: &str, tokens: usize) -> Vec<String> {
    let model = &console.session.run.model;
    let Some(tokenizer) = &model.tokenizer else { return Vec::new() };
    if let (Some(longest), None, false) = (tokenizer.longest(), &row.second_text, console.chat) {
        let whole = tokenizer.whole_length(&whole_text(console, text)).unwrap_or(0);
        let most = longest.tokens;
        let cut = (whole > most).then(|| {
            format!("the text has {whole} tokens, and is cut off after {most}, as sentence-transformers does")
        });
        return cut.into_iter().collect();
    }
    let limits = [
        (model.special.longest, "the tokenizer is meant for"),
        (tokenizer.cut(), "the tokenizer's file cuts texts at"),
    ];
    let beyond = limits.into_iter().filter_map(|(limit, what)| Some((limit.filter(|limit| tokens > *limit)?, what)));
    beyond.map(|(limit, what)| format!("{what} {limit} tokens; here all {tokens} are read")).collect()
}

/// A text that transformers cuts into other tokens of the same vocabulary.
fn read_otherwise(console: &Console, row: &Row, text: &str) -> Option<String> {
    let tokenizer = console.session.run.model.tokenizer.as_ref().filter(|_| row.second_text.is_none())?;
    let Otherwise { whose, followed, ours, theirs } =
        tokenizer.read_otherwise(&whole_text(console, text), !console.chat)?;
    let at = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
    let there: Vec<String> = theirs[at..].iter().take(4).map(|id| quoted(&console.token_text(*id))).collect();
    let there = if there.is_empty() { "nothing".to_owned() } else { there.join(" ") };
    Some(format!(
        "{whose} of transformers splits this text in another way than {followed}, which is followed here: {} tokens there, {} \
         here; at position {at} it has {there}",
        theirs.len(),
        ours.len(),
    ))
}
