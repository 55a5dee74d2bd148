//! Shapes of values before they are computed.

use std::ops::Range;

use super::op::{Kernel, Op};
use crate::model::spec::ModelSpec;
use crate::tensor::Axis;

/// The shape of an op's output in a pass over the columns `span` of `rows` rows, the row axis first.
pub fn shape_of(op: &Op, spec: &ModelSpec, rows: usize, span: Range<usize>) -> Vec<usize> {
    let by_head = op.axes.contains(&Axis::Head);
    let heads = match &op.kernel {
        Kernel::Linear { heads: Some(heads) } => *heads,
        Kernel::Rotate if op.site.ends_with("rot_k") => spec.n_kv_heads,
        _ => spec.n_heads,
    };
    op.axes
        .iter()
        .map(|axis| match axis {
            Axis::Row => rows,
            Axis::Pos | Axis::Q => span.len(),
            Axis::K => span.end,
            Axis::Head => heads,
            Axis::Dim if by_head => spec.head_dim,
            Axis::Dim => spec.d_model,
            Axis::Neuron => spec.d_mlp,
            Axis::Vocab => spec.vocab,
            Axis::Label => spec.labels().len(),
            Axis::None => 1,
        })
        .collect()
}
