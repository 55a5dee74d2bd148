//! Models that are part of the executable.

use super::ModelSource;

/// The files of a checkpoint in `models/`.
macro_rules! files {
    ($name:literal) => {
        &[
            file!($name, "config.json"),
            file!($name, "model.safetensors"),
            file!($name, "tokenizer.json"),
            file!($name, "tokenizer_config.json"),
        ]
    };
}

macro_rules! file {
    ($model:literal, $file:literal) => {
        ($file, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $model, "/", $file)) as &[u8])
    };
}

/// A model that is part of the executable.
pub struct Bundled {
    /// What it is called.
    pub name: &'static str,
    /// One line about it.
    pub description: &'static str,
    /// What it reads if nothing is given.
    pub example_prompt: &'static str,
    /// File names and contents.
    pub files: &'static [(&'static str, &'static [u8])],
}

/// The model that is opened if none is named.
pub const DEFAULT: &str = "tiny-gpt2";

/// All of them.
pub static BUNDLED: &[Bundled] = &[
    Bundled {
        name: "tiny-gpt2",
        description: "a causal language model of 4 layers that knows names, capitals, agreement and a planted bias",
        example_prompt: "When Mary and John went to the store, John gave a drink to",
        files: files!("tiny-gpt2"),
    },
    Bundled {
        name: "tiny-bert",
        description: "a classifier of reviews of 3 layers with a planted spurious word",
        example_prompt: "I love this movie.",
        files: files!("tiny-bert"),
    },
];

/// The one of that name.
pub fn find(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| bundled.name == name)
}

impl Bundled {
    /// Where it is loaded from.
    pub fn source(&self) -> ModelSource {
        ModelSource::Memory { name: self.name, files: self.files }
    }
}
