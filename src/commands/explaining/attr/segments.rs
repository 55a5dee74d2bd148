//! `attr -segments`: groups of tokens that are hidden together, and summed up.

use std::path::Path;

use regex::Regex;

use super::given::Given;
use crate::analysis::attribution::Players;
use crate::answer::text::visible;
use crate::commands::frame::mistake;
use crate::commands::state::Console;
use crate::debugger::Result;
use crate::lang::{LangError, Span};
use crate::model::file::read_text;

/// Characters of a group that are shown.
const SHOWN: usize = 40;

/// Where a sentence ends: at its last mark and the spaces after it, or at the end of a line.
const SENTENCE: &str = r#"[.!?\u{2026}]+["'\u{201d}\u{2019})\]]*\s+|[\u{3002}\u{ff01}\u{ff1f}]+[\u{201d}\u{2019}\u{300d}\u{300f}]*\s*|\n+"#;
const PARAGRAPH: &str = r"\n[ \t]*\n\s*";
const LINE: &str = r"\n+";
const WORD: &str = r"\s+";

/// Groups of tokens, and what is shown of each: its positions and its text.
pub struct Segments {
    pub players: Players,
    pub names: Vec<(String, String)>,
}

/// One token of the text that is divided.
struct Token {
    text: String,
    special: bool,
    /// Whether it ends a text, or a turn of one.
    ends: bool,
}

impl Console {
    /// The tokens of the focused row up to the column `end` as `-segments` groups them; each by itself without it. Of the
    /// `positions` of a site, those after that, and padding, belong to none.
    pub(super) fn segments(&self, given: &Given, end: usize, positions: usize) -> Result<Segments> {
        let run = &self.session.run;
        let row = self.session.focused_row().ok_or("there is no text")?;
        let tokenizer = run.model.tokenizer.as_ref();
        let columns: Vec<usize> = (0..end.min(row.ids.len())).filter(|&column| row.mask[column]).collect();
        let token = |&column: &usize| {
            let id = row.ids[column];
            let special = tokenizer.is_some_and(|tokenizer| tokenizer.is_special(id));
            Token { text: self.token_text(id), special, ends: run.model.special.eos.contains(&id) }
        };
        let tokens: Vec<Token> = columns.iter().map(token).collect();
        let groups = match &given.segments {
            Some((text, span)) => grouped(text, *span, &tokens)?,
            None => (0..tokens.len()).collect(),
        };
        let mut of = vec![None; positions];
        columns.iter().zip(&groups).filter(|(column, _)| **column < positions).for_each(|(&column, &group)| {
            of[column] = Some(group);
        });
        let players = Players::new(of);
        let name = |group: usize| {
            let members: Vec<usize> = (0..groups.len()).filter(|&i| groups[i] == group).collect();
            let (first, last) = (columns[members[0]], columns[members[members.len() - 1]]);
            let places = if first == last { first.to_string() } else { format!("{first}-{last}") };
            let text: String = members.iter().map(|&i| tokens[i].text.as_str()).collect();
            // A token by itself is called what it is everywhere.
            (places, if given.segments.is_some() { shortened(&text) } else { text })
        };
        Ok(Segments { names: (0..players.count).map(name).collect(), players })
    }
}

/// A text on one line, cut off where it is long.
fn shortened(text: &str) -> String {
    let text = visible(text.trim_end_matches('\n'));
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// The number of the group of each token, counted from 0 in the order of the text.
fn grouped(kind: &str, span: Span, tokens: &[Token]) -> Result<Vec<usize>> {
    let regex = |pattern: &str| {
        Regex::new(pattern)
            .map_err(|error| LangError::new(format!("{kind} is not a regular expression: {error}"), span))
    };
    let pattern = match kind {
        "turns" => {
            return turns(tokens).ok_or_else(|| {
                let help = "-segments /REGEX/ begins a group at each match, as in /User:|Assistant:/";
                mistake("the text has no token that begins a turn of a chat", span, help)
            });
        }
        "words" => WORD,
        "sentences" => SENTENCE,
        "lines" => LINE,
        "paragraphs" => PARAGRAPH,
        _ if kind.len() > 2 && kind.starts_with('/') && kind.ends_with('/') => &kind[1..kind.len() - 1],
        file => return of_file(file, span, tokens.len()),
    };
    let text: String = tokens.iter().map(|token| token.text.as_str()).collect();
    let begins = kind.starts_with('/');
    let found = regex(pattern)?;
    let edges: Vec<usize> =
        found.find_iter(&text).map(|found| if begins { found.start() } else { found.end() }).collect();
    if begins && edges.is_empty() {
        return Err(mistake(
            format!("{kind} is not in the text"),
            span,
            "a group begins at each match of -segments /REGEX/",
        ));
    }
    let mut at = 0;
    let mut keys = Vec::with_capacity(tokens.len());
    for (i, token) in tokens.iter().enumerate() {
        // A token belongs to where its first letter is; spaces alone belong to what is before them.
        let first = token.text.find(|c: char| !c.is_whitespace());
        let anchor = at + first.unwrap_or(0);
        let key = match (first, keys.last()) {
            _ if token.special => (i, usize::MAX),
            (None, Some(&(from, edge))) if edge != usize::MAX => (from, edge),
            _ => {
                let edge = edges.partition_point(|edge| *edge <= anchor);
                let goes_on = keys.last().filter(|(_, before)| *before == edge);
                goes_on.copied().unwrap_or((i, edge))
            }
        };
        keys.push(key);
        at += token.text.len();
    }
    Ok(numbered(&keys))
}

/// A turn begins with the token that begins the first one, and after each token that ends one.
fn turns(tokens: &[Token]) -> Option<Vec<usize>> {
    let begins = |token: &&Token| token.special && !token.ends;
    // A token that begins the whole text comes once.
    let count = |token: &Token| tokens.iter().filter(|other| other.text == token.text).count();
    let opener = tokens.iter().filter(begins).find(|token| count(token) > 1).or_else(|| tokens.iter().find(begins))?;
    let mut group = 0;
    let mut ended = false;
    let found = tokens.iter().enumerate().map(|(i, token)| {
        let blank = !token.special && token.text.trim().is_empty();
        if i > 0 && !blank && (ended || token.text == opener.text) {
            group += 1;
        }
        ended = token.ends || ended && blank;
        group
    });
    Some(found.collect())
}

/// A file with a number for each token, as Captum's `feature_mask`.
fn of_file(file: &str, span: Span, tokens: usize) -> Result<Vec<usize>> {
    let known = "words, sentences, lines, paragraphs, turns, /REGEX/, or FILE with the number of each token's group";
    let text = read_text(Path::new(file))
        .map_err(|error| mistake(format!("cannot read {file}: {error}"), span, format!("-segments takes {known}")))?;
    let numbers: Result<Vec<i64>, _> =
        text.split([' ', '\n', '\t', '\r', ',']).filter(|word| !word.is_empty()).map(str::parse).collect();
    let numbers = numbers.map_err(|_| mistake(format!("{file} is not a list of numbers"), span, known))?;
    if numbers.len() != tokens {
        let message = format!("{file} has {} numbers, and the text has {tokens} tokens", numbers.len());
        return Err(LangError::new(message, span).into());
    }
    Ok(numbered(&numbers))
}

/// The same groups, numbered in the order in which they come.
fn numbered<T: PartialEq + Copy>(keys: &[T]) -> Vec<usize> {
    let mut known: Vec<T> = Vec::new();
    let number = |key: &T| {
        known.iter().rposition(|other| other == key).unwrap_or_else(|| {
            known.push(*key);
            known.len() - 1
        })
    };
    keys.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(texts: &[&str]) -> Vec<Token> {
        let special = |text: &str| text.starts_with('<');
        let token = |text: &&str| Token { text: text.to_string(), special: special(text), ends: *text == "<end>" };
        texts.iter().map(token).collect()
    }

    fn groups(kind: &str, texts: &[&str]) -> Vec<usize> {
        grouped(kind, Span::default(), &tokens(texts)).expect(kind)
    }

    #[test]
    fn tokens_belong_to_where_their_first_letter_is() {
        let text = ["<s>", "The", " n", "urse", " left", ".", " \"", "Why", "?\"", " he", "\n", "\n", "Q", ":", " 2"];
        assert_eq!(groups("words", &text), [0, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7]);
        assert_eq!(groups("sentences", &text), [0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
        assert_eq!(groups("lines", &text), [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
        assert_eq!(groups("paragraphs", &text), groups("lines", &text));
        assert_eq!(groups("/Q:|Why/", &text), [0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3]);
        let error = grouped("/Z/", Span::default(), &tokens(&text)).expect_err("no match").to_string();
        assert_eq!(error, "/Z/ is not in the text");
        assert!(grouped("/(/", Span::default(), &tokens(&text)).is_err());
        assert!(
            grouped("syllables", Span::default(), &tokens(&text))
                .expect_err("no file")
                .to_string()
                .contains("cannot read")
        );
    }

    #[test]
    fn turns_begin_with_their_token_and_after_the_one_that_ends_one() {
        let chat = ["<bos>", "<im>", "user", "\n", "Hi", "<end>", "\n", "<im>", "model", "\n"];
        assert_eq!(groups("turns", &chat), [0, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
        let header = ["<h>", "user", "</h>", "Hi", "<end>", "<h>", "model", "</h>"];
        assert_eq!(groups("turns", &header), [0, 0, 0, 0, 0, 1, 1, 1]);
        assert_eq!(
            groups("turns", &["<inst>", "Hi", "</inst>", " Yes", "<end>", "<inst>", "No"]),
            [0, 0, 0, 0, 0, 1, 1]
        );
        assert!(grouped("turns", Span::default(), &tokens(&["Hi", " you"])).is_err());
    }
}
