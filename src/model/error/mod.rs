//! What can go wrong between a name on the command line and a model in memory.
//!
//! Every message names the file, what was found in it and what to do next.

mod input;
mod no_tokenizer;

use std::io;

pub use input::InputError;
pub use no_tokenizer::NoTokenizer;

use super::checkpoint::LOADABLE;
use super::hub::HubError;
use super::text::listed;

/// A checkpoint that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    // The device
    /// It cannot hold what was asked for.
    #[error(transparent)]
    Device(#[from] crate::tensor::TensorError),
    // Finding the checkpoint
    /// Nothing is there.
    #[error(
        "no model at {path:?}: no such file or directory; give a directory with config.json and model.safetensors, a \
         .safetensors, .gguf or .bin file, or the name of a model in the Hugging Face cache"
    )]
    NotFound {
        /// What was asked for.
        path: String,
    },
    /// A model of the hub that cannot be had.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Neither here, nor to be had from the hub.
    #[error("there is no file or folder {name} here{meant}; as the name of a model on the hub: {source}")]
    NotHere {
        /// The name.
        name: String,
        /// What may be meant, with a space in front; empty if nothing is alike.
        meant: String,
        /// What the hub says.
        #[source]
        source: Box<HubError>,
    },
    /// A file that is there but cannot be read.
    #[error("cannot read {path}: {source}{}", super::file::advice(source))]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },

    // config.json
    /// A directory without `config.json`, or a weights file without one beside it.
    #[error("no config.json in {path}; it names the architecture: copy it from where the weights come from")]
    NoConfig {
        /// The directory.
        path: String,
    },
    /// A file that should be JSON and is not.
    #[error("{path} is not valid JSON: line {line}, column {column}: {message}; get the file again")]
    Json {
        /// The file.
        path: String,
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A JSON file whose outermost value is no object.
    #[error("{path} holds {found}, not an object; get the file again")]
    NotAnObject {
        /// The file.
        path: String,
        /// What is there.
        found: &'static str,
    },
    /// A key without which the arithmetic is unknown.
    #[error("{path} has no {key:?}{}; add it from the model's original configuration", also(.aliases))]
    MissingKey {
        /// The file.
        path: String,
        /// The usual key.
        key: String,
        /// Other keys that would do.
        aliases: Vec<String>,
    },
    /// A key with a value of another type.
    #[error("{path}: {key:?} is {found}, expected {expected}")]
    WrongType {
        /// The file.
        path: String,
        /// The key, with its parents.
        key: String,
        /// What is there.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Values that contradict each other or make no sense.
    #[error("{path}: {message}")]
    BadConfig {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },

    // Architectures
    /// A `model_type` that no family file describes.
    #[error("{path}: model_type {model_type:?} is not supported: {why}; \"llmdbg models\" lists what is")]
    UnknownModelType {
        /// The file.
        path: String,
        /// The type.
        model_type: String,
        /// Why it is not.
        why: &'static str,
    },
    /// A supported family with a head that is not.
    #[error("{path}: architecture {architecture:?} is not supported; of {model_type} there are {supported}")]
    UnsupportedHead {
        /// The file.
        path: String,
        /// Entry of `architectures`.
        architecture: String,
        /// The family.
        model_type: String,
        /// Heads that are supported.
        supported: String,
    },
    /// A setting that would change the arithmetic in a way that cannot be described yet.
    #[error("{path}: {key} = {value} is not supported: {why}")]
    UnsupportedSetting {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What there is instead.
        why: String,
    },

    // Weight files
    /// A checkpoint without weights in a format that can be read.
    #[error("no model.safetensors, pytorch_model.bin or index of one of them in {path}{hint}")]
    NoWeights {
        /// The directory.
        path: String,
        /// What is there instead and what to do about it.
        hint: String,
    },
    /// A file that is named as the model and holds no weights.
    #[error(
        "{path} is no weights file: name the directory that holds the model, or its .safetensors, .gguf, .bin, .pt or .pth \
         file"
    )]
    NotWeights {
        /// The file.
        path: String,
    },
    /// A directory with several GGUF models.
    #[error("{path} has several models: name one of {files}")]
    SeveralModels {
        /// The directory.
        path: String,
        /// Their files.
        files: String,
    },
    /// A file that is read whole, and is larger than any of its kind.
    #[error("{path} is larger than {max} bytes, which no such file is; get it again")]
    TooLarge {
        /// The file.
        path: String,
        /// What is read at most.
        max: u64,
    },
    /// Fewer bytes than even the length of the header takes.
    #[error("{path} is truncated: {size} bytes, a safetensors file starts with 8 bytes of header length; get it again")]
    TooShort {
        /// The file.
        path: String,
        /// Its size.
        size: u64,
    },
    /// The header would end behind the end of the file.
    #[error(
        "{path} is truncated or no safetensors file: its header should be {header} bytes long, the file has {size} bytes; \
         get it again"
    )]
    HeaderBeyondFile {
        /// The file.
        path: String,
        /// Header length that the first 8 bytes give.
        header: u64,
        /// Size of the file.
        size: u64,
    },
    /// The header does not describe tensors.
    #[error("{path}: the safetensors header cannot be read: {message}; get the file again")]
    BadHeader {
        /// The file.
        path: String,
        /// What the parser says.
        message: String,
    },
    /// A tensor would end behind the end of the file.
    #[error(
        "{path} is truncated: tensor {tensor:?} takes bytes {begin}..{end} of the data, the file has {available}; get it \
         again"
    )]
    TensorBeyondFile {
        /// The file.
        path: String,
        /// The tensor.
        tensor: String,
        /// First byte.
        begin: u64,
        /// End of its bytes.
        end: u64,
        /// Bytes of data in the file.
        available: u64,
    },
    /// A GGUF file that is cut off or contradicts itself.
    #[error("{path} is no usable GGUF file: {message}; get it again, or convert it anew")]
    BadGguf {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// A GGUF file of an architecture that is not described.
    #[error(
        "{path} is of the architecture {architecture:?}, of which GGUF files cannot be loaded: {why}; \"llmdbg models\" lists \
         those that can"
    )]
    UnknownGgufArchitecture {
        /// The file.
        path: String,
        /// `general.architecture`.
        architecture: String,
        /// Why it is not.
        why: &'static str,
    },
    /// A shard of a GGUF model that is not there.
    #[error("the shard {shard:?} is not there; get it again, all {shards} shards are needed")]
    MissingGgufShard {
        /// The file.
        shard: String,
        /// Number of shards that its name speaks of.
        shards: usize,
    },
    /// A PyTorch file that cannot be read.
    #[error("{path} is no usable PyTorch checkpoint: {message}; get it again, or the safetensors of the model")]
    BadPytorch {
        /// The file.
        path: String,
        /// What the reader says.
        message: String,
    },
    /// The bytes of a tensor that cannot be read, though they should be there.
    #[error("tensor {tensor:?} of {path} cannot be read: {message}; get the file again")]
    UnreadableTensor {
        /// The file.
        path: String,
        /// The tensor.
        tensor: String,
        /// What the reader says.
        message: String,
    },
    /// Two tensors of one name.
    #[error("{path} has tensor {tensor:?} twice; get it again")]
    DuplicateTensor {
        /// The checkpoint.
        path: String,
        /// The name.
        tensor: String,
    },
    /// The index names a file that is not there.
    #[error("{index} names the shard {shard:?}, which is not there; get it again, all {shards} shards are needed")]
    MissingShard {
        /// The index file.
        index: String,
        /// The shard.
        shard: String,
        /// Number of shards that the index names.
        shards: usize,
    },
    /// The index puts a tensor into a shard that does not have it.
    #[error("{index} puts tensor {tensor:?} into {shard:?}, which does not have it; get the index and the shard again")]
    NotInShard {
        /// The index file.
        index: String,
        /// The shard.
        shard: String,
        /// The tensor.
        tensor: String,
    },
    /// A shard has a tensor that the index does not list there.
    #[error(
        "shard {shard:?} has tensor {tensor:?}, which {index} does not list for it; get the index and the shard again"
    )]
    NotInIndex {
        /// The index file.
        index: String,
        /// The shard.
        shard: String,
        /// The tensor.
        tensor: String,
    },

    // Tensors
    /// Another shape than the configuration asks for.
    #[error("tensor {tensor:?} has shape {found:?}, {config} asks for {expected:?} ({what}){}", if *.transposed { "; it is stored transposed" } else { "" })]
    WrongShape {
        /// The tensor.
        tensor: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
        /// What the model uses it as.
        what: Box<str>,
        /// The configuration file.
        config: Box<str>,
        /// Whether it has that shape the other way round.
        transposed: bool,
    },
    /// Tensors the architecture needs and the files do not have, or have and nobody needs.
    #[error("the tensors of {path} do not fit the architecture {architecture}{}{}{}", some_missing(.missing), some_leftover(.leftover), some_advice(.advice))]
    TensorsDisagree {
        /// The checkpoint.
        path: String,
        /// The architecture.
        architecture: String,
        /// Names that are missing.
        missing: Vec<String>,
        /// Names nobody asked for.
        leftover: Vec<String>,
        /// What to do about it, where that is known.
        advice: Box<str>,
    },
    /// A dtype that cannot be computed with.
    #[error("tensor {tensor:?} of {path} is {dtype}; only {LOADABLE} can be loaded: convert the checkpoint")]
    UnsupportedDtype {
        /// The file.
        path: String,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: String,
    },
    /// More weights than there is memory.
    #[error(
        "{path} does not fit: its weights take {needed}, and {available} of memory are free; {fits} \
         a smaller model, or a machine or graphics device with more memory"
    )]
    DoesNotFit {
        /// The checkpoint.
        path: String,
        /// What it takes.
        needed: String,
        /// What there is.
        available: String,
        /// How many parameters that is, and what to do, up to the word before the smaller model.
        fits: String,
    },
    /// A tensor larger than the largest buffer of the device.
    #[error("tensor {tensor:?} takes {bytes} bytes, the device's largest buffer is {max}; use --device cpu")]
    TooBig {
        /// The tensor.
        tensor: String,
        /// Bytes it takes as f32.
        bytes: u64,
        /// What the device allows.
        max: u64,
    },

    // Tokenizer
    /// `tokenizer.json` is there but cannot be used.
    #[error("{path} is no usable tokenizer: {message}; get it again, or move it away and give token ids with --tokens")]
    Tokenizer {
        /// The file.
        path: String,
        /// What the parser says.
        message: String,
    },

    // The user
    /// Loading was interrupted.
    #[error("loading was cancelled after {loaded} of {tensors} tensors")]
    Cancelled {
        /// Tensors loaded so far.
        loaded: usize,
        /// Tensors in all.
        tensors: usize,
    },
}

fn also(aliases: &[String]) -> String {
    if aliases.is_empty() { String::new() } else { format!(" (or {})", aliases.join(", ")) }
}

/// Names shown of a long list.
const SHOWN: usize = 10;

fn some_missing(names: &[String]) -> String {
    match names.len() {
        0 => String::new(),
        n => format!("; {n} missing: {}", listed(names, SHOWN)),
    }
}

fn some_advice(advice: &str) -> String {
    if advice.is_empty() { String::new() } else { format!("; {advice}") }
}

fn some_leftover(names: &[String]) -> String {
    match names.len() {
        0 => String::new(),
        n => format!("; {n} unknown: {}", listed(names, SHOWN)),
    }
}
