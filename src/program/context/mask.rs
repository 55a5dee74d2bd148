//! Which keys a query sees.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Bool, Tensor};

use crate::model::input::Input;
use crate::model::spec::{Blind, ModelSpec};
use crate::tensor::{Device, Value};

#[derive(Clone)]
pub struct Mask {
    /// True where masked, `[B or 1, 1, T, S]`.
    pub(in crate::program) tensor: Tensor<4, Bool>,
    /// The same in host memory, `[B or 1, T, S]`.
    pub(in crate::program) host: Arc<[bool]>,
    /// What queries attend to that see no key.
    pub(in crate::program) blind: Option<BlindPattern>,
}

/// The pattern of queries that see no key. Only padding can be so.
#[derive(Clone)]
pub struct BlindPattern {
    /// Which queries, `[B, T]`.
    pub(in crate::program) queries: Arc<[bool]>,
    /// Their pattern, zero for other queries: `[B, T, S]`.
    pub(in crate::program) pattern: Arc<[f32]>,
    /// The queries on the device, `[B, 1, T, 1]`.
    pub(in crate::program) queries_tensor: Tensor<4, Bool>,
    /// The pattern on the device, `[B, 1, T, S]`.
    pub(in crate::program) pattern_tensor: Tensor<4>,
}

/// The masks of all layers: keys after the query in a causal model, keys out of reach, and keys that are padding, for
/// the queries of `span` and all keys up to its end. Without those that mask nothing. Positions are those of all keys if
/// a layer has a reach, and not used if none has.
pub fn masks(
    spec: &ModelSpec,
    input: &Input,
    positions: &[Vec<usize>],
    span: Range<usize>,
    device: &Device,
) -> Vec<(Option<usize>, Mask)> {
    let mut reaches: Vec<Option<usize>> = spec.layers.iter().map(|layer| layer.reach).collect();
    reaches.sort_unstable();
    reaches.dedup();
    let of = |reach: Option<usize>| {
        let rule = Rule { causal: spec.attention.causal, reach };
        Some((reach, mask(&rule, spec.attention.blind, input, positions, span.clone(), device)?))
    };
    reaches.into_iter().filter_map(of).collect()
}

/// What a query sees of keys that are not padding.
struct Rule {
    causal: bool,
    reach: Option<usize>,
}

impl Rule {
    /// Whether the query at column `q` sees the key at column `k`; distances are those of positions, so that padding
    /// between a prompt and what was generated does not count.
    fn sees(&self, q: usize, k: usize, positions: &[usize]) -> bool {
        (!self.causal || k <= q) && self.reach.is_none_or(|reach| positions[q].abs_diff(positions[k]) <= reach)
    }
}

fn mask(
    rule: &Rule,
    blind: Blind,
    input: &Input,
    positions: &[Vec<usize>],
    span: Range<usize>,
    device: &Device,
) -> Option<Mask> {
    let (keys, length) = (span.end, span.len());
    let padded = input.rows.iter().any(|row| row.mask[..keys].contains(&false));
    let whole = (!rule.causal || length == 1) && rule.reach.is_none_or(|reach| reach + 1 >= keys);
    if whole && !padded {
        return None;
    }
    let rows = if padded { input.rows.len() } else { 1 };
    let mut data = Vec::with_capacity(rows * length * keys);
    for (row, positions) in input.rows.iter().zip(positions).take(rows) {
        for q in span.clone() {
            data.extend((0..keys).map(|k| !(row.mask[k] && rule.sees(q, k, positions))));
        }
    }
    let blind = if padded { blind_pattern(rule, blind, &data, rows, span, device) } else { None };
    let host = Arc::from(data.as_slice());
    let tensor = match device.holds((rows * length * keys) as u64) {
        true => Value::from_bool(data, &[rows, 1, length, keys], device),
        // Nothing reads it: scores are as large at least, and refused.
        false => Value::from_bool(vec![false], &[1, 1, 1, 1], device),
    };
    Some(Mask { tensor: tensor.bool_tensor(), host, blind })
}

fn blind_pattern(
    rule: &Rule,
    blind: Blind,
    masked: &[bool],
    rows: usize,
    span: Range<usize>,
    device: &Device,
) -> Option<BlindPattern> {
    let (keys, length) = (span.end, span.len());
    if keys == 0 || !device.holds((rows * length * keys) as u64) {
        return None;
    }
    let queries: Vec<bool> = masked.chunks_exact(keys).map(|row| row.iter().all(|masked| *masked)).collect();
    if !queries.contains(&true) {
        return None;
    }
    let mut pattern = vec![0.0; rows * length * keys];
    // Distances among padding are those of columns.
    let columns: Vec<usize> = (0..keys).collect();
    for (i, row) in pattern.chunks_exact_mut(keys).enumerate().filter(|(i, _)| queries[*i]) {
        let q = span.start + i % length;
        let sees = |k: usize| blind == Blind::All || rule.sees(q, k, &columns);
        let seen = (0..keys).filter(|&k| sees(k)).count().max(1);
        for (k, share) in row.iter_mut().enumerate() {
            *share = if sees(k) { 1.0 / seen as f32 } else { 0.0 };
        }
    }
    Some(BlindPattern {
        queries_tensor: Value::from_bool(queries.clone(), &[rows, 1, length, 1], device).bool_tensor(),
        pattern_tensor: Value::from_f32(pattern.clone(), &[rows, 1, length, keys], device).tensor(),
        queries: queries.into(),
        pattern: pattern.into(),
    })
}
