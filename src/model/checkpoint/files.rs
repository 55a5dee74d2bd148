//! Where the files of a checkpoint are: a directory, one weights file with its configuration next to it, a GGUF file
//! that holds everything, or the executable itself.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use super::gguf::{self, GgufModel};
use super::packed::Groups;
use super::{Checkpoint, FileBytes, TensorFile, pytorch, safetensors, sharded};
use crate::model::error::LoadError;
use crate::model::file;

/// Names of the index and of the only file of weights, in the order in which they are looked for.
pub const WEIGHTS: [(&str, &str); 2] =
    [("model.safetensors.index.json", "model.safetensors"), ("pytorch_model.bin.index.json", "pytorch_model.bin")];

/// Largest `tokenizer.json`, which is read in a process with limits. The largest there are take some 40 MB.
const LARGEST_TOKENIZER: u64 = 256 << 20;

/// The files of one checkpoint, found by their names.
#[derive(Clone, Debug)]
pub struct CheckpointFiles {
    path: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Directory(PathBuf),
    /// One weights file; the others are next to it.
    File(PathBuf),
    /// One file, which the others are made of.
    Gguf(PathBuf, Arc<GgufModel>),
    Memory(&'static [(&'static str, &'static [u8])]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Safetensors,
    Pytorch,
    Gguf,
}

/// The format of a file by the ending of its name.
fn format_of(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "safetensors" => Some(Format::Safetensors),
        "gguf" => Some(Format::Gguf),
        "bin" | "pt" | "pth" | "ckpt" => Some(Format::Pytorch),
        _ => None,
    }
}

/// Whether a name is that of a weights file, and so of no model on the hub.
pub fn is_weights_name(text: &str) -> bool {
    format_of(Path::new(text)).is_some()
}

impl CheckpointFiles {
    /// A directory in the usual layout or with one GGUF file, or one weights file.
    pub fn at(path: &Path) -> Result<Self, LoadError> {
        let shown = path.display().to_string();
        let place = match fs::metadata(path) {
            Ok(found) if found.is_dir() => match gguf_in(path)? {
                Some(file) => return CheckpointFiles::at(&file),
                None => Place::Directory(path.to_owned()),
            },
            Ok(_) => match format_of(path).or_else(|| gguf::looks_like(path).then_some(Format::Gguf)) {
                Some(Format::Gguf) => Place::Gguf(path.to_owned(), Arc::new(GgufModel::open(path)?)),
                Some(_) => Place::File(path.to_owned()),
                None => return Err(LoadError::NotWeights { path: shown }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LoadError::NotFound { path: shown }),
            Err(error) => return Err(LoadError::io(path)(error)),
        };
        Ok(CheckpointFiles { path: shown, place })
    }

    /// Files that are part of the executable, under a name for messages.
    pub fn in_memory(name: &str, files: &'static [(&'static str, &'static [u8])]) -> Self {
        CheckpointFiles { path: name.to_owned(), place: Place::Memory(files) }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where a file of this name would be, for messages.
    pub fn path_of(&self, name: &str) -> String {
        match &self.place {
            Place::Gguf(..) if name == "config.json" => self.path.clone(),
            Place::Gguf(..) => format!("{} (its {name})", self.path),
            _ => self.on_disk(name).map_or_else(|| format!("{}/{name}", self.path), |path| path.display().to_string()),
        }
    }

    /// A small file, if it is there. Of a GGUF file it is made of the metadata.
    pub fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>, LoadError> {
        if let Place::Gguf(path, model) = &self.place {
            return match model.file(name)? {
                Some(bytes) => Ok(Some(Cow::Owned(bytes))),
                // A tokenizer next to the file is better than none.
                None if name == "tokenizer.json" => whole(&path.with_file_name(name)),
                None => Ok(None),
            };
        }
        match self.on_disk(name) {
            Some(path) => whole(&path),
            None => Ok(self.bundled(name).map(Cow::Borrowed)),
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

    /// The GGUF file that everything is made of, if there is one.
    pub fn gguf(&self) -> Option<&GgufModel> {
        match &self.place {
            Place::Gguf(_, model) => Some(model),
            _ => None,
        }
    }

    /// Its weights: the one file, the shards of the index, or the file of the usual name.
    pub fn open_checkpoint(&self) -> Result<Checkpoint, LoadError> {
        let groups = if self.gguf().is_some() { None } else { self.groups()? };
        self.open_stored()?.unpacked(groups)
    }

    /// What the configuration says of MLX's quantisation.
    fn groups(&self) -> Result<Option<Groups>, LoadError> {
        let Some(text) = self.read("config.json")? else { return Ok(None) };
        // What is wrong with a configuration is reported when it is parsed.
        let config: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let section = ["quantization", "quantization_config"].iter().find_map(|key| config.get(*key));
        let number = |key: &str| section?.get(key)?.as_u64();
        let sizes = number("bits").zip(number("group_size"));
        Ok(sizes.and_then(|(bits, size)| {
            let bits = u32::try_from(bits).ok().filter(|bits| [2, 4, 8].contains(bits))?;
            Some(Groups { bits, size: usize::try_from(size).ok().filter(|size| *size > 0)? })
        }))
    }

    /// The tensors as they are in the files.
    fn open_stored(&self) -> Result<Checkpoint, LoadError> {
        match &self.place {
            Place::Gguf(_, model) => return model.checkpoint(),
            Place::File(path) => return Checkpoint::single(open_tensors(path)?),
            Place::Directory(_) | Place::Memory(_) => {}
        }
        for (index, single) in WEIGHTS {
            if let Some(text) = self.read(index)? {
                return sharded::open(self, index, &text);
            }
            if let Some(file) = self.open_weights(single)? {
                return Checkpoint::single(file);
            }
        }
        Err(LoadError::NoWeights { path: self.path.clone(), hint: self.weights_hint() })
    }

    /// A weights file by its name, if it is there.
    pub fn open_weights(&self, name: &str) -> Result<Option<TensorFile>, LoadError> {
        match self.on_disk(name) {
            Some(path) if path.exists() => open_tensors(&path).map(Some),
            Some(_) => Ok(None),
            None => {
                let parse = |bytes| safetensors::parse(self.path_of(name), FileBytes::Static(bytes));
                self.bundled(name).map(parse).transpose()
            }
        }
    }

    fn on_disk(&self, name: &str) -> Option<PathBuf> {
        match &self.place {
            Place::Directory(path) => Some(path.join(name)),
            Place::File(path) => Some(path.with_file_name(name)),
            Place::Gguf(..) | Place::Memory(_) => None,
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

    /// What is there instead of weights of the usual names, and what to do about it.
    fn weights_hint(&self) -> String {
        let Place::Directory(path) = &self.place else { return String::new() };
        match names_in(path).iter().filter(|name| is_weights_name(name)).min() {
            Some(other) => format!("; it has {other}: name that file to load it alone"),
            None => "; get the weights too".into(),
        }
    }
}

/// Opens a file of tensors, safetensors or of PyTorch, by what is in it.
pub fn open_tensors(path: &Path) -> Result<TensorFile, LoadError> {
    match format_of(path) {
        Some(Format::Pytorch) => pytorch::open(path),
        _ => safetensors::open(path),
    }
}

/// Safetensors that are part of the executable, under a name for messages.
pub fn tensors_in_memory(name: &str, bytes: &'static [u8]) -> Result<TensorFile, LoadError> {
    safetensors::parse(name.to_owned(), FileBytes::Static(bytes))
}

/// The contents of a file, if it is there.
fn whole(path: &Path) -> Result<Option<Cow<'static, [u8]>>, LoadError> {
    let most = if path.ends_with("tokenizer.json") { LARGEST_TOKENIZER } else { file::LARGEST };
    match file::read_to(path, most) {
        Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(LoadError::TooLarge { path: path.display().to_string(), max: most })
        }
        Err(error) => Err(LoadError::io(path)(error)),
    }
}

pub(super) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// The GGUF file that a directory is meant for: the only model in it, where there are no other weights with their
/// configuration.
fn gguf_in(directory: &Path) -> Result<Option<PathBuf>, LoadError> {
    let names = names_in(directory);
    // Repositories of GGUF files often keep the configuration of the model that they were made from.
    let others = names.iter().any(|name| format_of(Path::new(name)).is_some_and(|format| format != Format::Gguf));
    if others && directory.join("config.json").exists() {
        return Ok(None);
    }
    let mut models = gguf::models_in(&names);
    let whole = |name: &&String| !gguf::is_part(&directory.join(name));
    if models.len() > 1 && models.iter().any(whole) {
        models.retain(whole);
    }
    match models[..] {
        [] => Ok(None),
        [only] => Ok(Some(directory.join(only))),
        ref many => {
            let files = many.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            Err(LoadError::SeveralModels { path: directory.display().to_string(), files })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_the_ending() {
        assert_eq!(format_of(Path::new("a/b.gguf")), Some(Format::Gguf));
        assert_eq!(format_of(Path::new("pytorch_model.bin")), Some(Format::Pytorch));
        assert_eq!(format_of(Path::new("m.safetensors")), Some(Format::Safetensors));
        assert!(is_weights_name("x.pt") && !is_weights_name("org/name") && !is_weights_name("gpt2"));
    }
}
