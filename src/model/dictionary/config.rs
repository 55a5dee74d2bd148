//! The settings next to the weights of a dictionary: JSON, or the plain lines of a YAML file.

use std::path::Path;

use serde_json::{Map, Value};

use super::DictionaryError;
use crate::model::file;

/// Settings by their keys, and where they come from.
#[derive(Clone, Debug)]
pub struct Config {
    pub path: String,
    map: Map<String, Value>,
}

impl Config {
    /// Settings that a file does not give.
    pub fn empty(path: &Path) -> Config {
        Config { path: path.display().to_string(), map: Map::new() }
    }

    /// The object of a JSON file.
    pub fn json(path: &Path) -> Result<Config, DictionaryError> {
        let shown = path.display().to_string();
        let wrong = |message: String| DictionaryError::Unreadable { path: shown.clone(), message };
        let text = file::read_text(path).map_err(|error| wrong(error.to_string()))?;
        Config::of_json(&shown, &text)
    }

    /// The object of a JSON text; `path` is for messages.
    pub fn of_json(path: &str, text: &str) -> Result<Config, DictionaryError> {
        let wrong = |message: String| DictionaryError::Unreadable { path: path.to_owned(), message };
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Ok(Config { path: path.to_owned(), map }),
            Ok(_) => Err(wrong("it is not an object".into())),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// The lines `key: value` of a YAML file; what is nested is left out.
    pub fn yaml(path: &Path) -> Result<Config, DictionaryError> {
        let shown = path.display().to_string();
        let text = file::read_text(path)
            .map_err(|error| DictionaryError::Unreadable { path: shown.clone(), message: error.to_string() })?;
        let mut map = Map::new();
        for line in text.lines().filter(|line| !line.starts_with([' ', '#', '-', '\t'])) {
            let Some((key, value)) = line.split_once(':') else { continue };
            let plain = value.split(" #").next().unwrap_or_default().trim();
            let bare = plain.trim_matches(['"', '\'']);
            let value = match plain {
                "" | "null" | "~" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                number => serde_json::from_str(number).ok().filter(Value::is_number).unwrap_or(bare.into()),
            };
            map.insert(key.trim().to_owned(), value);
        }
        Ok(Config { path: shown, map })
    }

    /// A setting; `null` counts as none.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The settings under a key.
    pub fn inside(&self, key: &str) -> Option<Config> {
        let map = self.get(key)?.as_object()?.clone();
        Some(Config { path: self.path.clone(), map })
    }

    pub fn text(&self, key: &str) -> Result<Option<String>, DictionaryError> {
        self.of(key, "not a text", |value| value.as_str().map(str::to_owned))
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, DictionaryError> {
        self.of(key, "neither true nor false", Value::as_bool)
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>, DictionaryError> {
        self.of(key, "not a number", Value::as_f64)
    }

    pub fn count(&self, key: &str) -> Result<Option<usize>, DictionaryError> {
        self.of(key, "not a count", |value| value.as_u64().and_then(|count| usize::try_from(count).ok()))
    }

    /// A count that must be there.
    pub fn wanted(&self, key: &str) -> Result<usize, DictionaryError> {
        self.count(key)?.ok_or_else(|| DictionaryError::NoKey { path: self.path.clone(), key: key.to_owned() })
    }

    /// That a setting has a value that cannot be followed.
    pub fn refused(&self, key: &str, what: &str) -> DictionaryError {
        let found = self.get(key).map_or_else(|| "missing".into(), Value::to_string);
        DictionaryError::Key { path: self.path.clone(), key: key.to_owned(), found, what: what.to_owned() }
    }

    fn of<T>(&self, key: &str, not: &str, f: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, DictionaryError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => f(value).map(Some).ok_or_else(|| self.refused(key, not)),
        }
    }
}
