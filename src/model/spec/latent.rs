//! Attention whose queries, keys and values are made of short vectors.

use serde::{Deserialize, Serialize};

use super::Norm;

/// Multi-head latent attention (DeepSeek-V2): keys and values of all heads are made of one short vector, the latent, and
/// perhaps queries of another. Each key ends in a few features that are made of the input itself, the same in all heads;
/// only these, and as many of each query, rotate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latent {
    /// Width of the latent of queries; `None` if queries are made of the input.
    pub queries: Option<usize>,
    /// Width of the latent of keys and values.
    pub keys: usize,
    /// Features of a key that are the same in all heads; the others come before them.
    pub shared: usize,
    /// The norm of both latents.
    pub norm: Norm,
    /// Whether the projections to the latents, and to the shared features of keys, have biases.
    pub bias: bool,
}
