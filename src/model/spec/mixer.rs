//! What moves information between the positions of a layer.

use serde::{Deserialize, Serialize};

use super::Act;

/// What a layer has where a transformer has attention, or attention.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Mixer {
    Attention,
    /// Linear attention by the gated delta rule.
    Delta(Delta),
    /// A selective state space with one decay for each head.
    StateSpace(StateSpace),
    /// A selective state space in which every element of the state has a decay.
    Selective(Selective),
    /// Attention, and a state space that reads the same.
    Both(StateSpace),
    /// A short convolution between two gates.
    Convolution(ShortConvolution),
    /// Nothing: the block has an MLP alone.
    None,
}

impl Mixer {
    pub fn has_attention(self) -> bool {
        matches!(self, Mixer::Attention | Mixer::Both(_))
    }

    /// Its state space with one decay for each head.
    pub fn state_space(self) -> Option<StateSpace> {
        match self {
            Mixer::StateSpace(space) | Mixer::Both(space) => Some(space),
            _ => None,
        }
    }

    /// What it is called in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Mixer::Attention => "attention",
            Mixer::Delta(_) => "gated DeltaNet",
            Mixer::StateSpace(_) | Mixer::Selective(_) => "a state space",
            Mixer::Both(_) => "attention and a state space",
            Mixer::None => "an MLP alone",
            Mixer::Convolution(_) => "a short convolution",
        }
    }
}

/// Gated DeltaNet (Yang, Kautz and Hatamizadeh 2024, "Gated Delta Networks"): each head keeps a matrix `S` of `dk` by
/// `dv`, which at each position decays, forgets what it holds under the key, and learns the value there:
///
/// `S = decay S`, `S = S + k (beta (v - k S))`, `z = q S`.
///
/// Queries, keys and values pass a causal convolution of each feature, then an activation; queries and keys have unit
/// length, and queries are divided by `sqrt(dk)`. `z` passes an RMS norm of each head and is multiplied by `silu` of a
/// gate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// Heads of queries and keys, `K`; each serves `heads / key_heads` neighbouring heads.
    pub key_heads: usize,
    /// Heads of values, and of states, `H`.
    pub heads: usize,
    /// Width of a query and of a key, `dk`.
    pub key_dim: usize,
    /// Width of a value, `dv`.
    pub dim: usize,
    /// Positions that the convolutions see, the present one included.
    pub taps: usize,
    /// What follows the convolutions.
    pub act: Act,
    /// Added to the mean square in the norm of `z`.
    pub eps: f64,
}

impl Delta {
    /// Features of all queries, and of all keys.
    pub fn keys(self) -> usize {
        self.key_heads * self.key_dim
    }

    /// Features of all values.
    pub fn values(self) -> usize {
        self.heads * self.dim
    }
}

/// `out(c * convolution(b * x))`, where `b`, `c` and `x` are projections of the input (LFM2): the convolution is causal,
/// and of each feature alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortConvolution {
    /// Positions that it sees, the present one included.
    pub taps: usize,
    /// Whether projections and convolution have biases.
    pub bias: bool,
}

/// How a state takes in the value at a position under its key. In both, the state decays first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Learning {
    /// `S + k (beta (v - k S))`: what it holds under the key is replaced.
    Replaces,
    /// `S + k (beta v)`: the value is added.
    Adds,
}

/// Mamba-2 (Dao and Gu 2024, "Transformers are SSMs"), in the words of linear attention, which it is: `C` are the queries,
/// `B` the keys, `x` the values, and the step `dt` is the learning rate:
///
/// `dt = softplus(a + dt_bias)`, `S = exp(-exp(A_log) dt) S + k (dt v)`, `z = q S + D v`.
///
/// Queries, keys and values pass a causal convolution of each feature, then an activation. `z` is multiplied by `silu` of a
/// gate, and passes an RMS norm of groups of features before or after that, or none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateSpace {
    /// Heads of queries and keys (groups).
    pub key_heads: usize,
    pub heads: usize,
    /// Width of a query and of a key (the state size).
    pub key_dim: usize,
    /// Width of a value.
    pub dim: usize,
    /// Positions that the convolutions see, the present one included.
    pub taps: usize,
    /// Whether the convolutions have biases.
    pub bias: bool,
    /// What follows the convolutions.
    pub act: Act,
    /// Groups of features that are normed together.
    pub norm_groups: usize,
    /// Added to the mean square in the norm.
    pub eps: f64,
    pub norm: SpaceNorm,
    pub factors: SpaceFactors,
    /// Steps are at least that (Nemotron-H); usually 0.
    pub least_step: f64,
}

/// Where the norm of a state space is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpaceNorm {
    /// After the gate (Mamba-2).
    Last,
    /// Before it.
    First,
    /// There is none.
    None,
}

/// Factors on the projections of a state space (Falcon-H1): gates, values, keys, queries, and what steps are made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpaceFactors {
    pub gate: f64,
    pub v: f64,
    pub k: f64,
    pub q: f64,
    pub a: f64,
}

impl SpaceFactors {
    pub const NONE: SpaceFactors = SpaceFactors { gate: 1.0, v: 1.0, k: 1.0, q: 1.0, a: 1.0 };
}

/// Mamba (Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces"), in the words of linear
/// attention: `C` are the queries, `B` the keys, `x` the values. Each feature of a value has a row of the state, whose
/// elements decay each at its own rate, by a step `dt` of the feature:
///
/// `dt = softplus(W_dt a + dt_bias)`, `S = exp(-exp(A_log) dt) S + (dt v) k`, `z = S q + D v`.
///
/// Values pass a causal convolution of each feature and an activation; `a`, keys and queries are projections of these values.
/// `z` is multiplied by `silu` of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selective {
    /// Features of the values, `n`.
    pub width: usize,
    /// Width of the one query and key (the state size).
    pub key_dim: usize,
    /// Width of `a`.
    pub rank: usize,
    /// Positions that the convolution sees, the present one included.
    pub taps: usize,
    /// Whether the convolution has a bias.
    pub bias: bool,
    /// What follows the convolution.
    pub act: Act,
    /// The norm that `a`, keys and queries pass, each (Jamba, FalconMamba).
    pub norm: Option<super::Norm>,
}

impl StateSpace {
    /// Features of all queries, and of all keys.
    pub fn keys(self) -> usize {
        self.key_heads * self.key_dim
    }

    /// Features of all values.
    pub fn values(self) -> usize {
        self.heads * self.dim
    }
}
