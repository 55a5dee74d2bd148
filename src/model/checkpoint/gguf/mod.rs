//! GGUF, the format of llama.cpp: one file (or several shards) with configuration, tokenizer and tensors.
//!
//! A GGUF file is presented as the files of a Hugging Face checkpoint: its metadata as `config.json`, its vocabulary as
//! `tokenizer.json`, its tensors under the names that transformers has for them and in its layout. Nothing above this
//! folder knows that the format exists.
//!
//! [`header`] reads what comes before the tensors and trusts no number in it; [`facts`] answers questions about it;
//! [`arch`] says what each architecture means, [`view`] makes tensors of it, [`tokenizer`] a tokenizer.

mod arch;
mod facts;
mod ggml;
mod header;
mod reader;
mod tokenizer;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{Checkpoint, FileBytes};
use crate::model::error::{LoadError, NoTokenizer};
use crate::model::file;
use facts::Facts;
use header::Header;

pub use arch::architectures;
/// The first four bytes of a GGUF file.
pub use header::MAGIC;

/// Shards of one model at most.
const MOST_SHARDS: usize = 10_000;

/// One file and its header.
#[derive(Debug)]
struct Gguf {
    path: String,
    bytes: Arc<FileBytes>,
    header: Header,
}

impl Gguf {
    fn parse(path: String, bytes: FileBytes) -> Result<Self, LoadError> {
        match header::parse(bytes.all()) {
            Ok(header) => Ok(Gguf { path, bytes: Arc::new(bytes), header }),
            Err(fault) => Err(LoadError::BadGguf { path, message: fault.to_string() }),
        }
    }
}

/// A model in one or several GGUF files. The metadata is that of the first.
#[derive(Debug)]
pub struct GgufModel {
    path: String,
    files: Vec<Gguf>,
}

impl GgufModel {
    /// Maps a file, and the other shards if it is one of several.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let shown = path.display().to_string();
        let Some((prefix, count)) = shard_of(path) else {
            let file = Gguf::parse(shown.clone(), FileBytes::map(path)?)?;
            let model = GgufModel { path: shown, files: vec![file] };
            return if model.shards()? > 1 { Err(model.renamed()) } else { Ok(model) };
        };
        let mut files = Vec::new();
        for number in 1..=count {
            let shard = shard_path(&prefix, number, count);
            if !shard.exists() {
                let shard = shard.display().to_string();
                return Err(LoadError::MissingGgufShard { shard, shards: count });
            }
            files.push(Gguf::parse(shard.display().to_string(), FileBytes::map(&shard)?)?);
        }
        let model = GgufModel { path: files[0].path.clone(), files };
        model.agree(count)?;
        Ok(model)
    }

    /// A model in memory, for tests and fuzz targets.
    pub fn from_vec(path: &str, bytes: Vec<u8>) -> Result<Self, LoadError> {
        let file = Gguf::parse(path.to_owned(), FileBytes::Owned(bytes))?;
        Ok(GgufModel { path: path.to_owned(), files: vec![file] })
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many shards the metadata speaks of.
    fn shards(&self) -> Result<usize, LoadError> {
        match self.files[0].header.metadata.get("split.count") {
            Some(reader::Value::Unsigned(count)) => Ok(usize::try_from(*count).unwrap_or(usize::MAX)),
            _ => Ok(1),
        }
    }

    fn renamed(&self) -> LoadError {
        let message =
            "it is one of several shards, but is not named NAME-00001-of-0000N.gguf, by which the others are found";
        LoadError::BadGguf { path: self.path.clone(), message: message.into() }
    }

    /// Checks that the shards are those of one model.
    fn agree(&self, count: usize) -> Result<(), LoadError> {
        use reader::Value::Unsigned;
        for (number, file) in self.files.iter().enumerate() {
            let says = |key: &str| match file.header.metadata.get(key) {
                Some(Unsigned(n)) => Some(*n),
                _ => None,
            };
            let (no, of) = (says("split.no"), says("split.count"));
            if no.is_some_and(|no| no != number as u64) || of.is_some_and(|of| of != count as u64) {
                let message = format!(
                    "its metadata says shard {} of {}, its name shard {} of {count}",
                    no.map_or("?".into(), |no| no.saturating_add(1).to_string()),
                    of.map_or("?".into(), |of| of.to_string()),
                    number + 1
                );
                return Err(LoadError::BadGguf { path: file.path.clone(), message });
            }
        }
        let tensors: usize = self.files.iter().map(|file| file.header.tensors.len()).sum();
        match self.files[0].header.metadata.get("split.tensors.count") {
            Some(Unsigned(wanted)) if *wanted != tensors as u64 => Err(LoadError::BadGguf {
                path: self.path.clone(),
                message: format!("it announces {wanted} tensors in all shards, they have {tensors}"),
            }),
            _ => Ok(()),
        }
    }

    /// The tensors under the names of transformers.
    ///
    /// # Errors
    /// If the architecture is not known, or its metadata lacks something.
    pub fn checkpoint(&self) -> Result<Checkpoint, LoadError> {
        let description = arch::describe(&Facts::of(self)?)?;
        let (mut files, mut aside) = (Vec::new(), Vec::new());
        for file in &self.files {
            let (table, useless) = view::table(file, &description)?;
            files.push(table);
            aside.extend(useless);
        }
        Checkpoint::new(self.path.clone(), files, aside)
    }

    /// What a file of this name would hold, were this a Hugging Face checkpoint; `None` for a file that it would not
    /// have.
    ///
    /// # Errors
    /// If the metadata that it is made of is not usable.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, LoadError> {
        let facts = Facts::of(self)?;
        let json = match name {
            "config.json" => Some(Json::Object(arch::describe(&facts)?.config)),
            "tokenizer.json" => tokenizer::json(&facts)?.ok(),
            "tokenizer_config.json" => Some(Json::Object(tokenizer_config(&facts)?)),
            "generation_config.json" => generation_config(&facts)?,
            "modules.json" => pooling(&facts)?.map(|_| modules()),
            POOLING => pooling(&facts)?,
            _ => None,
        };
        Ok(json.map(|json| json.to_string().into_bytes()))
    }

    /// Why there is no tokenizer, if the metadata has none that can be used.
    pub fn why_no_tokenizer(&self) -> Result<Option<NoTokenizer>, LoadError> {
        Ok(tokenizer::json(&Facts::of(self)?)?.err())
    }

    /// The chat template, if the metadata has one.
    pub fn chat_template(&self) -> Result<Option<&str>, LoadError> {
        Facts::of(self)?.text("tokenizer.chat_template")
    }

    pub fn architecture(&self) -> Result<&str, LoadError> {
        Ok(Facts::of(self)?.architecture)
    }
}

/// The configuration of the pooling that `modules.json` would name.
const POOLING: &str = "1_Pooling/config.json";

/// Special tokens by their text, and the chat templates.
fn tokenizer_config(facts: &Facts) -> Result<Map<String, Json>, LoadError> {
    let mut config = Map::new();
    let mut ids = Map::new();
    facts.token_ids(&mut ids)?;
    let tokens: Vec<(String, usize)> =
        ids.iter().filter_map(|(key, id)| Some((key.strip_suffix("_id")?.to_owned(), id.as_u64()? as usize))).collect();
    for (token, id) in tokens {
        if let Some(reader::Value::Text(text)) = facts.values("tokenizer.ggml.tokens")?.nth(id) {
            config.insert(token, json!(text));
        }
    }
    for (key, name) in [("add_bos_token", "add_bos_token"), ("add_eos_token", "add_eos_token")] {
        if let Some(flag) = facts.flag(&format!("tokenizer.ggml.{name}"))? {
            config.insert(key.into(), json!(flag));
        }
    }
    let default = facts.text("tokenizer.chat_template")?;
    let mut named = Vec::new();
    for name in facts.texts("tokenizer.chat_templates")? {
        if let Some(template) = facts.text(&format!("tokenizer.chat_template.{name}"))? {
            named.push(json!({"name": name, "template": template}));
        }
    }
    match (default, named.is_empty()) {
        (Some(template), true) => {
            config.insert("chat_template".into(), json!(template));
        }
        (None, true) => {}
        (default, false) => {
            named.extend(default.map(|template| json!({"name": "default", "template": template})));
            config.insert("chat_template".into(), Json::Array(named));
        }
    }
    Ok(config)
}

/// Every token that ends a text: the end of the text, of a turn, of a message.
fn generation_config(facts: &Facts) -> Result<Option<Json>, LoadError> {
    let mut ends = Vec::new();
    if facts.text("tokenizer.ggml.model")? == Some("bert") {
        return Ok(None);
    }
    for name in ["eos", "eot", "eom"] {
        if let Some(id) = facts.size(&format!("tokenizer.ggml.{name}_token_id"))?
            && !ends.contains(&id)
        {
            ends.push(id);
        }
    }
    Ok((!ends.is_empty()).then(|| json!({"eos_token_id": ends})))
}

/// The configuration of the pooling, where the metadata asks for one.
fn pooling(facts: &Facts) -> Result<Option<Json>, LoadError> {
    let mode = match facts.arch_size("pooling_type")? {
        Some(1) => "pooling_mode_mean_tokens",
        Some(2) => "pooling_mode_cls_token",
        Some(3) => "pooling_mode_lasttoken",
        _ => return Ok(None),
    };
    Ok(Some(json!({mode: true})))
}

fn modules() -> Json {
    json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ])
}

/// Whether a file begins like GGUF.
pub fn looks_like(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 4];
    file::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == MAGIC
}

/// The name of a shard without its number and ending, and the number of shards: `NAME-00002-of-00003.gguf`.
pub fn shard_name(name: &str) -> Option<(&str, usize)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (prefix, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let count = count.parse().ok().filter(|count| digits(number) && (1..=MOST_SHARDS).contains(count))?;
    Some((prefix, count))
}

fn shard_of(path: &Path) -> Option<(PathBuf, usize)> {
    let (prefix, count) = shard_name(path.file_name()?.to_str()?)?;
    Some((path.with_file_name(prefix), count))
}

fn shard_path(prefix: &Path, number: usize, count: usize) -> PathBuf {
    let mut name = prefix.file_name().unwrap_or_default().to_os_string();
    name.push(format!("-{number:05}-of-{count:05}.gguf"));
    prefix.with_file_name(name)
}

/// Whether a file goes with a model and is not one: a projector for images, an adapter, a matrix of importances or a
/// control vector, as its metadata says.
pub fn is_part(path: &Path) -> bool {
    let Ok(model) = GgufModel::open(path) else { return false };
    let text = |key: &str| match model.files[0].header.metadata.get(key) {
        Some(reader::Value::Text(text)) => text.as_str(),
        _ => "",
    };
    matches!(text("general.type"), "mmproj" | "adapter" | "imatrix")
        || matches!(text("general.architecture"), "clip" | "controlvector" | "imatrix")
}

/// The first shards, or only files, of the models in a directory, by name.
pub fn models_in(names: &[String]) -> Vec<&String> {
    let first = |name: &&String| match shard_of(Path::new(name)) {
        Some(_) => name.contains("-00001-of-"),
        None => true,
    };
    let mut models: Vec<&String> = names.iter().filter(|name| name.ends_with(".gguf")).filter(first).collect();
    models.sort();
    models
}

#[cfg(test)]
mod tests;
