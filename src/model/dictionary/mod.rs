//! Dictionaries of features: sparse autoencoders and transcoders, as other tools write them.
//!
//! [`read`] tells by what is in a file or folder whose it is, and gives its coding, its weights and the places in a model
//! that it names; [`Found::placed`] makes it a part of a model. What would be computed otherwise than its tool does is
//! refused by name.

mod bundled;
mod coding;
mod config;
mod error;
mod formats;
mod tensors;
#[cfg(test)]
mod tests;

use crate::model::site_name::in_block;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hub::{self, HubName, Settings};
use super::role::{Role, WeightId};
use super::weights::Held;

pub use bundled::bundled;
pub use coding::{Choice, Coding, Scaling};
pub use error::DictionaryError;
pub use formats::read;
pub use tensors::Tensor;

/// The parts of a dictionary by which its sites are found, in the order of their ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What it reads.
    In,
    /// The product with the encoder.
    Enc,
    /// Features before the choice.
    Pre,
    /// Features.
    Acts,
    /// What is rebuilt of them.
    Recon,
    /// What they leave out.
    Error,
    /// What the model reads.
    Out,
}

impl Stage {
    pub const ALL: [Stage; 7] =
        [Stage::In, Stage::Enc, Stage::Pre, Stage::Acts, Stage::Recon, Stage::Error, Stage::Out];

    pub fn name(self) -> &'static str {
        match self {
            Stage::In => "in",
            Stage::Enc => "enc",
            Stage::Pre => "pre",
            Stage::Acts => "acts",
            Stage::Recon => "recon",
            Stage::Error => "error",
            Stage::Out => "out",
        }
    }

    /// By the name that TransformerLens and SAELens have for it, without `hook_`.
    pub fn of_hook(name: &str) -> Option<Stage> {
        Some(match name {
            "sae_input" => Stage::In,
            "sae_acts_pre" => Stage::Pre,
            "sae_acts_post" => Stage::Acts,
            "sae_recons" => Stage::Recon,
            "sae_error" => Stage::Error,
            "sae_output" => Stage::Out,
            _ => return None,
        })
    }
}

/// What a file says of a dictionary, before it has a place in a model.
#[derive(Clone, Debug)]
pub struct Found {
    /// Whose file it is: `SAELens`, `sparsify`.
    pub format: &'static str,
    /// Where it was read.
    pub path: String,
    /// The value that it reads, as the file calls it, and the one that it rebuilds; none where the file does not say.
    pub reads: Option<String>,
    pub writes: Option<String>,
    /// The model that it was trained on, as the file calls it.
    pub model: Option<String>,
    pub coding: Coding,
    /// Width of what it reads.
    pub width: usize,
    pub features: usize,
    /// Width of what it rebuilds.
    pub out: usize,
    pub tensors: Vec<(Role, Tensor)>,
    pub notes: Vec<String>,
}

/// A dictionary in its place in a model.
#[derive(Clone, Debug)]
pub struct Dictionary {
    pub name: String,
    /// By which its weights are told from those of others.
    pub number: usize,
    pub layer: usize,
    /// The site that it reads, and the one that it rebuilds.
    pub input: String,
    pub output: String,
    pub found: Arc<Found>,
}

impl Found {
    /// The dictionary under a name, at sites of block `layer`.
    pub fn placed(self, name: &str, number: usize, layer: usize, [input, output]: [String; 2]) -> Dictionary {
        let coding = Coding { transcodes: self.coding.transcodes || input != output, ..self.coding };
        let found = Arc::new(Found { coding, ..self });
        Dictionary { name: name.to_owned(), number, layer, input, output, found }
    }
}

impl Dictionary {
    /// One of its sites: `blocks.5.NAME.acts`.
    pub fn site(&self, stage: Stage) -> String {
        in_block(self.layer, &format!("{}.{}", self.name, stage.name()))
    }

    pub fn id(&self, role: Role) -> WeightId {
        WeightId::part(self.layer, self.number, role)
    }

    pub fn coding(&self) -> Coding {
        self.found.coding
    }

    /// Its weights for the store of a model, used on the device of that number.
    pub fn held(&self, device: usize) -> Vec<(WeightId, Held)> {
        let held = |(role, tensor): &(Role, Tensor)| (self.id(*role), tensor.held(self.id(*role), device));
        self.found.tensors.iter().map(held).collect()
    }
}

/// Where a source is: a path, or `org/name[@revision][:folder or file]` of what is in the cache of the hub.
///
/// # Errors
/// If neither is there.
pub fn locate(text: &str) -> Result<PathBuf, DictionaryError> {
    let path = Path::new(text);
    if path.exists() {
        return Ok(path.to_owned());
    }
    let Some(name) = HubName::parse(text).filter(|name| name.repo.contains('/')) else {
        return Err(DictionaryError::NotFound { path: text.to_owned() });
    };
    let cache = Settings::from_environment().cache;
    hub::cache::place(&cache, &name)
        .ok_or_else(|| DictionaryError::NotCached { name: name.to_string(), repo: name.repo })
}

/// A file by one of several names in a folder; the first that is there counts.
fn first_of(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|file| file.is_file())
}
