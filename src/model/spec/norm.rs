//! Norms, and where those of a block are.

use serde::{Deserialize, Serialize};

/// A normalisation of the last axis: `x / scale * gain + bias`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    pub kind: NormKind,
    /// Added to the variance (or mean square) before the square root.
    pub eps: f64,
    pub gain: Gain,
    pub bias: bool,
}

/// Which statistic a [`Norm`] divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormKind {
    /// `(x - mean) / sqrt(var + eps)`, biased variance.
    LayerNorm,
    /// `x / sqrt(mean(x^2) + eps)`.
    Rms,
}

/// What a [`Norm`] multiplies by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gain {
    /// Nothing (OLMo).
    None,
    /// The weight `w`.
    Weight,
    /// `1 + w` (Gemma, Nemotron).
    OnePlus,
}

impl Norm {
    /// A layer norm with weight and bias.
    pub fn layer_norm(eps: f64) -> Norm {
        Norm { kind: NormKind::LayerNorm, eps, gain: Gain::Weight, bias: true }
    }

    /// A root-mean-square norm with a weight.
    pub fn rms(eps: f64) -> Norm {
        Norm { kind: NormKind::Rms, eps, gain: Gain::Weight, bias: false }
    }

    /// The same without a bias.
    pub fn without_bias(self) -> Norm {
        Norm { bias: false, ..self }
    }
}

/// Where the norms of a block are: `ln1` and `ln2` before attention and MLP or after the residual additions,
/// `attn_post_ln` and `mlp_post_ln` on what they add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// `ln1` before attention, `ln2` before the MLP (GPT-2, Llama).
    Pre,
    /// After each residual addition (BERT).
    Post,
    /// In front, and on what is added (Gemma 2, GLM-4).
    Sandwich,
    /// On what is added only (OLMo 2).
    Output,
    /// Attention and MLP both read `ln1` of the block's input (GPT-J, Cohere).
    ParallelOne,
    /// Both read the block's input, each through its own norm (GPT-NeoX, Falcon 40B).
    ParallelTwo,
}

impl Placement {
    pub fn has_ln1(self) -> bool {
        self != Placement::Output
    }

    pub fn has_ln2(self) -> bool {
        !matches!(self, Placement::Output | Placement::ParallelOne)
    }

    pub fn describe(self) -> &'static str {
        match self {
            Placement::Pre => "before attention and MLP",
            Placement::Post => "after each residual addition",
            Placement::Sandwich => "before attention and MLP, and on what they add",
            Placement::Output => "on what attention and MLP add",
            Placement::ParallelOne => "one, before attention and MLP side by side",
            Placement::ParallelTwo => "two, before attention and MLP side by side",
        }
    }

    /// Whether what attention and MLP add passes a norm.
    pub fn has_post_norms(self) -> bool {
        matches!(self, Placement::Sandwich | Placement::Output)
    }

    /// Whether the MLP reads the block's input instead of what attention has added to.
    pub fn is_parallel(self) -> bool {
        matches!(self, Placement::ParallelOne | Placement::ParallelTwo)
    }
}
