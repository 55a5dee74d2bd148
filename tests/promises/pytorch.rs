//! PyTorch checkpoints compute what the same weights in safetensors compute, and no code in them ever runs.
//!
//! `tools/fixtures/pytorch.py` makes `tests/fixtures/pytorch`.

use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::model::{ModelSource, load};
use llmdbg::tensor::Device;
use tempfile::TempDir;

use crate::containers::{difference, open, run};
use crate::parity::fixture;

fn pytorch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch").join(name)
}

/// A fixture without its weights, and these files instead.
fn with_weights(model: &str, weights: &[(&str, &Path)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(model)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains("safetensors") && !name.starts_with("reference.") {
            fs::copy(&path, folder.path().join(name)).unwrap();
        }
    }
    for (name, from) in weights {
        fs::copy(from, folder.path().join(name)).unwrap();
    }
    folder
}

fn error(path: &Path) -> String {
    let found = load(&ModelSource::Path(path.to_owned()), &Device::cpu());
    let folder = if path.is_dir() { path } else { path.parent().unwrap() };
    found.expect_err("an error").to_string().replace(&folder.display().to_string(), "DIR")
}

/// Every site of the two is the same, bit for bit: the weights are.
fn same_sites(ours: &Path, model: &str) {
    let (mut a, mut b) = (run(open(ours)), run(open(&fixture(model))));
    let sites = a.run.program.sites().len();
    assert_eq!(difference(&mut a, &mut b), (0.0, "none".into(), sites), "{}", ours.display());
}

#[test]
fn every_container_that_torch_save_has_had_gives_the_same_sites() {
    for name in ["gpt2.bin", "gpt2-legacy.bin"] {
        let folder = with_weights("gpt2", &[("pytorch_model.bin", &pytorch(name))]);
        same_sites(folder.path(), "gpt2");
        same_sites(&folder.path().join("pytorch_model.bin"), "gpt2");
    }
}

#[test]
fn what_a_training_loop_saved_beside_the_weights_is_left_out() {
    let folder = with_weights("gpt2", &[("step-100.pt", &pytorch("gpt2-training.pt"))]);
    same_sites(&folder.path().join("step-100.pt"), "gpt2");
}

const SHARDS: [&str; 3] =
    ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"];

fn sharded() -> TempDir {
    let from = SHARDS.map(|name| pytorch("llama-legacy").join(name));
    let files: Vec<(&str, &Path)> = SHARDS.iter().zip(&from).map(|(name, from)| (*name, from.as_path())).collect();
    with_weights("llama-legacy", &files)
}

#[test]
fn shards_are_joined_by_their_index() {
    let folder = sharded();
    // Of another format than the index speaks of, and so no part of the model.
    fs::write(folder.path().join("pytorch_model.bin"), "stray").unwrap();
    same_sites(folder.path(), "llama-legacy");
}

#[test]
fn a_shard_that_is_missing_or_another_is_named() {
    let folder = sharded();
    fs::copy(folder.path().join(SHARDS[0]), folder.path().join(SHARDS[1])).unwrap();
    assert_eq!(
        error(folder.path()),
        "DIR/pytorch_model.bin.index.json puts tensor \"model.layers.1.input_layernorm.weight\" into \
         \"pytorch_model-00002-of-00002.bin\", which does not have it; get the index and the shard again"
    );
    fs::remove_file(folder.path().join(SHARDS[1])).unwrap();
    assert_eq!(
        error(folder.path()),
        "DIR/pytorch_model.bin.index.json names the shard \"pytorch_model-00002-of-00002.bin\", which is not there; get it \
         again, all 2 shards are needed"
    );
}

#[test]
fn a_pickle_that_would_run_a_command_is_refused_and_runs_nothing() {
    let folder = with_weights("gpt2", &[("pytorch_model.bin", &pytorch("command.bin"))]);
    assert_eq!(
        error(folder.path()),
        "DIR/pytorch_model.bin is not a usable PyTorch checkpoint: it holds no tensors; get it again, or the safetensors of the \
         model"
    );
    for place in [Path::new("."), folder.path()] {
        assert!(!place.join("PICKLE_CODE_HAS_RUN").exists());
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let folder = with_weights("gpt2", &[]);
    let path = folder.path().join("pytorch_model.bin");
    for name in ["gpt2.bin", "gpt2-legacy.bin"] {
        let whole = fs::read(pytorch(name)).unwrap();
        for cut in (0..whole.len()).step_by(4999).chain([1, 2, 4, 100, whole.len() - 1]) {
            fs::write(&path, &whole[..cut]).unwrap();
            let message = error(&path);
            assert!(message.starts_with("DIR/pytorch_model.bin"), "{name} cut at {cut}: {message}");
        }
    }
}
