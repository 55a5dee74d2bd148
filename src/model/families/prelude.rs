//! What the file of a family is made of: the tables of its tensors, the readers of its configuration, and the parts of
//! the specification that it gives.

pub use super::files::{
    CLASS_HEADS, DECODER_HEADS, Entry, Files, Joined, QUESTION, SEQUENCE, SEQUENCE_OR_TOKEN, Split, TOKEN, both,
    classes, pooler, weight,
};
pub use super::read::{
    DecoderHead, HeadDim, Kv, Rules, SigmoidRules, Sizes, Task, act, act_named, attention, attention_with_bias,
    by_sigmoids, decoder, dense_first, eps, experts, layer_kinds, query_scale, reach, rotating_layers, shared_of,
    sliding_layers, sparse_layers, window_if_used,
};
pub use super::rope::{ByLayerType, ByLayerTypeRules, RopeRules, by_layer_type, by_layer_type_of, rope};
pub use super::{Family, Layout, Sources, TensorNames};
pub use crate::model::config::HfConfig;
pub use crate::model::error::LoadError;
pub use crate::model::role::Role::*;
pub use crate::model::spec::*;
