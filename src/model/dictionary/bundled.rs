//! Dictionaries of the bundled models, so that there is something to look at without a download.

use super::{DictionaryError, Found, formats};

/// A dictionary, and the files that it is made of: settings and tensors of each block.
struct Bundled {
    name: &'static str,
    parts: &'static [(&'static str, &'static [u8])],
}

macro_rules! part {
    ($name:literal) => {
        (
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/dictionaries/", $name, "/cfg.json")),
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/models/dictionaries/",
                $name,
                "/sae_weights.safetensors"
            )),
        )
    };
}

const BUNDLED: &[Bundled] = &[
    Bundled { name: "tiny-gpt2-sae", parts: &[part!("tiny-gpt2-sae")] },
    Bundled {
        name: "tiny-gpt2-transcoders",
        parts: &[
            part!("tiny-gpt2-transcoders/L0"),
            part!("tiny-gpt2-transcoders/L1"),
            part!("tiny-gpt2-transcoders/L2"),
            part!("tiny-gpt2-transcoders/L3"),
        ],
    },
];

/// The dictionaries of that name, one for each site; `None` if none is bundled under it.
pub fn bundled(name: &str) -> Option<Result<Vec<Found>, DictionaryError>> {
    let found = BUNDLED.iter().find(|bundled| bundled.name == name)?;
    Some(found.parts.iter().map(|(config, tensors)| formats::of_memory(name, config, tensors)).collect())
}
