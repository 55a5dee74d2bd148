//! Text to tokens and back, and the exact bytes that each token stands for.

pub mod apart;
mod library;
pub(super) mod separate;
mod sound;
mod special;
mod spelling;

pub use special::SpecialTokens;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::error::{InputError, LoadError};
use super::file;
use apart::Place;
use library::{Added, Answer, Piece, Request};
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
    place: Place,
    spelling: Spelling,
    /// Numbers of tokens as the vocabulary spells them.
    ids: HashMap<String, u32>,
    /// How tokens are spelled, by their numbers.
    spelled: HashMap<u32, String>,
    /// Added tokens are spelled literally, whatever the others are.
    added: HashMap<u32, Added>,
    by_bytes: OnceLock<HashMap<Vec<u8>, u32>>,
    size: usize,
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

    /// Reads the contents of a `tokenizer.json`; `path` is for messages. Its library runs in a process of its own, if there is
    /// a program for that ([`super::apart::allow`]).
    pub fn from_bytes(path: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        Tokenizer::read(path, bytes, false)
    }

    /// The same for a file that is part of this program, which is trusted.
    pub fn built_in(path: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        Tokenizer::read(path, bytes, true)
    }

    fn read(path: &str, bytes: &[u8], trusted: bool) -> Result<Self, LoadError> {
        let fail = |message: String| LoadError::Tokenizer { path: path.to_owned(), message };
        let (place, facts) = Place::open(bytes, trusted).map_err(fail)?;
        let mut spelled: HashMap<u32, String> = facts.ids.iter().map(|(spelled, &id)| (id, spelled.clone())).collect();
        spelled.extend(facts.spelled);
        Ok(Tokenizer(Arc::new(Inner {
            place,
            spelling: facts.spelling,
            ids: facts.ids,
            spelled,
            added: facts.added,
            by_bytes: OnceLock::new(),
            size: facts.size,
            cut: facts.cut,
        })))
    }

    /// The tokens of a text, with those that the model expects around it unless `add_special` is false.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<Token>, InputError> {
        let mut tokens = self.tokens(text, None, add_special)?;
        without_leading_space(&mut tokens, text);
        Ok(tokens)
    }

    /// The tokens of a pair of texts.
    pub fn encode_pair(&self, first: &str, second: &str, add_special: bool) -> Result<Vec<Token>, InputError> {
        self.tokens(first, Some(second), add_special)
    }

    fn tokens(&self, text: &str, pair: Option<&str>, special: bool) -> Result<Vec<Token>, InputError> {
        let request = Request::Encode { text: text.to_owned(), pair: pair.map(str::to_owned), special };
        match self.0.place.answer(request).map_err(|message| refused(text, message))? {
            Answer::Encode(pieces) => Ok(pieces.into_iter().map(|piece| self.token(&piece)).collect()),
            _ => Err(refused(text, ANOTHER.into())),
        }
    }

    fn token(&self, piece: &Piece) -> Token {
        let bytes = self.token_bytes(piece.id);
        Token {
            id: piece.id,
            text: display(&bytes),
            bytes,
            offsets: piece.offsets.0..piece.offsets.1,
            special: piece.added || self.is_special(piece.id),
            type_id: piece.type_id,
            word: piece.word,
        }
    }

    /// What is done to a text before tokens are looked for in it.
    ///
    /// # Errors
    /// If the tokenizer cannot say.
    pub fn steps(&self, text: &str) -> Result<Steps, InputError> {
        match self.0.place.answer(Request::Normalize(text.to_owned())).map_err(|message| refused(text, message))? {
            Answer::Normalize(normalized, added) => {
                Ok(Steps { normalized: (normalized != text).then_some(normalized), added })
            }
            _ => Err(refused(text, ANOTHER.into())),
        }
    }

    /// Where the tokenizer's file would have it cut a text off, in tokens; here nothing is cut.
    pub fn cut(&self) -> Option<usize> {
        self.0.cut
    }

    /// The text of tokens, as transformers decodes it. Bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        match self.0.place.answer(Request::Decode { ids: ids.to_vec(), skip_special }) {
            Ok(Answer::Decode(text)) => text,
            _ => {
                let bytes: Vec<u8> = ids.iter().flat_map(|id| self.token_bytes(*id)).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }

    /// The exact bytes that a token stands for inside a text: `Ġthe` is `" the"`, `<0xE2>` one byte, `##ing` is `"ing"`.
    /// Empty for a number that is no token.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        match self.0.added.get(&id) {
            Some(added) => added.content.clone().into_bytes(),
            None => self.0.spelled.get(&id).map(|spelled| self.0.spelling.bytes(spelled)).unwrap_or_default(),
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
        self.0.spelled.get(&id).cloned()
    }

    /// Whether there is a token of this number.
    pub fn has(&self, id: u32) -> bool {
        self.0.spelled.contains_key(&id)
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
        self.0.ids.get(text).copied()
    }

    fn by_bytes(&self) -> &HashMap<Vec<u8>, u32> {
        self.0.by_bytes.get_or_init(|| {
            let mut ranked: Vec<(u8, u32, &String)> = self
                .0
                .ids
                .iter()
                .map(|(spelled, &id)| {
                    let rank = if self.0.added.contains_key(&id) { 2 } else { self.0.spelling.rank(spelled) };
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
        self.0.size
    }
}

/// Bytes of a text that are shown in a message.
const SHOWN: usize = 100;

/// What a process says that answers something else than it was asked.
const ANOTHER: &str = "the tokenizer gave another answer than was asked for";

fn refused(text: &str, message: String) -> InputError {
    let shown = match text.len() > SHOWN {
        true => format!("{}...", &text[..text.floor_char_boundary(SHOWN)]),
        false => text.to_owned(),
    };
    InputError::Tokenizer { text: shown, message }
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
