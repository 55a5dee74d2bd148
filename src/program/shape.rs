//! Shapes of values before they are computed.

use std::ops::Range;

use super::op::Op;
use crate::tensor::Axis;

/// The shape of an op's output in a pass over the columns `span` of `rows` rows, the row axis first.
pub fn shape_of(op: &Op, rows: usize, span: Range<usize>) -> Vec<usize> {
    op.axes
        .iter()
        .map(|axis| match axis {
            Axis::Row => rows,
            Axis::Pos | Axis::Q => span.len(),
            Axis::K => span.end,
            Axis::Head => op.heads,
            _ => op.width,
        })
        .collect()
}
