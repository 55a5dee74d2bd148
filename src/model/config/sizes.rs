//! Sizes that no model has, which a broken or hostile configuration can claim.
//!
//! Names of tensors and labels of classes are made in these numbers before anything is compared with the files, so they are
//! looked at first.

use serde_json::{Map, Value};

use super::{D_MLP, D_MODEL, HfConfig, MAX_POSITIONS, N_HEADS, N_KV_HEADS, N_LAYERS, whole};
use crate::model::error::LoadError;

/// Blocks that are believed.
const MOST_LAYERS: usize = 10_000;

/// Experts of one block that are believed.
const MOST_EXPERTS: usize = 10_000;

/// Experts of all blocks that are believed. The largest models have some 20 000.
const MOST_EXPERTS_IN_ALL: usize = 1_000_000;

/// Classes that are believed.
const MOST_LABELS: usize = 10_000_000;

/// Sizes of anything else that are believed: products of two are numbers still.
const LARGEST_SIZE: usize = 1 << 31;

/// Names of the number of experts.
const N_EXPERTS: &[&str] = &["num_experts", "num_local_experts", "n_routed_experts"];

impl HfConfig {
    /// Refuses sizes that no model has, before anything is made in them.
    ///
    /// # Errors
    /// Naming the size.
    pub fn check_sizes(&self) -> Result<(), LoadError> {
        let inner = self.root.values().filter_map(Value::as_object);
        std::iter::once(&self.root).chain(inner).try_for_each(|section| self.check_section(section))
    }

    fn check_section(&self, section: &Map<String, Value>) -> Result<(), LoadError> {
        // Looking is not reading: a key that no family asks for is told of.
        let size = |key: &str| section.get(key).and_then(whole);
        let sizes: &[&[&str]] = &[D_MODEL, N_HEADS, N_KV_HEADS, D_MLP, MAX_POSITIONS, &["vocab_size", "head_dim"]];
        let limits =
            [(N_LAYERS, MOST_LAYERS), (N_EXPERTS, MOST_EXPERTS), (&["num_labels", "_num_labels"], MOST_LABELS)];
        for (keys, most) in sizes.iter().map(|keys| (*keys, LARGEST_SIZE)).chain(limits) {
            for key in keys {
                if let Some(size) = size(key).filter(|size| *size > most) {
                    return Err(self.bad(format!("{key:?} is {size}, more than any model has")));
                }
            }
        }
        let largest = |keys: &[&str]| keys.iter().filter_map(|key| size(key)).max().unwrap_or(1);
        let (layers, experts) = (largest(N_LAYERS), largest(N_EXPERTS));
        if layers * experts > MOST_EXPERTS_IN_ALL {
            return Err(self.bad(format!("{experts} experts in each of {layers} blocks are more than any model has")));
        }
        Ok(())
    }
}
