//! Tokens that the files next to a tokenizer name: `tokenizer_config.json`, `special_tokens_map.json` and
//! `added_tokens.json`.
//!
//! transformers adds them to the tokenizer, so a reader of `tokenizer.json` alone cuts them to pieces. They are merged
//! here as its `from_pretrained` (version 5.24) merges them.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};
use tokenizers::AddedToken;

use super::class::Class;
use crate::model::checkpoint::CheckpointFiles;
use crate::model::config::{kind, parse_object};
use crate::model::error::LoadError;

pub const CONFIG: &str = "tokenizer_config.json";
const MAP: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";

/// Special tokens that every tokenizer may have, in the order in which they are added.
pub const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A token, and what names it.
#[derive(Clone, Debug)]
pub struct NamedToken {
    /// Its text, and how it is found in a text.
    pub token: AddedToken,
    /// The file's name, or that of the class of transformers that has it where no file says anything.
    pub by: &'static str,
}

/// Tokens that the files next to a tokenizer name.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub settings: Map<String, Json>,
    /// Tokens with the number that their file gives them, by that number.
    pub numbered: Vec<(u64, NamedToken)>,
    /// Special tokens by what they are called: those of [`NAMES`], then the model's own (`image_token`).
    pub special: Vec<(String, NamedToken)>,
    /// Special tokens that are called nothing.
    pub extra: Vec<NamedToken>,
}

impl Named {
    /// Reads the files, of which the settings are read already. `known` are the tokens that the tokenizer's own file
    /// adds.
    ///
    /// # Errors
    /// If a file that is there is not JSON, or names what is not a token.
    pub fn read(
        files: &CheckpointFiles,
        settings: Map<String, Json>,
        class: Class,
        known: &[(u32, AddedToken)],
    ) -> Result<Named, LoadError> {
        let decoder = settings.get("added_tokens_decoder").filter(|decoder| !decoder.is_null());
        // Both files count only where tokenizer_config.json has no table of added tokens.
        let (map, added) = match decoder {
            Some(_) => (Map::new(), Map::new()),
            None => (object(files, MAP)?, object(files, ADDED)?),
        };
        let from = Sources { files, settings: &settings, map: &map };
        let mut special = from.special(class)?;
        let extra = from.extra()?;
        let (mut numbered, has_decoder) = (from.decoder(decoder)?, decoder.is_some());
        let names: HashSet<&str> =
            special.iter().map(|(_, named)| named).chain(&extra).map(|named| named.token.content.as_str()).collect();
        let taken: HashSet<u64> = known.iter().map(|(id, _)| u64::from(*id)).collect();
        for (text, id) in &added {
            let Some(id) = id.as_u64() else { return Err(from.wrong(ADDED, text, id, "the number of a token")) };
            // The tokenizer's own file has the last word on a number.
            if !taken.contains(&id) {
                let token = AddedToken::from(text.clone(), names.contains(text.as_str()));
                numbered.push((id, NamedToken { token, by: ADDED }));
            }
        }
        numbered.sort_by_key(|(id, _)| *id);
        // A special token that is in a table is found in a text as the table says.
        let mut tabled: HashMap<String, AddedToken> =
            numbered.iter().map(|(_, named)| (named.token.content.clone(), named.token.clone())).collect();
        if !has_decoder {
            tabled.extend(known.iter().map(|(_, token)| (token.content.clone(), token.clone())));
        }
        for (_, named) in &mut special {
            if let Some(token) = tabled.get(&named.token.content) {
                named.token = token.clone();
            }
        }
        Ok(Named { numbered, special, extra, settings })
    }

    /// Reads the files of a tokenizer that cannot be read itself.
    pub fn alone(files: &CheckpointFiles) -> Result<Named, LoadError> {
        Named::read(files, object(files, CONFIG)?, Class::General, &[])
    }

    /// The text of the special token that is called so.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.special.iter().find(|(of, _)| of == name).map(|(_, named)| named.token.content.as_str())
    }

    /// Every token in the order in which transformers adds them to a tokenizer that has `known` already.
    pub fn in_order<'a>(&'a self, known: impl Iterator<Item = &'a str>) -> Vec<NamedToken> {
        fn text(named: &NamedToken) -> &str {
            &named.token.content
        }
        let special = || self.special.iter().map(|(_, named)| named);
        let mut seen: HashSet<&str> = known.chain(self.numbered.iter().map(|(_, named)| text(named))).collect();
        let others = special().chain(&self.extra).filter(|named| seen.insert(text(named)));
        let mut all: Vec<NamedToken> = self.numbered.iter().map(|(_, named)| named).chain(others).cloned().collect();
        let special: HashSet<&str> = special().map(text).collect();
        for named in &mut all {
            named.token.special |= special.contains(named.token.content.as_str());
        }
        all
    }
}

/// The object in a file; empty if there is none.
pub fn object(files: &CheckpointFiles, name: &str) -> Result<Map<String, Json>, LoadError> {
    match files.read(name)? {
        Some(text) => parse_object(&files.path_of(name), &text),
        None => Ok(Map::new()),
    }
}

/// The files that special tokens are read from. What `special_tokens_map.json` says counts before
/// `tokenizer_config.json`.
struct Sources<'a> {
    files: &'a CheckpointFiles,
    settings: &'a Map<String, Json>,
    map: &'a Map<String, Json>,
}

impl<'a> Sources<'a> {
    fn wrong(&self, file: &str, key: &str, found: &Json, expected: &'static str) -> LoadError {
        let (path, key, found) = (self.files.path_of(file), key.to_owned(), kind(found).to_owned());
        LoadError::WrongType { path, key, found, expected }
    }

    fn find(&self, key: &str) -> Option<(&'a Json, &'static str)> {
        let of_map = self.map.get(key).map(|value| (value, MAP));
        of_map.or_else(|| self.settings.get(key).map(|value| (value, CONFIG)))
    }

    fn special(&self, class: Class) -> Result<Vec<(String, NamedToken)>, LoadError> {
        let mut found = Vec::new();
        let mut put = |name: &str, value: &Json, by: &'static str| {
            match token(value, true) {
                Some(token) => found.push((name.to_owned(), NamedToken { token, by })),
                None if value.is_null() => {}
                None => return Err(self.wrong(by, name, value, "the text of a token, or an object")),
            }
            Ok(())
        };
        for (name, default) in NAMES.into_iter().zip(class.specials()) {
            match self.find(name) {
                Some((value, file)) => put(name, value, file)?,
                None if default.is_empty() => {}
                None => put(name, &Json::from(default), class.name())?,
            }
        }
        // `image_token` and the like; other settings end so too, and are not texts.
        let own = |key: &&String| key.ends_with("_token") && !NAMES.contains(&key.as_str());
        let keys = self.settings.keys().chain(self.map.keys().filter(|key| !self.settings.contains_key(*key)));
        for key in keys.filter(own) {
            if let Some((value, file)) = self.find(key).filter(|(value, _)| value.is_string() || value.is_object()) {
                put(key, value, file)?;
            }
        }
        for (value, file) in self.extras() {
            for (name, value) in value.as_object().into_iter().flatten() {
                put(name, value, file)?;
            }
        }
        Ok(found)
    }

    fn extra(&self) -> Result<Vec<NamedToken>, LoadError> {
        let mut found = Vec::new();
        for (value, file) in self.extras() {
            for value in value.as_array().into_iter().flatten() {
                let wrong =
                    || self.wrong(file, "extra_special_tokens", value, "a list of texts of tokens, or of objects");
                found.push(NamedToken { token: token(value, true).ok_or_else(wrong)?, by: file });
            }
        }
        Ok(found)
    }

    /// What is under `extra_special_tokens`, which was called `additional_special_tokens` once. That of the map counts
    /// under its old name only where the settings have neither.
    fn extras(&self) -> Vec<(&'a Json, &'static str)> {
        const NEW: &str = "extra_special_tokens";
        const OLD: &str = "additional_special_tokens";
        let of_settings = self.settings.get(NEW).filter(|value| !is_empty(value)).or_else(|| self.settings.get(OLD));
        let of_map = self.map.get(NEW).or_else(|| match self.settings.contains_key(NEW) || of_settings.is_some() {
            true => None,
            false => self.map.get(OLD),
        });
        of_settings.map(|value| (value, CONFIG)).into_iter().chain(of_map.map(|value| (value, MAP))).collect()
    }

    fn decoder(&self, decoder: Option<&Json>) -> Result<Vec<(u64, NamedToken)>, LoadError> {
        const KEY: &str = "added_tokens_decoder";
        let Some(decoder) = decoder else { return Ok(Vec::new()) };
        let wrong = |found: &Json| self.wrong(CONFIG, KEY, found, "an object with a token for each number");
        let one = |(id, value): (&String, &Json)| {
            let token = token(value, value["special"] == true).filter(|_| value.is_object());
            match (id.parse(), token) {
                (Ok(id), Some(token)) => Ok((id, NamedToken { token, by: CONFIG })),
                _ => Err(wrong(value)),
            }
        };
        decoder.as_object().ok_or_else(|| wrong(decoder))?.iter().map(one).collect()
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A token that is given as its text, or as an object with its habits. One that is not `special` is looked for in the
/// text after it was normalised, unless another limit is given.
fn token(value: &Json, special: bool) -> Option<AddedToken> {
    let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
    let flag = |key: &str| value.get(key).and_then(Json::as_bool);
    let plain = AddedToken::from(text, special);
    Some(AddedToken {
        single_word: flag("single_word").unwrap_or(plain.single_word),
        lstrip: flag("lstrip").unwrap_or(plain.lstrip),
        rstrip: flag("rstrip").unwrap_or(plain.rstrip),
        normalized: flag("normalized").unwrap_or(plain.normalized),
        ..plain
    })
}
