//! `config.json` with typed getters that know the keys' many names.
//!
//! Configurations are diffs against the defaults of a class and have changed names over the years, so every getter
//! takes all names of a setting, and a `null` counts as absent unless the getter says otherwise. The configuration
//! remembers which keys were read, those of its sections too: keys that nothing read are checked in the end, so that no
//! setting that changes arithmetic is passed over in silence ([`HfConfig::unread`]).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::model::error::LoadError;

mod sizes;
mod unread;

pub use unread::is_neutral;

/// A `config.json` and where it comes from.
#[derive(Clone, Debug)]
pub struct HfConfig {
    path: String,
    /// What comes before its keys in the whole file: nothing, or the names of the sections around it, each with a dot.
    prefix: String,
    /// The part of that which messages put before keys; the path has the rest.
    shown: String,
    root: Map<String, Value>,
    /// Keys of the whole file that were read: `a`, `a.b` of a section, and `a.` of a section that was opened.
    read: Arc<Mutex<HashSet<String>>>,
}

// The names that sizes have had over the years, the usual one first.
pub const D_MODEL: &[&str] = &["hidden_size", "n_embd", "dim", "d_model", "n_embed"];
pub const N_LAYERS: &[&str] = &["num_hidden_layers", "n_layer", "num_layers", "n_layers"];
pub const N_HEADS: &[&str] = &["num_attention_heads", "n_head", "num_heads", "n_heads"];
pub const N_KV_HEADS: &[&str] = &["num_key_value_heads", "num_kv_heads"];
pub const D_MLP: &[&str] = &["intermediate_size", "n_inner", "ffn_dim", "hidden_dim", "ffn_hidden_size", "d_ff"];
pub const MAX_POSITIONS: &[&str] = &["max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"];

impl HfConfig {
    /// Parses the text of a configuration; `path` is for messages.
    pub fn parse(path: &str, text: &[u8]) -> Result<Self, LoadError> {
        let root = parse_object(path, text)?;
        Ok(HfConfig { path: path.to_owned(), prefix: String::new(), shown: String::new(), root, read: Arc::default() })
    }

    /// An object inside it, if it is there. What is read of it counts as read of the whole.
    pub fn object(&self, key: &str) -> Result<Option<HfConfig>, LoadError> {
        let Some(root) = self.get(&[key], "an object", Value::as_object)? else { return Ok(None) };
        self.note_read(&[&format!("{key}.")]);
        let inside = |prefix: &str| format!("{prefix}{key}.");
        let (prefix, shown) = (inside(&self.prefix), inside(&self.shown));
        Ok(Some(HfConfig { path: self.path.clone(), prefix, shown, root: root.clone(), read: self.read.clone() }))
    }

    /// The same for a section that is a configuration in itself, of which messages say so.
    pub fn nested(&self, key: &str) -> Result<Option<HfConfig>, LoadError> {
        let path = format!("{}, {key}", self.path);
        Ok(self.object(key)?.map(|section| HfConfig { path, shown: String::new(), ..section }))
    }

    /// The same configuration with a value in one of its sections.
    pub fn with_entry(&self, section: &str, key: &str, value: &str) -> HfConfig {
        let mut changed = self.clone();
        if let Some(Value::Object(section)) = changed.root.get_mut(section) {
            section.insert(key.to_owned(), value.into());
        }
        changed
    }

    /// The same configuration under another `model_type`.
    pub fn as_model_type(&self, model_type: &str) -> HfConfig {
        let mut changed = self.clone();
        changed.root.insert("model_type".to_owned(), model_type.into());
        changed
    }

    /// The same configuration without some of its keys.
    pub fn without(&self, keys: &[&str]) -> HfConfig {
        let mut changed = self.clone();
        changed.root.retain(|key, _| !keys.contains(&key.as_str()));
        changed
    }

    /// The same configuration with the keys of a section instead of its own, but for those of the `whole`, of which the
    /// section only has the say where there is no other.
    pub fn with_section(&self, section: &str, whole: &[&str]) -> HfConfig {
        let mut changed = self.clone();
        let Some(Value::Object(inner)) = changed.root.remove(section) else { return changed };
        for (key, value) in inner {
            let kept = changed.root.get(&key).is_some_and(|outer| !outer.is_null());
            if !(kept && (value.is_null() || whole.contains(&key.as_str()))) {
                changed.root.insert(key, value);
            }
        }
        changed
    }

    /// The same configuration with numbers for keys that it leaves out.
    pub fn with_defaults(&self, defaults: &[(&str, usize)]) -> HfConfig {
        let mut changed = self.clone();
        for (key, value) in defaults {
            changed.root.entry(*key).or_insert_with(|| (*value).into());
        }
        changed
    }

    /// The same configuration with these parameters of its rotation, where it has none.
    pub fn with_default_rope(&self, parameters: Value) -> HfConfig {
        let mut changed = self.clone();
        let none = |key: &str, empty: bool| match self.root.get(key) {
            None | Some(Value::Null) => true,
            Some(value) => empty && says_nothing(value),
        };
        if none("rope_parameters", false) && none("rope_scaling", true) {
            changed.root.remove("rope_scaling");
            changed.root.insert("rope_parameters".to_owned(), parameters);
        }
        changed
    }

    /// The same configuration with another size, wherever it is: in a section, or outside.
    pub fn with_size(&self, key: &str, size: usize) -> HfConfig {
        let mut changed = self.clone();
        let sections = changed.root.values_mut().filter_map(Value::as_object_mut);
        let inner = sections.into_iter().find(|section| section.contains_key(key));
        if let Some(section) = inner {
            section.insert(key.to_owned(), size.into());
        } else {
            changed.root.insert(key.to_owned(), size.into());
        }
        changed
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole configuration as it is in the file.
    pub fn json(&self) -> &Map<String, Value> {
        &self.root
    }

    /// `model_type`, which decides the family.
    pub fn model_type(&self) -> Result<&str, LoadError> {
        self.str(&["model_type"])?.ok_or_else(|| self.missing(&["model_type"]))
    }

    /// First entry of `architectures`, which decides the head.
    pub fn architecture(&self) -> Result<Option<&str>, LoadError> {
        match self.find(&["architectures"]) {
            None => Ok(None),
            Some((key, Value::Array(list))) => match list.first() {
                None => Ok(None),
                Some(Value::String(name)) => Ok(Some(name)),
                Some(other) => Err(self.wrong(key, other, "a list of names")),
            },
            Some((key, other)) => Err(self.wrong(key, other, "a list of names")),
        }
    }

    /// The first of these keys that is present and not null, with its value.
    pub fn find<'a>(&'a self, keys: &[&'a str]) -> Option<(&'a str, &'a Value)> {
        self.note_read(keys);
        keys.iter().find_map(|&key| self.root.get(key).filter(|value| !value.is_null()).map(|value| (key, value)))
    }

    /// Whether one of these keys is there and null. That differs from an absent key where a family has a default.
    pub fn is_null(&self, keys: &[&str]) -> bool {
        self.note_read(keys);
        self.find(keys).is_none() && keys.iter().any(|&key| self.root.contains_key(key))
    }

    /// Marks keys as known, for settings that have no bearing on this family.
    pub fn note_read(&self, keys: &[&str]) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.extend(keys.iter().map(|key| format!("{}{key}", self.prefix)));
    }

    /// What the first of these keys that is there says, in the type that is `expected`.
    fn get<'a, T>(
        &'a self,
        keys: &[&'a str],
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, LoadError> {
        let Some((key, value)) = self.find(keys) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(key, value, expected))
    }

    /// A whole number that must be there and above zero.
    pub fn size(&self, keys: &[&str]) -> Result<usize, LoadError> {
        self.opt_size(keys)?.ok_or_else(|| self.missing(keys))
    }

    /// A whole number above zero, if it is there.
    pub fn opt_size(&self, keys: &[&str]) -> Result<Option<usize>, LoadError> {
        match self.opt_count(keys)? {
            Some(0) => {
                let key = self.find(keys).map_or(keys[0], |(key, _)| key);
                Err(self.bad(format!("{key:?} is 0")))
            }
            other => Ok(other),
        }
    }

    /// A whole number, zero included, if it is there. None is larger than [`sizes::LARGEST_SIZE`]: families multiply
    /// them.
    pub fn opt_count(&self, keys: &[&str]) -> Result<Option<usize>, LoadError> {
        let Some((key, value)) = self.find(keys) else { return Ok(None) };
        let count = whole(value).ok_or_else(|| self.wrong(key, value, "a whole number"))?;
        self.at_most(key, count, sizes::LARGEST_SIZE).map(Some)
    }

    /// A whole number above zero: `default` if the key is absent, `None` if it is null.
    pub fn size_or(&self, keys: &[&str], default: Option<usize>) -> Result<Option<usize>, LoadError> {
        Ok(match self.opt_size(keys)? {
            None if !self.is_null(keys) => default,
            found => found,
        })
    }

    /// A number: `default` if the key is absent, `None` if it is null.
    pub fn number_or(&self, keys: &[&str], default: Option<f64>) -> Result<Option<f64>, LoadError> {
        Ok(match self.opt_number(keys)? {
            None if !self.is_null(keys) => default,
            found => found,
        })
    }

    pub fn list<'a>(&'a self, key: &'a str) -> Result<Option<&'a [Value]>, LoadError> {
        self.get(&[key], "a list", |value| value.as_array().map(Vec::as_slice))
    }

    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, LoadError> {
        let value = self.find(&[key]).map_or(&Value::Null, |(_, value)| value);
        let numbers = value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
        numbers.ok_or_else(|| self.wrong(key, value, "a list of numbers"))
    }

    pub fn opt_number(&self, keys: &[&str]) -> Result<Option<f64>, LoadError> {
        self.get(keys, "a number", Value::as_f64)
    }

    /// A number that must be there.
    pub fn need_number(&self, key: &str) -> Result<f64, LoadError> {
        self.opt_number(&[key])?.ok_or_else(|| self.missing(&[key]))
    }

    /// A number, or the default of the family.
    pub fn number(&self, keys: &[&str], default: f64) -> Result<f64, LoadError> {
        Ok(self.opt_number(keys)?.unwrap_or(default))
    }

    /// A truth value, or the default of the family.
    pub fn flag(&self, keys: &[&str], default: bool) -> Result<bool, LoadError> {
        Ok(self.get(keys, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub fn str<'a>(&'a self, keys: &[&'a str]) -> Result<Option<&'a str>, LoadError> {
        self.get(keys, "a string", Value::as_str)
    }

    /// Token ids under a key that holds one or a list of them.
    pub fn token_ids(&self, key: &str) -> Vec<u32> {
        let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        self.note_read(&[key]);
        match self.root.get(key) {
            Some(Value::Array(list)) => list.iter().filter_map(one).collect(),
            Some(value) => one(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Names of the classes in order: `id2label`, or `LABEL_i` for `num_labels` of them (2 by default).
    pub fn labels(&self) -> Result<Vec<String>, LoadError> {
        let Some(section) = self.object("id2label")? else {
            let count = self.opt_size(&["num_labels", "_num_labels"])?.unwrap_or(2);
            return Ok((0..count).map(|i| format!("LABEL_{i}")).collect());
        };
        let entries = &section.root;
        section.note_read(&entries.keys().map(String::as_str).collect::<Vec<_>>());
        if entries.is_empty() {
            return Err(self.bad("\"id2label\" is empty"));
        }
        let mut labels: Vec<String> = (0..entries.len()).map(|i| format!("LABEL_{i}")).collect();
        for (key, value) in entries {
            let last = labels.len() - 1;
            let wrong = || self.bad(format!("\"id2label\" has the key {key:?}, expected 0 to {last}"));
            let label = key.parse().ok().and_then(|i: usize| labels.get_mut(i)).ok_or_else(wrong)?;
            *label = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        }
        Ok(labels)
    }

    pub fn missing(&self, keys: &[&str]) -> LoadError {
        let mut names = keys.iter().map(|key| self.shown(key));
        let key = names.next().unwrap_or_default();
        LoadError::MissingKey { path: self.path.clone(), key, aliases: names.collect() }
    }

    pub fn unsupported(&self, key: &str, value: impl ToString, why: impl Into<String>) -> LoadError {
        let (path, key, value, why) = (self.path.clone(), self.shown(key), value.to_string(), why.into());
        LoadError::UnsupportedSetting { path, key, value, why }
    }

    pub fn bad(&self, message: impl Into<String>) -> LoadError {
        LoadError::BadConfig { path: self.path.clone(), message: message.into() }
    }

    /// A key as messages name it: `rope_scaling.factor`.
    pub fn shown(&self, key: &str) -> String {
        format!("{}{key}", self.shown)
    }

    fn wrong(&self, key: &str, value: &Value, expected: &'static str) -> LoadError {
        LoadError::WrongType { path: self.path.clone(), key: self.shown(key), found: describe(value), expected }
    }
}

/// Parses a JSON file whose outermost value is an object.
pub fn parse_object(path: &str, text: &[u8]) -> Result<Map<String, Value>, LoadError> {
    match parse_json(path, text)? {
        Value::Object(map) => Ok(map),
        other => Err(LoadError::NotAnObject { path: path.to_owned(), found: kind(&other) }),
    }
}

pub fn parse_json(path: &str, text: &[u8]) -> Result<Value, LoadError> {
    serde_json::from_slice(text).map_err(|error| {
        let said = error.to_string();
        let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message).to_owned();
        LoadError::Json { path: path.to_owned(), line: error.line(), column: error.column(), message }
    })
}

fn whole(value: &Value) -> Option<usize> {
    let number =
        value.as_u64().or_else(|| value.as_f64().filter(|x| *x >= 0.0 && x.fract() == 0.0).map(|x| x as u64))?;
    usize::try_from(number).ok()
}

pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether a value is null, false or empty: whether a setting of other libraries' files asks for nothing.
pub fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A value for a message: its kind, and the value itself where it is short.
fn describe(value: &Value) -> String {
    match value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => format!("{} ({value})", kind(value)),
        _ => kind(value).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> HfConfig {
        HfConfig::parse("dir/config.json", text.as_bytes()).unwrap()
    }

    #[test]
    fn aliases_are_tried_in_order_and_null_is_absent() {
        let config = config(r#"{"n_inner": null, "n_embd": 32, "num_key_value_heads": 2.0}"#);
        assert_eq!(config.size(D_MODEL).unwrap(), 32);
        assert_eq!(config.opt_size(D_MLP).unwrap(), None);
        assert_eq!(config.opt_size(N_KV_HEADS).unwrap(), Some(2));
    }

    #[test]
    fn errors_name_file_key_and_found_type() {
        let config = config(r#"{"n_embd": "wide", "n_layer": 0, "rope_scaling": {"factor": []}, "tie": 1}"#);
        assert_eq!(
            config.size(D_MODEL).unwrap_err().to_string(),
            r#"dir/config.json: "n_embd" is a string ("wide"), expected a whole number"#
        );
        assert_eq!(config.size(N_LAYERS).unwrap_err().to_string(), r#"dir/config.json: "n_layer" is 0"#);
        assert_eq!(
            config.size(&["num_attention_heads", "n_head"]).unwrap_err().to_string(),
            "dir/config.json has no \"num_attention_heads\" (or n_head); add it from the model's original configuration"
        );
        assert_eq!(
            config.flag(&["tie"], true).unwrap_err().to_string(),
            r#"dir/config.json: "tie" is a number (1), expected true or false"#
        );
        let section = config.object("rope_scaling").unwrap().unwrap();
        assert_eq!(
            section.need_number("factor").unwrap_err().to_string(),
            r#"dir/config.json: "rope_scaling.factor" is a list, expected a number"#
        );
    }

    #[test]
    fn faults_in_the_json_are_located() {
        assert_eq!(
            HfConfig::parse("config.json", b"{\"a\": 1,\n \"b\" 2}").unwrap_err().to_string(),
            "config.json is not valid JSON: line 2, column 6: expected `:`; get the file again"
        );
        assert_eq!(
            HfConfig::parse("config.json", b"[1]").unwrap_err().to_string(),
            "config.json holds a list, not an object; get the file again"
        );
    }

    #[test]
    fn labels_have_defaults() {
        assert_eq!(config(r#"{"id2label": {"1": "b", "0": "a"}}"#).labels().unwrap(), ["a", "b"]);
        assert_eq!(config(r#"{"num_labels": 3}"#).labels().unwrap(), ["LABEL_0", "LABEL_1", "LABEL_2"]);
        assert_eq!(config("{}").labels().unwrap(), ["LABEL_0", "LABEL_1"]);
        assert!(config(r#"{"id2label": {"7": "b"}}"#).labels().is_err());
    }
}
