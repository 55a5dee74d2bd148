//! One description that covers every supported architecture.
//!
//! A family file turns a `config.json` into a [`ModelSpec`]; everything after that (the program, the debugger, the
//! analyses) reads only the specification and never asks which family a model belongs to. Whatever decides arithmetic
//! is a field here, so two specifications that compare equal compute the same function of their weights.

use serde::{Deserialize, Serialize};

use super::role::Stack;

mod embed;
mod head;
mod latent;
mod layer;
mod mixer;
mod norm;
mod relative;
mod rope;
mod router;

pub use embed::{Alibi, Count, Embed, Masks, Positions, Projection, Waves};
pub use head::{Classes, Dense, Head, Logits, Pool, Pooled, Pooling, Sentence, Transform, YesNo};
pub use latent::Latent;
pub use layer::{ClampedGate, Experts, Factors, Layer, LayerInputs, Reach, SharedExpert};
pub use mixer::{Delta, Learning, Mixer, Selective, ShortConvolution, SpaceFactors, SpaceNorm, StateSpace};
pub use norm::{Gain, Norm, NormKind, Placement};
pub use relative::{Adds, Buckets, Disentangled, Relative};
pub use rope::{Pairing, Rope, RopeScaling};
pub use router::{GroupScore, Groups, Router, Score};

/// [`ModelSpec::max_positions`] of models whose positions have no end.
pub const UNBOUNDED: usize = usize::MAX;

/// What decides the arithmetic of a model, without its weights. Pure data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// `model_type` of the configuration, such as `gpt2`; for display only.
    pub family: String,
    /// Width of the residual stream, `d`.
    pub d_model: usize,
    pub n_layers: usize,
    /// Query heads per block, `H`.
    pub n_heads: usize,
    /// Key/value heads per block, `K`; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of the queries and keys of one head, `h`.
    pub head_dim: usize,
    /// Width of the values of one head; that of queries and keys unless the attention has a [`Latent`].
    pub v_head_dim: usize,
    /// Width of a dense MLP, `M`.
    pub d_mlp: usize,
    /// Rows of the token embedding, `V`.
    pub vocab: usize,
    /// Positions that the model was made for. Only some ways of telling positions end there: see
    /// [`ModelSpec::longest_input`].
    pub max_positions: usize,
    /// The norm of the embedding, of the blocks, and after the last block.
    pub norm: Norm,
    pub placement: Placement,
    pub final_norm: bool,
    pub embed: Embed,
    /// What each block gets of the tokens besides the stream.
    pub layer_inputs: Option<LayerInputs>,
    /// What is added to embeddings or scores so that the model knows positions.
    pub positions: Positions,
    /// What scores get of the distance between query and key, besides.
    #[serde(default)]
    pub relative: Option<Relative>,
    pub ropes: Vec<Rope>,
    pub attention: Attention,
    pub mlp: Mlp,
    pub experts: Option<Experts>,
    pub layers: Vec<Layer>,
    pub residual: Residual,
    pub head: Head,
    /// The encoder of another text, which every block attends to between attention and MLP: cross attention, with a norm, biases and
    /// heads as attention has them.
    #[serde(default)]
    pub encoder: Option<Box<Encoder>>,
}

/// The encoder of a model that has a decoder too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// Its blocks and embeddings. It has no head.
    pub spec: ModelSpec,
    /// Whether its token embedding is the decoder's.
    pub shares_embedding: bool,
    /// Factor on the scores of cross attention.
    pub cross_scale: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Whether position `q` sees only keys up to `q`.
    pub causal: bool,
    pub qkv_bias: bool,
    pub out_bias: bool,
    /// How queries, keys and values are made, if not of the input alone.
    pub latent: Option<Latent>,
    pub qk_norm: Option<QkNorm>,
    /// Whether that norm follows the rotation instead of preceding it.
    pub rotates_first: bool,
    /// Whether each head has a learned logit that joins its softmax as a key without a value: rows of a pattern then sum to
    /// less than 1 (gpt-oss).
    pub sinks: bool,
    /// The norm of each value, which has no weights (Gemma 4).
    pub value_norm: Option<Norm>,
    /// How queries grow with their positions, after their rotation.
    pub growth: Option<Growth>,
    /// Bound on queries, keys and values, after their norm where they have one.
    pub clip: Option<f64>,
    /// `cap tanh(score / cap)`, before masking.
    pub softcap: Option<f64>,
    /// Whether what heads mix is multiplied by the sigmoid of another projection of the input.
    pub gate: bool,
    pub blind: Blind,
}

/// What a padding position attends to when all keys are masked. transformers masks with the most negative float and not
/// with -inf, so that its softmax is uniform there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blind {
    /// All keys alike.
    All,
    /// The keys alike that it would see if they were no padding: two masks are applied, one after the other (GPT-Neo).
    Visible,
    /// All keys alike, at every position that is padding: none of them sees a key (DeBERTa).
    Padding,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QkNorm {
    pub norm: Norm,
    pub over: QkNormOver,
}

/// A factor on the query at position `p`: `1 + beta ln(1 + floor((p + first) / every))` (Ministral 3, Llama 4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    pub beta: f64,
    /// How many positions have the same factor.
    pub every: f64,
    /// What the first position counts as.
    pub first: f64,
    /// Whether padding counts as positions (Llama 4).
    pub by_column: bool,
}

/// Which features of a query or key are normalised together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QkNormOver {
    /// Those of each head, all heads with the same weights.
    Head,
    /// Those of each head, each head with its own weights: one tensor `[H, h]` (Cohere).
    OwnHead,
    /// The same, but the file has a tensor `[h]` for each head (StableLM).
    EachHead,
    /// All heads together (OLMo 2).
    All,
}

/// What a dense MLP computes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mlp {
    /// `down(act(gate(x)) * up(x))` instead of `out(act(in(x)))`.
    pub gated: bool,
    pub act: Act,
    /// Whether what reads the input has a bias.
    pub bias: bool,
    /// Whether the last layer has one.
    pub out_bias: bool,
}

/// Where residual connections start, and how what is added is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    /// Factor on what attention adds (Granite, Falcon-H1).
    pub attention: f64,
    /// The same of what another mixer adds.
    pub mixer: f64,
    /// The same of what the MLP adds.
    pub mlp: f64,
    /// Whether they start after the norms instead of before them (a variant of BLOOM).
    pub from_norm: bool,
    /// Whether what a block gives is multiplied by a number that is a weight of it (Gemma 4).
    pub scaled_blocks: bool,
}

impl Default for Residual {
    fn default() -> Self {
        Residual::scaled(1.0)
    }
}

impl Residual {
    /// With one factor on everything that is added.
    pub fn scaled(factor: f64) -> Residual {
        Residual { attention: factor, mixer: factor, mlp: factor, from_norm: false, scaled_blocks: false }
    }
}

/// An activation function. `gelu` in a configuration is the exact one; most other gelu names mean the tanh
/// approximation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// `x * Phi(x)`, by erf.
    Gelu,
    /// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `x * sigmoid(x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2`.
    Relu2,
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `a x^2 + beta x` above zero, `b (exp(min(x, eps)) - 1 - x) + beta x` elsewhere, with `a = softplus(alpha_p)` and
    /// `b = beta + softplus(alpha_n)`. The four numbers are weights of each block (Apertus).
    Xielu,
    Linear,
}

impl Act {
    pub fn name(self) -> &'static str {
        match self {
            Act::Gelu => "gelu",
            Act::GeluTanh => "gelu (tanh)",
            Act::QuickGelu => "quick gelu",
            Act::Silu => "silu",
            Act::Relu => "relu",
            Act::Relu2 => "relu squared",
            Act::Tanh => "tanh",
            Act::Sigmoid => "sigmoid",
            Act::Xielu => "xielu",
            Act::Linear => "none",
        }
    }
}

impl ModelSpec {
    /// Whether the model predicts the next token from every position. One that attends in both directions does not,
    /// whatever its head.
    pub fn is_causal_lm(&self) -> bool {
        self.attention.causal && matches!(self.head, Head::CausalLm(_))
    }

    pub fn labels(&self) -> &[String] {
        match &self.head {
            Head::Sequence { classes, .. } | Head::Token { classes, .. } => &classes.labels,
            _ => &[],
        }
    }

    /// Tokens of the longest input that can be computed; `None` if positions do not end. Beyond [`Self::max_positions`]
    /// such models compute, but were not made for it.
    pub fn longest_input(&self) -> Option<usize> {
        match self.positions {
            Positions::Learned { rows, count } => Some(match count {
                Count::Seen | Count::Column => rows,
                Count::RealPlusTwo | Count::ColumnPlusTwo => rows.saturating_sub(2),
                Count::ById { pad } => rows.saturating_sub(pad as usize + 1),
            }),
            Positions::Sines { most, .. } => most,
            // MPT has a table of biases, GPT-J one of angles.
            Positions::Alibi(Alibi::Mpt) => Some(self.max_positions),
            _ if self.ropes.iter().any(|rope| rope.tabled) => Some(self.max_positions),
            _ => None,
        }
    }

    /// The specification of a stack: the model's own, or that of its encoder.
    pub fn of_stack(&self, stack: Stack) -> &ModelSpec {
        match (&self.encoder, stack) {
            (Some(encoder), Stack::Encoder) => &encoder.spec,
            _ => self,
        }
    }

    /// Layers that have attention.
    pub fn attention_layers(&self) -> usize {
        self.layers.iter().filter(|layer| layer.mixer.has_attention()).count()
    }

    /// Width of one head of a block, of which some have others than the model.
    pub fn head_dim_of(&self, layer: usize) -> usize {
        self.layers.get(layer).and_then(|layer| layer.head_dim).unwrap_or(self.head_dim)
    }

    /// Width of the values of one head of a block.
    pub fn value_dim_of(&self, layer: usize) -> usize {
        self.layers.get(layer).and_then(|layer| layer.head_dim).unwrap_or(self.v_head_dim)
    }

    /// Key/value heads of a block.
    pub fn kv_heads_of(&self, layer: usize) -> usize {
        self.layers.get(layer).and_then(|layer| layer.n_kv_heads).unwrap_or(self.n_kv_heads)
    }

    /// Width of the dense MLP of a block.
    pub fn mlp_of(&self, layer: usize) -> usize {
        self.layers.get(layer).and_then(|layer| layer.d_mlp).unwrap_or(self.d_mlp)
    }

    /// Whether all blocks have heads of the same width and number.
    pub fn has_equal_heads(&self) -> bool {
        let alike =
            |layer: usize| self.head_dim_of(layer) == self.head_dim && self.kv_heads_of(layer) == self.n_kv_heads;
        (0..self.n_layers).all(alike)
    }

    /// The block whose weights block `layer` uses: another one where blocks share them (ALBERT).
    pub fn weights_of(&self, layer: usize) -> usize {
        self.layers.get(layer).map_or(layer, |layer| layer.weights)
    }
}
