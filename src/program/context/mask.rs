//! Which keys a query sees.
//!
//! What is masked follows from a rule and from the padding, and is worked out for a row of scores when it is needed: for
//! every pair of tokens at once it would take gigabytes for a long text. Only operations over burn tensors get it whole.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use burn::tensor::{Bool, Tensor};

use crate::model::input::Input;
use crate::model::spec::{Blind, ModelSpec, Reach};
use crate::program::kernels::gpu::Seen;
use crate::tensor::{Device, Value};

#[derive(Clone)]
pub struct Mask(Arc<Parts>);

struct Parts {
    rule: Rule,
    blind: Blind,
    /// The rows of the batch that differ: one without padding.
    rows: Vec<Row>,
    padded: bool,
    /// The columns of the queries.
    span: Range<usize>,
    /// How many keys there are.
    end: usize,
    device: Device,
    tensor: OnceLock<Tensor<4, Bool>>,
    keys: OnceLock<Value>,
    blind_tensors: OnceLock<Option<BlindTensors>>,
}

struct Row {
    /// Which keys are not padding.
    real: Vec<bool>,
    /// The position of each column that the model sees.
    positions: Vec<usize>,
}

/// The pattern of queries that see no key, on the device.
#[derive(Clone)]
pub struct BlindTensors {
    /// Which queries, `[B, 1, T, 1]`.
    pub(in crate::program) queries: Tensor<4, Bool>,
    /// Their pattern, zero for other queries: `[B, 1, T, S]`.
    pub(in crate::program) pattern: Tensor<4>,
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
) -> Vec<(Option<Reach>, Mask)> {
    let mut reaches: Vec<Option<Reach>> = spec.layers.iter().map(|layer| layer.reach).collect();
    reaches.sort_unstable();
    reaches.dedup();
    let of = |reach: Option<Reach>| {
        let rule = Rule { causal: spec.attention.causal, reach, real: spec.attention.blind == Blind::Padding };
        Some((reach, mask(rule, spec.attention.blind, input, positions, span.clone(), device)?))
    };
    reaches.into_iter().filter_map(of).collect()
}

/// What a query sees of keys that are not padding.
struct Rule {
    causal: bool,
    reach: Option<Reach>,
    /// Whether only queries that are not padding see anything.
    real: bool,
}

impl Rule {
    /// Whether the query at column `q` sees the key at column `k`; distances are those of positions, so that padding
    /// between a prompt and what was generated does not count.
    fn sees(&self, q: usize, k: usize, row: &Row) -> bool {
        let near = |reach: Reach| reach.sees(row.positions[q], row.positions[k]);
        row.real[k] && (!self.real || row.real[q]) && (!self.causal || k <= q) && self.reach.is_none_or(near)
    }
}

fn mask(
    rule: Rule,
    blind: Blind,
    input: &Input,
    positions: &[Vec<usize>],
    span: Range<usize>,
    device: &Device,
) -> Option<Mask> {
    let (keys, length) = (span.end, span.len());
    let padded = input.rows.iter().any(|row| row.mask[..keys].contains(&false));
    let whole = (!rule.causal || length == 1) && rule.reach.is_none_or(|reach| reach.is_whole(keys));
    if whole && !padded {
        return None;
    }
    // Positions of all columns are known where distances count.
    let known = if rule.reach.is_some() { keys } else { 0 };
    let row = |(row, positions): (&crate::model::Row, &Vec<usize>)| Row {
        real: row.mask[..keys].to_vec(),
        positions: positions[..known].to_vec(),
    };
    let rows = input.rows.iter().zip(positions).take(if padded { usize::MAX } else { 1 }).map(row).collect();
    let device = device.clone();
    let (tensor, keys, blind_tensors) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
    let end = span.end;
    Some(Mask(Arc::new(Parts { rule, blind, rows, padded, span, end, device, tensor, keys, blind_tensors })))
}

/// What queries of the columns `span` see of the tokens of another text: all but padding. None without any.
pub fn across(source: &Input, span: Range<usize>, device: &Device) -> Option<Mask> {
    if !source.is_padded() {
        return None;
    }
    let rows = source.rows.iter().map(|row| Row { real: row.mask.clone(), positions: Vec::new() }).collect();
    Some(Mask(Arc::new(Parts {
        rule: Rule { causal: false, reach: None, real: false },
        blind: Blind::All,
        rows,
        padded: true,
        span,
        end: source.length(),
        device: device.clone(),
        tensor: OnceLock::new(),
        keys: OnceLock::new(),
        blind_tensors: OnceLock::new(),
    })))
}

impl Mask {
    /// That of a causal model for one text of `length` tokens without padding.
    pub(in crate::program) fn causal(length: usize, device: &Device) -> Mask {
        let rows = vec![Row { real: vec![true; length], positions: Vec::new() }];
        Mask(Arc::new(Parts {
            rule: Rule { causal: true, reach: None, real: false },
            blind: Blind::All,
            rows,
            padded: false,
            span: 0..length,
            end: length,
            device: device.clone(),
            tensor: OnceLock::new(),
            keys: OnceLock::new(),
            blind_tensors: OnceLock::new(),
        }))
    }

    /// Sets the scores of masked keys to -inf: those of query `query` of the span in row `row` of the batch, `[S]`.
    pub(in crate::program) fn apply(&self, row: usize, query: usize, scores: &mut [f32]) {
        let Parts { rule, rows, padded, span, .. } = &*self.0;
        let (row, q) = (&rows[row.min(rows.len() - 1)], span.start + query);
        let seen = if rule.causal { (q + 1).min(scores.len()) } else { scores.len() };
        let (seen, later) = scores.split_at_mut(seen);
        later.fill(f32::NEG_INFINITY);
        if let Some(reach) = rule.reach {
            let here = row.positions[q];
            for (x, position) in seen.iter_mut().zip(&row.positions) {
                *x = if reach.sees(here, *position) { *x } else { f32::NEG_INFINITY };
            }
        }
        if *padded {
            for (x, real) in seen.iter_mut().zip(&row.real) {
                *x = if *real && (!rule.real || row.real[q]) { *x } else { f32::NEG_INFINITY };
            }
        }
    }

    /// A number of keys of which the first `queries` queries of the span see no later one.
    pub(in crate::program) fn sees_up_to(&self, queries: usize) -> usize {
        let Parts { rule, span, end, .. } = &*self.0;
        if rule.causal { (span.start + queries).min(*end) } else { *end }
    }

    /// What query `query` of the span in row `row` of the batch attends to if it sees no key, `[S]`; `None` if it sees
    /// one. Only padding can be so.
    pub(in crate::program) fn blind(&self, row: usize, query: usize) -> Option<Vec<f32>> {
        let Parts { rule, blind, rows, padded, span, .. } = &*self.0;
        let (row, q) = (rows.get(row).filter(|_| *padded)?, span.start + query);
        let keys = row.real.len();
        if keys == 0 || (0..keys).any(|k| rule.sees(q, k, row)) {
            return None;
        }
        // Distances among padding are those of columns.
        let near = |k: usize| (!rule.causal || k <= q) && rule.reach.is_none_or(|reach| reach.sees(q, k));
        let sees = |k: usize| *blind != Blind::Visible || near(k);
        let seen = (0..keys).filter(|&k| sees(k)).count().max(1);
        Some((0..keys).map(|k| if sees(k) { 1.0 / seen as f32 } else { 0.0 }).collect())
    }

    /// The same for kernels of graphics devices; `None` on the CPU.
    pub(in crate::program) fn seen(&self) -> Option<Seen> {
        let Parts { rule, rows, span, end, device, keys, .. } = &*self.0;
        let made = || {
            let of = |row: &Row| -> Vec<i64> {
                let position = |key: usize| row.positions.get(key).map_or(0, |position| *position as i64);
                row.real.iter().enumerate().map(|(key, &real)| 2 * position(key) + i64::from(real)).collect()
            };
            let data = rows.iter().flat_map(of).collect();
            Value::from_i64(data, &[rows.len(), *end], device)
        };
        if device.is_cpu() {
            return None;
        }
        let keys = keys.get_or_init(made).device_i32()?;
        Some(Seen { keys, causal: rule.causal, reach: rule.reach, real: rule.real, start: span.start, row: 0 })
    }

    /// True where masked, `[B or 1, 1, T, S]`.
    pub(in crate::program) fn tensor(&self) -> Tensor<4, Bool> {
        let made = || {
            let Parts { rule, rows, span, end, device, .. } = &*self.0;
            let mut data = Vec::with_capacity(rows.len() * span.len() * end);
            for row in rows {
                for q in span.clone() {
                    data.extend((0..*end).map(|k| !rule.sees(q, k, row)));
                }
            }
            Value::from_bool(data, &[rows.len(), 1, span.len(), *end], device).bool_tensor()
        };
        self.0.tensor.get_or_init(made).clone()
    }

    /// The queries that see no key and what they attend to; `None` without any.
    pub(in crate::program) fn blind_tensors(&self) -> Option<BlindTensors> {
        let made = || {
            let Parts { rows, span, end, device, .. } = &*self.0;
            let (length, keys) = (span.len(), *end);
            let all: Vec<Option<Vec<f32>>> =
                (0..rows.len()).flat_map(|row| (0..length).map(move |query| self.blind(row, query))).collect();
            if all.iter().all(Option::is_none) {
                return None;
            }
            let queries = all.iter().map(Option::is_some).collect();
            let pattern = all.into_iter().flat_map(|row| row.unwrap_or_else(|| vec![0.0; keys])).collect();
            Some(BlindTensors {
                queries: Value::from_bool(queries, &[rows.len(), 1, length, 1], device).bool_tensor(),
                pattern: Value::from_f32(pattern, &[rows.len(), 1, length, keys], device).tensor(),
            })
        };
        self.0.blind_tensors.get_or_init(made).clone()
    }
}
