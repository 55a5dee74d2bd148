//! Why an op gives something else on the other side.

use super::masks::Seen;
use crate::comparing::weight_relation::{Half, Relation};
use crate::model::role::WeightId;
use crate::model::spec::{Act, Pairing, Pool};
use crate::program::Kernel;

/// What the other side does that is not done here. Each was tried, and gives the other side's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// At an earlier op of the stretch that ends in the one whose value differs.
    At {
        site: String,
        reason: Box<Reason>,
    },

    EmbeddingsNotScaled,
    /// By the root of the model's width.
    EmbeddingsScaled,
    /// Positions are larger by so many.
    PositionsMoved(i64),

    Epsilon(f64),
    /// Root mean squares, where a mean is subtracted here.
    RmsNorm,
    /// A mean is subtracted, and not here.
    LayerNorm,
    /// Gains are `1 + w` if so, else `w`.
    GainOnePlus(bool),
    NoGain,
    NoNorm,

    NoBias,
    Transposed,
    WeightsRounded(Half),
    /// It computes what this site is here.
    OtherProjection {
        site: String,
    },
    FusedHeadByHead,
    FusedPartByPart,
    /// So many heads of so many features.
    Heads {
        there: (usize, usize),
        here: (usize, usize),
    },
    /// The same where key/value heads are fewer: heads, features, key/value heads.
    GroupedHeads {
        there: (usize, usize, usize),
        here: (usize, usize, usize),
    },
    HeadsExchanged(usize, usize),
    /// The head of ours that each of theirs is.
    HeadOrder(Vec<usize>),
    /// Weights of the op that differ, the first few, and how many more.
    Weights {
        first: Vec<(WeightId, Option<Relation>)>,
        more: usize,
    },
    WeightShape {
        id: WeightId,
        here: Vec<usize>,
        there: Vec<usize>,
    },

    NotRotated,
    RotatedPairs(Pairing),
    FrequenciesNotScaled,
    FrequenciesDivided(f64),
    RotationBase {
        there: f64,
        here: f64,
    },
    /// So many features of each head.
    RotatedFeatures {
        there: usize,
        here: usize,
        of: usize,
    },
    RotatedBackwards,

    ScoresScaled(ScoreScale),
    ScoresNotCapped,
    ScoresCapped(f64),
    NoPositionBias,
    /// Key/value heads are repeated one after the other for the queries, and not each in turn.
    KeysTiled,
    /// Which keys queries see in a text of so many tokens.
    Mask {
        seen: Seen,
        length: usize,
    },

    Activation(Act),
    GateAndUpSwapped,
    /// Whether weights of experts are divided by their sum.
    ExpertWeightsNormalized(bool),

    NotAdded {
        site: String,
    },
    AddedTimes {
        site: String,
        factor: f64,
    },

    LogitsNotScaled,
    LogitsNotCapped,
    LogitsCapped(f64),
    TiedHead,
    PositionRead(Pool),

    /// Of its numbers alone: a factor.
    Times(f64),
    /// The same vector is added at every position.
    OtherBias,
    OnePositionLater,
    OnePositionEarlier,
    Features(FeatureOrder),

    OtherKernel {
        there: Box<Kernel>,
        here: Box<Kernel>,
    },
}

/// What scores are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreScale {
    None,
    /// The square of the factor here.
    Twice,
    RootOfHead,
    Head,
    RootOfModel,
}

/// How the last axis is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureOrder {
    /// Features that rotate together follow each other, and are half the axis apart here.
    Pairs,
    /// The other way round.
    Halves,
    /// The two halves are swapped.
    Swapped,
}
