//! Sizes that no model has, which a broken or hostile configuration can claim.
//!
//! Names of tensors and labels of classes are made in these numbers before anything is compared with the files, so they
//! are looked at first. Every count that a family reads is at most [`LARGEST_SIZE`]; those that lists are made of are
//! bounded closer.

use serde_json::{Map, Value};

use super::{D_MLP, D_MODEL, HfConfig, MAX_POSITIONS, N_HEADS, N_KV_HEADS, N_LAYERS, whole};
use crate::model::error::LoadError;

const MOST_LAYERS: usize = 10_000;

/// Query heads of one block that are believed.
const MOST_HEADS: usize = 10_000;

/// Query heads of all blocks that are believed: some families have a norm for each. The largest models have some 20
/// 000.
const MOST_HEADS_IN_ALL: usize = 100_000;

const MOST_EXPERTS: usize = 10_000;

/// Experts of all blocks that are believed. The largest models have some 20 000.
const MOST_EXPERTS_IN_ALL: usize = 100_000;

const MOST_LABELS: usize = 10_000_000;

/// Sizes of anything else that are believed: products of two are numbers still.
pub(super) const LARGEST_SIZE: usize = 1 << 31;

const N_EXPERTS: &[&str] = &["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"];

/// Of each half of a model that has an encoder and a decoder.
const LAYERS_OF_HALVES: &[&str] = &["encoder_layers", "decoder_layers", "num_decoder_layers"];
const HEADS_OF_HALVES: &[&str] = &["encoder_attention_heads", "decoder_attention_heads"];

impl HfConfig {
    /// Refuses sizes that no model has, before anything is made in them.
    pub fn check_sizes(&self) -> Result<(), LoadError> {
        let inner = self.root.values().filter_map(Value::as_object);
        std::iter::once(&self.root).chain(inner).try_for_each(|section| self.check_section(section))
    }

    fn check_section(&self, section: &Map<String, Value>) -> Result<(), LoadError> {
        // Looking is not reading: a key that no family asks for is reported.
        let size = |key: &str| section.get(key).and_then(whole);
        let sizes: &[&[&str]] = &[D_MODEL, N_HEADS, N_KV_HEADS, D_MLP, MAX_POSITIONS, &["vocab_size", "head_dim"]];
        let limits = [
            (N_LAYERS, MOST_LAYERS),
            (LAYERS_OF_HALVES, MOST_LAYERS),
            (N_HEADS, MOST_HEADS),
            (HEADS_OF_HALVES, MOST_HEADS),
            (N_EXPERTS, MOST_EXPERTS),
            (&["num_labels", "_num_labels"], MOST_LABELS),
        ];
        for (keys, most) in sizes.iter().map(|keys| (*keys, LARGEST_SIZE)).chain(limits) {
            for key in keys {
                if let Some(size) = size(key) {
                    self.at_most(key, size, most)?;
                }
            }
        }
        let largest = |keys: &[&str]| keys.iter().filter_map(|key| size(key)).max().unwrap_or(1);
        let (layers, experts) = (largest(N_LAYERS).max(largest(LAYERS_OF_HALVES)), largest(N_EXPERTS));
        if layers * experts > MOST_EXPERTS_IN_ALL {
            return Err(self.bad(format!("{experts} experts in each of {layers} blocks are more than any model has")));
        }
        let heads = largest(N_HEADS).max(largest(HEADS_OF_HALVES));
        if layers * heads > MOST_HEADS_IN_ALL {
            return Err(self.bad(format!("{heads} heads in each of {layers} blocks are more than any model has")));
        }
        Ok(())
    }

    /// A size that is believed up to `most`.
    pub(super) fn at_most(&self, key: &str, size: usize, most: usize) -> Result<usize, LoadError> {
        if size <= most { Ok(size) } else { Err(self.bad(format!("{key:?} is {size}, more than any model has"))) }
    }

    /// The blocks that are computed where each of `layers` is `repeated` so often.
    pub fn blocks(&self, layers: usize, repeated: usize) -> Result<usize, LoadError> {
        match layers.checked_mul(repeated).filter(|blocks| *blocks <= MOST_LAYERS) {
            Some(blocks) => Ok(blocks),
            None => Err(self.bad(format!("{layers} layers of {repeated} blocks each are more than any model has"))),
        }
    }
}
