//! What the ops of one pass read besides values and weights.

use std::ops::Range;

use burn::tensor::Tensor;

use super::kernels::attention::{Mask, mask, rotation};
use crate::model::input::{Input, Row};
use crate::model::spec::{ModelSpec, Positions};
use crate::tensor::{Device, Value};

/// What the ops of one pass read besides values and weights: everything that follows from the input alone. Clone is a few
/// reference-count bumps.
///
/// A pass computes some columns of its input, the *span*: the whole prompt at first, then one token after the other. Its
/// queries are the columns of the span, its keys all columns up to the span's end.
#[derive(Clone)]
pub struct Context {
    span: Range<usize>,
    /// Token ids, `[B, T]`.
    pub(super) tokens: Value,
    /// Token types, `[B, T]`.
    pub(super) types: Value,
    /// Positions that the model sees, `[B, T]`.
    pub(super) positions: Value,
    /// Whether positions are 0, 1, 2, ... in every row.
    pub(super) plain: bool,
    /// Which scores are masked; none where every query sees every key.
    pub(super) mask: Option<Mask>,
    /// 1 at real tokens, 0 at padding, `[B, T, 1]`.
    pub(super) real: Tensor<3>,
    /// Cosines and sines of the rotation, `[B or 1, T, 1, dim/2]`.
    pub(super) rotation: Option<(Tensor<4>, Tensor<4>)>,
}

impl Context {
    /// Uploads what a pass over the columns `span` of an input needs.
    pub fn new(spec: &ModelSpec, input: &Input, span: Range<usize>, device: &Device) -> Context {
        let shape = [input.rows.len(), span.len()];
        let of = |f: &dyn Fn(&Row) -> Vec<i64>| {
            let data = input.rows.iter().flat_map(|row| f(row)[span.clone()].to_vec()).collect();
            Value::from_i64(data, &shape, device)
        };
        let real =
            input.rows.iter().flat_map(|row| row.mask[span.clone()].iter().map(|&real| f32::from(u8::from(real))));
        let real = Value::from_f32(real.collect(), &[shape[0], shape[1], 1], device);
        let seen: Vec<Vec<usize>> = input.rows.iter().map(|row| positions(spec, row)[span.clone()].to_vec()).collect();
        let plain = seen.iter().all(|row| row.iter().copied().eq(span.clone()));
        let rotation = match &spec.positions {
            Positions::Rope(rope) => Some(rotation(rope, if plain { &seen[..1] } else { &seen }, device)),
            Positions::Learned => None,
        };
        Context {
            tokens: of(&|row| row.ids.iter().map(|&id| i64::from(id)).collect()),
            types: of(&|row| row.type_ids.iter().map(|&id| i64::from(id)).collect()),
            positions: Value::from_i64(seen.iter().flatten().map(|&pos| pos as i64).collect(), &shape, device),
            plain,
            mask: mask(spec.attention.causal, input, span.clone(), device),
            real: real.tensor(),
            rotation,
            span,
        }
    }

    /// Columns of the input that the pass computes.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Columns in the span.
    pub fn length(&self) -> usize {
        self.span.len()
    }

    /// Rows in the batch.
    pub fn rows(&self) -> usize {
        self.tokens.shape()[0]
    }
}

/// The position that the model sees at each column of a row.
///
/// An encoder counts columns. A decoder counts real tokens, so that padding in front of a row, or between its prompt and
/// what was generated, does not show; padding after a prompt counts columns, which nothing reads.
fn positions(spec: &ModelSpec, row: &Row) -> Vec<usize> {
    if !spec.attention.causal {
        return (0..row.mask.len()).collect();
    }
    let mut real = 0;
    let mut of_column = |(column, is_real): (usize, &bool)| match is_real {
        true => {
            real += 1;
            real - 1
        }
        false if real == 0 => 0,
        false => column,
    };
    row.mask.iter().enumerate().map(&mut of_column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelSource, load};

    #[test]
    fn a_decoder_counts_real_tokens() {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/gpt2");
        let spec = load(&ModelSource::Path(fixture.into()), &Device::cpu(), &mut |_| true).unwrap().spec;
        let of = |mask: &[u8]| {
            let mask: Vec<bool> = mask.iter().map(|&real| real == 1).collect();
            positions(&spec, &Row { ids: vec![0; mask.len()], type_ids: vec![0; mask.len()], mask, ..Row::default() })
        };
        assert_eq!(of(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(of(&[0, 0, 1, 1]), [0, 0, 0, 1]);
        assert_eq!(of(&[1, 1, 0, 0, 1, 1]), [0, 1, 2, 3, 2, 3]);
    }
}
