//! What the files next to a `tokenizer.json` make of the tokenizer.

use std::collections::HashMap;

use serde_json::Value as Json;
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper};

use super::around::Around;
use super::class::Class;
use super::library::{Answer, Change, Facts, Request};
use super::named::{self, Named};
use super::sandbox::Place;
use super::spelling::{Spelling, typed};
use crate::model::checkpoint::CheckpointFiles;
use crate::model::config::HfConfig;
use crate::model::error::LoadError;

#[derive(Default)]
pub struct Neighbours {
    pub named: Named,
    /// What names the tokens that the tokenizer's own file lacks.
    pub by: HashMap<u32, &'static str>,
    pub notes: Vec<String>,
    /// How transformers would split texts, if that is another way.
    pub other: Option<OtherWay>,
}

/// Another way to change and split a text before tokens of the same vocabulary are looked for in it.
pub struct OtherWay {
    pub whose: &'static str,
    pub followed: &'static str,
    ways: [Json; 2],
}

/// Two ways to read a text with one vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otherwise {
    /// Who reads it otherwise.
    pub whose: &'static str,
    /// What is followed here.
    pub followed: &'static str,
    /// The ids that the text has here.
    pub ours: Vec<u32>,
    /// Those that it has there.
    pub theirs: Vec<u32>,
}

impl Neighbours {
    /// Adds the tokens that they name to the tokenizer of a `tokenizer.json`, and puts around a text what its class in
    /// transformers does.
    pub fn join(
        files: &CheckpointFiles,
        config: &HfConfig,
        (place, facts): (&mut Place, &mut Facts),
        path: &str,
    ) -> Result<Neighbours, LoadError> {
        let settings = named::object(files, named::CONFIG)?;
        let byte_level = facts.spelling == Spelling::ByteLevel;
        let class = if files.gguf().is_some() { Class::General } else { Class::of(&settings, config, byte_level) };
        let mut notes = Vec::new();
        let class = match class.fits(&facts.kind) {
            true => class,
            false => {
                let class = class.name();
                notes.push(format!("{class} cannot use the vocabulary of tokenizer.json, which is taken as it is"));
                Class::General
            }
        };
        let mut known: Vec<(u32, AddedToken)> = facts.added.iter().map(|(id, token)| (*id, token.clone())).collect();
        known.sort_by_key(|(id, _)| *id);
        let named = Named::read(files, settings, class, &known)?;
        let wanted = named.in_order(known.iter().map(|(_, token)| token.content.as_str()));
        let new: Vec<_> = wanted.iter().filter(|named| !facts.ids.contains_key(&named.token.content)).collect();
        let cut_special = named.settings.get("split_special_tokens").is_some_and(|flag| *flag == true);
        let spelled = |name: &&str| Some(((*name).to_owned(), named.text(name)?.to_owned()));
        let change = Change {
            add: wanted.iter().map(|named| named.token.clone()).collect(),
            around: class.around().map(|around| (around, Around::NAMES.iter().filter_map(spelled).collect())),
            cut_special,
            lower: false,
        };
        let changed = place.change(change).map_err(|error| error.of_file(path))?;
        facts.ids.extend(changed.added.iter().map(|(id, token)| (token.content.clone(), *id)));
        (facts.added, facts.size) = (changed.added, changed.size);
        let number = |text: &str| facts.ids.get(text).copied();
        let by = new.iter().filter_map(|named| Some((number(&named.token.content)?, named.by))).collect();
        notes.extend(named.numbered.iter().filter_map(|(given, named)| {
            let text = &named.token.content;
            let id = number(text).filter(|id| u64::from(*id) != *given)?;
            Some(format!("{} gives {text:?} the id {given}; here, as in transformers, it has the id {id}", named.by))
        }));
        if changed.put {
            notes.push(format!(
                "tokenizer.json puts other tokens around a text than {}, the class that transformers uses; those of \
                 the class are used",
                class.name()
            ));
        }
        if cut_special {
            notes.push(format!("special tokens in a text are split, as {} asks for", named::CONFIG));
        }
        if named.settings.get("auto_map").is_some_and(|map| map.is_array() || !map["AutoTokenizer"].is_null()) {
            let what = "asks for a tokenizer with custom code (auto_map), which is not run";
            notes.push(format!("{} {what}; tokenizer.json is read as it is", named::CONFIG));
        }
        let other = OtherWay::of(files, class, &named, &facts.ways);
        Ok(Neighbours { named, by, notes, other })
    }
}

impl OtherWay {
    /// How the class that transformers takes cuts texts, if not as the tokenizer's file says.
    fn of(files: &CheckpointFiles, class: Class, named: &Named, ours: &[Json; 2]) -> Option<OtherWay> {
        let class = match files.gguf() {
            // llama.cpp puts a space before each piece of text between special tokens, LlamaTokenizer before the first.
            Some(_) if typed(&ours[0], "Prepend").is_some() => Class::Llama,
            Some(_) => Class::General,
            None => class,
        };
        let theirs = class.splits(&named.settings)?;
        // As the library writes them, so that they can be compared.
        let normalizer: Option<NormalizerWrapper> = serde_json::from_value(theirs.0).ok()?;
        let splitter: Option<PreTokenizerWrapper> = serde_json::from_value(theirs.1).ok()?;
        let ways = [serde_json::to_value(normalizer).ok()?, serde_json::to_value(splitter).ok()?];
        let followed = if files.gguf().is_some() { "llama.cpp" } else { "tokenizer.json" };
        (*ours != ways).then(|| OtherWay { whose: class.name(), followed, ways })
    }

    /// The ids of a text, read in this way with the vocabulary of a tokenizer.
    pub fn encode(&self, place: &Place, text: &str, special: bool) -> Option<Vec<u32>> {
        let request = Request::Otherwise { text: text.to_owned(), special, ways: self.ways.clone() };
        match place.answer(request) {
            Ok(Answer::Otherwise(ids)) => Some(ids),
            _ => None,
        }
    }
}
