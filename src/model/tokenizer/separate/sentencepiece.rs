//! SentencePiece's `tokenizer.model`, for repositories that have no `tokenizer.json`: what each class of transformers
//! (version 5.24) makes of it.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};
use tokenizers::AddedToken;

use super::proto::{Algorithm, Kind, Model};
use super::{Separate, added, entries, pairs};
use crate::model::checkpoint::CheckpointFiles;
use crate::model::config::HfConfig;
use crate::model::error::{LoadError, NoTokenizer};
use crate::model::tokenizer::around::Around;
use crate::model::tokenizer::class::{Class, SPACE};
use crate::model::tokenizer::named::{Named, NamedToken};
use crate::model::tokenizer::parts::{Parts, base64};

/// The names that such a file has had.
pub const FILES: [&str; 3] = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"];

/// What transformers calls a tokenizer that takes a file as it is.
const GENERAL: [&str; 4] = ["PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend", "LlamaTokenizer"];

/// A tokenizer made of the file; or why there is none.
pub fn json(
    files: &CheckpointFiles,
    config: &HfConfig,
    settings: Map<String, Json>,
    (name, bytes): (&'static str, &[u8]),
) -> Result<Result<Separate, NoTokenizer>, LoadError> {
    let place = files.path().to_owned();
    let path = files.path_of(name);
    let bad = |message: String| LoadError::Tokenizer { path: path.clone(), message };
    let class = match class(config, &settings) {
        Ok(class) => class,
        Err(class) => return Ok(Err(NoTokenizer::OwnClass { place, file: name, class })),
    };
    let model = Model::parse(bytes).map_err(|error| bad(error.to_string()))?;
    if let Some(piece) = model.pieces.iter().find(|piece| !piece.score.is_finite()) {
        return Err(bad(format!("the score of {:?} is {}", piece.text, piece.score)));
    }
    let unigram = match (class, model.trainer.algorithm) {
        (Class::Albert | Class::Camembert | Class::XlmRoberta, _) => true,
        (Class::Llama | Class::Gemma, _) => false,
        (_, Algorithm::Unigram) => true,
        (_, Algorithm::Pairs) => false,
        (_, Algorithm::Other(number)) => return Err(bad(format!("its pieces are of the unknown kind {number}"))),
    };
    let mut named = Named::read(files, settings, class, &[])?;
    name_pieces(&mut named, &model, class, name);
    let source = Source { class, named, model, unigram };
    let pieces = source.pieces();
    let Some(model) = source.vocabulary(&pieces).map_err(bad)? else { return Ok(Err(NoTokenizer::TooMuchWork)) };
    let ids: Map<String, Json> = pieces.iter().enumerate().map(|(id, (piece, _))| (piece.clone(), json!(id))).collect();
    let added = added(&source.named, &ids);
    let token = |name: &str| {
        let text = source.named.text(name)?;
        let (id, _) = added.iter().find(|(_, token)| token.content == text)?;
        Some((text.to_owned(), u32::try_from(*id).ok()?))
    };
    let around = match source.class {
        Class::Albert => Around::Bert,
        Class::Camembert | Class::XlmRoberta => Around::XlmRoberta,
        _ => {
            let asked = |flag: &str, name: &str| source.flag(flag, false) && source.named.text(name).is_some();
            Around::Ends { bos: asked("add_bos_token", "bos_token"), eos: asked("add_eos_token", "eos_token") }
        }
    };
    let post_processor = match around.template(token) {
        Ok(template) => template.json(),
        Err(token) => return Ok(Err(NoTokenizer::NoSpecialToken { path, token })),
    };
    let (normalizer, pre_tokenizer) = source.splits();
    let decoder = source.decoder();
    let json = Parts { added: entries(&added), normalizer, pre_tokenizer, post_processor, decoder, model }.json();
    Ok(Ok(Separate { path, json, named: source.named }))
}

/// The class that transformers takes, or the name of one that is not known here.
fn class(config: &HfConfig, settings: &Map<String, Json>) -> Result<Class, String> {
    let class = Class::of(settings, config, false);
    let given = settings.get("tokenizer_class").or_else(|| config.json().get("tokenizer_class")).and_then(Json::as_str);
    let given = given.or((config.model_type().ok() == Some("gpt-sw3")).then_some("GPTSw3Tokenizer"));
    match (class, given) {
        (Class::General, Some(given)) => {
            let bare = given.strip_suffix("Fast").unwrap_or(given);
            let is_taken = GENERAL.contains(&given) || GENERAL.contains(&bare) || Class::is_general(config);
            if is_taken { Ok(class) } else { Err(given.to_owned()) }
        }
        (Class::General | Class::Llama | Class::Gemma | Class::Albert | Class::Camembert | Class::XlmRoberta, _) => {
            Ok(class)
        }
        (other, _) => Err(other.name().to_owned()),
    }
}

/// Adds the tokens that are marked in the vocabulary itself.
fn name_pieces(named: &mut Named, model: &Model, class: Class, file: &'static str) {
    let trainer = &model.trainer;
    if class == Class::General {
        let pieces = [
            ("bos_token", trainer.begin, &trainer.begin_piece),
            ("eos_token", trainer.end, &trainer.end_piece),
            ("unk_token", trainer.unknown, &trainer.unknown_piece),
        ];
        for (name, id, piece) in pieces {
            if id.is_some() && named.text(name).is_none() && !named.settings.contains_key(name) {
                let token = AddedToken::from(piece.clone(), true);
                named.special.push((name.to_owned(), NamedToken { token, by: file }));
            }
        }
    }
    for piece in &model.pieces {
        let special = match piece.kind {
            Kind::Control => true,
            // The general class takes them whole when the text is split.
            Kind::UserDefined if class != Class::General => false,
            _ => continue,
        };
        let token = AddedToken { normalized: false, ..AddedToken::from(piece.text.clone(), special) };
        named.extra.push(NamedToken { token, by: file });
    }
}

struct Source {
    class: Class,
    named: Named,
    model: Model,
    unigram: bool,
}

impl Source {
    fn flag(&self, key: &str, default: bool) -> bool {
        self.named.settings.get(key).and_then(Json::as_bool).unwrap_or(default)
    }

    fn special(&self, name: &str, default: &str) -> String {
        self.named.text(name).unwrap_or(default).to_owned()
    }

    /// The vocabulary with its scores, by number. XLM-RoBERTa's and CamemBERT's have tokens of fairseq in front.
    fn pieces(&self) -> Vec<(String, f32)> {
        let pieces = self.model.pieces.iter().map(|piece| (piece.text.clone(), piece.score));
        let token = |name: &str, default: &str| (self.special(name, default), 0.0);
        let (pad, unknown, mask) =
            (token("pad_token", "<pad>"), token("unk_token", "<unk>"), token("mask_token", "<mask>"));
        let unused = |text: &str, score: f32| (text.to_owned(), score);
        match self.class {
            Class::XlmRoberta => {
                let first = [token("bos_token", "<s>"), pad, token("eos_token", "</s>"), unknown];
                first.into_iter().chain(pieces.skip(3)).chain([mask]).collect()
            }
            Class::Camembert => {
                let (begin, end) = (unused("<s>NOTUSED", 0.0), unused("</s>NOTUSED", 0.0));
                let first = [begin, pad, end, unknown, unused("<unk>NOTUSED", -100.0)];
                first.into_iter().chain(pieces.skip(1)).chain([mask]).collect()
            }
            Class::General if !self.unigram => self.renamed(pieces.collect()),
            _ => pieces.collect(),
        }
    }

    /// Pieces under the names that `added_tokens_decoder` has for their numbers, unless another piece has that name.
    fn renamed(&self, mut pieces: Vec<(String, f32)>) -> Vec<(String, f32)> {
        let by_number = self.named.numbered.iter().filter(|(id, _)| (*id as usize) < pieces.len());
        let names: HashMap<usize, String> =
            by_number.map(|(id, named)| (*id as usize, named.token.content.clone())).collect();
        let others = pieces.iter().enumerate().filter(|(id, _)| !names.contains_key(id));
        let kept: std::collections::HashSet<String> = others.map(|(_, (piece, _))| piece.clone()).collect();
        for (id, name) in names {
            if !kept.contains(&name) {
                pieces[id].0 = name;
            }
        }
        pieces
    }

    /// The part `model` of a `tokenizer.json`; `None` if it would be too much work.
    fn vocabulary(&self, pieces: &[(String, f32)]) -> Result<Option<Json>, String> {
        let trainer = &self.model.trainer;
        let unknown = match self.class {
            Class::XlmRoberta => Some(3),
            Class::Albert => Some(1),
            Class::Camembert => {
                let text = self.special("unk_token", "<unk>");
                Some(pieces.iter().position(|(piece, _)| *piece == text).unwrap_or(0))
            }
            _ => trainer.unknown.map(|id| id as usize),
        };
        if self.unigram {
            let general = self.class == Class::General;
            if unknown.is_none_or(|id| id >= pieces.len()) {
                return Err("it has no piece for unknown text".into());
            }
            return Ok(Some(json!({
                "type": "Unigram",
                "unk_id": unknown,
                "vocab": pieces.iter().map(|(piece, score)| json!([piece, score])).collect::<Vec<_>>(),
                "byte_fallback": general && trainer.byte_fallback,
            })));
        }
        let general = self.class == Class::General;
        let kinds = self.model.pieces.iter().map(|piece| piece.kind);
        // The other classes merge whatever is in the vocabulary, and take the order for the rank.
        let is_merged = |kind: Kind| !general || kind == Kind::Normal;
        let rank = |id: usize, score: f32| if general { -f64::from(score) } else { id as f64 };
        let merged = pieces.iter().zip(kinds).enumerate().filter(|(_, (_, kind))| is_merged(*kind));
        let merged = merged.map(|(id, ((piece, score), _))| (piece.as_str(), rank(id, *score)));
        let Some(merges) = pairs(merged.collect()) else { return Ok(None) };
        let unknown = match self.class {
            Class::Llama => Json::Null,
            Class::Gemma => json!(self.special("unk_token", "<unk>")),
            _ => json!(trainer.unknown_piece),
        };
        let vocab: Map<String, Json> =
            pieces.iter().enumerate().map(|(id, (piece, _))| (piece.clone(), json!(id))).collect();
        Ok(Some(json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": !general || trainer.byte_fallback,
            "ignore_merges": general && self.user_defined().next().is_some(),
            "vocab": vocab,
            "merges": merges,
        })))
    }

    fn user_defined(&self) -> impl Iterator<Item = &str> {
        let pieces = self.model.pieces.iter().filter(|piece| piece.kind == Kind::UserDefined);
        pieces.map(|piece| piece.text.as_str()).filter(|text| !text.is_empty())
    }

    fn precompiled(&self) -> Option<Json> {
        let charsmap = &self.model.normalizer.charsmap;
        (!charsmap.is_empty()).then(|| json!({"type": "Precompiled", "precompiled_charsmap": base64(charsmap)}))
    }

    /// A space before a text, unless `add_prefix_space` is false.
    fn words(&self) -> Json {
        let scheme = if self.flag("add_prefix_space", true) { "always" } else { "never" };
        json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": true})
    }

    /// The parts `normalizer` and `pre_tokenizer` of a `tokenizer.json`.
    fn splits(&self) -> (Json, Json) {
        if let Some(splits) = self.class.splits(&self.named.settings) {
            return splits;
        }
        if self.class == Class::General {
            return self.general();
        }
        let splitter = json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, self.words()]});
        if self.class != Class::Albert {
            return (self.precompiled().unwrap_or(Json::Null), splitter);
        }
        let quotes = ["``", "''"].map(|pattern| replace(json!({"String": pattern}), "\""));
        let mut steps = quotes.to_vec();
        if !self.flag("keep_accents", false) {
            steps.extend([json!({"type": "NFKD"}), json!({"type": "StripAccents"})]);
        }
        if self.flag("do_lower_case", true) {
            steps.push(json!({"type": "Lowercase"}));
        }
        steps.extend(self.precompiled());
        (json!({"type": "Sequence", "normalizers": steps}), splitter)
    }

    /// What the general class does, which follows the settings of the file.
    fn general(&self) -> (Json, Json) {
        let settings = &self.model.normalizer;
        let legacy = self.flag("legacy", true);
        let mut steps: Vec<Json> = self.precompiled().into_iter().collect();
        if settings.remove_spaces {
            steps.push(replace(json!({"Regex": r"\A +| +\z"}), ""));
            steps.push(replace(json!({"Regex": " {2,}"}), " "));
        }
        if settings.escape_spaces {
            steps.push(replace(json!({"String": " "}), SPACE));
        }
        let mut splits = Vec::new();
        if settings.prefix {
            if legacy {
                steps.push(replace(json!({"Regex": r"\A▁"}), "▁▁"));
            }
            let scheme = if legacy { "always" } else { "first" };
            splits.push(json!({
                "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false
            }));
        }
        let mut whole: Vec<&str> = self.user_defined().collect();
        whole.sort_by_key(|text| std::cmp::Reverse(text.chars().count()));
        if !whole.is_empty() {
            let pattern = whole.into_iter().map(escaped).collect::<Vec<_>>().join("|");
            splits.push(json!({
                "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false
            }));
        }
        let splitter =
            if splits.is_empty() { Json::Null } else { json!({"type": "Sequence", "pretokenizers": splits}) };
        (json!({"type": "Sequence", "normalizers": steps}), splitter)
    }

    fn decoder(&self) -> Json {
        let settings = &self.model.normalizer;
        let (bytes, prefix) = match self.class {
            Class::General => (self.model.trainer.byte_fallback, settings.prefix),
            Class::Llama => (true, self.flag("add_prefix_space", true)),
            Class::Gemma => (true, false),
            _ => return self.words(),
        };
        let mut steps = vec![replace(json!({"String": SPACE}), " ")];
        if bytes {
            steps.push(json!({"type": "ByteFallback"}));
        }
        if bytes || prefix {
            steps.push(json!({"type": "Fuse"}));
        }
        if prefix {
            steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        json!({"type": "Sequence", "decoders": steps})
    }
}

fn replace(pattern: Json, content: &str) -> Json {
    json!({"type": "Replace", "pattern": pattern, "content": content})
}

/// A regular expression for a text itself.
fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
