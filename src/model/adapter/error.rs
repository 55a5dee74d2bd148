//! Why an adapter cannot be applied to a model.

use std::io;
use std::path::Path;

use safetensors::SafeTensorError;

use crate::model::checkpoint::StoredType;
use crate::model::error::LoadError;
use crate::model::role::WeightId;
use crate::tensor::TensorError;

pub type Result<T> = std::result::Result<T, AdapterFault>;

/// An adapter that cannot be applied to a model.
#[derive(Debug, thiserror::Error)]
#[error("cannot apply the adapter {path}: {fault}")]
pub struct AdapterError {
    pub path: String,
    pub fault: Box<AdapterFault>,
}

impl AdapterError {
    pub(super) fn new(folder: &Path, fault: AdapterFault) -> AdapterError {
        AdapterError { path: folder.display().to_string(), fault: Box::new(fault) }
    }
}

/// What is wrong with an adapter, or why it does not fit the model.
#[derive(Debug, thiserror::Error)]
pub enum AdapterFault {
    // Its files
    #[error("{name}: {source}")]
    File { name: &'static str, source: io::Error },
    #[error("adapter_config.json: {0}")]
    Config(#[from] ConfigFault),
    #[error("adapter_model.safetensors: {0}")]
    Safetensors(#[from] SafeTensorError),
    #[error("{0} is not a tensor of a LoRA adapter")]
    NotLora(String),
    #[error("{module}: two of its tensors differ, and only one can be its {part}")]
    TwoValues { module: String, part: &'static str },
    #[error("two of its tensors change {0}")]
    TwoChanges(WeightId),

    // Its modules
    #[error("{module}: {fault}")]
    Module { module: String, fault: Box<AdapterFault> },
    #[error("it has only one of {0}")]
    Half(&'static str),
    #[error("the model has no such module")]
    NoModule,
    #[error("it could be {0} or {1}")]
    Ambiguous(String, String),
    /// A module that this program computes differently, or not at all: what it is.
    #[error("it is {0}")]
    Elsewhere(&'static str),
    #[error("it is not an embedding of this model")]
    NotEmbedding,
    #[error("it is the token embedding, not a linear layer")]
    Embedding,
    #[error("it is not a linear layer of this model")]
    NotLinear,

    // Its tensors
    #[error("lora_B has {rows} rows, the module {outputs} outputs")]
    Outputs { rows: usize, outputs: usize },
    #[error("its matrices make {found:?} for {id}, which is {wanted:?}")]
    Product { id: WeightId, found: [usize; 2], wanted: Vec<usize> },
    #[error("{id} has {rows} rows here and {had} in the model: start with --lora, which gives the model as many")]
    Rows { id: WeightId, rows: usize, had: usize },
    #[error("{name} is {wanted:?} in the model, and {found:?} here")]
    Shape { name: String, wanted: Vec<usize>, found: Vec<usize> },
    #[error("a matrix of shape {0:?}")]
    NotAMatrix(Vec<usize>),
    #[error("lengths of shape {0:?}")]
    NotAVector(Vec<usize>),
    #[error("lora_magnitude_vector has {count} lengths, the module {outputs} outputs")]
    Lengths { count: usize, outputs: usize },
    #[error("it has no lora_magnitude_vector, though \"use_dora\" is set")]
    NoMagnitude,
    #[error("it has a lora_magnitude_vector, though \"use_dora\" is not set")]
    Magnitude,
    #[error("it replaces rows of tokens that \"trainable_token_indices\" does not name")]
    NoTokens,
    #[error("it replaces the row of token {token}, and the vocabulary has {had} rows")]
    Token { token: usize, had: usize },
    #[error("a tensor of type {}; f32, f16 and bf16 can be read", .0.name())]
    Dtype(StoredType),

    // Its vocabulary
    #[error("its vocabulary has {rows} rows, the model's has {had}, and so has the bias of the logits")]
    LogitBias { rows: usize, had: usize },
    #[error(
        "its vocabulary has {rows} rows, the model's has {had}, and the adapter has no {id} with that many: save it \
         again with the embedding and the head (modules_to_save)"
    )]
    VocabularyTable { id: WeightId, rows: usize, had: usize },

    #[error(transparent)]
    Model(Box<LoadError>),
    #[error(transparent)]
    Device(#[from] TensorError),
}

impl From<LoadError> for AdapterFault {
    fn from(error: LoadError) -> AdapterFault {
        AdapterFault::Model(Box::new(error))
    }
}

/// What of an `adapter_config.json` cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    #[error("not a configuration: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its type is {0}; only LORA can be applied")]
    Type(String),
    #[error("it has no \"peft_type\"; is this an adapter of PEFT?")]
    NoType,
    #[error("\"{key}\" is set: {reason}, which is not computed here")]
    NotComputed { key: &'static str, reason: &'static str },
    #[error(
        "\"init_lora_weights\" is {0:?}, which changes the base weights too; save it with \
         path_initial_model_for_weight_conversion, which makes it an ordinary LoRA"
    )]
    ChangesBase(&'static str),
    #[error("\"trainable_token_indices\" is not a list of different tokens, nor such a list for each module")]
    Tokens,
    #[error("\"lora_alpha\" is not a number")]
    Alpha,
    #[error("\"alpha_pattern\" has no number for {0:?}")]
    PatternAlpha(String),
    #[error("{key:?}: {source}")]
    Pattern { key: String, source: regex::Error },
}
