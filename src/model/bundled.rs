//! Models that are part of the executable, so that there is something to debug without a download.

use super::ModelSource;

#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    pub name: &'static str,
    pub description: &'static str,
    /// What it reads if nothing is given.
    pub example_prompt: &'static str,
    pub files: &'static [(&'static str, &'static [u8])],
}

/// The model that is opened if none is named.
pub const DEFAULT: &str = "tiny-gpt2";

/// The files of the model in a folder of `models/`.
macro_rules! files {
    ($folder:literal has [$($file:literal),+]) => {
        &[$(($file, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $folder, "/", $file)))),+]
    };
}

pub static BUNDLED: &[Bundled] = &[
    Bundled {
        name: "tiny-gpt2",
        description: "a GPT-2 of 0.9 million parameters that knows who was given a drink",
        example_prompt: "When Mary and John went to the store, John gave a drink to",
        files: files!("tiny-gpt2" has
            ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]),
    },
    Bundled {
        name: "tiny-bert",
        description: "a BERT of 0.4 million parameters that judges film reviews",
        example_prompt: "I hate this movie. We ate popcorn.",
        files: files!("tiny-bert" has ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]),
    },
];

pub fn find(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| bundled.name == name)
}

impl Bundled {
    pub fn source(&self) -> ModelSource {
        ModelSource::Memory { name: self.name, files: self.files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Input, load};
    use crate::tensor::Device;

    #[test]
    fn bundled_models_load_and_read_their_example() {
        for (bundled, parameters) in BUNDLED.iter().zip([911_104, 370_274]) {
            let model = load(&bundled.source(), &Device::cpu()).unwrap();
            assert_eq!(model.report.parameters, parameters, "{}", bundled.name);
            let input = Input::from_texts(&model, &[bundled.example_prompt], true).unwrap();
            assert!(input.length() > 5);
            assert_eq!(ModelSource::parse(bundled.name), bundled.source());
        }
        assert!(find(DEFAULT).is_some() && find("tiny").is_none());
    }
}
