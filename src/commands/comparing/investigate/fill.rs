//! Names in the templates of a plan: `{token}`, `{Where}`, `{prompt|trim}`.

use std::collections::BTreeMap;

use super::finding::number;
use super::predicate::written;
use crate::answer::Cell;
use crate::lang::strings;

/// What a filter makes of a text.
type Filter = fn(&str) -> String;

/// Filters by their names. A prompt and a token are texts in quotes wherever they are filled in, so that filters work on them alone.
pub const FILTERS: &[(&str, Filter)] = &[
    ("trim", |text| text.trim().to_string()),
    ("single", |text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
    ("spaced", |text| match text.strip_prefix(' ') {
        Some(bare) => bare.to_string(),
        None => format!(" {text}"),
    }),
    ("capital", |text| {
        let at = text.len() - text.trim_start().len();
        let (space, word) = text.split_at(at);
        let mut chars = word.chars();
        let first = chars.next().map(|c| match c.is_uppercase() {
            true => c.to_lowercase().collect::<String>(),
            false => c.to_uppercase().collect(),
        });
        format!("{space}{}{}", first.unwrap_or_default(), chars.as_str())
    }),
    ("block", |text| text.split('.').nth(1).unwrap_or_default().to_string()),
    ("bare", |text| text.trim_matches('"').to_string()),
];

/// Names and what they stand for.
#[derive(Clone, Debug, Default)]
pub struct Names {
    all: BTreeMap<String, Name>,
}

#[derive(Clone, Debug)]
struct Name {
    text: String,
    /// What it is in a sentence, if that is something else.
    words: Option<String>,
    /// Whether it is filled in as a text in quotes.
    quoted: bool,
}

impl Names {
    pub fn set(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.all.insert(name.into(), Name { text: text.into(), words: None, quoted: false });
    }

    /// A text, which is in quotes wherever it is filled in.
    pub fn set_quoted(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.all.insert(name.into(), Name { text: text.into(), words: None, quoted: true });
    }

    /// A cell: of a number, sentences have four digits, and commands all of them.
    pub fn set_cell(&mut self, name: impl Into<String>, cell: &Cell) {
        let words = if let Cell::Num(x) = cell { Some(number(*x)) } else { None };
        self.all.insert(name.into(), Name { text: written(cell), words, quoted: false });
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(|name| name.text.as_str())
    }

    /// A command with its names filled in; the name that is not known, if there is one.
    pub fn fill(&self, template: &str) -> Result<String, String> {
        self.filled(template, false)
    }

    /// The same of a sentence.
    pub fn words(&self, template: &str) -> Result<String, String> {
        self.filled(template, true)
    }

    fn filled(&self, template: &str, in_words: bool) -> Result<String, String> {
        let (mut out, mut left) = (String::with_capacity(template.len()), template);
        while let Some((before, rest)) = left.split_once('{') {
            out += before;
            let Some((inside, rest)) = rest.split_once('}') else {
                out.push('{');
                left = rest;
                continue;
            };
            let mut words = inside.split('|');
            let name = words.next().unwrap_or_default();
            let Some(Name { text, words: said, quoted }) = self.all.get(name) else { return Err(name.to_string()) };
            let text = said.as_ref().filter(|_| in_words).unwrap_or(text);
            let filters = words.filter_map(|word| FILTERS.iter().find(|(known, _)| *known == word));
            let bare = inside.ends_with("|bare");
            let text = filters.fold(text.clone(), |text, (_, filter)| filter(&text));
            out += &if *quoted && !bare { strings::quoted(&text) } else { text };
            left = rest;
        }
        Ok(out + left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_and_texts_stay_in_quotes() {
        let mut names = Names::default();
        names.set("Where", "blocks.1.mlp.W_in");
        names.set_quoted("prompt", "say \"a\"  b ");
        names.set_quoted("token", " Mary");
        let fill = |template: &str| names.fill(template);
        assert_eq!(fill("set param(\"{Where}\") = 0").unwrap(), "set param(\"blocks.1.mlp.W_in\") = 0");
        assert_eq!(fill("set prompt {prompt|trim}").unwrap(), "set prompt \"say \\\"a\\\"  b\"");
        assert_eq!(fill("{prompt|single} {Where|block}").unwrap(), "\"say \\\"a\\\" b\" 1");
        assert_eq!(fill("rank({token|spaced}) {token|spaced|capital}").unwrap(), "rank(\"Mary\") \"mary\"");
        assert_eq!(fill("{other}"), Err("other".into()));
        let (mut names, x) = (Names::default(), 1.0 / 3.0);
        names.set_cell("Ratio", &Cell::Num(x));
        assert_eq!((names.fill("/ {Ratio}"), names.words("/ {Ratio}")), (Ok(format!("/ {x}")), Ok("/ 0.3333".into())));
    }
}
