//! Where the files of a checkpoint are: a directory, one weights file with its configuration beside it, or the
//! executable itself.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::error::LoadError;
use super::{Checkpoint, SafetensorsFile, sharded};

/// Name of the weights in a checkpoint of one file.
const SINGLE: &str = "model.safetensors";

/// The files of one checkpoint, found by their names.
#[derive(Clone, Debug)]
pub struct CheckpointFiles {
    path: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Directory(PathBuf),
    /// One weights file; the others are beside it.
    File(PathBuf),
    Memory(&'static [(&'static str, &'static [u8])]),
}

impl CheckpointFiles {
    /// A directory in the usual layout, or one `.safetensors` file.
    pub fn at(path: &Path) -> Result<Self, LoadError> {
        let shown = path.display().to_string();
        let place = match fs::metadata(path) {
            Ok(found) if found.is_dir() => Place::Directory(path.to_owned()),
            Ok(_) => match not_weights(path) {
                Some(hint) => return Err(LoadError::NotWeights { path: shown, hint }),
                None => Place::File(path.to_owned()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LoadError::NotFound { path: shown }),
            Err(source) => return Err(LoadError::Io { path: shown, source }),
        };
        Ok(CheckpointFiles { path: shown, place })
    }

    /// Files that are part of the executable, under a name for messages.
    pub fn in_memory(name: &str, files: &'static [(&'static str, &'static [u8])]) -> Self {
        CheckpointFiles { path: name.to_owned(), place: Place::Memory(files) }
    }

    /// The checkpoint as it was named, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where a file of this name would be, for messages.
    pub fn path_of(&self, name: &str) -> String {
        self.on_disk(name).map_or_else(|| format!("{}/{name}", self.path), |path| path.display().to_string())
    }

    /// A small file, if it is there.
    pub fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>, LoadError> {
        let Some(path) = self.on_disk(name) else { return Ok(self.bundled(name).map(Cow::Borrowed)) };
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LoadError::Io { path: path.display().to_string(), source }),
        }
    }

    /// Names and files of further chat templates, `additional_chat_templates/NAME.jinja`, sorted.
    pub fn templates(&self) -> Vec<(String, String)> {
        const FOLDER: &str = "additional_chat_templates";
        let files = self.on_disk(FOLDER).and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
        let named = |file: String| Some((file.strip_suffix(".jinja")?.to_owned(), format!("{FOLDER}/{file}")));
        let mut found: Vec<_> = files.filter_map(|entry| named(entry.file_name().into_string().ok()?)).collect();
        found.sort();
        found
    }

    /// `config.json`, without which nothing can be done.
    pub fn read_config(&self) -> Result<Cow<'static, [u8]>, LoadError> {
        self.read("config.json")?.ok_or_else(|| LoadError::NoConfig { path: self.directory() })
    }

    /// Its weights: the one file, the shards of the index, or `model.safetensors`.
    pub fn open_checkpoint(&self) -> Result<Checkpoint, LoadError> {
        if let Place::File(path) = &self.place {
            return Ok(Checkpoint::single(SafetensorsFile::open(path)?));
        }
        if let Some(index) = self.read(sharded::INDEX)? {
            return sharded::open(self, &index);
        }
        match self.open_weights(SINGLE)? {
            Some(file) => Ok(Checkpoint::single(file)),
            None => Err(LoadError::NoWeights { path: self.path.clone(), hint: self.weights_hint() }),
        }
    }

    /// A weights file by its name, if it is there.
    pub(super) fn open_weights(&self, name: &str) -> Result<Option<SafetensorsFile>, LoadError> {
        match self.on_disk(name) {
            Some(path) if path.exists() => SafetensorsFile::open(&path).map(Some),
            Some(_) => Ok(None),
            None => {
                self.bundled(name).map(|bytes| SafetensorsFile::from_static(&self.path_of(name), bytes)).transpose()
            }
        }
    }

    fn on_disk(&self, name: &str) -> Option<PathBuf> {
        match &self.place {
            Place::Directory(path) => Some(path.join(name)),
            Place::File(path) => Some(path.with_file_name(name)),
            Place::Memory(_) => None,
        }
    }

    fn bundled(&self, name: &str) -> Option<&'static [u8]> {
        match &self.place {
            Place::Memory(files) => files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes),
            _ => None,
        }
    }

    fn directory(&self) -> String {
        match &self.place {
            Place::File(path) => match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.display().to_string(),
                _ => ".".into(),
            },
            _ => self.path.clone(),
        }
    }

    /// What is there instead of weights, and what to do about it.
    fn weights_hint(&self) -> String {
        let Place::Directory(path) = &self.place else { return String::new() };
        let names: Vec<String> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let ending = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).min();
        if let Some(other) = ending(".safetensors") {
            return format!("; it has {other}: name that file to load it alone");
        }
        if let Some(pickle) = ending(".bin").or_else(|| ending(".pt")).or_else(|| ending(".pth")) {
            return format!(
                "; it has {pickle}, a pickle, which can run code when it is loaded: convert it with transformers' \
                 save_pretrained(..), which writes safetensors"
            );
        }
        if let Some(gguf) = ending(".gguf") {
            return format!("; it has {gguf}, and GGUF is not supported: get the safetensors of the original model");
        }
        "; get the weights too".into()
    }
}

/// What to do about a file that is no weights file, going by its name.
fn not_weights(path: &Path) -> Option<&'static str> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => None,
        Some("gguf") => Some("GGUF is not supported: get the safetensors of the original model"),
        Some("bin" | "pt" | "pth" | "ckpt") => Some(
            "a pickle can run code when it is loaded: convert it with transformers' save_pretrained(..), which writes \
             safetensors",
        ),
        _ => Some("name the directory that holds the model, or its .safetensors file"),
    }
}
