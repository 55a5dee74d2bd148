//! The vocabulary of a GGUF file as the `tokenizer.json` that it was made from.
//!
//! The file has tokens, scores or merges, and a word for how text is split; what is left out is the same for every
//! model of a kind, and is put back here.

mod bpe;
mod pre;
mod sentencepiece;
mod unigram;
mod wordpiece;

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use super::facts::Facts;
use crate::model::error::{LoadError, NoTokenizer};
use crate::model::tokenizer::Parts;
use crate::model::tokenizer::around::{Part, Template};

/// What a token is, by ggml's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl TokenType {
    fn of(number: f64) -> TokenType {
        use TokenType::*;
        let kinds = [(2, Unknown), (3, Control), (4, UserDefined), (5, Unused), (6, Byte)];
        kinds.into_iter().find(|(known, _)| *known == number as i64).map_or(Normal, |(_, kind)| kind)
    }
}

#[derive(Clone)]
struct Vocabulary {
    tokens: Vec<String>,
    types: Vec<TokenType>,
    scores: Vec<f32>,
}

impl Vocabulary {
    /// Tokens are made different from one another, as llama.cpp does with empty ones: only one of them can be found by
    /// its text anyway.
    fn read(facts: &Facts) -> Result<Option<Self>, LoadError> {
        let mut tokens = facts.texts("tokenizer.ggml.tokens")?;
        if tokens.is_empty() {
            return Ok(None);
        }
        let mut seen = HashSet::new();
        for (id, token) in tokens.iter_mut().enumerate() {
            if token.is_empty() || !seen.insert(token.clone()) {
                *token = format!("[EMPTY_{id}]");
                seen.insert(token.clone());
            }
        }
        let mut types: Vec<TokenType> =
            facts.numbers("tokenizer.ggml.token_type")?.into_iter().map(TokenType::of).collect();
        types.resize(tokens.len(), TokenType::Normal);
        let mut scores: Vec<f32> =
            facts.numbers("tokenizer.ggml.scores")?.into_iter().map(|score| score as f32).collect();
        scores.resize(tokens.len(), 0.0);
        Ok(Some(Vocabulary { tokens, types, scores }))
    }

    fn id(&self, facts: &Facts, name: &str) -> Result<Option<usize>, LoadError> {
        let id = facts.size(&format!("tokenizer.ggml.{name}_token_id"))?;
        Ok(id.filter(|id| *id < self.tokens.len()))
    }

    /// A token around a text, with the type that it counts to.
    fn part(&self, id: usize, types: u8) -> Part {
        Part::Token { text: self.tokens[id].clone(), id: id as u32, types }
    }

    /// A model of pairs of pieces. Those of SentencePiece have a token for what is unknown, and fall back to bytes.
    fn pairs(&self, merges: Vec<Json>, unknown: Option<usize>, sentence_pieces: bool, ignore_merges: bool) -> Json {
        json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown.map(|id| self.tokens[id].clone()),
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": sentence_pieces,
            "byte_fallback": sentence_pieces && self.types.contains(&TokenType::Byte),
            "ignore_merges": ignore_merges,
            "vocab": self.ids(),
            "merges": merges,
        })
    }

    /// Whether a token only fills the vocabulary up to the rows of the embedding.
    fn is_filler(&self, id: usize) -> bool {
        self.types[id] == TokenType::Unused && self.tokens[id] == format!("[PAD{id}]")
    }

    fn ids(&self) -> Map<String, Json> {
        let real = (0..self.tokens.len()).filter(|id| !self.is_filler(*id));
        real.map(|id| (self.tokens[id].clone(), json!(id))).collect()
    }

    /// Tokens that are found in a text before it is split.
    fn added(&self, strip: impl Fn(&str) -> Strip) -> Vec<Json> {
        let is_added =
            |id: &usize| matches!(self.types[*id], TokenType::Control | TokenType::UserDefined | TokenType::Unknown);
        (0..self.tokens.len())
            .filter(is_added)
            .map(|id| {
                let Strip { left, right } = strip(&self.tokens[id]);
                json!({
                    "id": id,
                    "content": self.tokens[id],
                    "single_word": false,
                    "lstrip": left,
                    "rstrip": right,
                    "normalized": false,
                    "special": self.types[id] != TokenType::UserDefined,
                })
            })
            .collect()
    }
}

/// On which sides a token takes spaces with it.
#[derive(Clone, Copy, Default)]
struct Strip {
    left: bool,
    right: bool,
}

/// The tokenizer, or why there is none.
pub fn json(facts: &Facts) -> Result<Result<Json, NoTokenizer>, LoadError> {
    let kind = facts.text("tokenizer.ggml.model")?.unwrap_or("none");
    let Some(vocabulary) = Vocabulary::read(facts)? else { return Ok(Err(NoTokenizer::NoMetadata)) };
    match kind {
        "gpt2" => bpe::json(facts, &vocabulary),
        "llama" => sentencepiece::json(facts, &vocabulary),
        "bert" => wordpiece::json(facts, &vocabulary),
        "t5" => unigram::json(facts, &vocabulary),
        other => Ok(Err(NoTokenizer::UnknownKind(other.to_owned()))),
    }
}

/// One end of every text, and `between` ends between the texts of a pair, all of them of type 0.
fn around(bos: Part, sep: Part, between: usize) -> Json {
    let pair = [vec![bos.clone(), Part::A], vec![sep.clone(); between], vec![Part::B(0), sep.clone()]].concat();
    Template { single: vec![bos, Part::A, sep], pair }.json()
}

/// A beginning and an end, as the file asks for them; `bos` is for one that does not say whether there is a beginning.
fn ends(facts: &Facts, vocabulary: &Vocabulary, bos: bool) -> Result<Json, LoadError> {
    let token = |name: &str, usual: bool| -> Result<Vec<Part>, LoadError> {
        let wanted = facts.flag(&format!("tokenizer.ggml.add_{name}_token"))?.unwrap_or(usual);
        let id = if wanted { vocabulary.id(facts, name)? } else { None };
        Ok(id.map(|id| vocabulary.part(id, 0)).into_iter().collect())
    };
    let (before, after) = (token("bos", bos)?, token("eos", false)?);
    let single = [&before[..], &[Part::A], &after].concat();
    let pair = [&before[..], &[Part::A], &after, &before, &[Part::B(1)], &after].concat();
    Ok(Template { single, pair }.json())
}
