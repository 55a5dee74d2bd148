//! Why a file is not a dictionary that can be used.

use crate::model::error::LoadError;

#[derive(Debug, thiserror::Error)]
pub enum DictionaryError {
    #[error("{path} is not there")]
    NotFound { path: String },
    #[error("{name} is not there, and not in the cache of the hub; get it first: hf download {repo}")]
    NotCached { name: String, repo: String },
    #[error(
        "{path} is not a dictionary of features of a kind that is read: SAELens, Gemma Scope, sparsify, dictionary_learning, \
         Llama Scope, Qwen Scope, Goodfire or circuit-tracer"
    )]
    Unknown { path: String },
    #[error("{path} holds several dictionaries: name one of {}", crate::model::text::listed(.names, 6))]
    Several { path: String, names: Vec<String> },
    #[error("cannot read {path}: {message}")]
    Unreadable { path: String, message: String },
    #[error(transparent)]
    File(#[from] LoadError),
    #[error("{path} has no tensor {tensor}")]
    Missing { path: String, tensor: String },
    #[error("{tensor} in {path} is {found:?}, and {wanted} were expected")]
    Shape { path: String, tensor: String, found: Vec<usize>, wanted: String },
    #[error("{tensor} in {path} is not used by any architecture that is read, and would be left out")]
    Unused { path: String, tensor: String },
    #[error("{path} has no {key}")]
    NoKey { path: String, key: String },
    #[error("{key} in {path} is {found}, {what}")]
    Key { path: String, key: String, found: String, what: String },
    #[error("{path}: {message}")]
    Unsupported { path: String, message: String },
}
