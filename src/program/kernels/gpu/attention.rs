//! Scores, pattern and mixing. A value that is too large for a buffer is computed in blocks of queries of one head, when
//! they are asked for.

use std::ops::Range;

use super::launch::{self, Batch, Epilogue, Operand, Order, Output, Seen, Sinks};
use crate::program::context::Mask;
use crate::program::kernels::attention::Scoring;
use crate::tensor::graphics::stored::Form;
use crate::tensor::graphics::{DeviceF32, DeviceWords};
use crate::tensor::{Kind, Precision, TensorError, Value, block_rows, is_large};

/// What scores are computed from.
struct Scored {
    queries: DeviceF32,
    keys: DeviceWords,
    /// Rows of the batch, queries, heads, width of a head, keys, heads of keys.
    lens: [usize; 6],
    scale: f64,
    cap: Option<f64>,
    /// Biases, and the elements from one row of the batch to the next.
    bias: Option<(DeviceF32, usize)>,
    /// Added for each query and key, `[B, H, T, S]` each; without biases.
    more: Vec<Value>,
    seen: Option<Seen>,
}

impl Scored {
    fn new(q: &Value, k: &Value, scoring: Scoring) -> Option<Scored> {
        let (queries, keys) = (q.device_f32()?, k.device_f32()?.words());
        let (&[rows, t, heads, h], &[_, s, kv, _]) = (q.shape(), k.shape()) else { return None };
        let bias = match scoring.bias {
            Some(bias) => {
                let [of_rows, of_heads, ..] = bias.tensor.dims();
                let batch = if of_rows > 1 { of_heads * s } else { 0 };
                Some((Value::float(bias.tensor.clone()).device_f32()?, batch))
            }
            None => None,
        };
        let seen = match scoring.mask {
            Some(mask) => Some(mask.seen()?),
            None => None,
        };
        let (scale, cap, more) = (scoring.scale, scoring.softcap, scoring.more.to_vec());
        // There is one place for what is added.
        if bias.is_some() && !more.is_empty() {
            return None;
        }
        Some(Scored { queries, keys, lens: [rows, t, heads, h, s, kv], scale, cap, bias, more, seen })
    }

    /// The sum of what is added for each query and key, or of the parts of it that `part` gives.
    fn more(&self, part: impl Fn(&Value) -> Result<Value, TensorError>) -> Result<Option<DeviceF32>, TensorError> {
        let mut sum: Option<DeviceF32> = None;
        for more in &self.more {
            let part = part(more)?;
            let here = part.device_f32().ok_or_else(|| not_there(&part))?;
            sum = Some(match sum {
                Some(sum) => launch::sum(&sum, &here),
                None => here,
            });
        }
        Ok(sum)
    }

    /// All of them, `[B, H, T, S]`.
    fn all(&self) -> Result<DeviceF32, TensorError> {
        let [rows, t, heads, h, s, kv] = self.lens;
        let more = self.more(Value::held)?;
        let more = more.as_ref().map(|more| (more, [0, heads * t * s, t * s, s]));
        let out = self.queries.empty(rows * heads * t * s);
        launch::product(
            Operand { data: &self.queries, start: 0, strides: [t * heads * h, h, heads * h] },
            (Operand { data: &self.keys, start: 0, strides: [s * kv * h, h, kv * h] }, Form::F32, Order::Outputs),
            [t, s, h],
            Output { data: &out, start: 0, strides: [heads * t * s, t * s, s] },
            Batch { rows, heads, group: heads / kv },
            Epilogue {
                scale: Some(self.scale),
                cap: self.cap,
                more: self.bias.as_ref().map(|(bias, batch)| (bias, [0, *batch, s, 0])).or(more),
                seen: self.seen.clone(),
            },
        );
        Ok(out)
    }

    /// Those of some queries of one head, `[queries, S]`.
    fn block(&self, matrix: usize, queries: &Range<usize>) -> Result<DeviceF32, TensorError> {
        let [_, _, heads, h, s, kv] = self.lens;
        let (row, head) = (matrix / heads, matrix % heads);
        let out = self.queries.empty(queries.len() * s);
        let first = (row * self.lens[1] + queries.start) * heads * h + head * h;
        let seen = self.seen.clone().map(|seen| seen.from(row, queries.start, s));
        let more = self.more(|more| more.block(matrix, queries.clone()))?;
        let more = more.as_ref().map(|more| (more, [0, 0, 0, s]));
        launch::product(
            Operand { data: &self.queries, start: first, strides: [0, 0, heads * h] },
            (
                Operand { data: &self.keys, start: (row * s * kv + head * kv / heads) * h, strides: [0, 0, kv * h] },
                Form::F32,
                Order::Outputs,
            ),
            [queries.len(), s, h],
            Output { data: &out, start: 0, strides: [0, 0, s] },
            Batch::ONE,
            Epilogue {
                scale: Some(self.scale),
                cap: self.cap,
                more: self.bias.as_ref().map(|(bias, batch)| (bias, [row * batch + head * s, 0, 0, 0])).or(more),
                seen,
            },
        );
        Ok(out)
    }
}

/// Products of queries `[B, T, H, h]` and keys `[B, S, K, h]`, scaled, capped, biased and masked: `[B, H, T, S]`.
pub fn scores(q: &Value, k: &Value, scoring: Scoring) -> Option<Value> {
    let scored = Scored::new(q, k, scoring)?;
    let [rows, t, heads, _, s, _] = scored.lens;
    let (shape, device) = ([rows, heads, t, s], q.device());
    if !is_large(&shape, &device) {
        return Some(scored.all().ok()?.value(&shape));
    }
    let source = move |matrix, queries: Range<usize>| Ok(scored.block(matrix, &queries)?.value(&[queries.len(), s]));
    Some(Value::in_pieces(&shape, (Kind::Float, Precision::F32), &device, block_rows(s), source))
}

/// Softmax over keys, `[B, H, T, S]`; a query that sees no key has the pattern of the mask.
///
/// # Errors
/// If the scores cannot be computed.
pub fn pattern(scores: &Value, mask: Option<&Mask>, sinks: Option<&Value>) -> Option<Value> {
    let &[_, heads, queries, keys] = scores.shape() else { return None };
    if !scores.is_in_pieces() {
        let all = scores.device_f32()?;
        let sinks = match sinks {
            Some(sinks) => Some(sinks.device_f32()?),
            None => None,
        };
        let sinks = sinks.as_ref().map(|of| Sinks { of, first: 0, each: queries });
        return Some(launch::pattern(&all, keys, sinks).value(scores.shape()));
    }
    let device = scores.device();
    if device.is_cpu() {
        return None;
    }
    let sinks = match sinks {
        Some(sinks) => Some(sinks.device_f32()?),
        None => None,
    };
    let (of, mask, here) = (scores.clone(), mask.filter(|_| sinks.is_none()).cloned(), device.clone());
    let source = move |matrix: usize, queries: Range<usize>| {
        let block = of.block(matrix, queries.clone())?;
        let memory = block.device_f32().ok_or_else(|| not_there(&block))?;
        let sinks = sinks.as_ref().map(|of| Sinks { of, first: matrix % heads, each: queries.len() });
        let found = launch::pattern(&memory, keys, sinks).value(block.shape());
        let blind = |query| mask.as_ref().and_then(|mask| mask.blind(matrix / heads, query));
        if queries.clone().all(|query| blind(query).is_none()) {
            return Ok(found);
        }
        let mut lines = found.read_f32()?;
        for (query, line) in queries.zip(lines.chunks_exact_mut(keys.max(1))) {
            if let Some(blind) = blind(query) {
                line.copy_from_slice(&blind);
            }
        }
        Ok(Value::from_f32(lines, block.shape(), &here))
    };
    Some(Value::in_pieces(scores.shape(), (Kind::Float, Precision::F32), &device, block_rows(keys), source))
}

fn not_there(value: &Value) -> TensorError {
    TensorError::Read { message: format!("{value:?} is not in the memory of a graphics device") }
}

/// Pattern `[B, H, T, S]` times values `[B, S, K, h]`: `[B, T, H, h]`.
///
/// # Errors
/// If a block of a pattern in pieces cannot be computed.
pub fn mix(pattern: &Value, v: &Value) -> Result<Option<Value>, TensorError> {
    let (&[rows, heads, t, s], &[_, _, kv, h]) = (pattern.shape(), v.shape()) else { return Ok(None) };
    let Some(w) = v.device_f32().map(|v| v.words()) else { return Ok(None) };
    let (shape, group) = ([rows, t, heads, h], heads / kv);
    let out = w.empty(rows * t * heads * h);
    if !pattern.is_in_pieces() {
        let Some(x) = pattern.device_f32() else { return Ok(None) };
        launch::product(
            Operand { data: &x, start: 0, strides: [heads * t * s, t * s, s] },
            (Operand { data: &w, start: 0, strides: [s * kv * h, h, kv * h] }, Form::F32, Order::Terms),
            [t, h, s],
            Output { data: &out, start: 0, strides: [t * heads * h, h, heads * h] },
            Batch { rows, heads, group },
            Epilogue::default(),
        );
        return Ok(Some(out.value(&shape)));
    }
    pattern.for_blocks(|matrix, queries, block| {
        let (row, head) = (matrix / heads, matrix % heads);
        let x = block.device_f32().ok_or_else(|| not_there(&block))?;
        let first = (row * t + queries.start) * heads * h + head * h;
        launch::product(
            Operand { data: &x, start: 0, strides: [0, 0, s] },
            (
                Operand { data: &w, start: (row * s * kv + head / group) * h, strides: [0, 0, kv * h] },
                Form::F32,
                Order::Terms,
            ),
            [queries.len(), h, s],
            Output { data: &out, start: first, strides: [0, 0, heads * h] },
            Batch::ONE,
            Epilogue::default(),
        );
        Ok(())
    })?;
    Ok(Some(out.value(&shape)))
}
