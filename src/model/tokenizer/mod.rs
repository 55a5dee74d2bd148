//! Text to tokens and back, and the exact bytes that each token stands for.

pub(super) mod separate;
mod special;
mod spelling;

pub use special::SpecialTokens;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokenizers::{Encoding, OffsetReferential, OffsetType};

use super::error::{InputError, LoadError};
use super::file;
use spelling::Spelling;

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: u32,
    /// The token for display, see [`Tokenizer::token_text`].
    pub text: String,
    /// Its bytes in this text: those of [`Tokenizer::token_bytes`] without the space that some tokenizers put in front of
    /// a text.
    pub bytes: Vec<u8>,
    /// Bytes of the text that it comes from; empty for tokens that the tokenizer adds. Lower-casing and other
    /// normalisation can make the token differ from them.
    pub offsets: Range<usize>,
    /// Whether the tokenizer added it or it is no ordinary text (`[CLS]`, `<s>`).
    pub special: bool,
    /// 1 in the second text of a pair, else 0.
    pub type_id: u32,
    /// Which piece of its text it is of, as the tokenizer splits it before it looks for tokens; none if it was added.
    pub word: Option<u32>,
}

/// A tokenizer. Clone is a reference-count bump.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    inner: tokenizers::Tokenizer,
    spelling: Spelling,
    /// Added tokens are spelled literally, whatever the others are.
    added: HashMap<u32, Added>,
    by_bytes: OnceLock<HashMap<Vec<u8>, u32>>,
    /// Where its file would have it cut a text off, in tokens.
    cut: Option<usize>,
}

/// What a tokenizer does to a text before it looks for tokens, see [`Tokenizer::steps`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// What the text becomes, if it does not stay as it is: lower-cased, composed, with a space in front.
    pub normalized: Option<String>,
    /// Added tokens that stand in the text itself, in order.
    pub added: Vec<String>,
    /// Where the tokenizer's file would have it cut a text off, in tokens; here nothing is cut.
    pub cut: Option<usize>,
}

struct Added {
    content: String,
    special: bool,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({:?}, {} tokens)", self.0.spelling, self.vocab_size())
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn from_file(path: &Path) -> Result<Self, LoadError> {
        let shown = path.display().to_string();
        let bytes = file::read(path).map_err(|source| LoadError::Io { path: shown.clone(), source })?;
        Tokenizer::from_bytes(&shown, &bytes)
    }

    /// Reads the contents of a `tokenizer.json`; `path` is for messages.
    pub fn from_bytes(path: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        let fail = |message: String| LoadError::Tokenizer { path: path.to_owned(), message };
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| fail(error.to_string()))?;
        let cut = inner.get_truncation().map(|cut| cut.max_length);
        // A tokenizer saved while it truncated or padded would go on doing so.
        inner.with_truncation(None).map_err(|error| fail(error.to_string()))?;
        inner.with_padding(None);
        let added = inner
            .get_added_tokens_decoder()
            .into_iter()
            .map(|(id, token)| (id, Added { content: token.content, special: token.special }))
            .collect();
        let spelling = Spelling::of(&inner);
        Ok(Tokenizer(Arc::new(Inner { inner, spelling, added, by_bytes: OnceLock::new(), cut })))
    }

    /// The tokens of a text, with those that the model expects around it unless `add_special` is false.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<Token>, InputError> {
        let encoding = self.0.inner.encode(text, add_special).map_err(|error| refused(text, &error))?;
        let mut tokens = self.tokens(&encoding);
        without_leading_space(&mut tokens, text);
        Ok(tokens)
    }

    /// The tokens of a pair of texts.
    pub fn encode_pair(&self, first: &str, second: &str, add_special: bool) -> Result<Vec<Token>, InputError> {
        let encoding = self.0.inner.encode((first, second), add_special).map_err(|error| refused(first, &error))?;
        Ok(self.tokens(&encoding))
    }

    fn tokens(&self, encoding: &Encoding) -> Vec<Token> {
        let parts = encoding.get_ids().iter().zip(encoding.get_offsets()).zip(encoding.get_type_ids());
        parts
            .zip(encoding.get_special_tokens_mask().iter().zip(encoding.get_word_ids()))
            .map(|(((&id, &(start, end)), &type_id), (&added, &word))| {
                let bytes = self.token_bytes(id);
                let text = display(&bytes);
                Token {
                    id,
                    text,
                    bytes,
                    offsets: start..end,
                    special: added == 1 || self.is_special(id),
                    type_id,
                    word,
                }
            })
            .collect()
    }

    /// What is done to a text before tokens are looked for in it.
    pub fn steps(&self, text: &str) -> Steps {
        let inner = &self.0.inner;
        let found = inner.get_added_vocabulary().extract_and_normalize(inner.get_normalizer(), text);
        let pieces = found.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        let normalized: String = pieces.iter().map(|(piece, _, _)| *piece).collect();
        let added = pieces.iter().filter(|(_, _, tokens)| tokens.is_some());
        let added = added.map(|(piece, _, _)| (*piece).to_owned()).collect();
        Steps { normalized: (normalized != text).then_some(normalized), added, cut: self.0.cut }
    }

    /// The text of tokens, as transformers decodes it. Bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        self.0.inner.decode(ids, skip_special).unwrap_or_else(|_| {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| self.token_bytes(*id)).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }

    /// The exact bytes that a token stands for inside a text: `Ġthe` is `" the"`, `<0xE2>` one byte, `##ing` is `"ing"`.
    /// Empty for a number that is no token.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        match self.0.added.get(&id) {
            Some(added) => added.content.clone().into_bytes(),
            None => self.0.inner.id_to_token(id).map(|spelled| self.0.spelling.bytes(&spelled)).unwrap_or_default(),
        }
    }

    /// A token for display: its bytes as text, those that are no UTF-8 as `\xNN`.
    pub fn token_text(&self, id: u32) -> String {
        if !self.has(id) {
            return format!("<{id}>");
        }
        display(&self.token_bytes(id))
    }

    /// A token as the vocabulary spells it: `Ġthe`, `##ing`.
    pub fn spelling(&self, id: u32) -> Option<String> {
        self.0.inner.id_to_token(id)
    }

    /// Whether there is a token of this number.
    pub fn has(&self, id: u32) -> bool {
        self.0.inner.id_to_token(id).is_some()
    }

    /// Whether a token is no ordinary text.
    pub fn is_special(&self, id: u32) -> bool {
        self.0.added.get(&id).is_some_and(|added| added.special)
    }

    /// The token that stands for exactly this text (`" Mary"`), else the one that is spelled so in the vocabulary
    /// (`ĠMary`, `##ing`, `[MASK]`).
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.by_bytes().get(text.as_bytes()).copied().or_else(|| self.spelled(text))
    }

    /// The token that is spelled so in the vocabulary.
    fn spelled(&self, text: &str) -> Option<u32> {
        self.0.inner.token_to_id(text)
    }

    fn by_bytes(&self) -> &HashMap<Vec<u8>, u32> {
        self.0.by_bytes.get_or_init(|| {
            let mut ranked: Vec<(u8, u32, String)> = self
                .0
                .inner
                .get_vocab(true)
                .into_iter()
                .map(|(spelled, id)| {
                    let rank = if self.0.added.contains_key(&id) { 2 } else { self.0.spelling.rank(&spelled) };
                    (rank, id, spelled)
                })
                .collect();
            // Where several tokens have the same bytes, the plain one with the lowest number is meant.
            ranked.sort();
            let mut map = HashMap::with_capacity(ranked.len());
            for (_, id, _) in ranked {
                map.entry(self.token_bytes(id)).or_insert(id);
            }
            map
        })
    }

    /// Number of tokens, added ones included. The model's vocabulary can be larger.
    pub fn vocab_size(&self) -> usize {
        self.0.inner.get_vocab_size(true)
    }
}

fn refused(text: &str, error: &tokenizers::Error) -> InputError {
    InputError::Tokenizer { text: text.to_owned(), message: error.to_string() }
}

/// Takes away the space that the tokenizer put in front of the text, if it did.
fn without_leading_space(tokens: &mut [Token], text: &str) {
    let joined: Vec<u8> = tokens.iter().filter(|token| !token.special).flat_map(|token| token.bytes.clone()).collect();
    if joined.strip_prefix(b" ") == Some(text.as_bytes())
        && let Some(first) = tokens.iter_mut().find(|token| !token.special)
    {
        first.bytes.remove(0);
    }
}

/// Bytes as text, those that are no UTF-8 as `\xNN`.
fn display(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}
