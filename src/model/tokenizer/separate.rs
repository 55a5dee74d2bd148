//! Tokenizers as older repositories have them: `vocab.json` and `merges.txt`, or `vocab.txt`, and the rest in
//! `tokenizer_config.json`. They become the `tokenizer.json` that transformers 5 would write for them.

use serde_json::{Map, Value as Json, json};

use super::super::checkpoint::CheckpointFiles;
use super::super::config::{HfConfig, parse_object};
use super::super::error::LoadError;

/// Files of tokenizers that need more than a table to be read.
const OTHERS: [&str; 5] =
    ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "qwen.tiktoken"];

/// What fits GPT-2, and what fits most tokenizers since.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The tokenizers that can be put together, by their classes in transformers.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Gpt2,
    GptNeoX,
    Qwen2,
    Roberta,
    Bert,
}

impl Kind {
    fn of_class(class: &str) -> Option<Kind> {
        Some(match class.strip_suffix("Fast").unwrap_or(class) {
            "GPT2Tokenizer" | "CodeGenTokenizer" => Kind::Gpt2,
            "GPTNeoXTokenizer" => Kind::GptNeoX,
            "Qwen2Tokenizer" => Kind::Qwen2,
            "RobertaTokenizer" => Kind::Roberta,
            "BertTokenizer" | "DistilBertTokenizer" | "ElectraTokenizer" => Kind::Bert,
            _ => return None,
        })
    }

    /// What transformers takes where no class is named.
    fn of_family(family: &str) -> Option<Kind> {
        Some(match family {
            "gpt2" | "gpt_neo" | "gptj" | "codegen" | "opt" | "phi" | "starcoder2" => Kind::Gpt2,
            "gpt_neox" | "mpt" | "olmo" | "olmoe" => Kind::GptNeoX,
            "qwen2" | "qwen2_moe" | "qwen3" | "qwen3_moe" => Kind::Qwen2,
            "roberta" => Kind::Roberta,
            "bert" | "distilbert" | "electra" => Kind::Bert,
            _ => return None,
        })
    }

    /// Special tokens where the files say nothing, in the order in which they get numbers if the vocabulary lacks them.
    fn specials(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Kind::Gpt2 => &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
            Kind::GptNeoX => {
                &[("bos_token", END), ("eos_token", END), ("unk_token", END), ("pad_token", "<|padding|>")]
            }
            Kind::Qwen2 => &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
            Kind::Roberta => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("sep_token", "</s>"),
                ("pad_token", "<pad>"),
                ("cls_token", "<s>"),
                ("mask_token", "<mask>"),
            ],
            Kind::Bert => &[
                ("unk_token", "[UNK]"),
                ("sep_token", "[SEP]"),
                ("pad_token", "[PAD]"),
                ("cls_token", "[CLS]"),
                ("mask_token", "[MASK]"),
            ],
        }
    }
}

/// The order in which special tokens are added.
const NAMES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A `tokenizer.json` made of the files, and where they are for messages; or why there is none.
pub fn json(files: &CheckpointFiles, config: &HfConfig) -> Result<Result<(String, Json), String>, LoadError> {
    let place = files.path();
    let words = files.read("vocab.txt")?;
    let pieces = (files.read("vocab.json")?, files.read("merges.txt")?);
    let source = if words.is_some() { "vocab.txt" } else { "vocab.json" };
    if words.is_none() && !matches!(pieces, (Some(_), Some(_))) {
        return Ok(Err(missing(files, &pieces)?));
    }
    let told = match files.read("tokenizer_config.json")? {
        Some(text) => parse_object(&files.path_of("tokenizer_config.json"), &text)?,
        None => Map::new(),
    };
    let class = told.get("tokenizer_class").or_else(|| config.json().get("tokenizer_class")).and_then(Json::as_str);
    let kind = match class {
        Some(class) => Kind::of_class(class).ok_or(class),
        None => config.model_type().ok().and_then(Kind::of_family).ok_or("none in tokenizer_config.json"),
    };
    let kind = match kind {
        Ok(kind) if (kind == Kind::Bert) == words.is_some() => kind,
        Ok(_) => {
            return Ok(Err(format!("no tokenizer.json in {place}, and {source} does not go with its tokenizer_class")));
        }
        Err(class) => {
            let known = "GPT2, GPTNeoX, CodeGen, Qwen2, Roberta, Bert, DistilBert and Electra are known";
            return Ok(Err(format!(
                "no tokenizer.json in {place}, and how {source} is used is not known for its tokenizer_class ({class}); \
                 {known}"
            )));
        }
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
            lines.lines().enumerate().map(|(id, word)| (word.to_owned(), json!(id))).collect()
        }
        (None, (Some(vocab), _)) => parse_object(&path, vocab)?,
        (None, (None, _)) => unreachable!("there is a vocabulary"),
    };
    if let Some((word, id)) = vocab.iter().find(|(_, id)| id.as_u64().is_none_or(|id| id > u64::from(u32::MAX))) {
        return Err(bad(&path, format!("the number of {word:?} is {id}")));
    }
    let merges = match &pieces.1 {
        Some(bytes) if words.is_none() => {
            merges(&text("merges.txt", bytes)?).map_err(|message| bad(&files.path_of("merges.txt"), message))?
        }
        _ => Vec::new(),
    };
    let specials = Specials::read(files, kind, &told)?;
    let added = added(files, &told, &specials, &vocab)?;
    let parts = Parts { kind, told, vocab, merges, specials, added };
    Ok(parts.json().map(|json| (path.clone(), json)).map_err(|why| format!("{why} in {path}")))
}

/// Why text cannot be made into tokens: what is there, and what is not.
fn missing<T>(files: &CheckpointFiles, pieces: &(Option<T>, Option<T>)) -> Result<String, LoadError> {
    let mut found = Vec::new();
    for (name, here) in [("vocab.json", pieces.0.is_some()), ("merges.txt", pieces.1.is_some())] {
        if here {
            found.push(name);
        }
    }
    let half = !found.is_empty();
    for name in OTHERS {
        if files.read(name)?.is_some() {
            found.push(name);
        }
    }
    let place = files.path();
    Ok(match (half, found.join(" and ")) {
        (false, found) if found.is_empty() => format!("no tokenizer.json in {place}"),
        (true, found) => format!("no tokenizer.json in {place}; {found} alone does not say how text is split"),
        (false, found) => format!(
            "no tokenizer.json in {place}; {found} cannot be read here, but \
             AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers writes a tokenizer.json from it"
        ),
    })
}

/// The pairs of `merges.txt`, in order.
fn merges(text: &str) -> Result<Vec<Json>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version") && !line.is_empty());
    lines
        .map(|(at, line)| match line.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok(json!([left, right])),
            _ => Err(format!("line {} is no pair of tokens: {line:?}", at + 1)),
        })
        .collect()
}

/// Special tokens by their part, as entries of a `tokenizer.json` without numbers.
struct Specials(Vec<(&'static str, Json)>);

impl Specials {
    fn read(files: &CheckpointFiles, kind: Kind, told: &Map<String, Json>) -> Result<Specials, LoadError> {
        let map = match files.read("special_tokens_map.json")? {
            Some(text) => parse_object(&files.path_of("special_tokens_map.json"), &text)?,
            None => Map::new(),
        };
        let defaults = kind.specials();
        let of = |name: &'static str| {
            let default = defaults.iter().find(|(of, _)| *of == name).map(|(_, token)| json!(token));
            let token = told.get(name).or_else(|| map.get(name)).cloned().or(default)?;
            Some((name, entry(&token, true)?))
        };
        let mut all: Vec<_> = NAMES.into_iter().filter_map(of).collect();
        let more = ["additional_special_tokens", "extra_special_tokens"];
        let lists = more.iter().filter_map(|key| told.get(*key).or_else(|| map.get(*key))?.as_array());
        all.extend(lists.flatten().filter_map(|token| Some(("", entry(token, true)?))));
        Ok(Specials(all))
    }

    /// The text of the token that has this part.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| *of == name).and_then(|(_, token)| token["content"].as_str())
    }
}

/// A token as an entry of `added_tokens`; given as its text, or with its habits.
fn entry(token: &Json, special: bool) -> Option<Json> {
    let plain =
        || json!({"single_word": false, "lstrip": false, "rstrip": false, "normalized": !special, "special": special});
    let mut entry = plain();
    match token {
        Json::String(text) => entry["content"] = json!(text),
        Json::Object(given) => {
            for key in ["content", "single_word", "lstrip", "rstrip", "normalized", "special"] {
                if let Some(value) = given.get(key) {
                    entry[key] = value.clone();
                }
            }
            entry["special"] = json!(special || entry["special"] == true);
        }
        _ => return None,
    }
    entry.get("content").is_some_and(Json::is_string).then_some(entry)
}

/// Every added token with its number: those that have one, then those that the vocabulary has, then new ones.
fn added(
    files: &CheckpointFiles,
    told: &Map<String, Json>,
    specials: &Specials,
    vocab: &Map<String, Json>,
) -> Result<Vec<Json>, LoadError> {
    let mut all: Vec<(u64, Json)> = Vec::new();
    let decoder = told.get("added_tokens_decoder").and_then(Json::as_object);
    for (id, token) in decoder.into_iter().flatten() {
        if let (Ok(id), Some(entry)) = (id.parse(), entry(token, token["special"] == true)) {
            all.push((id, entry));
        }
    }
    if let Some(text) = files.read("added_tokens.json")?.filter(|_| decoder.is_none()) {
        for (token, id) in parse_object(&files.path_of("added_tokens.json"), &text)? {
            let special = specials.0.iter().any(|(_, special)| special["content"] == token.as_str());
            if let (Some(id), Some(entry)) = (id.as_u64(), entry(&json!(token), special)) {
                all.push((id, entry));
            }
        }
    }
    all.sort_by_key(|(id, _)| *id);
    for (_, token) in &specials.0 {
        if all.iter().any(|(_, known)| known["content"] == token["content"]) {
            continue;
        }
        let known = token["content"].as_str().and_then(|text| vocab.get(text)).and_then(Json::as_u64);
        let next = || {
            let last = all.iter().map(|(id, _)| *id).chain(vocab.values().filter_map(Json::as_u64)).max();
            last.map_or(0, |last| last + 1)
        };
        let id = known.unwrap_or_else(next);
        all.push((id, token.clone()));
    }
    let numbered = |(id, mut token): (u64, Json)| {
        token["id"] = json!(id);
        token
    };
    Ok(all.into_iter().map(numbered).collect())
}

/// Everything that goes into a `tokenizer.json`.
struct Parts {
    kind: Kind,
    told: Map<String, Json>,
    vocab: Map<String, Json>,
    merges: Vec<Json>,
    specials: Specials,
    added: Vec<Json>,
}

impl Parts {
    fn flag(&self, key: &str, default: bool) -> bool {
        self.told.get(key).and_then(Json::as_bool).unwrap_or(default)
    }

    fn json(&self) -> Result<Json, String> {
        let prefix = self.flag("add_prefix_space", false);
        let trim = self.flag("trim_offsets", true);
        let bytes = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex});
        let split = json!({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false});
        let lower = self.told.get("do_lower_case").and_then(Json::as_bool).unwrap_or(true);
        let (normalizer, splitter) = match self.kind {
            Kind::Gpt2 | Kind::Roberta => (Json::Null, bytes(true)),
            Kind::GptNeoX => (json!({"type": "NFC"}), bytes(true)),
            Kind::Qwen2 => {
                (json!({"type": "NFC"}), json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]}))
            }
            Kind::Bert => (
                json!({
                    "type": "BertNormalizer",
                    "clean_text": true,
                    "handle_chinese_chars": self.flag("tokenize_chinese_chars", true),
                    "strip_accents": self.told.get("strip_accents").cloned().unwrap_or(Json::Null),
                    "lowercase": lower,
                }),
                json!({"type": "BertPreTokenizer"}),
            ),
        };
        let around = match self.kind {
            Kind::Roberta => {
                let (sep, cls) = (self.special("sep_token")?, self.special("cls_token")?);
                json!({"type": "RobertaProcessing", "sep": sep, "cls": cls, "trim_offsets": trim, "add_prefix_space": prefix})
            }
            Kind::Bert => {
                let (sep, cls) = (self.special("sep_token")?, self.special("cls_token")?);
                let (cls, sep) = ((cls.0, 0), sep.0);
                self.template(&[Some(cls.clone()), None, Some((sep.clone(), 0))], &[Some((sep, 1))], false)?
            }
            Kind::Gpt2 | Kind::GptNeoX | Kind::Qwen2 => self.ends()?,
        };
        let model = match self.kind {
            Kind::Bert => json!({
                "type": "WordPiece",
                "unk_token": self.specials.text("unk_token").unwrap_or("[UNK]"),
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
        let decoder = match self.kind {
            Kind::Bert => json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
            _ => json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        };
        Ok(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added,
            "normalizer": normalizer,
            "pre_tokenizer": splitter,
            "post_processor": around,
            "decoder": decoder,
            "model": model,
        }))
    }

    /// A special token and its number.
    fn special(&self, name: &str) -> Result<(String, u64), String> {
        let text = self.specials.text(name).ok_or_else(|| format!("no {name}"))?;
        let id = self.added.iter().find(|token| token["content"] == text).and_then(|token| token["id"].as_u64());
        Ok((text.to_owned(), id.ok_or_else(|| format!("no number for {text:?}"))?))
    }

    /// A beginning and an end of every text, where they are asked for and there are such tokens.
    fn ends(&self) -> Result<Json, String> {
        let token = |flag: &str, name: &str| {
            let asked = self.flag(flag, false) && self.specials.text(name).is_some();
            asked.then(|| self.special(name).map(|token| token.0)).transpose()
        };
        let (bos, eos) = (token("add_bos_token", "bos_token")?, token("add_eos_token", "eos_token")?);
        let mut single: Vec<Option<(String, u8)>> = bos.iter().map(|bos| Some((bos.clone(), 0))).collect();
        single.push(None);
        single.extend(eos.iter().map(|eos| Some((eos.clone(), 0))));
        let last: Vec<_> = eos.iter().map(|eos| Some((eos.clone(), 1))).collect();
        match bos.is_some() || eos.is_some() {
            false => Ok(Json::Null),
            true => self.template(&single, &last, bos.is_some()),
        }
    }

    /// Tokens around a text, `None`; for a pair the second text comes after all of that, with the same beginning if
    /// `again`, and then `last`.
    fn template(
        &self,
        single: &[Option<(String, u8)>],
        last: &[Option<(String, u8)>],
        again: bool,
    ) -> Result<Json, String> {
        let mut tokens = Map::new();
        for (text, _) in single.iter().chain(last).flatten() {
            let id = self.added.iter().find(|token| token["content"] == text.as_str());
            let id = id.and_then(|token| token["id"].as_u64()).ok_or_else(|| format!("no number for {text:?}"))?;
            tokens.insert(text.clone(), json!({"id": text, "ids": [id], "tokens": [text]}));
        }
        let part = |sequence: &'static str, types: u8| {
            move |part: &Option<(String, u8)>| match part {
                None => json!({"Sequence": {"id": sequence, "type_id": types}}),
                Some((text, types)) => json!({"SpecialToken": {"id": text, "type_id": types}}),
            }
        };
        let first: Vec<Json> = single.iter().map(part("A", 0)).collect();
        let begin = single.first().cloned().flatten().filter(|_| again);
        let mut pair = first.clone();
        pair.extend(begin.map(|(text, _)| json!({"SpecialToken": {"id": text, "type_id": 1}})));
        pair.push(json!({"Sequence": {"id": "B", "type_id": 1}}));
        pair.extend(last.iter().map(part("B", 1)));
        Ok(json!({"type": "TemplateProcessing", "single": first, "pair": pair, "special_tokens": tokens}))
    }
}

#[cfg(test)]
#[path = "separate_tests.rs"]
mod tests;
