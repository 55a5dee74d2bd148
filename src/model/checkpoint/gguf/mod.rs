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

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use facts::Facts;
use header::Header;
use serde_json::{Map, Value as Json, json};

use super::{Checkpoint, FileBytes, TensorFile};
use crate::model::error::{LoadError, NoTokenizer};
use crate::model::file;

pub use arch::architectures;
pub use ggml::types;
pub use header::MAGIC;

/// Shards of one model at most.
const MOST_SHARDS: usize = 10_000;

#[derive(Debug)]
struct Gguf {
    path: String,
    bytes: Arc<FileBytes>,
    header: Header,
}

impl Gguf {
    fn parse(path: String, bytes: FileBytes) -> Result<Self, LoadError> {
        let header = header::parse(bytes.all()).map_err(|fault| LoadError::bad_gguf(&path, fault.to_string()))?;
        Ok(Gguf { path, bytes: Arc::new(bytes), header })
    }

    fn number(&self, key: &str) -> Option<u64> {
        match self.header.metadata.get(key)? {
            reader::Value::Unsigned(number) => Some(*number),
            _ => None,
        }
    }
}

/// A GGUF file that need not be a model: tensors under their own names, and metadata.
#[derive(Debug)]
pub struct PlainGguf {
    pub tensors: TensorFile,
    texts: BTreeMap<String, String>,
}

impl PlainGguf {
    /// A text of the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.texts.get(key).map(String::as_str)
    }
}

/// Opens a file without asking what it is of.
///
/// # Errors
/// If it is not GGUF.
pub fn open_tensors(path: &Path) -> Result<PlainGguf, LoadError> {
    let file = Gguf::parse(path.display().to_string(), FileBytes::map(path)?)?;
    let texts = file.header.metadata.iter().filter_map(|(key, value)| match value {
        reader::Value::Text(text) => Some((key.clone(), text.clone())),
        _ => None,
    });
    Ok(PlainGguf { texts: texts.collect(), tensors: view::plain(&file) })
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
        let Some((prefix, count)) = path.file_name().and_then(|name| shard_name(name.to_str()?)) else {
            let file = Gguf::parse(shown.clone(), FileBytes::map(path)?)?;
            if file.number("split.count").is_some_and(|count| count > 1) {
                let message = "it is one of several shards, but is not named NAME-00001-of-0000N.gguf, by which the \
                               others are found";
                return Err(LoadError::bad_gguf(&shown, message));
            }
            return Ok(GgufModel { path: shown, files: vec![file] });
        };
        let mut files = Vec::new();
        for number in 1..=count {
            let file = path.with_file_name(shard_file(prefix, number, count));
            let shard = file.display().to_string();
            if !file.exists() {
                return Err(LoadError::MissingGgufShard { shard, shards: count });
            }
            files.push(Gguf::parse(shard, FileBytes::map(&file)?)?);
        }
        let model = GgufModel { path: files[0].path.clone(), files };
        model.agree(count)?;
        Ok(model)
    }

    #[cfg(test)]
    pub fn from_vec(path: &str, bytes: Vec<u8>) -> Result<Self, LoadError> {
        let file = Gguf::parse(path.to_owned(), FileBytes::Owned(bytes))?;
        Ok(GgufModel { path: path.to_owned(), files: vec![file] })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Checks that the shards are those of one model.
    fn agree(&self, count: usize) -> Result<(), LoadError> {
        for (number, file) in self.files.iter().enumerate() {
            let (no, of) = (file.number("split.no"), file.number("split.count"));
            if no.is_some_and(|no| no != number as u64) || of.is_some_and(|of| of != count as u64) {
                let shown = |number: Option<u64>| number.map_or("?".into(), |number| number.to_string());
                let message = format!(
                    "its metadata says shard {} of {}, its name shard {} of {count}",
                    shown(no.map(|no| no.saturating_add(1))),
                    shown(of),
                    number + 1
                );
                return Err(LoadError::bad_gguf(&file.path, message));
            }
        }
        let tensors = self.files.iter().map(|file| file.header.tensors.len()).sum::<usize>() as u64;
        match self.files[0].number("split.tensors.count").filter(|wanted| *wanted != tensors) {
            None => Ok(()),
            Some(wanted) => {
                let message = format!("it announces {wanted} tensors in all shards, they have {tensors}");
                Err(LoadError::bad_gguf(&self.path, message))
            }
        }
    }

    /// The tensors under the names of transformers.
    ///
    /// # Errors
    /// If the architecture is not known, or its metadata lacks something.
    pub fn checkpoint(&self) -> Result<Checkpoint, LoadError> {
        let description = arch::describe(&Facts::of(self)?)?;
        let (mut files, mut aside) = (Vec::new(), Vec::new());
        for (number, file) in self.files.iter().enumerate() {
            let (table, useless) = view::table(file, number == 0, &description)?;
            files.push(table);
            aside.extend(useless);
        }
        Checkpoint::new(self.path.clone(), files, aside)
    }

    /// What a file of this name would hold, were this a Hugging Face checkpoint; `None` for a file that it would not
    /// have.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, LoadError> {
        let facts = Facts::of(self)?;
        let json = match name {
            "config.json" => Some(Json::Object(arch::describe(&facts)?.config)),
            "tokenizer.json" => tokenizer::json(&facts)?.ok(),
            "tokenizer_config.json" => Some(Json::Object(tokenizer_config(&facts)?)),
            "generation_config.json" => generation_config(&facts)?,
            "modules.json" => pooling(&facts)?.map(|_| modules(&facts)),
            POOLING => pooling(&facts)?,
            _ => None,
        };
        Ok(json.map(|json| json.to_string().into_bytes()))
    }

    /// Why there is no tokenizer, if the metadata has none that can be used.
    pub fn why_no_tokenizer(&self) -> Result<Option<NoTokenizer>, LoadError> {
        Ok(tokenizer::json(&Facts::of(self)?)?.err())
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
    for (token, id) in ids.iter().filter_map(|(key, id)| Some((key.strip_suffix("_id")?, id.as_u64()? as usize))) {
        if let Some(reader::Value::Text(text)) = facts.values("tokenizer.ggml.tokens")?.nth(id) {
            config.insert(token.to_owned(), json!(text));
        }
    }
    for key in ["add_bos_token", "add_eos_token"] {
        if let Some(flag) = facts.flag(&format!("tokenizer.ggml.{key}"))? {
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
    let templates = if named.is_empty() {
        default.map(Json::from)
    } else {
        named.extend(default.map(|template| json!({"name": "default", "template": template})));
        Some(Json::Array(named))
    };
    config.extend(templates.map(|templates| ("chat_template".to_owned(), templates)));
    Ok(config)
}

/// Every token that ends a text: the end of the text, of a turn, of a message.
fn generation_config(facts: &Facts) -> Result<Option<Json>, LoadError> {
    if facts.text("tokenizer.ggml.model")? == Some("bert") {
        return Ok(None);
    }
    let mut ends = Vec::new();
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

/// The steps after the model: the pooling, dense layers if the file has them, and the division by the length.
fn modules(facts: &Facts) -> Json {
    let dense = ["dense_2.weight", "dense_3.weight"].into_iter().filter(|tensor| facts.has(tensor)).map(|_| "Dense");
    let kinds = ["Transformer", "Pooling"].into_iter().chain(dense).chain(["Normalize"]);
    let step = |(index, kind): (usize, &str)| {
        let path = if index == 0 { String::new() } else { format!("{index}_{kind}") };
        json!({"idx": index, "name": index.to_string(), "path": path, "type": format!("sentence_transformers.models.{kind}")})
    };
    kinds.enumerate().map(step).collect()
}

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

fn shard_file(prefix: &str, number: usize, count: usize) -> String {
    format!("{prefix}-{number:05}-of-{count:05}.gguf")
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
    let first = |name: &&String| shard_name(name).is_none() || name.contains("-00001-of-");
    let mut models: Vec<&String> = names.iter().filter(|name| name.ends_with(".gguf")).filter(first).collect();
    models.sort();
    models
}

#[cfg(test)]
mod tests;
