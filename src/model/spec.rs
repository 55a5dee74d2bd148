//! One description that covers every supported architecture.
//!
//! A family file turns a `config.json` into a [`ModelSpec`]; everything after that (the program, the debugger, the
//! analyses) reads only the specification and never asks which family a model belongs to. Whatever decides arithmetic is
//! a field here, so two specifications that compare equal compute the same function of their weights.

use serde::{Deserialize, Serialize};

/// What decides the arithmetic of a model, without its weights. Pure data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// `model_type` of the configuration, such as `gpt2`; for display only.
    pub family: String,
    /// Width of the residual stream, `d`.
    pub d_model: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Query heads per block, `H`.
    pub n_heads: usize,
    /// Key/value heads per block, `K`; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of one head, `h`.
    pub head_dim: usize,
    /// Width of the MLP, `M`.
    pub d_mlp: usize,
    /// Rows of the token embedding, `V`.
    pub vocab: usize,
    /// Longest input in tokens that the model has positions for.
    pub max_positions: usize,
    /// The norm used everywhere in the model.
    pub norm: Norm,
    /// Where the norms of a block stand.
    pub placement: Placement,
    /// How tokens become vectors.
    pub embed: Embed,
    /// Where the model knows positions from.
    pub positions: Positions,
    /// What the attention computes.
    pub attention: Attention,
    /// What the MLP computes.
    pub mlp: Mlp,
    /// What turns the last hidden state into an answer.
    pub head: Head,
}

/// A normalisation of the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    /// Which statistic is divided by.
    pub kind: NormKind,
    /// Added to the variance (or mean square) before the square root.
    pub eps: f64,
}

/// Which statistic a [`Norm`] divides by, and whether it has a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormKind {
    /// `(x - mean) / sqrt(var + eps) * w + b`, biased variance.
    LayerNorm,
    /// `x / sqrt(mean(x^2) + eps) * w`.
    Rms,
}

/// Where the norms of a block stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// In front of attention and of the MLP, and once after the last block (GPT-2, Llama).
    Pre,
    /// After each residual addition, none after the last block (BERT).
    Post,
}

/// How tokens become vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embed {
    /// Rows of the token-type table; 0 where the architecture has none.
    pub token_types: usize,
    /// Whether the sum of embeddings passes a norm of its own (`embed_ln`).
    pub norm: bool,
}

/// Where the model knows positions from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Positions {
    /// A learned table with one row for each position.
    Learned,
    /// Rotation of queries and keys.
    Rope(Rope),
}

/// Rotary position embedding: feature `i` is paired with `i + dim/2` (half rotation).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    /// Base of the frequencies, `theta^(-2i/dim)`.
    pub theta: f64,
    /// Features of each head that rotate, from the first on; at most `head_dim`.
    pub dim: usize,
    /// How the frequencies are stretched for long inputs.
    pub scaling: RopeScaling,
}

/// How RoPE frequencies are stretched; the formulas are those of transformers' `modeling_rope_utils`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    /// Frequencies as they are.
    None,
    /// All frequencies divided by the factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low frequencies divided, high ones kept, those between blended.
    Llama3 {
        /// The divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_max / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_max / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Length in tokens that the model was first trained for.
        original_max: f64,
    },
}

/// What the attention of one block computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Whether position `q` sees only keys up to `q`.
    pub causal: bool,
    /// Factor on the scores of each block, usually `1/sqrt(h)`; one entry per layer.
    pub scale: Vec<f64>,
    /// Whether the query, key and value projections have a bias.
    pub qkv_bias: bool,
    /// Whether the output projection has a bias.
    pub out_bias: bool,
}

/// What the MLP of one block computes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mlp {
    /// `down(act(gate(x)) * up(x))` instead of `out(act(in(x)))`.
    pub gated: bool,
    /// The activation function.
    pub act: Act,
    /// Whether its projections have a bias.
    pub bias: bool,
}

/// An activation function. `gelu` in a configuration is the exact one; most other gelu names mean the tanh approximation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// `x * Phi(x)`, by erf.
    Gelu,
    /// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x * sigmoid(x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
    /// `tanh(x)`.
    Tanh,
}

/// What turns the last hidden state into an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Head {
    /// Next-token logits from every position.
    CausalLm {
        /// The unembedding is the token embedding.
        tied: bool,
    },
    /// Logits over the vocabulary at every position, after a transform (dense, activation, norm).
    MaskedLm {
        /// The activation of the transform.
        act: Act,
    },
    /// One row of class logits from the pooled first token.
    SequenceClassification {
        /// Class names in order of their index.
        labels: Vec<String>,
    },
    /// The bare body: the last hidden state is the result.
    Bare {
        /// Whether sentence-transformers modules ask for `sentence`, the mean over the real tokens.
        sentence: bool,
    },
}

impl ModelSpec {
    /// Whether the model predicts the next token from every position.
    pub fn is_causal_lm(&self) -> bool {
        matches!(self.head, Head::CausalLm { .. })
    }

    /// Class names, where the head has classes.
    pub fn labels(&self) -> &[String] {
        match &self.head {
            Head::SequenceClassification { labels } => labels,
            _ => &[],
        }
    }
}
