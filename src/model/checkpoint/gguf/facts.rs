//! What the metadata and the table of tensors of a GGUF file say, with getters that name what is wrong.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json, json};

use super::header::TensorInfo;
use super::reader::{Kind, Reader, Value};
use super::{Gguf, GgufModel};
use crate::model::checkpoint::{StoredType, decode};
use crate::model::error::LoadError;

/// The metadata of a model and the tensors of all its files.
pub struct Facts<'a> {
    pub path: &'a str,
    /// `general.architecture`, before the keys of the architecture.
    pub architecture: &'a str,
    first: &'a Gguf,
    tensors: HashMap<&'a str, (&'a Gguf, &'a TensorInfo)>,
    /// Keys that were asked for.
    read: RefCell<HashSet<String>>,
}

/// Keys of an architecture, without its name, that say what tensors say too, or nothing about what is computed. What is
/// read of them elsewhere, `pooling_type`, is read for itself.
const HARMLESS: &[&str] = &[
    "attention.key_length",
    "attention.value_length",
    "context_length",
    "expert_feed_forward_length",
    "expert_shared_feed_forward_length",
    "feed_forward_length",
    "pooling_type",
    "rope.scaling.finetuned",
    "vocab_size",
];

impl<'a> Facts<'a> {
    pub fn of(model: &'a GgufModel) -> Result<Self, LoadError> {
        let of = |file: &'a Gguf| file.header.tensors.iter().map(move |tensor| (tensor.name.as_str(), (file, tensor)));
        let tensors = model.files.iter().flat_map(of).collect();
        let (path, first, read) = (&model.path, &model.files[0], RefCell::default());
        let mut facts = Facts { path, architecture: "", first, tensors, read };
        facts.architecture =
            facts.text("general.architecture")?.ok_or_else(|| facts.missing("general.architecture"))?;
        Ok(facts)
    }

    pub fn bad(&self, message: impl Into<String>) -> LoadError {
        LoadError::bad_gguf(self.path, message)
    }

    fn missing(&self, key: &str) -> LoadError {
        self.bad(format!("its metadata has no {key:?}"))
    }

    fn wrong(&self, key: &str, expected: &str) -> LoadError {
        self.bad(format!("{key:?} of its metadata is not {expected}"))
    }

    /// A refusal of a setting that is not computed.
    pub fn unsupported(&self, key: &str, value: impl ToString, why: &str) -> LoadError {
        let (path, key) = (self.path.to_owned(), key.to_owned());
        LoadError::UnsupportedSetting { path, key, value: value.to_string(), why: why.to_owned() }
    }

    /// A metadata value, which counts as read.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key.to_owned());
        self.first.header.metadata.get(key)
    }

    /// Marks keys of the architecture as known, for settings that others overrule.
    pub fn note_read(&self, names: &[&str]) {
        self.read.borrow_mut().extend(names.iter().map(|name| self.key(name)));
    }

    /// The keys of the architecture that were not asked for, with their values; an empty list for a list.
    pub fn unread(&self) -> Vec<(String, Json)> {
        let read = self.read.borrow();
        let prefix = self.key("");
        let metadata = self.first.header.metadata.iter();
        let of_architecture = metadata.filter_map(|(key, value)| Some((key, key.strip_prefix(&prefix)?, value)));
        of_architecture
            .filter(|(key, name, _)| !read.contains(*key) && !HARMLESS.contains(name))
            .map(|(key, _, value)| (key.clone(), json_of(value)))
            .collect()
    }

    /// What `read` makes of a value, if it is there.
    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, LoadError> {
        self.get(key).map(|value| read(value).ok_or_else(|| self.wrong(key, expected))).transpose()
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>, LoadError> {
        self.typed(key, "text", |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, LoadError> {
        self.typed(key, "true or false", |value| if let Value::Bool(flag) = value { Some(*flag) } else { None })
    }

    /// A whole number, if it is there. An array of equal numbers, one for each block, counts as one.
    pub fn size(&self, key: &str) -> Result<Option<usize>, LoadError> {
        let fail = || self.wrong(key, "a whole number, the same for every block");
        let whole = |value: &Value| match value {
            Value::Unsigned(n) => usize::try_from(*n).ok(),
            _ => None,
        };
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array { .. }) => {
                let mut all = self.values(key)?.map(|value| whole(&value));
                let first = all.next().flatten().ok_or_else(fail)?;
                if all.all(|value| value == Some(first)) { Ok(Some(first)) } else { Err(fail()) }
            }
            Some(value) => whole(value).map(Some).ok_or_else(fail),
        }
    }

    /// A number, if it is there. A 32-bit one is the shortest decimal that gives it, which is what was written once.
    pub fn number(&self, key: &str) -> Result<Option<f64>, LoadError> {
        self.typed(key, "a number", number)
    }

    /// The elements of an array; empty if it is not there.
    pub fn values(&self, key: &str) -> Result<impl Iterator<Item = Value> + use<'a>, LoadError> {
        let (element, count, start) = match self.get(key) {
            None => (Kind::U8, 0, 0),
            Some(Value::Array { element, count, range }) if *element != Kind::Array => (*element, *count, range.start),
            Some(_) => return Err(self.wrong(key, "a list")),
        };
        let mut reader = Reader::new(self.first.bytes.all(), start);
        Ok((0..count).map_while(move |_| reader.scalar(element, "an element").ok()))
    }

    /// The strings of an array; empty if it is not there.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, LoadError> {
        let text = |value| if let Value::Text(text) = value { Some(text) } else { None };
        self.values(key)?.map(|value| text(value).ok_or_else(|| self.wrong(key, "a list of strings"))).collect()
    }

    /// The numbers of an array; empty if it is not there.
    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, LoadError> {
        self.values(key)?.map(|value| number(&value).ok_or_else(|| self.wrong(key, "a list of numbers"))).collect()
    }

    /// A key of the architecture: `block_count` is `llama.block_count`.
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    pub fn arch_size(&self, name: &str) -> Result<Option<usize>, LoadError> {
        self.size(&self.key(name))
    }

    /// A whole number of the architecture, above zero.
    pub fn need_size(&self, name: &str) -> Result<usize, LoadError> {
        match self.arch_size(name)? {
            Some(0) => Err(self.bad(format!("{:?} of its metadata is 0", self.key(name)))),
            Some(size) => Ok(size),
            None => Err(self.missing(&self.key(name))),
        }
    }

    pub fn arch_number(&self, name: &str) -> Result<Option<f64>, LoadError> {
        self.number(&self.key(name))
    }

    pub fn need_number(&self, name: &str) -> Result<f64, LoadError> {
        self.arch_number(name)?.ok_or_else(|| self.missing(&self.key(name)))
    }

    pub fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    pub fn shape(&self, tensor: &str) -> Option<&'a [usize]> {
        self.tensors.get(tensor).map(|(_, tensor)| tensor.shape.as_slice())
    }

    pub fn axis(&self, tensor: &str, axis: usize) -> Option<usize> {
        self.shape(tensor)?.get(axis).copied()
    }

    /// The numbers of a small tensor of 32-bit floats, if it is there.
    pub fn floats(&self, tensor: &str) -> Result<Option<Vec<f32>>, LoadError> {
        let Some((file, info)) = self.tensors.get(tensor) else { return Ok(None) };
        if info.kind.stored != StoredType::F32 {
            return Err(self.bad(format!("tensor {tensor:?} is {}, expected f32", info.kind.stored.name())));
        }
        let mut floats = vec![0.0; info.shape.iter().product()];
        decode(StoredType::F32, &file.bytes.all()[info.range.clone()], &mut floats);
        Ok(Some(floats))
    }

    /// Where the numbers of a list of 32-bit floats are in the file, of which there must be so many.
    pub fn places(&self, key: &str, count: usize) -> Result<Vec<std::ops::Range<usize>>, LoadError> {
        match self.get(key) {
            Some(Value::Array { element: Kind::F32, count: found, range }) if *found == count => {
                Ok((0..count).map(|i| range.start + 4 * i..range.start + 4 * (i + 1)).collect())
            }
            _ => Err(self.wrong(key, "a 32-bit float for every block")),
        }
    }

    /// Number of blocks. Each has its own tensors, so there cannot be more than tensors.
    pub fn blocks(&self) -> Result<usize, LoadError> {
        let (blocks, tensors) = (self.need_size("block_count")?, self.tensors.len());
        if blocks > tensors {
            return Err(self.bad(format!("its metadata announces {blocks} blocks, but it has {tensors} tensors")));
        }
        Ok(blocks)
    }

    /// Rows of the token embedding.
    pub fn vocab(&self) -> Result<usize, LoadError> {
        self.axis("token_embd.weight", 0).ok_or_else(|| self.bad("it has no tensor \"token_embd.weight\""))
    }

    /// Positions of the model: rows of the table of positions, if there is one.
    pub fn positions(&self) -> Result<usize, LoadError> {
        self.axis("position_embd.weight", 0).map_or_else(|| self.need_size("context_length"), Ok)
    }

    /// Query heads and key/value heads.
    pub fn heads(&self) -> Result<(usize, usize), LoadError> {
        let heads = self.need_size("attention.head_count")?;
        let key = self.key("attention.head_count_kv");
        let Some(attends) = self.attends()? else {
            return Ok((heads, self.size(&key)?.filter(|heads| *heads > 0).unwrap_or(heads)));
        };
        // Those of layers that have attention.
        let mut given = self.numbers(&key)?.into_iter().filter(|heads| *heads > 0.0);
        let first = given.next().unwrap_or(heads as f64);
        match attends.contains(&true) && given.any(|other| other != first) {
            false => Ok((heads, first as usize)),
            true => Err(self.wrong(&key, "the same for all layers that have attention")),
        }
    }

    /// Which blocks have attention, where some have none: then they have no keys and values.
    pub fn attends(&self) -> Result<Option<Vec<bool>>, LoadError> {
        let key = self.key("attention.head_count_kv");
        if !matches!(self.get(&key), Some(Value::Array { .. })) {
            return Ok(None);
        }
        let attends: Vec<bool> = self.numbers(&key)?.into_iter().map(|heads| heads > 0.0).collect();
        if attends.len() < self.blocks()? {
            return Err(self.wrong(&key, "a number for every block"));
        }
        Ok(attends.contains(&false).then_some(attends))
    }

    pub fn head_dim(&self) -> Result<usize, LoadError> {
        if let Some(width) = self.arch_size("attention.key_length")?.filter(|width| *width > 0) {
            if self.arch_size("attention.value_length")?.is_some_and(|value| value != width) {
                return Err(self.bad("its keys and values have different widths, which cannot be represented"));
            }
            return Ok(width);
        }
        Ok(self.need_size("embedding_length")? / self.heads()?.0)
    }

    /// Tokens that a layer with a window attends to, if there is a window.
    pub fn window(&self) -> Result<Option<usize>, LoadError> {
        Ok(self.arch_size("attention.sliding_window")?.filter(|window| *window > 0))
    }

    /// What queries, keys and values are clipped to, if they are.
    pub fn clip(&self) -> Result<Option<f64>, LoadError> {
        Ok(self.arch_number("attention.clamp_kqv")?.filter(|clip| *clip > 0.0))
    }

    pub fn theta(&self) -> Result<f64, LoadError> {
        Ok(self.arch_number("rope.freq_base")?.unwrap_or(10000.0))
    }

    /// Features of each head that rotate, as a part of its width.
    pub fn rotary_part(&self) -> Result<f64, LoadError> {
        let width = self.head_dim()?;
        let part = self.arch_size("rope.dimension_count")?.unwrap_or(width);
        Ok(part as f64 / width.max(1) as f64)
    }

    /// Width of the MLP. Some converters write four times the width whatever it is, so the tensors come first.
    pub fn mlp_width(&self) -> Result<usize, LoadError> {
        self.axis("blk.0.ffn_down.weight", 1).map_or_else(|| self.need_size("feed_forward_length"), Ok)
    }

    /// Ids of special tokens as configurations have them. What llama.cpp calls the beginning and the end of a text are
    /// BERT's tokens for a class and between texts.
    pub fn token_ids(&self, config: &mut Map<String, Json>) -> Result<(), LoadError> {
        let word_pieces = self.text("tokenizer.ggml.model")? == Some("bert");
        let (bos, eos) = if word_pieces { ("cls", "sep") } else { ("bos", "eos") };
        for (key, name) in [
            ("cls", "cls"),
            (bos, "bos"),
            (eos, "eos"),
            ("pad", "padding"),
            ("unk", "unknown"),
            ("sep", "seperator"),
            ("mask", "mask"),
        ] {
            if let Some(id) = self.size(&format!("tokenizer.ggml.{name}_token_id"))? {
                config.insert(format!("{key}_token_id"), json!(id));
            }
        }
        Ok(())
    }

    /// The name of the model, empty if it is not given.
    pub fn name(&self) -> &'a str {
        self.text("general.name").ok().flatten().unwrap_or("")
    }
}

/// A single value as a configuration has it; of a list the name is enough.
fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(flag) => json!(flag),
        Value::Text(text) => json!(text),
        Value::Unsigned(n) => json!(n),
        Value::Negative(n) => json!(n),
        Value::Single(_) | Value::Double(_) => json!(number(value)),
        Value::Array { .. } => json!([]),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Unsigned(n) => Some(*n as f64),
        Value::Negative(n) => Some(*n as f64),
        Value::Single(x) => Some(decimal(*x)),
        Value::Double(x) => Some(*x),
        _ => None,
    }
}

/// The shortest decimal that gives a 32-bit float: 1e-5 for the float next to it.
pub fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_floats_are_the_decimals_that_were_written() {
        assert_eq!(decimal(1e-5), 1e-5);
        assert_eq!(decimal(0.1), 0.1);
        assert_eq!(decimal(10000.0), 10000.0);
        assert!(decimal(f32::NAN).is_nan());
    }
}
