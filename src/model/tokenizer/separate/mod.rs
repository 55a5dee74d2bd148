//! Tokenizers as older repositories have them: `vocab.json` and `merges.txt`, or `vocab.txt`, and the rest in
//! `tokenizer_config.json`; or the one file of SentencePiece or of Mistral. They become the `tokenizer.json` that
//! transformers 5 would write for them.

mod proto;
mod ranks;
mod sentencepiece;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json, json};
use tokenizers::AddedToken;

use super::around::Around;
use super::class::Class;
use super::named::{CONFIG, Named, NamedToken, object};
use super::parts::Parts;
use crate::model::checkpoint::CheckpointFiles;
use crate::model::config::{HfConfig, parse_object};
use crate::model::error::{LoadError, NoTokenizer};

/// Files of tokenizers that need more than a table to be read.
const OTHERS: [&str; 2] = ["qwen.tiktoken", "tiktoken.model"];

/// Bytes of all pairs of tokens at most. Those of the largest vocabularies have 20 MB.
const MOST_TEXT: usize = 1 << 28;

/// Classes that can be put together.
fn is_known(class: &Class) -> bool {
    use Class::{CodeGen, Gpt2, GptNeoX, Qwen2, Qwen35, Roberta};
    matches!(class, Gpt2 | CodeGen | GptNeoX | Qwen2 | Qwen35 | Roberta) || of_words(*class)
}

/// Classes whose vocabulary is in `vocab.txt`.
fn of_words(class: Class) -> bool {
    matches!(class, Class::Bert | Class::MpNet | Class::Esm)
}

/// A `tokenizer.json` made of the files, with the tokens that they name.
#[derive(Debug)]
pub struct Separate {
    pub path: String,
    pub json: Json,
    pub named: Named,
}

/// A `tokenizer.json` made of the files; or why there is none.
pub fn json(files: &CheckpointFiles, config: &HfConfig) -> Result<Result<Separate, NoTokenizer>, LoadError> {
    let place = files.path().to_owned();
    let words = files.read("vocab.txt")?;
    let pieces = (files.read("vocab.json")?, files.read("merges.txt")?);
    let source = if words.is_some() { "vocab.txt" } else { "vocab.json" };
    let settings = object(files, CONFIG)?;
    if words.is_none() && pieces.0.is_none() && pieces.1.is_none() {
        for name in sentencepiece::FILES {
            if let Some(bytes) = files.read(name)? {
                return sentencepiece::json(files, config, settings, (name, &bytes));
            }
        }
        if let Some(bytes) = files.read(ranks::TEKKEN)? {
            return ranks::tekken(files, settings, &bytes);
        }
    }
    if words.is_none() && !matches!(pieces, (Some(_), Some(_))) {
        return Ok(Err(missing(files, &pieces)?));
    }
    let class = settings.get("tokenizer_class").or_else(|| config.json().get("tokenizer_class")).and_then(Json::as_str);
    let class = match class {
        Some(class) => Class::named(class).filter(is_known).ok_or(class),
        None => Some(Class::of_family(config)).filter(is_known).ok_or("none in tokenizer_config.json"),
    };
    let class = match class {
        Ok(class) if of_words(class) == words.is_some() => class,
        Ok(_) => return Ok(Err(NoTokenizer::OtherClass { place, file: source })),
        Err(class) => return Ok(Err(NoTokenizer::UnknownClass { place, file: source, class: class.to_owned() })),
    };
    let path = files.path_of(source);
    let bad = |path: &str, message: String| LoadError::Tokenizer { path: path.to_owned(), message };
    let text = |name: &str, bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|error| bad(&files.path_of(name), format!("it is not UTF-8 text ({error})")))
    };
    let vocab: Map<String, Json> = match (&words, &pieces) {
        (Some(words), _) => {
            let lines = text("vocab.txt", words)?;
            let word = |word: &str| if class == Class::Esm { word.trim() } else { word }.to_owned();
            lines.lines().enumerate().map(|(id, line)| (word(line), json!(id))).collect()
        }
        (None, (Some(vocab), _)) => parse_object(&path, vocab)?,
        (None, (None, _)) => unreachable!("there is a vocabulary"),
    };
    if let Some((word, id)) = vocab.iter().find(|(_, id)| id.as_u64().is_none_or(|id| id > u64::from(u32::MAX))) {
        return Err(bad(&path, format!("the number of {word:?} is {id}")));
    }
    let merges = match &pieces.1 {
        Some(bytes) if words.is_none() => merges(&files.path_of("merges.txt"), &text("merges.txt", bytes)?)?,
        _ => Vec::new(),
    };
    let named = Named::read(files, settings, class, &[])?;
    let mut added = added(&named, &vocab);
    if class == Class::Esm {
        // Amino acids are found in a text wherever they are.
        let new = |word: &&String| added.iter().all(|(_, token)| token.content != **word);
        let words = vocab.keys().filter(new).filter_map(|word| Some((vocab[word].as_u64()?, word)));
        let words: Vec<_> = words.map(|(id, word)| (id, AddedToken::from(word.clone(), false))).collect();
        added.extend(words);
        added.sort_by_key(|(id, _)| *id);
    }
    let sources = Sources { class, named, vocab, merges, added };
    Ok(match sources.json() {
        Ok(json) => Ok(Separate { path, json, named: sources.named }),
        Err(token) => Err(NoTokenizer::NoSpecialToken { path, token }),
    })
}

/// Why text cannot be made into tokens: what is there, and what is not.
fn missing<T>(files: &CheckpointFiles, pieces: &(Option<T>, Option<T>)) -> Result<NoTokenizer, LoadError> {
    let mut found = Vec::new();
    for (name, here) in [("vocab.json", pieces.0.is_some()), ("merges.txt", pieces.1.is_some())] {
        if here {
            found.push(name);
        }
    }
    let half = !found.is_empty();
    for name in sentencepiece::FILES.into_iter().chain([ranks::TEKKEN]).chain(OTHERS) {
        if files.read(name)?.is_some() {
            found.push(name);
        }
    }
    let place = files.path().to_owned();
    Ok(match (half, found.join(" and ")) {
        (false, found) if found.is_empty() => NoTokenizer::NoFile { place },
        (true, found) => NoTokenizer::HalfOfTwo { place, found },
        (false, found) => NoTokenizer::OtherFormat { place, found },
    })
}

/// The pairs of `merges.txt`, in order.
fn merges(path: &str, text: &str) -> Result<Vec<Json>, LoadError> {
    let bad = |at: usize, line: &str| LoadError::Tokenizer {
        path: path.to_owned(),
        message: format!("line {} is not a pair of tokens: {line:?}", at + 1),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version") && !line.is_empty());
    lines
        .map(|(at, line)| match line.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok(json!([left, right])),
            _ => Err(bad(at, line)),
        })
        .collect()
}

/// Every added token with its number: those that have one, then those that the vocabulary has, then new ones.
fn added(named: &Named, vocab: &Map<String, Json>) -> Vec<(u64, AddedToken)> {
    let number = |text: &str| vocab.get(text).and_then(Json::as_u64);
    let tabled: HashMap<&str, u64> =
        named.numbered.iter().map(|(id, named)| (named.token.content.as_str(), *id)).collect();
    let last = vocab.values().filter_map(Json::as_u64).chain(tabled.values().copied()).max();
    let mut next = last.map_or(0, |last| last + 1);
    let numbered = |named: NamedToken| {
        let text = named.token.content.as_str();
        let id = tabled.get(text).copied().or_else(|| number(text)).unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        (id, named.token)
    };
    named.in_order(std::iter::empty()).into_iter().map(numbered).collect()
}

/// The part `added_tokens` of a `tokenizer.json`.
fn entries(added: &[(u64, AddedToken)]) -> Vec<Json> {
    let entry = |(id, token): &(u64, AddedToken)| {
        let mut entry = json!(token);
        entry["id"] = json!(id);
        entry
    };
    added.iter().map(entry).collect()
}

/// Each piece of any two pieces that it can be made of, those of lower ranks first, then those with a shorter first half;
/// `None` if that would be too much.
fn pairs(ranked: Vec<(&str, f64)>) -> Option<Vec<Json>> {
    let known: HashSet<&str> = ranked.iter().map(|(piece, _)| *piece).collect();
    let (mut found, mut text) = (Vec::new(), 0usize);
    for (number, (piece, rank)) in ranked.iter().enumerate() {
        let before = found.len();
        let cuts = piece.char_indices().skip(1).map(|(at, _)| at);
        found.extend(
            cuts.filter(|at| known.contains(&piece[..*at]) && known.contains(&piece[*at..]))
                .map(|at| (*rank, number, at)),
        );
        text = text.checked_add(piece.len().checked_mul(found.len() - before + piece.len() / 64)?)?;
        if text > MOST_TEXT {
            return None;
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    Some(found.into_iter().map(|(_, number, at)| json!([ranked[number].0[..at], ranked[number].0[at..]])).collect())
}

/// Everything that goes into a `tokenizer.json`.
struct Sources {
    class: Class,
    named: Named,
    vocab: Map<String, Json>,
    merges: Vec<Json>,
    added: Vec<(u64, AddedToken)>,
}

impl Sources {
    fn flag(&self, key: &str, default: bool) -> bool {
        self.named.settings.get(key).and_then(Json::as_bool).unwrap_or(default)
    }

    /// The file, or the special token that it lacks.
    fn json(&self) -> Result<Json, &'static str> {
        let (normalizer, splitter) = self.class.splits(&self.named.settings).unwrap_or_default();
        let token = |name: &str| {
            let text = self.named.text(name)?;
            let (id, _) = self.added.iter().find(|(_, token)| token.content == text)?;
            Some((text.to_owned(), u32::try_from(*id).ok()?))
        };
        let around = match self.class {
            Class::Roberta => {
                let part = |name: &'static str| token(name).ok_or(name);
                json!({
                    "type": "RobertaProcessing",
                    "sep": part("sep_token")?,
                    "cls": part("cls_token")?,
                    "trim_offsets": self.flag("trim_offsets", true),
                    "add_prefix_space": self.flag("add_prefix_space", false),
                })
            }
            Class::Bert => Around::Bert.template(token)?.json(),
            Class::MpNet => Around::Roberta.template(token)?.json(),
            Class::Esm => Around::Esm.template(token)?.json(),
            _ => {
                let asked = |flag: &str, name: &str| self.flag(flag, false) && self.named.text(name).is_some();
                let (bos, eos) = (asked("add_bos_token", "bos_token"), asked("add_eos_token", "eos_token"));
                Around::Ends { bos, eos }.template(token)?.json()
            }
        };
        let model = match self.class {
            Class::Esm => json!({
                "type": "WordLevel",
                "unk_token": self.named.text("unk_token").unwrap_or("<unk>"),
                "vocab": self.vocab,
            }),
            Class::Bert | Class::MpNet => json!({
                "type": "WordPiece",
                "unk_token": self.named.text("unk_token").unwrap_or("[UNK]"),
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": self.vocab,
            }),
            _ => json!({
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "fuse_unk": false,
                "byte_fallback": false,
                "vocab": self.vocab,
                "merges": self.merges,
            }),
        };
        let decoder = match self.class {
            Class::Esm => Json::Null,
            Class::Bert | Class::MpNet => json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
            _ => json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        };
        let added = entries(&self.added);
        Ok(Parts { added, normalizer, pre_tokenizer: splitter, post_processor: around, decoder, model }.json())
    }
}

#[cfg(test)]
mod tests;
