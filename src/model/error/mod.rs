//! What can go wrong between a name on the command line and a model in memory.
//!
//! Every message names the file, what was found in it and what to do next.

mod input;
mod no_tokenizer;

use std::io;
use std::path::Path;

use super::checkpoint::LOADABLE;
use super::hub::HubError;
use super::text::listed;

pub use input::InputError;
pub use no_tokenizer::NoTokenizer;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    // The device
    #[error(transparent)]
    Device(#[from] crate::tensor::TensorError),
    #[error("--split {split} does not add up to the {blocks} blocks of the model")]
    Split { split: String, blocks: usize },
    #[error(
        "{devices} devices are more than the {blocks} blocks of the model: name fewer, or say with --split who has none"
    )]
    TooManyDevices { devices: usize, blocks: usize },
    // Finding the checkpoint
    #[error(
        "no model at {path:?}: no such file or directory; give a directory with config.json and model.safetensors, a \
         .safetensors, .gguf or .bin file, or the name of a model in the Hugging Face cache"
    )]
    NotFound { path: String },
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error("there is no file or folder {name} here{meant}; as the name of a model on the hub: {source}")]
    /// `meant` is what may be meant, with a space before it; empty if nothing is alike.
    NotHere { name: String, meant: String, source: Box<HubError> },
    #[error("cannot read {path}: {source}{}", super::file::advice(source))]
    Io { path: String, source: io::Error },

    // config.json
    #[error("no config.json in {path}; it names the architecture: copy it from where the weights come from")]
    NoConfig { path: String },
    #[error("{path} is not valid JSON: line {line}, column {column}: {message}; get the file again")]
    Json { path: String, line: usize, column: usize, message: String },
    #[error("{path} holds {found}, not an object; get the file again")]
    NotAnObject { path: String, found: &'static str },
    #[error("{path} has no {key:?}{}; add it from the model's original configuration", also(.aliases))]
    MissingKey { path: String, key: String, aliases: Vec<String> },
    #[error("{path}: {key:?} is {found}, expected {expected}")]
    WrongType { path: String, key: String, found: String, expected: &'static str },
    #[error("{path}: {message}")]
    BadConfig { path: String, message: String },

    // Architectures
    #[error("{path}: model_type {model_type:?} is not supported: {why}; \"llmdbg models\" lists what is")]
    UnknownModelType { path: String, model_type: String, why: &'static str },
    #[error("{path}: architecture {architecture:?} is not supported; supported for {model_type}: {supported}")]
    UnsupportedHead { path: String, architecture: String, model_type: String, supported: String },
    #[error("{path}: {key} = {value} is not supported: {why}")]
    UnsupportedSetting { path: String, key: String, value: String, why: String },

    // Weight files
    #[error("no model.safetensors, pytorch_model.bin or index of one of them in {path}{hint}")]
    /// `hint` is what is there instead, and what to do about it.
    NoWeights { path: String, hint: String },
    #[error(
        "{path} is not a weights file: name the directory that holds the model, or its .safetensors, .gguf, .bin, .pt \
         or .pth file"
    )]
    NotWeights { path: String },
    #[error("{path} has several models: name one of {files}")]
    SeveralModels { path: String, files: String },
    #[error("{path} is larger than {max} bytes, more than any such file has; get it again")]
    TooLarge { path: String, max: u64 },
    #[error("{path} is truncated: {size} bytes, a safetensors file starts with 8 bytes of header length; get it again")]
    TooShort { path: String, size: u64 },
    #[error(
        "{path} is truncated or not a safetensors file: its header should be {header} bytes long, the file has {size} \
         bytes; get it again"
    )]
    /// `header` is the length that the first 8 bytes give.
    HeaderBeyondFile { path: String, header: u64, size: u64 },
    #[error("{path}: the safetensors header cannot be read: {message}; get the file again")]
    BadHeader { path: String, message: String },
    #[error(
        "{path} is truncated: tensor {tensor:?} takes bytes {begin}..{end} of the data, the file has {available}; get \
         it again"
    )]
    TensorBeyondFile { path: String, tensor: String, begin: u64, end: u64, available: u64 },
    #[error("{path} is not a usable GGUF file: {message}; get it again, or convert it again")]
    BadGguf { path: String, message: String },
    #[error(
        "{path} has the architecture {architecture:?}, whose GGUF files cannot be loaded: {why}; \"llmdbg models\" \
         lists those that can"
    )]
    UnknownGgufArchitecture { path: String, architecture: String, why: &'static str },
    #[error("the shard {shard:?} is not there; get it again, all {shards} shards are needed")]
    /// `shards` is how many the name speaks of.
    MissingGgufShard { shard: String, shards: usize },
    #[error("{path} is not a usable PyTorch checkpoint: {message}; get it again, or the safetensors of the model")]
    BadPytorch { path: String, message: String },
    #[error("tensor {tensor:?} of {path} cannot be read: {message}; get the file again")]
    UnreadableTensor { path: String, tensor: String, message: String },
    #[error("{path} has changed since it was opened: its weights are not those of this session; start again")]
    Changed { path: String },
    #[error("{path} has tensor {tensor:?} twice; get it again")]
    DuplicateTensor { path: String, tensor: String },
    #[error("{index} names the shard {shard:?}, which is not there; get it again, all {shards} shards are needed")]
    MissingShard { index: String, shard: String, shards: usize },
    #[error("{index} puts tensor {tensor:?} into {shard:?}, which does not have it; get the index and the shard again")]
    NotInShard { index: String, shard: String, tensor: String },
    #[error(
        "shard {shard:?} has tensor {tensor:?}, which {index} does not list for it; get the index and the shard again"
    )]
    NotInIndex { index: String, shard: String, tensor: String },

    // Tensors
    #[error(
        "tensor {tensor:?} has shape {found:?}, {config} asks for {expected:?} ({what}){}",
        if *.transposed { "; it is stored transposed" } else { "" }
    )]
    WrongShape {
        tensor: String,
        found: Vec<usize>,
        expected: Vec<usize>,
        what: Box<str>,
        config: Box<str>,
        /// Whether it has that shape the other way round.
        transposed: bool,
    },
    #[error(
        "the tensors of {path} do not fit the architecture {architecture}{}{}{}",
        some(.missing, "missing"), some(.leftover, "unknown"), some_advice(.advice)
    )]
    /// `advice` is what to do about it, where that is known.
    TensorsDisagree {
        path: String,
        architecture: String,
        missing: Vec<String>,
        leftover: Vec<String>,
        advice: Box<str>,
    },
    #[error("tensor {tensor:?} of {path} is {dtype}; only {LOADABLE} can be loaded: convert the checkpoint")]
    UnsupportedDtype { path: String, tensor: String, dtype: String },
    #[error(
        "{path} does not fit: {weight} alone takes {needed}, and all weights together may take {budget} of memory; give \
         --weight-budget at least {needed}, or take a smaller model, or a machine with more memory"
    )]
    WeightBudget { path: String, weight: String, needed: String, budget: String },
    /// The memory of a graphics device, which does not say beforehand what it has left. `half` is advice where the
    /// weights could take half as much.
    #[error(
        "{path} does not fit into the memory of {device}, which was full after {loaded} of {total}: {half}use a smaller \
         model, or --device cpu, where weights are read as they are used; or end other programs that use {device}"
    )]
    DeviceFull { path: String, device: String, loaded: String, total: String, half: &'static str },
    #[error("tensor {tensor:?} takes {bytes} bytes, the device's largest buffer is {max}; use --device cpu")]
    TooBig { tensor: String, bytes: u64, max: u64 },

    // Tokenizer
    #[error(
        "{path} is not a usable tokenizer: {message}; get it again, or move it away and give token ids with --tokens"
    )]
    Tokenizer { path: String, message: String },

    // The user
    #[error("loading was cancelled after {loaded} of {tensors} tensors")]
    Cancelled { loaded: usize, tensors: usize },
}

impl LoadError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> LoadError {
        move |source| LoadError::Io { path: path.display().to_string(), source }
    }

    pub(super) fn bad_gguf(path: &str, message: impl Into<String>) -> LoadError {
        LoadError::BadGguf { path: path.to_owned(), message: message.into() }
    }
}

fn also(aliases: &[String]) -> String {
    if aliases.is_empty() { String::new() } else { format!(" (or {})", aliases.join(", ")) }
}

/// Names shown of a long list.
const SHOWN: usize = 10;

fn some(names: &[String], what: &str) -> String {
    match names.len() {
        0 => String::new(),
        n => format!("; {n} {what}: {}", listed(names, SHOWN)),
    }
}

fn some_advice(advice: &str) -> String {
    if advice.is_empty() { String::new() } else { format!("; {advice}") }
}
