//! The tokenizers library, and everything that is asked of it.
//!
//! Its parts do what a file says: they replace texts by longer ones, over and over, look for expressions that take
//! forever, and panic where a file is not sound. So nothing else calls it, and [`super::sandbox`] lets it run in a
//! process that can be ended.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokenizers::{AddedToken, Encoding, ModelWrapper, OffsetReferential, OffsetType};

use super::around::Around;
use super::error::TokenizerError;
use super::sound::{check, check_pair};
use super::spelling::{Spelling, typed};

/// Most tokens that a text may become: a pass over more cannot be computed.
const MOST_TOKENS: usize = 1 << 20;

/// Longest text, in bytes, that tokens or the text before them may become.
const LONGEST: usize = 16 << 20;

/// What a tokenizer does with texts and tokens.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// The tokens of a text or a pair of them, with those around it if `special`.
    Encode { text: String, pair: Option<String>, special: bool },
    /// What is done to a text before it is split into tokens.
    Normalize(String),
    /// The text of tokens, without special ones if `skip_special`.
    Decode { ids: Vec<u32>, skip_special: bool },
    /// Changes the tokenizer permanently.
    Change(Change),
    /// The ids of a text that is changed and split in another way before tokens of the same vocabulary are looked for
    /// in it.
    Otherwise {
        text: String,
        special: bool,
        /// What is done to it, and how it is split, as a `tokenizer.json` says so.
        ways: [Value; 2],
    },
}

/// What other files than its own make of a tokenizer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Change {
    /// Tokens to look for in texts.
    pub add: Vec<AddedToken>,
    /// What is to be around texts, with the spelling of the tokens by what they are called.
    pub around: Option<(Around, HashMap<String, String>)>,
    pub cut_special: bool,
    pub lower: bool,
}

/// What a [`Change`] has changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Changed {
    /// Tokens that were added to the vocabulary, by their numbers: those of the file too.
    pub added: HashMap<u32, AddedToken>,
    pub size: usize,
    /// Whether other tokens were around texts before.
    pub put: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Encode(Vec<Piece>),
    /// The text, and the added tokens in it.
    Normalize(String, Vec<String>),
    Decode(String),
    Change(Changed),
    Otherwise(Vec<u32>),
}

/// A token of a text.
#[derive(Debug, Serialize, Deserialize)]
pub struct Piece {
    pub id: u32,
    /// Where it begins in the text, in bytes, and where it ends.
    pub offsets: (usize, usize),
    /// 1 in the second text of a pair.
    pub type_id: u32,
    /// Whether the tokenizer added it.
    pub added: bool,
    /// The piece of the text that it belongs to.
    pub word: Option<u32>,
}

/// What does not depend on a text.
#[derive(Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The number of each token by how it is spelled.
    pub ids: HashMap<String, u32>,
    /// How the tokens are spelled whose number another token has too, or that cannot be looked up.
    pub spelled: HashMap<u32, String>,
    pub added: HashMap<u32, AddedToken>,
    pub spelling: Spelling,
    /// The kind of its model, as the file calls it: `BPE`, `WordPiece`, ...
    pub kind: String,
    /// What is done to texts before they are split, and how they are split; null if nothing is.
    pub ways: [Value; 2],
    /// Where the file would have texts cut off, in tokens.
    pub cut: Option<usize>,
    pub size: usize,
}

pub struct Core {
    inner: tokenizers::Tokenizer,
    around: Value,
}

impl Core {
    /// Reads the contents of a `tokenizer.json`.
    pub fn open(bytes: &[u8]) -> Result<(Core, Facts), TokenizerError> {
        guarded(|| {
            let mut inner = tokenizers::Tokenizer::from_bytes(bytes)?;
            let cut = inner.get_truncation().map(|cut| cut.max_length);
            // A tokenizer saved while it truncated or padded would go on doing so.
            inner.with_truncation(None)?;
            inner.with_padding(None);
            let around = part(inner.get_post_processor());
            check(&part(inner.get_pre_tokenizer()), &around)?;
            let facts = facts(&inner, cut);
            Ok((Core { inner, around }, facts))
        })
    }

    pub fn change(&mut self, change: &Change) -> Result<Changed, TokenizerError> {
        let Core { inner, around } = self;
        guarded(|| {
            inner.add_tokens(change.add.iter().cloned())?;
            let mut put = false;
            if let Some((which, names)) = &change.around {
                let token = |name: &str| Some((names.get(name)?.clone(), inner.token_to_id(names.get(name)?)?));
                if let Ok(template) = which.template(token) {
                    put = template.put(inner)?;
                }
            }
            *around = part(inner.get_post_processor());
            if change.cut_special {
                inner.set_encode_special_tokens(true);
            }
            if change.lower {
                lower_case(inner)?;
            }
            Ok(Changed {
                added: inner.get_added_tokens_decoder().into_iter().collect(),
                size: inner.get_vocab_size(true),
                put,
            })
        })
    }

    pub fn answer(&mut self, request: Request) -> Result<Answer, TokenizerError> {
        match request {
            Request::Change(change) => self.change(&change).map(Answer::Change),
            request => self.look(request),
        }
    }

    /// Answers a request that changes nothing.
    pub fn look(&self, request: Request) -> Result<Answer, TokenizerError> {
        let inner = &self.inner;
        guarded(|| match request {
            Request::Change(_) => Err("it is not to be changed".into()),
            Request::Otherwise { text, special, ways: [normalizer, splitter] } => {
                let mut other = inner.clone();
                other.with_normalizer(serde_json::from_value::<Option<tokenizers::NormalizerWrapper>>(normalizer)?)?;
                other.with_pre_tokenizer(serde_json::from_value::<Option<tokenizers::PreTokenizerWrapper>>(splitter)?);
                Ok(Answer::Otherwise(other.encode(text, special)?.get_ids().to_vec()))
            }
            Request::Encode { text, pair: None, special } => pieces(&inner.encode(text, special)?),
            Request::Encode { text, pair: Some(pair), special } => {
                check_pair(&self.around)?;
                pieces(&inner.encode((text, pair), special)?)
            }
            Request::Normalize(text) => {
                let found = inner.get_added_vocabulary().extract_and_normalize(inner.get_normalizer(), text.as_str());
                let parts = found.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
                let added = parts.iter().filter(|(_, _, tokens)| tokens.is_some());
                let added = added.map(|(piece, _, _)| (*piece).to_owned()).collect();
                Ok(Answer::Normalize(short(parts.iter().map(|(piece, _, _)| *piece).collect())?, added))
            }
            Request::Decode { ids, skip_special } => Ok(Answer::Decode(short(inner.decode(&ids, skip_special)?)?)),
        })
    }
}

/// A panic of the library is an error of its input.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, TokenizerError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Ok(result?),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(TokenizerError::Panicked(text.unwrap_or("it does not say why").to_owned()))
        }
    }
}

/// Makes texts lower-case before anything else is done to them, if nothing does.
fn lower_case(inner: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
    let now = part(inner.get_normalizer());
    if typed(&now, "Lowercase").is_none() {
        let first = json!({"type": "Lowercase"});
        let all: Vec<&Value> = [&first, &now].into_iter().filter(|step| !step.is_null()).collect();
        let all: tokenizers::NormalizerWrapper =
            serde_json::from_value(json!({"type": "Sequence", "normalizers": all}))?;
        inner.with_normalizer(Some(all))?;
    }
    Ok(())
}

fn kind(model: &ModelWrapper) -> &'static str {
    match model {
        ModelWrapper::BPE(_) => "BPE",
        ModelWrapper::WordPiece(_) => "WordPiece",
        ModelWrapper::WordLevel(_) => "WordLevel",
        ModelWrapper::Unigram(_) => "Unigram",
    }
}

/// A part of a tokenizer as its file has it; null if there is none.
fn part(part: Option<&impl Serialize>) -> Value {
    part.and_then(|part| serde_json::to_value(part).ok()).unwrap_or_default()
}

fn short(text: String) -> tokenizers::Result<String> {
    match text.len() {
        length if length > LONGEST => Err(format!("it becomes a text of {length} bytes, more than {LONGEST}").into()),
        _ => Ok(text),
    }
}

fn pieces(encoding: &Encoding) -> tokenizers::Result<Answer> {
    let count = encoding.get_ids().len();
    if count > MOST_TOKENS {
        return Err(format!("it becomes {count} tokens, more than {MOST_TOKENS}").into());
    }
    let parts = encoding.get_ids().iter().zip(encoding.get_offsets()).zip(encoding.get_type_ids());
    let parts = parts.zip(encoding.get_special_tokens_mask().iter().zip(encoding.get_word_ids()));
    let piece =
        |(((&id, &offsets), &type_id), (&added, &word)): (((&u32, &(usize, usize)), &u32), (&u32, &Option<u32>))| {
            Piece { id, offsets, type_id, added: added == 1, word }
        };
    Ok(Answer::Encode(parts.map(piece).collect()))
}

fn facts(inner: &tokenizers::Tokenizer, cut: Option<usize>) -> Facts {
    let ids = inner.get_vocab(true);
    let size = inner.get_vocab_size(true);
    let decoder = inner.get_added_tokens_decoder();
    let numbers: BTreeSet<u32> = ids.values().chain(decoder.keys()).copied().chain(0..size as u32).collect();
    let spelled = numbers.into_iter().filter_map(|id| {
        let spelled = inner.id_to_token(id)?;
        (ids.get(&spelled) != Some(&id)).then_some((id, spelled))
    });
    let spelled = spelled.collect::<HashMap<u32, String>>();
    // Of two tokens with one number only one is what the number stands for.
    let doubled = doubled(&ids).into_iter().filter_map(|id| Some((id, inner.id_to_token(id)?)));
    Facts {
        spelled: doubled.chain(spelled.clone()).collect(),
        added: decoder.into_iter().collect(),
        spelling: Spelling::of(inner),
        kind: kind(inner.get_model()).to_owned(),
        ways: [part(inner.get_normalizer()), part(inner.get_pre_tokenizer())],
        cut,
        size,
        ids,
    }
}

/// Numbers that several tokens have.
fn doubled(ids: &HashMap<String, u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = ids.values().copied().collect();
    numbers.sort_unstable();
    let mut doubled: Vec<u32> = numbers.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    doubled.dedup();
    doubled
}
