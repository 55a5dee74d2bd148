//! What differs between the layers of one model, and mixtures of experts.

use serde::{Deserialize, Serialize};

use super::{Mixer, Router};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// What moves information between positions. What the fields below say about attention counts where it is attention.
    pub mixer: Mixer,
    /// Factor on the scores, usually `1/sqrt(h)`.
    pub scale: f64,
    /// How far attention sees, if not everywhere.
    pub reach: Option<Reach>,
    /// Which of the model's rotations queries and keys get.
    pub rope: Option<usize>,
    /// Whether queries and keys pass the model's norm of them, and whether its queries grow, where it has either.
    pub qk_norm: bool,
    pub grows: bool,
    /// Whether there is a norm before attention, where the placement has one.
    pub ln1: bool,
    pub experts: bool,
    /// The block whose weights this one uses.
    pub weights: usize,
    /// Width of one head, key/value heads, and width of a dense MLP, where they are not the model's.
    pub head_dim: Option<usize>,
    pub n_kv_heads: Option<usize>,
    pub d_mlp: Option<usize>,
    /// The earlier block whose keys and values this one reads in place of its own.
    pub keys_of: Option<usize>,
    /// Whether values are what the keys are before norm and rotation.
    pub values_are_keys: bool,
    /// Whether there is an MLP, dense or a mixture of experts.
    pub mlp: bool,
    pub factors: Factors,
}

/// Which keys a query sees by their positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reach {
    /// Those at most this far before it, in tokens, and in an encoder at most this far after it.
    Within(usize),
    /// Those in its chunk of so many tokens, which is never 0 (Llama 4).
    Chunk(usize),
}

impl Reach {
    /// That of a sliding window of `w` tokens in a decoder, the query among them.
    pub fn window(w: usize) -> Reach {
        Reach::Within(w.saturating_sub(1))
    }

    /// Whether a query at one position sees a key at another.
    pub fn sees(self, query: usize, key: usize) -> bool {
        match self {
            Reach::Within(most) => query.abs_diff(key) <= most,
            Reach::Chunk(size) => query / size == key / size,
        }
    }

    /// Whether queries see all keys of a text of so many tokens.
    pub fn is_whole(self, tokens: usize) -> bool {
        match self {
            Reach::Within(most) => most + 1 >= tokens,
            Reach::Chunk(size) => size >= tokens,
        }
    }

    /// The largest distance at which a query sees a key.
    pub fn farthest(self) -> usize {
        match self {
            Reach::Within(most) => most,
            Reach::Chunk(size) => size - 1,
        }
    }
}

/// Factors on projections (Falcon-H1): on queries, keys, values, and the gate of the MLP before its activation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Factors {
    pub q: f64,
    pub k: f64,
    pub v: f64,
    pub gate: f64,
}

impl Factors {
    pub const NONE: Factors = Factors { q: 1.0, k: 1.0, v: 1.0, gate: 1.0 };
}

/// What each block gets of the tokens besides the stream (Gemma 4): for block `i` the `i`-th part, `width` features, of
/// `(norm(x W / sqrt(d)) + sqrt(width) row) / sqrt(2)`, with the token embedding `x` and the token's row of a second table.
/// After the MLP, `norm(W_out (act(W_gate x) * part))` is added to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInputs {
    pub width: usize,
    /// Rows of the table.
    pub vocab: usize,
}

impl Layer {
    /// Layer `index` with full attention, no rotation and a dense MLP.
    pub fn plain(index: usize, scale: f64) -> Layer {
        Layer {
            mixer: Mixer::Attention,
            scale,
            reach: None,
            rope: None,
            qk_norm: true,
            grows: true,
            ln1: true,
            experts: false,
            weights: index,
            head_dim: None,
            n_kv_heads: None,
            d_mlp: None,
            keys_of: None,
            values_are_keys: false,
            mlp: true,
            factors: Factors::NONE,
        }
    }
}

/// A mixture of experts: `sum of weight_e expert_e(x)` over the experts that the router chooses, each a gated MLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Experts {
    /// Experts per layer, `E`.
    pub count: usize,
    pub chosen: usize,
    pub width: usize,
    pub router: Router,
    pub shared: Option<SharedExpert>,
    pub router_bias: bool,
    /// Whether the three projections of an expert have biases.
    pub biases: bool,
    /// Whether the weight of an expert multiplies what it reads, not what it makes (Llama 4).
    pub weighs_input: bool,
    /// How gate and up are combined, where that is not their activation and product.
    pub clamped: Option<ClampedGate>,
    /// Whether the experts are next to the dense MLP, each with norms of its own and added together (Gemma 4).
    pub beside: bool,
}

/// `(up + 1) gate sigmoid(alpha gate)`, the gate at most `limit` and `up` between `-limit` and `limit` (gpt-oss).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClampedGate {
    pub limit: f64,
    pub alpha: f64,
}

/// An expert that every token passes. Several of a model are one that is as wide as all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedExpert {
    pub width: usize,
    /// Whether `sigmoid(x g) expert(x)` is added instead of `expert(x)`.
    pub mixed: bool,
}
