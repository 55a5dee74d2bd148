//! What blocks begin with: embeddings and positions.

use serde::{Deserialize, Serialize};

/// How tokens become vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embed {
    /// Width of the token table; `d_model` unless it is projected.
    pub width: usize,
    /// Factor on the token embedding (Gemma, Granite).
    pub scale: f64,
    #[serde(default)]
    pub masks: Option<Masks>,
    /// Rows of the token-type table; 0 where the architecture has none.
    pub token_types: usize,
    /// Whether the sum of embeddings passes its own norm (`embed_ln`).
    pub norm: bool,
    /// Whether positions that are padding begin as zeros (DeBERTa, ESM).
    #[serde(default)]
    pub zero_padding: bool,
    /// Projection of narrow embeddings to the width of the model; position tables are as wide as what they are added
    /// to.
    pub project: Option<Projection>,
}

impl Embed {
    pub fn plain(width: usize) -> Embed {
        Embed { width, scale: 1.0, masks: None, token_types: 0, norm: false, zero_padding: false, project: None }
    }
}

/// Masks that count as tokens that were dropped: their embeddings are zeros, and those of the others are multiplied by `(1 -
/// trained) / (1 - share)`, where `share` is that of masks among the real tokens of a text (ESM).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Masks {
    /// The id of the mask token.
    pub id: u32,
    /// The share of masks in training.
    pub trained: f64,
}

/// How narrow embeddings become as wide as the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Projection {
    /// The normed sum of all embeddings, with a bias (ELECTRA, ALBERT).
    OfSum,
    /// The token embedding alone, without a bias; another projection leads back before the unembedding (OPT-350m).
    OfTokens,
}

/// What is added so that the model knows positions. Rotations are in [`Layer::rope`](super::Layer::rope).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Positions {
    None,
    /// A row of a table to each embedding.
    Learned {
        rows: usize,
        count: Count,
    },
    /// Sines and cosines of the position to each embedding, the sines first.
    Sines {
        waves: Waves,
        count: Count,
        /// Positions of the longest text, if there is one.
        most: Option<usize>,
    },
    /// A slope times the position of the key to each score.
    Alibi(Alibi),
}

/// What the positions of sines and cosines are multiplied by: `w_i` for each of `n` pairs of features. Angles are computed in as many
/// bits as in transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waves {
    /// `w_i = 10000^(-i/n)`, in 64 bits (Marian, Pegasus).
    Even,
    /// `w_i = 10000^(-i/(n-1))`, in 32 bits; position `zero` has zeros (M2M-100).
    ToTheEnd { zero: usize },
}

/// Which row of a position table a token gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Count {
    /// The position that the rest of the model sees too.
    Seen,
    /// The number of real tokens before it, plus 2; padding gets row 1 (OPT).
    RealPlusTwo,
    /// The column plus 2, padding or not (BART).
    ColumnPlusTwo,
    /// The column, padding or not.
    Column,
    /// The number of tokens up to it whose id is not `pad`, plus `pad`; those with the id get row `pad` (RoBERTa).
    ById { pad: u32 },
}

/// Attention with linear biases: three formulas in use. `p` is the position of a key among the real tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alibi {
    /// `slope p` is added to the scaled scores.
    Bloom,
    /// `slope p`, both and their product rounded to bfloat16, is added before scaling.
    Falcon,
    /// `slope (p - p of the last key)` is added to the scaled scores; the slopes of another number of heads than a
    /// power of two are chosen in another way.
    Mpt,
}
