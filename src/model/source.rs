//! Where a model comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use super::bundled;
use super::checkpoint::{CheckpointFiles, is_weights_name};
use super::error::LoadError;
use super::hub::{self, HubName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A directory, a GGUF file, or another weights file with `config.json` next to it.
    Path(PathBuf),
    /// A hub name, looked up in the local cache; [`hub::fetch`] sees to it that it is there.
    Hub(HubName),
    /// Files that are part of the executable.
    Memory { name: &'static str, files: &'static [(&'static str, &'static [u8])] },
}

impl ModelSource {
    /// What a user means: something on disk if it exists, else a bundled model, else a hub name
    /// (`org/name[@revision][:file]`), unless it ends like a file.
    pub fn parse(text: &str) -> ModelSource {
        let path = Path::new(text);
        if path.exists() {
            return ModelSource::Path(path.to_owned());
        }
        if let Some(bundled) = bundled::find(text) {
            return bundled.source();
        }
        match HubName::parse(text).filter(|name| name.file.is_some() || !is_weights_name(text)) {
            Some(name) => ModelSource::Hub(name),
            None => ModelSource::Path(path.to_owned()),
        }
    }

    /// The files of the checkpoint.
    pub fn files(&self) -> Result<CheckpointFiles, LoadError> {
        match self {
            ModelSource::Path(path) => CheckpointFiles::at(path),
            ModelSource::Hub(name) => {
                CheckpointFiles::at(&hub::cache::find(&hub::Settings::from_environment().cache, name)?)
            }
            ModelSource::Memory { name, files } => Ok(CheckpointFiles::in_memory(name, files)),
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelSource::Path(path) => write!(f, "{}", path.display()),
            ModelSource::Hub(name) => name.fmt(f),
            ModelSource::Memory { name, .. } => f.write_str(name),
        }
    }
}
