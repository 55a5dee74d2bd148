// What is done with the bytes of each fuzz target. The fuzz targets include this file, and so does the test that replays
// their seeds (`tests/promises/seeds.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::model::checkpoint::CheckpointFiles;
use llmdbg::model::{ModelSource, load};
use llmdbg::tensor::Device;
use tempfile::TempDir;

/// The parsers, by the names of their targets, and the file that the bytes become.
pub const TARGETS: [(&str, &str); 6] = [
    ("safetensors", "model.safetensors"),
    ("index", "model.safetensors.index.json"),
    ("gguf", "model.gguf"),
    ("pytorch", "pytorch_model.bin"),
    ("config", "config.json"),
    ("pieces", "tokenizer.model"),
];

/// One parser, with a folder in which it finds what it is given.
pub struct Target {
    name: &'static str,
    file: PathBuf,
    folder: TempDir,
}

impl Target {
    /// The target of a name. An index and a configuration lie beside the shards of a small model, and a vocabulary beside
    /// that model.
    pub fn new(name: &str) -> Target {
        let &(name, file) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
        let folder = tempfile::tempdir().expect("a temporary folder");
        if matches!(name, "index" | "config" | "pieces") {
            let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
            let config = (name == "pieces").then_some("config.json");
            for file in shards.into_iter().chain(["model.safetensors.index.json"]).chain(config) {
                fs::copy(fixtures().join("models/llama-legacy").join(file), folder.path().join(file))
                    .expect("a fixture");
            }
        }
        Target { name, file: folder.path().join(file), folder }
    }

    /// Gives bytes to the parser. It may refuse them; it must not panic, run on, or take memory without measure.
    pub fn run(&self, data: &[u8]) {
        fs::write(&self.file, data).expect("a temporary file");
        match self.name {
            "config" | "pieces" => {
                let _ = load(&ModelSource::Path(self.folder.path().to_owned()), &Device::cpu());
            }
            "index" => read(self.folder.path()),
            _ => read(&self.file),
        }
    }
}

/// Everything that can be read of a checkpoint: what is made of its metadata, and every number.
fn read(path: &Path) {
    let Ok(files) = CheckpointFiles::at(path) else { return };
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "modules.json"] {
        let _ = files.read(name);
    }
    let Ok(checkpoint) = files.open_checkpoint() else { return };
    for file in &checkpoint.files {
        for entry in &file.entries {
            let _ = file.read_f32(entry);
        }
    }
}

/// The folder of the fixtures: this file is compiled from two places.
pub fn fixtures() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = here.ancestors().map(|folder| folder.join("tests/fixtures"));
    folders.into_iter().find(|folder| folder.exists()).expect("the fixtures")
}
