//! Models that are part of the executable.

use super::ModelSource;

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
pub static BUNDLED: &[Bundled] = &[];

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
