//! Shapes of values before they are computed.

use super::op::{Kernel, Op};
use crate::model::spec::ModelSpec;
use crate::tensor::Axis;

/// The shape of an op's output for `rows` rows of `length` positions, the row axis first.
pub fn shape_of(op: &Op, spec: &ModelSpec, rows: usize, length: usize) -> Vec<usize> {
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
            Axis::Pos | Axis::Q | Axis::K => length,
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
