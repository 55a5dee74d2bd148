//! What an attention head looks at, from its pattern alone.
//!
//! The first five scores are shares of all attention, what a sink takes included: `sum(A * mask) / sum(A)` with the masks of TransformerLens'
//! `detect_head` (previous token, duplicate token, induction). A head that does what a mask says has a share near 1 if
//! the mask has something in every row.

use crate::debugger::params::head_results;
use crate::debugger::{Mark, RunError, Session};
use crate::model::spec::{Attention, Reach};
use crate::program::Part;
use crate::tensor::ops::Slice;
use crate::tensor::{TensorError, Value, step};

/// Scores of one head on one text, as [`METRICS`] describes them. Shares are between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    pub previous: f64,
    /// To the token after; 0 in a decoder.
    pub next: f64,
    /// To the first token: an attention sink, if it is large for a text in which that token means nothing.
    pub first: f64,
    pub duplicate: f64,
    pub induction: f64,
    pub own: f64,
    pub separators: f64,
    /// Mean over queries of `-sum A ln A`, divided by the logarithm of how many keys the query sees: 1 is uniform.
    /// Queries that see one key count for nothing.
    pub entropy: f64,
    pub largest: f64,
    /// Mean distance in tokens between query and key, weighted by attention.
    pub distance: f64,
    /// Its share of the squared norm of what the heads of its block write; not of a pattern alone, NaN then.
    pub output: f64,
    /// The share of attention of one position to a token that was asked for; NaN without.
    pub to: f64,
    /// Tokens that the shares are of; of several texts, those of all.
    pub tokens: usize,
}

impl Scores {
    fn each(&mut self) -> [&mut f64; METRICS.len()] {
        let Scores {
            previous,
            next,
            first,
            duplicate,
            induction,
            own,
            separators,
            entropy,
            largest,
            distance,
            output,
            to,
            tokens: _,
        } = self;
        [previous, next, first, duplicate, induction, own, separators, entropy, largest, distance, output, to]
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Tokens up to the last key.
    pub ids: &'a [u32],
    /// Whether each is real, not padding.
    pub real: &'a [bool],
    /// Whether each begins, separates or ends texts.
    pub special: &'a [bool],
    pub start: usize,
    /// Whether queries see no later key.
    pub causal: bool,
    /// How far they see.
    pub reach: Option<Reach>,
    /// Whether a part of the attention goes to a sink: what is missing to 1 in each row.
    pub sinks: bool,
}

/// The text of the current pass of the focused row.
pub(super) struct OfPass {
    ids: Vec<u32>,
    pub(super) real: Vec<bool>,
    special: Vec<bool>,
    start: usize,
    causal: bool,
    sinks: bool,
}

impl OfPass {
    pub(super) fn new(session: &Session) -> OfPass {
        let run = &session.run;
        let span = run.branch().span(run.pass);
        let row = &run.branch().text().rows[session.focus.row];
        let ids = row.ids[..span.end].to_vec();
        let tokenizer = run.model.tokenizer.as_ref();
        let special = ids.iter().map(|id| tokenizer.is_some_and(|known| known.is_special(*id))).collect();
        let Attention { causal, sinks, .. } = run.model.spec.attention;
        OfPass { ids, real: row.mask[..span.end].to_vec(), special, start: span.start, causal, sinks }
    }

    /// For a layer that sees so far.
    pub(super) fn text(&self, reach: Option<Reach>) -> Text<'_> {
        let (ids, real, special) = (&self.ids, &self.real, &self.special);
        let OfPass { start, causal, sinks, .. } = *self;
        Text { ids, real, special, start, causal, reach, sinks }
    }
}

impl Text<'_> {
    pub(super) fn sees(&self, q: usize, k: usize) -> bool {
        self.real[k] && (!self.causal || k <= q) && self.reach.is_none_or(|reach| reach.sees(q, k))
    }
}

/// Scores of a pattern `[Q, K]` in row-major order. Queries that are padding do not count.
pub fn scores(pattern: &[f64], text: Text<'_>) -> Scores {
    let keys = text.ids.len();
    let tokens = text.real.iter().filter(|real| **real).count();
    let mut scores = Scores { output: f64::NAN, to: f64::NAN, tokens, ..Scores::default() };
    let (mut queries, mut unsure) = (0usize, 0usize);
    let first = text.real.iter().position(|real| *real).unwrap_or(0);
    for (i, row) in pattern.chunks(keys.max(1)).enumerate() {
        let q = text.start + i;
        if !text.real[q] {
            continue;
        }
        queries += 1;
        let mut entropy = 0.0;
        let mut distance = 0.0;
        let mut largest = 0.0f64;
        for (k, &a) in row.iter().enumerate() {
            let when = |holds: bool| if holds { a } else { 0.0 };
            scores.previous += when(k + 1 == q);
            scores.next += when(k == q + 1);
            scores.first += when(k == first);
            scores.own += when(k == q);
            // In a decoder later keys have no weight; in an encoder both directions count.
            scores.duplicate += when(k != q && text.ids[k] == text.ids[q]);
            scores.induction += when(k > 0 && k <= q && k - 1 != q && text.ids[k - 1] == text.ids[q]);
            scores.separators += when(text.special[k]);
            distance += a * q.abs_diff(k) as f64;
            if a > 0.0 {
                entropy -= a * a.ln();
            }
            largest = largest.max(a);
        }
        scores.largest += largest;
        let mut visible = (0..keys).filter(|&k| text.sees(q, k)).count();
        if text.sinks {
            // One more place that attention can go to, at no distance.
            let seen: f64 = row.iter().sum();
            let sunk = 1.0 - seen;
            entropy -= if sunk > 0.0 { sunk * sunk.ln() } else { 0.0 };
            distance /= if seen > 0.0 { seen } else { 1.0 };
            visible += 1;
        }
        scores.distance += distance;
        if visible > 1 {
            scores.entropy += entropy / (visible as f64).ln();
            unsure += 1;
        }
    }
    let entropy = scores.entropy / unsure.max(1) as f64;
    scores.each().into_iter().for_each(|sum| *sum /= queries.max(1) as f64);
    Scores { entropy, ..scores }
}

pub struct Metric {
    pub name: &'static str,
    pub about: &'static str,
    pub of: fn(&Scores) -> f64,
}

/// Every score, in the order of what they tell; the last one is only there if a token was asked for.
pub const METRICS: [Metric; 12] = [
    Metric {
        name: "output",
        about: "share of the squared norm of what the heads of its block write",
        of: |s| s.output,
    },
    Metric { name: "first", about: "share of attention to the first token", of: |s| s.first },
    Metric { name: "previous", about: "share to the token before", of: |s| s.previous },
    Metric { name: "self", about: "share to the token itself", of: |s| s.own },
    Metric { name: "induction", about: "share to what followed the same token before", of: |s| s.induction },
    Metric { name: "duplicate", about: "share to other places of the same token", of: |s| s.duplicate },
    Metric { name: "entropy", about: "entropy as a part of that of uniform attention", of: |s| s.entropy },
    Metric { name: "largest", about: "largest weight, mean over queries", of: |s| s.largest },
    Metric { name: "distance", about: "mean distance in tokens", of: |s| s.distance },
    Metric { name: "separators", about: "share to tokens that begin, separate or end texts", of: |s| s.separators },
    Metric { name: "next", about: "share to the token after", of: |s| s.next },
    Metric { name: "to", about: "share of one position to the token asked for with -to", of: |s| s.to },
];

/// A head that writes less than this share of its block's heads does nothing.
const DEAD: f64 = 1e-4;

/// On fewer tokens every head attends to the first one: each query sees it, and few others.
const MANY_TOKENS: usize = 8;

/// Scores that are not parts of one, or that were asked for.
const NOT_SHARES: [&str; 2] = ["distance", "to"];

/// Positions whose results are computed at once: those of all heads are as wide as the model, each.
const CHUNK: usize = 64;

/// What a head is called for its scores, and the threshold it is over. The first that holds counts.
pub const KINDS: [(&str, fn(&Scores) -> bool, &str); 9] = [
    ("dead", |s| s.output < DEAD, "output < 1e-4"),
    ("previous", |s| s.previous > 0.5, "previous > 0.5"),
    ("next", |s| s.next > 0.5, "next > 0.5"),
    ("induction", |s| s.induction > 0.3, "induction > 0.3"),
    ("duplicate", |s| s.duplicate > 0.3, "duplicate > 0.3"),
    ("separators", |s| s.separators > 0.6, "separators > 0.6"),
    ("sink", |s| s.first > 0.6 && s.tokens >= MANY_TOKENS, "first > 0.6 of 8 tokens or more"),
    ("uniform", |s| s.entropy > 0.95, "entropy > 0.95"),
    ("concentrated", |s| s.largest > 0.9 && s.tokens >= MANY_TOKENS, "largest > 0.9 of 8 tokens or more"),
];

/// What a head is called; `None` if no rule holds.
pub fn kind(scores: &Scores) -> Option<&'static str> {
    KINDS.iter().find(|(_, holds, _)| holds(scores)).map(|(name, _, _)| *name)
}

/// Of each head, the share in which it differs most from the median head, and by how much.
pub fn unlike(found: &[Scored]) -> Vec<(&'static str, f64)> {
    let mut most = vec![("", 0.0f64); found.len()];
    for metric in METRICS.iter().filter(|metric| !NOT_SHARES.contains(&metric.name)) {
        let mut sorted: Vec<f64> = found.iter().map(|one| (metric.of)(&one.scores)).collect();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        for (one, most) in found.iter().zip(&mut most) {
            let by = (metric.of)(&one.scores) - median;
            if by.abs() > most.1.abs() {
                *most = (metric.name, by);
            }
        }
    }
    most
}

/// What the head of a pattern `[Q, K]` of the current pass is called, by its pattern alone.
pub fn kind_in(session: &Session, site: &str, pattern: &Value) -> Result<Option<&'static str>, TensorError> {
    let run = &session.run;
    let layer = run.program.op_of(site).and_then(|op| run.program.ops[op].layer);
    let of_pass = OfPass::new(session);
    let text = of_pass.text(layer.and_then(|layer| run.model.spec.layers[layer].reach));
    Ok(kind(&scores(&pattern.read_f64()?, text)))
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub layer: usize,
    pub head: usize,
    pub scores: Scores,
}

/// A token, and the position of the query that may look at it; the last one by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toward {
    pub id: u32,
    pub pos: Option<usize>,
}

/// Scores of the heads of these layers, of all if none are given, in the current pass of the focused row, as far as it
/// has come.
pub fn of_session(session: &mut Session, layers: &[usize], toward: Option<Toward>) -> Result<Vec<Scored>, RunError> {
    let program = session.run.program.clone();
    let row = session.focus.row;
    let of_pass = OfPass::new(session);
    let wanted: Vec<usize> =
        (0..program.n_layers()).filter(|layer| layers.is_empty() || layers.contains(layer)).collect();
    let mut found = Vec::new();
    for (number, &layer) in wanted.iter().enumerate() {
        let Some(op) = program.block_op(layer, Part::Pattern) else { continue };
        step(&program.ops[op].site, number as u64, wanted.len() as u64)?;
        let Some(pattern) = session.run.value_if_reached(Mark { pass: session.run.pass, op })? else { break };
        let text = of_pass.text(session.run.model.spec.layers[layer].reach);
        let written = written(session, layer, &of_pass.real[of_pass.start..])?;
        for head in 0..pattern.shape()[1] {
            let data = pattern.slice(&[Slice::At(row), Slice::At(head)])?.read_f64()?;
            let mut scores = scores(&data, text);
            scores.output = written.get(head).copied().unwrap_or(f64::NAN);
            if let Some(Toward { id, pos }) = toward {
                let last = text.real.iter().rposition(|real| *real).unwrap_or(0);
                let query = pos.unwrap_or(last).checked_sub(text.start);
                let row = query.and_then(|query| data.chunks(text.ids.len().max(1)).nth(query)).unwrap_or(&[]);
                scores.to = row.iter().zip(text.ids).filter(|(_, key)| **key == id).map(|(share, _)| share).sum();
            }
            found.push(Scored { layer, head, scores });
        }
    }
    Ok(found)
}

/// Means over texts, each of which has a list of the same heads.
pub fn averaged(texts: &[Vec<Scored>]) -> Vec<Scored> {
    let Some((first, others)) = texts.split_first() else { return Vec::new() };
    let mut means = first.clone();
    for text in others {
        for (sum, one) in means.iter_mut().zip(text) {
            let mut scores = one.scores;
            sum.scores.tokens += scores.tokens;
            sum.scores.each().into_iter().zip(scores.each()).for_each(|(sum, x)| *sum += *x);
        }
    }
    means.iter_mut().flat_map(|one| one.scores.each()).for_each(|x| *x /= texts.len() as f64);
    means
}

/// Each head's share of the squared norm of what the heads of a block write at real tokens; empty if they have not
/// written yet.
fn written(session: &mut Session, layer: usize, real: &[bool]) -> Result<Vec<f64>, RunError> {
    let Some(op) = session.run.program.source_of(&Part::Result.site(layer)) else { return Ok(Vec::new()) };
    let Some(z) = session.run.value_if_reached(Mark { pass: session.run.pass, op })? else { return Ok(Vec::new()) };
    let row = session.focus.row;
    let z = z.rows(row..row + 1); // [1, T, H, h]
    let weights = session.run.branch().weights();
    let layer = session.run.model.spec.weights_of(layer);
    let (length, heads) = (z.shape()[1], z.shape()[2]);
    let mut squares = vec![0.0; heads];
    for from in (0..length).step_by(CHUNK) {
        let end = (from + CHUNK).min(length);
        let part = z.slice(&[Slice::All, Slice::Range { start: from, end, step: 1 }])?;
        let results = head_results(&part, weights, layer)?; // [1, T, H, d]
        let width = results.shape()[3];
        for (i, result) in results.read_f32()?.chunks(width).enumerate() {
            if real[from + i / heads] {
                squares[i % heads] += result.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            }
        }
    }
    let all: f64 = squares.iter().sum();
    Ok(squares.into_iter().map(|one| if all > 0.0 { one / all } else { 0.0 }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(ids: &'a [u32], real: &'a [bool], special: &'a [bool]) -> Text<'a> {
        Text { ids, real, special, start: 0, causal: true, reach: None, sinks: false }
    }

    #[test]
    fn pure_heads_have_pure_scores() {
        let ids = [7, 8, 9, 7, 8, 9];
        let (real, special) = ([true; 6], [false; 6]);
        let text = text(&ids, &real, &special);
        let one_hot = |of: &dyn Fn(usize) -> usize| -> Vec<f64> {
            (0..36).map(|i| if i % 6 == of(i / 6) { 1.0 } else { 0.0 }).collect()
        };
        let previous = scores(&one_hot(&|q| q.saturating_sub(1)), text);
        assert_eq!((previous.previous, previous.own, previous.largest), (5.0 / 6.0, 1.0 / 6.0, 1.0));
        assert_eq!((previous.entropy, previous.distance), (0.0, 5.0 / 6.0));
        // The token after the earlier occurrence of the same token, for the fourth query and later ones.
        let induction = scores(&one_hot(&|q| if q < 3 { 0 } else { q - 2 }), text);
        assert_eq!((induction.induction, induction.first), (0.5, 0.5));
        let duplicate = scores(&one_hot(&|q| if q < 3 { q } else { q - 3 }), text);
        assert_eq!((duplicate.duplicate, duplicate.own), (0.5, 0.5));
        let uniform: Vec<f64> = (0..36).map(|i| if i % 6 <= i / 6 { 1.0 / (i / 6 + 1) as f64 } else { 0.0 }).collect();
        let uniform = scores(&uniform, text);
        assert!((uniform.entropy - 1.0).abs() < 1e-12);
        assert_eq!(kind(&uniform), Some("uniform"));
        assert_eq!(kind(&previous), Some("previous"));
    }

    #[test]
    fn the_unusual_head_is_named_by_what_is_unusual_and_few_tokens_make_no_sink() {
        let of = |first, previous, tokens| Scores { first, previous, tokens, output: 0.25, ..Scores::default() };
        let all = [of(0.9, 0.1, 5), of(0.8, 0.1, 5), of(0.9, 0.1, 5), of(0.2, 0.15, 5)];
        let found: Vec<Scored> =
            all.into_iter().enumerate().map(|(head, scores)| Scored { layer: 0, head, scores }).collect();
        let unlike = unlike(&found);
        assert_eq!(unlike[0], ("", 0.0));
        assert_eq!((unlike[3].0, (unlike[3].1 * 100.0).round()), ("first", -70.0));
        assert_eq!([kind(&of(0.9, 0.1, 7)), kind(&of(0.9, 0.1, 8))], [None, Some("sink")]);
    }

    #[test]
    fn padding_counts_for_nothing() {
        let ids = [0, 0, 7, 8];
        let (real, special) = ([false, false, true, true], [false; 4]);
        let mut pattern = vec![0.25; 16];
        pattern[8..].copy_from_slice(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let found = scores(&pattern, text(&ids, &real, &special));
        assert_eq!((found.first, found.own, found.previous, found.entropy), (1.0, 0.5, 0.5, 0.0));
    }
}
