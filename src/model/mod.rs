//! A checkpoint becomes a `Model`: specification, weights by role, tokenizer.

pub mod adapter;
pub mod bundled;
pub mod chat;
pub mod checkpoint;
pub mod compare;
pub mod config;
pub mod control_vector;
pub mod dictionary;
mod error;
pub mod families;
pub mod file;
mod generation;
pub mod hub;
pub mod input;
pub mod jacobian_lens;
mod load;
pub mod memory_check;
mod mixer_weights;
mod open;
pub mod placement;
mod plan;
pub mod required_weights;
pub mod role;
pub mod sandbox;
mod sentence;
pub mod site_name;
mod source;
pub mod spec;
pub mod text;
pub mod tokenizer;
pub mod tuned_lens;
pub mod weights;

pub use error::{InputError, LoadError};
pub use input::{Input, Row, Side, Source};
pub use load::{LoadReport, Model, load, load_in, load_within};
pub use open::open;
pub use placement::{DeviceList, Devices, Placement};
pub use source::ModelSource;
pub use tokenizer::{SpecialTokens, Token, Tokenizer};
pub use weights::{FileTensor, Overlay, Residency, Weight, WeightCache, Weights};

#[cfg(test)]
mod tests;
