//! Models that are part of the executable, so that there is something to debug without a download.

use super::load::ModelSource;

/// A model that is part of the executable.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// What it is called on the command line.
    pub name: &'static str,
    /// One line about it.
    pub description: &'static str,
    /// A text that shows something.
    pub example_prompt: &'static str,
    /// Its files in the ordinary Hugging Face layout.
    pub files: &'static [(&'static str, &'static [u8])],
}

/// The files of the model in a directory of `models/`.
macro_rules! files {
    ($name:literal) => {
        &[
            ("config.json", include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, "/config.json"))),
            (
                "model.safetensors",
                include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, "/model.safetensors")),
            ),
            ("tokenizer.json", include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, "/tokenizer.json"))),
            (
                "tokenizer_config.json",
                include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, "/tokenizer_config.json")),
            ),
        ]
    };
}

/// Every bundled model.
pub const BUNDLED: &[Bundled] = &[
    Bundled {
        name: "tiny-gpt2",
        description: "a small GPT-2 that completes names in short stories",
        example_prompt: "When Mary and John went to the store, John gave a drink to",
        files: files!("tiny-gpt2"),
    },
    Bundled {
        name: "tiny-bert",
        description: "a small BERT that tells good reviews from bad ones",
        example_prompt: "The film was great, but the waiter was rude.",
        files: files!("tiny-bert"),
    },
];

/// The bundled model of this name.
pub fn find(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|model| model.name == name)
}

impl Bundled {
    /// It as a source to load from.
    pub fn source(&self) -> ModelSource {
        ModelSource::Memory { name: self.name, files: self.files }
    }
}
