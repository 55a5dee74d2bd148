//! Copies of checkpoints with something changed: a setting, a tensor, a tensor of a GGUF file.

use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::model::{Input, LoadError, Model, ModelSource, load};
use llmdbg::tensor::Device;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Map, Value as Json};
use tempfile::TempDir;

use crate::common::Bench;
use crate::parity::fixture;

/// A tensor of a file: 32-bit floats in all fixtures but one.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

impl Tensor {
    pub fn f32(name: &str, shape: &[usize], numbers: &[f32]) -> Tensor {
        let data = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        Tensor { name: name.into(), dtype: Dtype::F32, shape: shape.to_vec(), data }
    }

    pub fn numbers(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32, "{}", self.name);
        self.data.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
    }

    /// Rows as columns.
    pub fn transposed(&self) -> Tensor {
        let (rows, columns, numbers) = (self.shape[0], self.shape[1], self.numbers());
        let turned: Vec<f32> = (0..rows * columns).map(|i| numbers[i % rows * columns + i / rows]).collect();
        Tensor::f32(&self.name, &[columns, rows], &turned)
    }
}

pub fn tensors(path: &Path) -> Vec<Tensor> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, TensorView)| Tensor {
        name,
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        data: view.data().to_vec(),
    };
    file.tensors().into_iter().map(tensor).collect()
}

pub fn write(path: &Path, tensors: &[Tensor]) {
    let views = tensors.iter().map(|t| (&t.name, TensorView::new(t.dtype, t.shape.clone(), &t.data).unwrap()));
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

/// A copy of a fixture.
pub struct Copy(TempDir);

impl Copy {
    pub fn of(name: &str) -> Copy {
        let copy = Copy(tempfile::tempdir().unwrap());
        let mut left = vec![(fixture(name), copy.path().to_owned())];
        while let Some((from, to)) = left.pop() {
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
                let target = to.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    left.push((entry.path(), target));
                } else if !entry.file_name().to_string_lossy().starts_with("reference") {
                    fs::copy(entry.path(), target).unwrap();
                }
            }
        }
        copy
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn config(self, change: impl FnOnce(&mut Map<String, Json>)) -> Copy {
        let path = self.file("config.json");
        let mut config: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(config.as_object_mut().unwrap());
        fs::write(path, config.to_string()).unwrap();
        self
    }

    pub fn set(self, key: &str, value: impl Into<Json>) -> Copy {
        self.config(|config| {
            config.insert(key.into(), value.into());
        })
    }

    pub fn tensors(self, change: impl FnOnce(&mut Vec<Tensor>)) -> Copy {
        let path = self.file("model.safetensors");
        let mut all = tensors(&path);
        change(&mut all);
        write(&path, &all);
        self
    }

    pub fn load(&self) -> Result<Model, LoadError> {
        open(self.path())
    }

    /// The message that it is refused with, the folder called `DIR`.
    pub fn refused(&self) -> String {
        let message = self.load().expect_err("it should be refused").to_string();
        message.replace(&self.path().display().to_string(), "DIR")
    }
}

pub fn open(path: &Path) -> Result<Model, LoadError> {
    load(&ModelSource::Path(path.to_owned()), &Device::cpu())
}

/// What a model makes of eight tokens.
pub fn ran(model: Model) -> Bench {
    let tokens = [5, 17, 33, 60, 101, 7, 250, 12].map(|id| id % model.spec.vocab as u32);
    let input = Input::from_tokens(&model, vec![tokens.to_vec()]).unwrap();
    let mut bench = Bench::of("altered", model, input, 1 << 30);
    bench.run("run");
    bench
}

/// The parts of a GGUF file: key, type and bytes of each entry of the metadata (the key's not included), name and bytes of each
/// entry of the table of tensors, and where the data begins.
pub struct Gguf<'a> {
    pub metadata: Vec<(String, u32, &'a [u8])>,
    pub tensors: Vec<(String, &'a [u8])>,
    bytes: &'a [u8],
    data: usize,
}

impl<'a> Gguf<'a> {
    pub fn parse(bytes: &'a [u8]) -> Gguf<'a> {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let kind = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let string = |at: usize| at + 8 + number(at);
        let text = |at: usize| std::str::from_utf8(&bytes[at + 8..string(at)]).unwrap().to_owned();
        let scalar = |kind: u32, at: usize| match kind {
            0 | 1 | 7 => at + 1,
            2 | 3 => at + 2,
            4..=6 => at + 4,
            8 => string(at),
            _ => at + 8,
        };
        let mut at = 24;
        let (mut metadata, mut tensors) = (Vec::new(), Vec::new());
        for _ in 0..number(16) {
            let value = string(at);
            let end = match kind(value) {
                9 => (0..number(value + 8)).fold(value + 16, |next, _| scalar(kind(value + 4), next)),
                one => scalar(one, value + 4),
            };
            metadata.push((text(at), kind(value), &bytes[value..end]));
            at = end;
        }
        for _ in 0..number(8) {
            let axes = string(at);
            let end = axes + 4 + 8 * kind(axes) as usize + 12;
            tensors.push((text(at), &bytes[axes..end]));
            at = end;
        }
        Gguf { metadata, tensors, bytes, data: at.next_multiple_of(32) }
    }

    /// The byte where the data begins.
    pub fn data_start(&self) -> usize {
        self.data
    }

    /// The file with other entries, which need not be as many; the data stays as it is.
    pub fn with(&self, metadata: &[(String, u32, &[u8])], tensors: &[(String, &[u8])]) -> Vec<u8> {
        let named = |name: &str| [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat();
        let mut changed = self.bytes[..8].to_vec();
        changed.extend((tensors.len() as u64).to_le_bytes());
        changed.extend((metadata.len() as u64).to_le_bytes());
        metadata.iter().for_each(|(key, _, value)| changed.extend([&named(key), *value].concat()));
        tensors.iter().for_each(|(name, place)| changed.extend([&named(name), *place].concat()));
        changed.resize(changed.len().next_multiple_of(32), 0);
        changed.extend_from_slice(&self.bytes[self.data..]);
        changed
    }

    /// The file without the tensors of some names.
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Vec<u8> {
        let kept: Vec<_> = self.tensors.iter().filter(|(name, _)| !drop(name)).cloned().collect();
        self.with(&self.metadata, &kept)
    }
}
