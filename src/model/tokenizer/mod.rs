//! Text to tokens and back, and the exact bytes that each token stands for.

pub mod around;
mod class;
mod error;
mod library;
mod longest;
mod named;
mod neighbours;
pub mod parts;
pub mod sandbox;
mod separate;
mod sound;
mod special;
mod spelling;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use library::{Answer, Change, Facts, Piece, Request};
use neighbours::Neighbours;
use sandbox::Place;
use separate::Separate;
use spelling::Spelling;
use tokenizers::AddedToken;

use super::checkpoint::CheckpointFiles;
use super::config::HfConfig;
use super::error::{InputError, LoadError, NoTokenizer};
use super::file;

pub use class::Class;
pub use error::TokenizerError;
pub use longest::Longest;
pub use named::{Named, NamedToken};
pub use neighbours::Otherwise;
pub use parts::Parts;
pub use special::SpecialTokens;

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: u32,
    /// The token for display, see [`Tokenizer::token_text`].
    pub text: String,
    /// Its bytes in this text: those of [`Tokenizer::token_bytes`] without the space that some tokenizers put before a
    /// text.
    pub bytes: Vec<u8>,
    /// Bytes of the text that it comes from; empty for tokens that the tokenizer adds. Lower-casing and other
    /// normalisation can make the token differ from them.
    pub offsets: Range<usize>,
    /// Whether the tokenizer added it or it is not ordinary text (`[CLS]`, `<s>`).
    pub special: bool,
    /// 1 in the second text of a pair, else 0.
    pub type_id: u32,
    /// Which piece of its text it belongs to, as the tokenizer splits it before it looks for tokens; `None` if it was
    /// added.
    pub word: Option<u32>,
}

/// A tokenizer. Clone is a reference-count bump.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    place: Place,
    spelling: Spelling,
    ids: HashMap<String, u32>,
    spelled: HashMap<u32, String>,
    /// Added tokens are spelled literally, whatever the others are.
    added: HashMap<u32, AddedToken>,
    by_bytes: OnceLock<HashMap<Vec<u8>, u32>>,
    size: usize,
    /// Where its file would have it cut a text off, in tokens.
    cut: Option<usize>,
    longest: Option<Longest>,
    neighbours: Neighbours,
}

/// What a tokenizer does to a text before it looks for tokens, see [`Tokenizer::steps`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// What the text becomes, if it does not stay as it is: lower-cased, composed, with a space before it.
    pub normalized: Option<String>,
    /// Added tokens in the text itself, in order.
    pub added: Vec<String>,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({:?}, {} tokens)", self.0.spelling, self.vocab_size())
    }
}

impl Tokenizer {
    pub fn from_file(path: &Path) -> Result<Self, LoadError> {
        let shown = path.display().to_string();
        let bytes = file::read(path).map_err(|source| LoadError::Io { path: shown.clone(), source })?;
        Tokenizer::from_bytes(&shown, &bytes)
    }

    /// Reads the contents of a `tokenizer.json`; `path` is for messages. Its library runs in a separate process, if
    /// there is a program for that ([`super::sandbox::allow`]).
    pub fn from_bytes(path: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        Tokenizer::built(path, bytes, false, |_| Ok(Neighbours::default()))
    }

    /// The tokenizer of a checkpoint with the tokens that its files name, as `AutoTokenizer` in transformers reads it;
    /// or why there is none.
    pub fn of_checkpoint(files: &CheckpointFiles, config: &HfConfig) -> Result<Result<Self, NoTokenizer>, LoadError> {
        if let Some(bytes) = files.read("tokenizer.json")? {
            let path = files.path_of("tokenizer.json");
            // What is borrowed is part of this program, and trusted.
            let trusted = matches!(bytes, Cow::Borrowed(_));
            let join = |inner: (&mut Place, &mut Facts)| Neighbours::join(files, config, inner, &path);
            return Tokenizer::built(&path, &bytes, trusted, join).map(Ok);
        }
        if let Some(gguf) = files.gguf() {
            let none = || NoTokenizer::NoFile { place: files.path().to_owned() };
            return Ok(Err(gguf.why_no_tokenizer()?.unwrap_or_else(none)));
        }
        Ok(match separate::json(files, config)? {
            Ok(Separate { path, json, named }) => {
                let neighbours = Neighbours { named, ..Neighbours::default() };
                Ok(Tokenizer::built(&path, json.to_string().as_bytes(), false, |_| Ok(neighbours))?)
            }
            Err(why) => Err(why),
        })
    }

    fn built(
        path: &str,
        bytes: &[u8],
        trusted: bool,
        join: impl FnOnce((&mut Place, &mut Facts)) -> Result<Neighbours, LoadError>,
    ) -> Result<Self, LoadError> {
        let (mut place, mut facts) = Place::open(bytes, trusted).map_err(|error| error.of_file(path))?;
        if let Some((token, &id)) = facts.ids.iter().find(|(token, _)| token.len() > LONGEST) {
            return Err(TokenizerError::LongToken { id, bytes: token.len(), most: LONGEST }.of_file(path));
        }
        let neighbours = join((&mut place, &mut facts))?;
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
            longest: None,
            neighbours,
        })))
    }

    /// The same tokenizer, which cuts texts off, and makes them lower-case first if `lower`. Nothing happens to one
    /// that has clones.
    pub fn for_sentences(mut self, longest: Option<Longest>, lower: bool) -> Result<Self, TokenizerError> {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.longest = longest;
            if lower {
                inner.place.change(Change { lower, ..Change::default() })?;
            }
        }
        Ok(self)
    }

    /// The tokens of a text, with those that the model expects around it unless `add_special` is false. A whole text,
    /// with what is around it, is cut off where the tokenizer says.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<Token>, InputError> {
        let pieces = self.pieces(text, None, add_special)?;
        let mut tokens: Vec<Token> = pieces.iter().map(|piece| self.token(piece)).collect();
        without_leading_space(&mut tokens, text);
        if let Some(longest) = self.0.longest.as_ref().filter(|_| add_special) {
            let around: Vec<bool> = pieces.iter().map(|piece| piece.added).collect();
            longest.cut(&mut tokens, &around);
        }
        Ok(tokens)
    }

    pub fn longest(&self) -> Option<&Longest> {
        self.0.longest.as_ref()
    }

    /// Tokens of a text that is not cut off.
    pub fn whole_length(&self, text: &str) -> Result<usize, InputError> {
        self.pieces(text, None, true).map(|pieces| pieces.len())
    }

    /// What another reader of the same vocabulary makes of a text; `None` if there is no other way to read it, or the
    /// result is the same.
    pub fn read_otherwise(&self, text: &str, add_special: bool) -> Option<Otherwise> {
        let other = self.0.neighbours.other.as_ref()?;
        let theirs = other.encode(&self.0.place, text, add_special)?;
        let ours: Vec<u32> = self.pieces(text, None, add_special).ok()?.iter().map(|piece| piece.id).collect();
        (ours != theirs).then_some(Otherwise { whose: other.whose, followed: other.followed, ours, theirs })
    }

    pub fn named(&self) -> &Named {
        &self.0.neighbours.named
    }

    /// What names a token that the tokenizer's own file lacks.
    pub fn named_by(&self, id: u32) -> Option<&'static str> {
        self.0.neighbours.by.get(&id).copied()
    }

    /// What is unusual about the files next to the tokenizer's own.
    pub fn notes(&self) -> &[String] {
        &self.0.neighbours.notes
    }

    pub fn encode_pair(&self, first: &str, second: &str, add_special: bool) -> Result<Vec<Token>, InputError> {
        let pieces = self.pieces(first, Some(second), add_special)?;
        Ok(pieces.iter().map(|piece| self.token(piece)).collect())
    }

    fn pieces(&self, text: &str, pair: Option<&str>, special: bool) -> Result<Vec<Piece>, InputError> {
        let request = Request::Encode { text: text.to_owned(), pair: pair.map(str::to_owned), special };
        match self.0.place.answer(request).map_err(|error| refused(text, &error))? {
            Answer::Encode(pieces) => {
                let length = |piece: &Piece| self.0.spelled.get(&piece.id).map_or(0, String::len);
                let bytes: usize = pieces.iter().map(length).sum();
                if bytes > LONGEST_TEXT {
                    return Err(refused(text, &TokenizerError::LongText { bytes, most: LONGEST_TEXT }));
                }
                Ok(pieces)
            }
            _ => Err(refused(text, &TokenizerError::OtherAnswer)),
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

    /// What is done to a text before it is split into tokens.
    pub fn steps(&self, text: &str) -> Result<Steps, InputError> {
        match self.0.place.answer(Request::Normalize(text.to_owned())).map_err(|error| refused(text, &error))? {
            Answer::Normalize(normalized, added) => {
                Ok(Steps { normalized: (normalized != text).then_some(normalized), added })
            }
            _ => Err(refused(text, &TokenizerError::OtherAnswer)),
        }
    }

    /// Where the tokenizer's file would have it cut a text off, in tokens; here nothing is cut.
    pub fn cut(&self) -> Option<usize> {
        self.0.cut
    }

    /// The text of tokens, as transformers decodes it. Bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        match self.0.place.answer(Request::Decode { ids: ids.to_vec(), skip_special }) {
            Ok(Answer::Decode(text)) => text,
            _ => {
                let bytes: Vec<u8> = ids.iter().flat_map(|id| self.token_bytes(*id)).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }

    /// The exact bytes that a token stands for inside a text: `Ġthe` is `" the"`, `<0xE2>` one byte, `##ing` is
    /// `"ing"`. Empty for a number that is not a token.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        match self.0.added.get(&id) {
            Some(added) => added.content.clone().into_bytes(),
            None => self.0.spelled.get(&id).map(|spelled| self.0.spelling.bytes(spelled)).unwrap_or_default(),
        }
    }

    /// A token for display: its bytes as text, those that are not UTF-8 as `\xNN`.
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

    pub fn has(&self, id: u32) -> bool {
        self.0.spelled.contains_key(&id)
    }

    /// Whether a token is not ordinary text.
    pub fn is_special(&self, id: u32) -> bool {
        self.0.added.get(&id).is_some_and(|added| added.special)
    }

    /// The token that stands for exactly this text (`" Mary"`), else the one that is spelled so in the vocabulary
    /// (`ĠMary`, `##ing`, `[MASK]`).
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.by_bytes().get(text.as_bytes()).copied().or_else(|| self.spelled(text))
    }

    pub fn spelled(&self, text: &str) -> Option<u32> {
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

/// Longest token, in bytes: runs of spaces have some hundred.
const LONGEST: usize = 1 << 16;

/// Bytes that the tokens of a text may have together.
const LONGEST_TEXT: usize = 64 << 20;

const SHOWN: usize = 100;

fn refused(text: &str, error: &TokenizerError) -> InputError {
    let shown = match text.len() > SHOWN {
        true => format!("{}...", &text[..text.floor_char_boundary(SHOWN)]),
        false => text.to_owned(),
    };
    InputError::Tokenizer { text: shown, message: error.to_string() }
}

/// Takes away the space that the tokenizer put before the text, if it did.
fn without_leading_space(tokens: &mut [Token], text: &str) {
    let joined: Vec<u8> = tokens.iter().filter(|token| !token.special).flat_map(|token| token.bytes.clone()).collect();
    if joined.strip_prefix(b" ") == Some(text.as_bytes())
        && let Some(first) = tokens.iter_mut().find(|token| !token.special)
    {
        first.bytes.remove(0);
    }
}

/// Bytes as text, those that are not UTF-8 as `\xNN`.
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
