//! `tokens insert` and `tokens erase`: a prompt with more or fewer tokens.

use std::ops::Range;

use crate::commands::changing::edits::{of_input, text_of};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Error, Result};
use crate::lang::command::Vocabulary;
use crate::lang::words::words;
use crate::lang::{LangError, Span};

const USAGE: &str = "tokens insert POS TEXT, tokens erase POS, tokens erase FROM:TO";

/// `tokens insert POS TEXT`, `tokens erase RANGE`: of the focused row.
pub fn tokens(console: &mut Console, call: Call<'_>) -> Done {
    let how = call.args.subcommand().ok_or_else(|| call.expected("insert or erase", USAGE))?;
    let vocabulary = Vocabulary { of: "tokens", names: &["insert", "erase"], short: &[] };
    let word = vocabulary.resolve(how.word, how.span)?;
    let run = &console.session.run;
    let prompt = run.branch().prompt();
    let mut rows = prompt.texts();
    let focused = console.session.focus.row;
    // Positions are those that are shown, with the padding before the text.
    let first = prompt.rows[focused].mask.iter().position(|real| *real).unwrap_or(0);
    let row = &mut rows[focused];
    let places = first..first + row.ids.len();
    let given = words(how.rest, how.offset)?;
    let place = given.first().ok_or_else(|| LangError::new("expected a position", Span::at(how.offset)).help(USAGE))?;
    match word {
        "insert" => {
            let at = position(&place.text, place.span, &places, places.end)?;
            let text = how.rest[place.span.end - how.offset..].trim_start();
            let start = how.offset + how.rest.len() - text.len();
            let ids = ids(console, &text_of(text, start)?, start)?;
            let near = row.type_ids.get(at).or(row.type_ids.last()).copied().unwrap_or(0);
            row.ids.splice(at..at, ids.iter().copied());
            row.mask.splice(at..at, ids.iter().map(|_| true));
            row.type_ids.splice(at..at, ids.iter().map(|_| near));
        }
        _ => {
            if let Some(extra) = given.get(1) {
                return Err(LangError::new("expected one position or one range", extra.span).help(USAGE).into());
            }
            let range = match place.text.split_once(':') {
                Some((from, to)) => {
                    let from = if from.is_empty() { 0 } else { position(from, place.span, &places, places.end)? };
                    let to = if to.is_empty() { places.len() } else { position(to, place.span, &places, places.end)? };
                    from..to
                }
                None => {
                    let at = position(&place.text, place.span, &places, places.end.saturating_sub(1))?;
                    at..at + 1
                }
            };
            if range.is_empty() {
                return Err(LangError::new(format!("{} has no tokens", place.text), place.span).into());
            }
            row.ids.drain(range.clone());
            row.mask.drain(range.clone());
            row.type_ids.drain(range);
            if row.ids.is_empty() {
                return Err(Error::refused("nothing would be left of the prompt"));
            }
        }
    }
    // What the row was made from is not a longer what it is.
    (row.text, row.second_text) = (None, None);
    let model = console.session.run.model.clone();
    let input = prompt.with_rows(&model, rows)?;
    console.apply(vec![of_input(input, call.line)])
}

/// Where in the text a position up to `last` is; negative ones count from the end. The text is at `places`.
fn position(text: &str, span: Span, places: &Range<usize>, last: usize) -> Result<usize> {
    let number: i64 = text.trim().parse().map_err(|_| {
        LangError::new(format!("{text} is not a position"), span).help("a number; -1 is the last token")
    })?;
    let at = if number < 0 { number + places.end as i64 } else { number };
    let place = usize::try_from(at).ok().filter(|at| (places.start..=last).contains(at));
    place.map(|at| at - places.start).ok_or_else(|| {
        let why = match places.start {
            0 => format!("no position {number}: the row has {} tokens", places.len()),
            first => format!("no token at position {number}: the text is at {first}:{}", places.end),
        };
        LangError::new(why, span).into()
    })
}

fn ids(console: &Console, text: &str, at: usize) -> Result<Vec<u32>> {
    let Some(tokenizer) = &console.session.run.model.tokenizer else {
        return Err(Error::refused("this model has no tokenizer, so a text cannot be made into tokens"));
    };
    if text.is_empty() {
        return Err(LangError::new("expected a text", Span::at(at)).help(USAGE).into());
    }
    let tokens = tokenizer.encode(text, false)?;
    Ok(tokens.into_iter().map(|token| token.id).collect())
}
