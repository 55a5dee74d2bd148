//! Objects inside a configuration, with getters that say where in it a key is.

use serde_json::{Map, Value};

use super::HfConfig;
use crate::model::error::LoadError;

/// An object inside a configuration.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    config: &'a HfConfig,
    name: String,
    pub(super) map: &'a Map<String, Value>,
}

impl<'a> Section<'a> {
    pub(super) fn new(config: &'a HfConfig, name: String, map: &'a Map<String, Value>) -> Self {
        config.note_read(&[&format!("{name}.")]);
        Section { config, name, map }
    }

    /// The path of its key, such as `rope_scaling.factor`.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Its keys and values, all of which count as read.
    pub fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.note_read(&self.map.keys().map(String::as_str).collect::<Vec<_>>());
        self.map.iter()
    }

    /// Marks keys as known, for settings that others overrule.
    pub fn note_read(&self, keys: &[&str]) {
        self.config.note(&format!("{}{}.", self.config.prefix, self.name), keys);
    }

    /// A section of the same kind inside this one, if it is there.
    pub fn section(&self, key: &'a str) -> Result<Option<Section<'a>>, LoadError> {
        let Some((key, value)) = self.find(&[key]) else { return Ok(None) };
        let map = value.as_object().ok_or_else(|| self.wrong(key, value, "an object"))?;
        Ok(Some(Section::new(self.config, format!("{}.{key}", self.name), map)))
    }

    /// The first of these keys that is present and not null, with its value.
    pub fn find(&self, keys: &[&'a str]) -> Option<(&'a str, &'a Value)> {
        self.note_read(keys);
        keys.iter().find_map(|&key| self.map.get(key).filter(|value| !value.is_null()).map(|value| (key, value)))
    }

    /// A truth value, or the default.
    pub fn flag(&self, keys: &[&'a str], default: bool) -> Result<bool, LoadError> {
        let Some((key, value)) = self.find(keys) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, value, "true or false"))
    }

    /// A list of numbers that must be there.
    pub fn numbers(&self, key: &'a str) -> Result<Vec<f64>, LoadError> {
        let value = self.find(&[key]).map_or(&Value::Null, |(_, value)| value);
        let numbers = value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
        numbers.ok_or_else(|| self.wrong(key, value, "a list of numbers"))
    }

    /// A number, if it is there.
    pub fn opt_number(&self, keys: &[&'a str]) -> Result<Option<f64>, LoadError> {
        let Some((key, value)) = self.find(keys) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(key, value, "a number"))
    }

    /// A number that must be there.
    pub fn number(&self, keys: &[&'a str]) -> Result<f64, LoadError> {
        self.opt_number(keys)?.ok_or_else(|| {
            let nested: Vec<String> = keys.iter().map(|key| format!("{}.{key}", self.name)).collect();
            self.config.missing(&nested.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// A string, if it is there.
    pub fn str(&self, keys: &[&'a str]) -> Result<Option<&'a str>, LoadError> {
        let Some((key, value)) = self.find(keys) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(key, value, "a string"))
    }

    fn wrong(&self, key: &str, value: &Value, expected: &'static str) -> LoadError {
        self.config.wrong(&format!("{}.{key}", self.name), value, expected)
    }
}
