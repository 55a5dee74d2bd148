//! Checkpoints of every supported family, whole, altered and broken.

mod broken;
mod inputs;
mod loading;
#[cfg(target_os = "linux")]
mod memory;
mod tensors;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{LoadError, Model, ModelSource, load};
use crate::tensor::Device;

fn fixtures() -> Vec<String> {
    let entries = fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().path());
    let named = entries.filter(|path| path.join("config.json").exists());
    named.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

fn open(path: &Path) -> Result<Model, LoadError> {
    load(&ModelSource::Path(path.to_owned()), &Device::cpu())
}

fn model(name: &str) -> Model {
    open(&fixture(name)).unwrap()
}

fn json(path: &Path) -> Json {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A tensor of a file that is being altered.
#[derive(Clone)]
struct Raw {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Raw {
    fn f32(name: &str, shape: &[usize], fill: f32) -> Raw {
        let count: usize = shape.iter().product();
        let data = (0..count).flat_map(|_| fill.to_le_bytes()).collect();
        Raw { name: name.into(), dtype: Dtype::F32, shape: shape.to_vec(), data }
    }
}

fn tensors(path: &Path) -> Vec<Raw> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let raw = |(name, view): (String, TensorView)| Raw {
        name,
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        data: view.data().to_vec(),
    };
    file.tensors().into_iter().map(raw).collect()
}

fn write(path: &Path, tensors: &[Raw]) {
    let views = tensors.iter().map(|t| (&t.name, TensorView::new(t.dtype, t.shape.clone(), &t.data).unwrap()));
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

/// A copy of a fixture that can be altered.
struct Copy(TempDir);

impl Copy {
    fn of(name: &str) -> Copy {
        let copy = Copy(tempfile::tempdir().unwrap());
        for entry in fs::read_dir(fixture(name)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() && !entry.file_name().to_string_lossy().starts_with("reference") {
                fs::copy(entry.path(), copy.file(&entry.file_name().to_string_lossy())).unwrap();
            }
        }
        copy
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(self, change: impl FnOnce(&mut serde_json::Map<String, Json>)) -> Copy {
        let mut config = json(&self.file("config.json"));
        change(config.as_object_mut().unwrap());
        fs::write(self.file("config.json"), config.to_string()).unwrap();
        self
    }

    fn set(self, key: &str, value: Json) -> Copy {
        self.config(|config| {
            config.insert(key.into(), value);
        })
    }

    fn weights(self, change: impl FnOnce(&mut Vec<Raw>)) -> Copy {
        let path = self.file("model.safetensors");
        let mut all = tensors(&path);
        change(&mut all);
        write(&path, &all);
        self
    }

    fn load(&self) -> Result<Model, LoadError> {
        open(self.0.path())
    }

    /// The message of a failed load, with the directory called `DIR`.
    fn error(&self) -> String {
        let message = self.load().expect_err("loading should fail").to_string();
        message.replace(&self.0.path().display().to_string(), "DIR")
    }
}
