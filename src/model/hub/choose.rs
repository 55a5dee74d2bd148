//! Which files of a repository make a model: its configuration, its tokenizer, and one set of weights out of the
//! several that many repositories hold.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::error::HubError;
use crate::model::checkpoint::{WEIGHTS, gguf_shard_name};

/// Configuration and tokenizer, in the order in which they are wanted. The first decides whether the rest is needed.
const COMPANIONS: [&str; 10] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    MODULES,
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
];

/// Files that a tokenizer can be built from where there is no `tokenizer.json`, or that say why it cannot.
const VOCABULARIES: [&str; 7] = [
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
];

/// The steps of a sentence-transformers model.
pub const MODULES: &str = "modules.json";

const TEMPLATES: &str = "additional_chat_templates/";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weights {
    /// The shards that an index names.
    Index(String),
    /// One file, or the parts of one; the first is what is opened.
    Files(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclear {
    NotThere,
    Nothing,
    Several(Vec<String>),
}

/// Chooses the weights: the file that was named, else safetensors, else `.bin`, else the only GGUF.
pub fn weights(files: &BTreeSet<String>, named: Option<&str>) -> Result<Weights, Unclear> {
    if let Some(name) = named {
        return if files.contains(name) { Ok(Weights::Files(parts(files, name))) } else { Err(Unclear::NotThere) };
    }
    for (index, single) in WEIGHTS {
        if files.contains(index) {
            return Ok(Weights::Index(index.to_owned()));
        }
        if files.contains(single) {
            return Ok(Weights::Files(vec![single.to_owned()]));
        }
    }
    let ending = |suffix: &str| -> Vec<String> {
        // Parts of one file count as one: the first.
        files.iter().filter(|name| name.ends_with(suffix) && parts(files, name)[0] == **name).cloned().collect()
    };
    let mut models = ending(".gguf");
    if models.iter().any(|name| !is_part(name)) {
        models.retain(|name| !is_part(name));
    }
    if let [only] = &models[..] {
        return Ok(Weights::Files(parts(files, only)));
    }
    // One tensor file by another name is loaded too, but only if it is named: it may be anything.
    let several = if models.is_empty() { ending(".safetensors") } else { models };
    Err(if several.is_empty() { Unclear::Nothing } else { Unclear::Several(several) })
}

/// Whether a GGUF file goes with a model and is not one, by the names that such files have.
fn is_part(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    ["mmproj", "imatrix"].iter().any(|part| name.contains(part))
}

/// A GGUF file with all its parts (`NAME-00001-of-00003.gguf`), the first part first; any other file alone.
fn parts(files: &BTreeSet<String>, name: &str) -> Vec<String> {
    let Some((prefix, count)) = gguf_shard_name(name) else { return vec![name.to_owned()] };
    let (start, end) = (format!("{prefix}-"), format!("-of-{count:05}.gguf"));
    let part = |other: &&String| other.starts_with(&start) && other.ends_with(&end) && other.len() == name.len();
    files.iter().filter(part).cloned().collect()
}

/// What else is wanted of what is there. `folder` is that of the weights, with its slash.
pub fn companions(files: &BTreeSet<String>, folder: &str) -> Vec<String> {
    let here = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("{folder}{name}")).filter(|name| files.contains(name)).collect()
    };
    let mut wanted = here(&COMPANIONS);
    if !files.contains(&format!("{folder}tokenizer.json")) {
        wanted.extend(here(&VOCABULARIES));
    }
    let templates = format!("{folder}{TEMPLATES}");
    wanted.extend(files.iter().filter(|name| name.starts_with(&templates) && name.ends_with(".jinja")).cloned());
    wanted
}

/// Whether text can be tokenised, or there is an explanation why not.
pub fn has_tokenizer(files: &BTreeSet<String>) -> bool {
    files.contains("tokenizer.json") || VOCABULARIES.iter().any(|name| files.contains(*name))
}

/// The folder of a file inside a repository, with its slash; empty at the top.
pub fn folder(file: &str) -> &str {
    &file[..file.rfind('/').map_or(0, |slash| slash + 1)]
}

/// The shards that the text of the index at `path` names.
pub fn shards(path: &Path, index: &[u8]) -> Result<BTreeSet<String>, HubError> {
    let bad = |message: &str| HubError::BadIndex { path: path.display().to_string(), message: message.to_owned() };
    let json: Value = serde_json::from_slice(index).map_err(|error| bad(&error.to_string()))?;
    let map = json["weight_map"].as_object().ok_or_else(|| bad("it has no \"weight_map\""))?;
    let name = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| bad("a shard's name is not a string"));
    map.values().map(name).collect()
}

/// The configurations of the steps that the text of `modules.json` names, and the weights of those that have some, out of
/// the files that are there.
pub fn module_files(modules: &[u8], files: &BTreeSet<String>) -> Vec<String> {
    let json: Value = serde_json::from_slice(modules).unwrap_or_default();
    let mut found = Vec::new();
    for module in json.as_array().into_iter().flatten() {
        let Some(path) = module["path"].as_str().filter(|path| !path.is_empty()) else { continue };
        let there = |name: &&str| files.contains(&format!("{path}/{name}"));
        let dense = module["type"].as_str().is_some_and(|class| class.ends_with(".Dense"));
        let weights = ["model.safetensors", "pytorch_model.bin"].into_iter().find(there).filter(|_| dense);
        found.extend(["config.json"].into_iter().filter(there).chain(weights).map(|name| format!("{path}/{name}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn single(name: &str) -> Result<Weights, Unclear> {
        Ok(Weights::Files(vec![name.to_owned()]))
    }

    #[test]
    fn safetensors_come_before_bin_and_bin_before_gguf() {
        let all = ["pytorch_model.bin", "model.safetensors", "a.gguf", "consolidated.safetensors", "tf_model.h5"];
        assert_eq!(weights(&set(&all), None), single("model.safetensors"));
        assert_eq!(weights(&set(&["pytorch_model.bin", "a.gguf"]), None), single("pytorch_model.bin"));
        let index = "model.safetensors.index.json".to_owned();
        assert_eq!(weights(&set(&[&index, "model-00001-of-00002.safetensors"]), None), Ok(Weights::Index(index)));
        assert_eq!(weights(&set(&["README.md", "a.gguf"]), None), single("a.gguf"));
        assert_eq!(weights(&set(&["README.md"]), None), Err(Unclear::Nothing));
        assert_eq!(weights(&set(&["a.gguf", "mmproj-F16.gguf", "x/imatrix_a.gguf"]), None), single("a.gguf"));
        assert_eq!(weights(&set(&["mmproj-F16.gguf"]), None), single("mmproj-F16.gguf"));
        assert_eq!(
            weights(&set(&["b.gguf", "a.gguf"]), None),
            Err(Unclear::Several(vec!["a.gguf".into(), "b.gguf".into()]))
        );
        assert_eq!(weights(&set(&["lora.safetensors"]), None), Err(Unclear::Several(vec!["lora.safetensors".into()])));
    }

    #[test]
    fn a_named_file_is_meant_with_all_its_parts() {
        let files = ["x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "y.gguf", "model.safetensors"];
        let both = Ok(Weights::Files(vec![files[0].into(), files[1].into()]));
        assert_eq!(weights(&set(&files), Some("y.gguf")), single("y.gguf"));
        assert_eq!(weights(&set(&files), Some(files[0])), both);
        assert_eq!(weights(&set(&files[..2]), None), both);
        assert_eq!(weights(&set(&files), Some("z.gguf")), Err(Unclear::NotThere));
    }

    #[test]
    fn vocabularies_are_wanted_only_without_a_tokenizer() {
        let names = ["vocab.json", "merges.txt", "config.json", "model.safetensors", "README.md"];
        assert_eq!(companions(&set(&names), ""), ["config.json", "vocab.json", "merges.txt"]);
        let with = set(&[&names[..], &["tokenizer.json", "additional_chat_templates/rag.jinja"]].concat());
        assert_eq!(companions(&with, ""), ["config.json", "tokenizer.json", "additional_chat_templates/rag.jinja"]);
        assert_eq!(
            companions(&set(&["fp16/config.json", "config.json"]), folder("fp16/m.safetensors")),
            ["fp16/config.json"]
        );
        assert!(has_tokenizer(&with) && !has_tokenizer(&set(&["config.json"])));
    }

    #[test]
    fn indices_and_modules_name_files() {
        let index = br#"{"weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}}"#;
        let shards = |index: &[u8]| shards(Path::new("index"), index);
        assert_eq!(shards(index).unwrap(), set(&["m-1.safetensors", "m-2.safetensors"]));
        assert!(shards(b"{}").is_err() && shards(b"{").is_err() && shards(br#"{"weight_map": {"a": 1}}"#).is_err());
        let modules =
            br#"[{"path": ""}, {"path": "1_Pooling", "type": "a.Pooling"}, {"path": "2_Dense", "type": "a.Dense"}]"#;
        let files = ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"];
        let there = set(&[&files[..], &["2_Dense/pytorch_model.bin", "1_Pooling/model.safetensors"]].concat());
        assert_eq!(module_files(modules, &there), files);
        assert!(module_files(modules, &set(&[])).is_empty() && module_files(b"nonsense", &there).is_empty());
    }
}
