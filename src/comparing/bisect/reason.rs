//! Why an op gives something else on the other side.

use super::Seen;
use crate::comparing::weight_relation::{Half, Relation};
use crate::model::role::WeightId;
use crate::model::spec::{Act, Pairing, Pool, Score};
use crate::program::Kernel;

/// What the other side does that is not done here. Each was tried, and gives the other side's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    // At an earlier op of the stretch that ends in the one whose value differs.
    At { site: String, reason: Box<Reason> },

    EmbeddingsNotScaled,
    EmbeddingsScaled,    // By the root of the model's width.
    PositionsMoved(i64), // Positions are larger by so many.

    Epsilon(f64),
    RmsNorm,           // Root mean squares, where a mean is subtracted here.
    LayerNorm,         // A mean is subtracted, and not here.
    GainOnePlus(bool), // Gains are `1 + w` if so, else `w`.
    NoGain,
    NoNorm,

    NoBias,
    Transposed,
    WeightsRounded(Half),
    OtherProjection { site: String }, // It computes what this site is here.
    FusedHeadByHead,
    FusedPartByPart,
    Heads { there: (usize, usize), here: (usize, usize) }, // So many heads of so many features.
    GroupedHeads { there: (usize, usize, usize), here: (usize, usize, usize) }, // The same, and key/value heads.
    HeadsExchanged(usize, usize),
    HeadOrder(Vec<usize>), // The head of ours that each of theirs is.
    Weights { first: Vec<(WeightId, Option<Relation>)>, more: usize }, // Those that differ: a few, and how many more.
    WeightShape { id: WeightId, here: Vec<usize>, there: Vec<usize> },

    NotRotated,
    RotatedPairs(Pairing),
    FrequenciesNotScaled,
    FrequenciesDivided(f64),
    RotationBase { there: f64, here: f64 },
    RotatedFeatures { there: usize, here: usize, of: usize }, // So many features of each head.
    RotatedBackwards,

    ScoresScaled(ScoreScale),
    ScoresNotCapped,
    ScoresCapped(f64),
    NoPositionBias,
    QueriesNotGrown,
    NoSinks,
    KeysTiled, // Key/value heads are repeated one after the other for the queries, and not each in turn.
    Mask { seen: Seen, length: usize }, // Which keys queries see in a text of so many tokens.

    Activation(Act),
    GateAndUpSwapped,
    GateNotBounded,
    ExpertWeightsNormalized(bool), // Whether weights of experts are divided by their sum.
    ExpertWeightsNotScaled,
    ExpertInputsWeighed(bool), // Whether the weight of an expert multiplies what it reads, not what it makes.
    ExpertScores(Score),       // What the weights of experts are of router logits.

    NotAdded { site: String },
    AddedTimes { site: String, factor: f64 },

    LogitsNotScaled,
    LogitsNotCapped,
    LogitsCapped(f64),
    TiedHead,
    PositionRead(Pool),

    // Of its numbers alone.
    Times(f64),
    OtherBias, // The same vector is added at every position.
    OnePositionLater,
    OnePositionEarlier,
    Features(FeatureOrder),

    OtherKernel { there: Box<Kernel>, here: Box<Kernel> },
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
