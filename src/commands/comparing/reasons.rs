//! The reasons that `bisect` finds, and the relations of weights that `diff weights` finds, in sentences.

use crate::commands::comparing::shared::few;
use crate::comparing::bisect::{FeatureOrder, Reason, ScoreScale, Seen};
use crate::comparing::{Half, Piece, Quantised, Relation};
use crate::model::spec::{Pairing, Pool, Score};

/// Indices that a sentence lists.
const LISTED: usize = 4;

/// A reason in a clause; "there" is the other side.
pub fn sentence(reason: &Reason) -> String {
    match reason {
        Reason::At { site, reason } => format!("{site}: {}", sentence(reason)),
        Reason::EmbeddingsNotScaled => "embeddings are not scaled there".into(),
        Reason::EmbeddingsScaled => "embeddings are multiplied by the root of the model's width there".into(),
        Reason::PositionsMoved(by @ 0..) => format!("positions are {by} later there"),
        Reason::PositionsMoved(by) => format!("positions are {} earlier there", -by),
        Reason::Epsilon(eps) => format!("eps is {eps:e} there"),
        Reason::RmsNorm => "the norm is RMS there: no mean is subtracted".into(),
        Reason::LayerNorm => "the norm subtracts the mean there".into(),
        Reason::GainOnePlus(true) => "the gain is 1 + w there, not w".into(),
        Reason::GainOnePlus(false) => "the gain is w there, not 1 + w".into(),
        Reason::NoGain => "the gain is not applied there".into(),
        Reason::NoNorm => "there is no norm there".into(),
        Reason::NoBias => "the other side adds no bias".into(),
        Reason::Transposed => "the weights are transposed there".into(),
        Reason::WeightsRounded(half) => format!("the weights are rounded to {} there", name(*half)),
        Reason::OtherProjection { site } => match site.contains(".attn.") {
            true => format!("queries, keys and values are in a different order there: theirs is {site} here"),
            false => format!("gate and up are swapped there: theirs is {site} here"),
        },
        Reason::FusedHeadByHead => {
            "queries, keys and values are fused head by head there, one after the other here".into()
        }
        Reason::FusedPartByPart => {
            "queries, keys and values are fused one after the other there, head by head here".into()
        }
        Reason::Heads { there, here } => {
            format!("there are {} heads of {} there, {} of {} here", there.0, there.1, here.0, here.1)
        }
        Reason::GroupedHeads { there, here } => format!(
            "there are {} heads of {} and {} key/value heads there, {} of {} and {} here",
            there.0, there.1, there.2, here.0, here.1, here.2
        ),
        Reason::HeadsExchanged(a, b) => format!("heads {a} and {b} are swapped there"),
        Reason::HeadOrder(order) => format!("heads are in a different order there: {order:?}"),
        Reason::Weights { first, more } => {
            let one = |(id, relation): &(_, Option<Relation>)| match relation {
                Some(relation) => format!("{id}: {}", related(relation)),
                None => format!("{id} has different numbers there"),
            };
            let mut listed: Vec<String> = first.iter().map(one).collect();
            if *more > 0 {
                listed.push(format!("and {more} more weights"));
            }
            listed.join("; ")
        }
        Reason::WeightShape { id, here, there } => format!("{id} has shape {here:?} here, {there:?} there"),
        Reason::NotRotated => "queries and keys are not rotated there".into(),
        Reason::RotatedPairs(Pairing::Half) => "halves are rotated with each other there, not neighbours".into(),
        Reason::RotatedPairs(Pairing::Interleaved) => "neighbours are rotated with each other there, not halves".into(),
        Reason::FrequenciesNotScaled => "the frequencies of the rotation are not scaled there".into(),
        Reason::FrequenciesDivided(by) => format!("frequencies of the rotation are divided by {by} there"),
        Reason::RotationBase { there, here } => format!("the base of the rotation is {there} there, {here} here"),
        Reason::RotatedFeatures { there, here, of } => {
            format!("{there} of {of} features are rotated there, {here} here")
        }
        Reason::RotatedBackwards => "rotations go the other way there".into(),
        Reason::ScoresScaled(scale) => format!("scores are {} there", scaled(*scale)),
        Reason::ScoresNotCapped => "scores are not capped there".into(),
        Reason::ScoresCapped(cap) => format!("scores are capped at {cap} there"),
        Reason::QueriesNotGrown => "queries do not grow with their positions there".into(),
        Reason::NoSinks => "the softmax has no sinks there".into(),
        Reason::NoPositionBias => "scores have no bias by position there".into(),
        Reason::KeysTiled => {
            "key/value heads are repeated one after the other there (0, 1, 0, 1), not each in turn".into()
        }
        Reason::Mask { seen, length } => mask(*seen, *length),
        Reason::Activation(act) => format!("the activation is {act:?} there"),
        Reason::GateNotBounded => "gate and up of experts are not bounded there".into(),
        Reason::GateAndUpSwapped => "gate and up are swapped".into(),
        Reason::ExpertWeightsNormalized(true) => "weights of experts are divided by their sum there".into(),
        Reason::ExpertWeightsNormalized(false) => "weights of experts are not divided by their sum there".into(),
        Reason::ExpertInputsWeighed(true) => "weights multiply what experts read there, not what they make".into(),
        Reason::ExpertInputsWeighed(false) => "weights multiply what experts make there, not what they read".into(),
        Reason::ExpertWeightsNotScaled => "weights of experts are not scaled there".into(),
        Reason::ExpertScores(Score::Sigmoid) => "weights of experts are sigmoids of router logits there".into(),
        Reason::ExpertScores(_) => "weights of experts are a softmax of router logits there".into(),
        Reason::NotAdded { site } => format!("{site} is not added there"),
        Reason::AddedTimes { site, factor } => format!("{site} is added {factor:.6} times there"),
        Reason::LogitsNotScaled => "logits are not scaled there".into(),
        Reason::LogitsNotCapped => "logits are not capped there".into(),
        Reason::LogitsCapped(cap) => format!("logits are capped at {cap} there"),
        Reason::TiedHead => "the head is tied there: logits are made with the token table".into(),
        Reason::PositionRead(pool) => format!("the position read is {} there", position_of(*pool)),
        Reason::Times(factor) => format!("theirs is {factor:.6} times ours"),
        Reason::OtherBias => "theirs has a different bias: the same vector is added at every position".into(),
        Reason::OnePositionLater => "theirs is ours one position later".into(),
        Reason::OnePositionEarlier => "theirs is ours one position earlier".into(),
        Reason::Features(FeatureOrder::Pairs) => {
            "features that rotate together are neighbours there, halves here".into()
        }
        Reason::Features(FeatureOrder::Halves) => {
            "features that rotate together are halves there, neighbours here".into()
        }
        Reason::Features(FeatureOrder::Swapped) => "the two halves are swapped there".into(),
        Reason::OtherKernel { there, here } => format!("it is {there:?} there, {here:?} here"),
    }
}

/// A relation of two weights in a clause.
pub fn related(relation: &Relation) -> String {
    match relation {
        Relation::MissingHere => "missing here".into(),
        Relation::MissingThere => "missing there".into(),
        Relation::Shape { here, there, transposed } => {
            format!("shape {here:?} against {there:?}{}", if *transposed { ", transposed" } else { "" })
        }
        Relation::TheirsRounded(half) => format!("theirs is ours rounded to {}", name(*half)),
        Relation::OursRounded(half) => format!("ours is theirs rounded to {}", name(*half)),
        Relation::TheirsQuantised(found) => quantised("theirs", "ours", found),
        Relation::OursQuantised(found) => quantised("ours", "theirs", found),
        Relation::Zero => "theirs is zero".into(),
        Relation::NotFinite => "one of them has elements that are not finite".into(),
        Relation::Times(factor) => format!("theirs is {factor:.6} times ours"),
        Relation::Plus(shift) => format!("theirs is ours plus {shift:.6}"),
        Relation::Transposed => "transposed".into(),
        Relation::Heads(order) => format!("heads are in a different order there: {order:?}"),
        Relation::PairsThere => "in each head, features that rotate together are neighbours there, halves here".into(),
        Relation::HalvesThere => "in each head, features that rotate together are halves there, neighbours here".into(),
        Relation::Moved { piece, moved, of } => {
            format!("{} of {of} {} are in a different order: {}", moved.len(), plural(*piece), few(moved, LISTED))
        }
        Relation::Changed { piece, at, of } => {
            format!("{} of {of} {} differ: {}", at.len(), plural(*piece), few(at, LISTED))
        }
        Relation::Is(other) => format!("theirs is {other} of ours"),
        Relation::TiedHere => "tied to W_E here, separate there".into(),
        Relation::TiedThere => "separate here, tied to W_E there".into(),
    }
}

/// Shares of elements that are not the nearest number, of which the largest that is exceeded is reported: below the first,
/// rounding explains the difference.
const NOT_NEAREST: [f64; 5] = [0.01, 0.05, 0.1, 0.25, 0.5];

fn quantised(coded: &str, original: &str, found: &Quantised) -> String {
    let Quantised { bits, block, not_nearest } = found;
    match NOT_NEAREST.iter().rfind(|share| not_nearest > *share) {
        None => format!("{coded} is {original} rounded to {bits} bits in blocks of {block}"),
        Some(share) => format!(
            "{coded} is {original} in {bits} bits in blocks of {block}; over {:.0} % of its numbers are not the nearest",
            100.0 * share
        ),
    }
}

fn name(half: Half) -> &'static str {
    match half {
        Half::F16 => "f16",
        Half::Bf16 => "bf16",
    }
}

fn plural(piece: Piece) -> &'static str {
    match piece {
        Piece::Row => "rows",
        Piece::Column => "columns",
        Piece::Element => "elements",
    }
}

fn scaled(scale: ScoreScale) -> &'static str {
    match scale {
        ScoreScale::None => "not scaled",
        ScoreScale::Twice => "scaled twice",
        ScoreScale::RootOfHead => "divided by the root of the head's width",
        ScoreScale::Head => "divided by the head's width",
        ScoreScale::RootOfModel => "divided by the root of the model's width",
    }
}

fn position_of(pool: Pool) -> &'static str {
    match pool {
        Pool::First => "the first",
        Pool::Mean => "the mean of all",
        Pool::Last { .. } => "the last",
    }
}

fn mask(seen: Seen, length: usize) -> String {
    let all = length as i64 - 1;
    let keys = match seen.nearest {
        0 => "keys up to itself".to_string(),
        nearest if nearest == -all => "all keys".to_string(),
        nearest if nearest > 0 => format!("keys up to {nearest} before itself"),
        nearest => format!("keys up to {} after itself", -nearest),
    };
    let reach = if seen.farthest >= all { String::new() } else { format!(", at most {} before it", seen.farthest) };
    format!("the mask is different: a query sees {keys} there{reach}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_described_by_what_a_query_sees() {
        let of = |nearest, farthest| mask(Seen { nearest, farthest }, 6);
        assert_eq!(of(0, 5), "the mask is different: a query sees keys up to itself there");
        assert!(of(1, 5).ends_with("keys up to 1 before itself there"));
        assert!(of(-1, 5).ends_with("keys up to 1 after itself there"));
        assert!(of(-5, 5).ends_with("all keys there"));
        assert!(of(0, 2).ends_with("keys up to itself there, at most 2 before it"));
    }

    #[test]
    fn relations_are_described_with_their_numbers() {
        assert_eq!(related(&Relation::Times(1.5)), "theirs is 1.500000 times ours");
        assert_eq!(related(&Relation::Plus(0.25)), "theirs is ours plus 0.250000");
        assert_eq!(related(&Relation::TheirsRounded(Half::Bf16)), "theirs is ours rounded to bf16");
        let moved = Relation::Moved { piece: Piece::Row, moved: (0..8).collect(), of: 8 };
        assert_eq!(related(&moved), "8 of 8 rows are in a different order: 0, 1, 2, 3, ...");
        let changed = Relation::Changed { piece: Piece::Column, at: vec![5], of: 8 };
        assert_eq!(related(&changed), "1 of 8 columns differ: 5");
        assert_eq!(related(&Relation::Heads(vec![1, 0])), "heads are in a different order there: [1, 0]");
    }
}
