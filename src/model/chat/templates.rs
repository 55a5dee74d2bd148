//! The chat templates of a checkpoint, and the words that it gives them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::conversation::Conversation;
use super::error::ChatError;
use super::sandbox::Place;
use crate::model::checkpoint::CheckpointFiles;
use crate::model::error::LoadError;
use crate::model::file;
use crate::model::tokenizer::{Named, NamedToken};

/// The name of the template that is meant when none is named.
const DEFAULT: &str = "default";

/// The file of a template. It wins over what other files have.
const FILE: &str = "chat_template.jinja";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name: `default`, `tool_use`, `rag`, ...
    pub name: String,
    pub source: String,
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    pub all: Vec<Template>,
    /// Variables such as `bos_token`, for the template.
    pub tokens: BTreeMap<String, String>,
    pub place: Place,
}

impl Templates {
    /// Reads `chat_template.jinja` and `additional_chat_templates/`, else what the tokenizer's settings have. Templates
    /// know special tokens by what the tokenizer's files call them.
    pub fn read(files: &CheckpointFiles, named: &Named) -> Result<Templates, LoadError> {
        let mut all = Vec::new();
        if let Some(text) = files.read(FILE)? {
            all.push(template(DEFAULT, files.path_of(FILE), &text)?);
        }
        for (name, file) in files.templates() {
            if let Some(text) = files.read(&file)? {
                all.push(template(&name, files.path_of(&file), &text)?);
            }
        }
        if all.is_empty() {
            all = in_config(&named.settings, &files.path_of("tokenizer_config.json"))?;
        }
        let token = |(name, named): &(String, NamedToken)| (name.clone(), named.token.content.clone());
        Ok(Templates { all, tokens: named.special.iter().map(token).collect(), place: Place::default() })
    }

    /// The template of that name, the file of that name, or the default.
    pub fn choose(&self, wanted: Option<&str>) -> Result<Template, ChatError> {
        let names = || self.all.iter().map(|template| template.name.clone()).collect();
        let named = |name: &str| self.all.iter().find(|template| template.name == name).cloned();
        match (wanted, self.all.as_slice()) {
            (Some(name), _) => match named(name) {
                Some(template) => Ok(template),
                None if Path::new(name).is_file() => from_file(name),
                None => Err(ChatError::NoSuchTemplate { name: name.to_owned(), names: names() }),
            },
            (None, []) => Err(ChatError::NoTemplate),
            (None, [only]) => Ok(only.clone()),
            (None, _) => named(DEFAULT).ok_or_else(|| ChatError::NoDefault { names: names() }),
        }
    }

    /// The text that a template makes of a conversation, with the beginning of an answer if one is to come. It contains the special
    /// tokens.
    pub fn render(&self, template: &Template, conversation: &Conversation) -> Result<String, ChatError> {
        self.place.render(template, conversation, &self.tokens, conversation.awaits_answer())
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

fn from_file(path: &str) -> Result<Template, ChatError> {
    let unreadable = |message: String| ChatError::Unreadable { path: path.to_owned(), message };
    let text = file::read_text(Path::new(path)).map_err(|error| unreadable(error.to_string()))?;
    Ok(Template { name: DEFAULT.into(), source: path.to_owned(), text })
}

fn template(name: &str, source: String, text: &[u8]) -> Result<Template, LoadError> {
    match std::str::from_utf8(text) {
        Ok(text) => Ok(Template { name: name.to_owned(), source, text: text.to_owned() }),
        Err(error) => Err(LoadError::BadConfig {
            path: source,
            message: format!("the template is not UTF-8 at byte {}; get it again", error.valid_up_to()),
        }),
    }
}

/// `chat_template`: one text, or a list of named ones.
fn in_config(config: &Map<String, Value>, path: &str) -> Result<Vec<Template>, LoadError> {
    let wrong = |found: &str| LoadError::WrongType {
        path: path.to_owned(),
        key: "chat_template".into(),
        found: found.to_owned(),
        expected: "a template, or a list of objects with \"name\" and \"template\"",
    };
    let made =
        |name: &str, text: &str| Template { name: name.to_owned(), source: path.to_owned(), text: text.to_owned() };
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![made(DEFAULT, text)]),
        Some(Value::Array(list)) => {
            let entry = |entry: &Value| match (entry["name"].as_str(), entry["template"].as_str()) {
                (Some(name), Some(text)) => Ok(made(name, text)),
                _ => Err(wrong("a list with something else in it")),
            };
            list.iter().map(entry).collect()
        }
        // Named templates as older versions saved them.
        Some(Value::Object(map)) => {
            let entry = |(name, text): (&String, &Value)| match text.as_str() {
                Some(text) => Ok(made(name, text)),
                None => Err(wrong("an object with something else than texts in it")),
            };
            map.iter().map(entry).collect()
        }
        Some(_) => Err(wrong("neither")),
    }
}
