//! Shapes of values before they are computed.

use std::ops::Range;

use super::{Context, Kernel, Op};
use crate::model::role::Role;
use crate::model::weights::Weights;
use crate::tensor::{Axis, Device, TensorError, Value, is_large};

/// The shape of an op's output in a pass over the columns `span` of `rows` rows, the row axis first; `source` is the length of
/// the text that an encoder reads besides.
pub fn shape_of(op: &Op, rows: usize, span: Range<usize>, source: usize) -> Vec<usize> {
    op.axes
        .iter()
        .map(|axis| match axis {
            Axis::Row => rows,
            Axis::Pos | Axis::Q => span.len(),
            Axis::K => span.end,
            axis if axis.is_source() => source,
            Axis::Head => op.heads,
            Axis::Key => op.keys,
            _ => op.width,
        })
        .collect()
}

/// Whether an output of this shape is in pieces on a device: too large to be held, and of an op that can compute parts of
/// it.
pub fn comes_in_pieces(op: &Op, shape: &[usize], device: &Device) -> bool {
    by_parts(op) && is_large(shape, device)
}

fn by_parts(op: &Op) -> bool {
    matches!(
        op.kernel,
        Kernel::Scores { .. }
            | Kernel::Pattern { .. }
            | Kernel::RelativeBias { .. }
            | Kernel::RelativeScores { .. }
            | Kernel::Unembed { .. }
    )
}

/// Refuses an op of whose tensors one is too large for a buffer of the device: its output, or what is made on the way
/// to it from the same positions and a wider weight (the hidden neurons of experts, the dense layer of a classifier).
/// What else is made on the way has the size of an input or of the output, and so have the gradients at both.
///
/// # Errors
/// [`TensorError::TooBig`] with the op's site.
pub(super) fn check_room(op: &Op, inputs: &[Value], weights: &Weights, context: &Context) -> Result<(), TensorError> {
    let device = context.device();
    if device.holds(u64::MAX / 4) {
        return Ok(());
    }
    let (rows, span) = extent(op, inputs, context);
    // Of the source there are as many keys as that says, and where queries are of it too, as many positions.
    let out = shape_of(op, rows, span.clone(), span.end);
    // Parts of an output are computed one after the other, but not where a gradient follows it, and not in 64 bits.
    let whole = |input: &Value| input.is_tracked() || input.dtype_name() == "f64";
    if !by_parts(op) || inputs.iter().any(whole) {
        device.check(&op.site, &out, &op.axes)?;
    }
    // The rows of a vocabulary are as many as the output is wide.
    let others = op.weights.iter().filter(|id| !matches!(id.role, Role::W_E | Role::W_U | Role::W_ple));
    let widths = others.filter_map(|&id| weights.shape(id)?.get(1).copied());
    let hidden = [rows, span.len(), widths.max().unwrap_or(0)];
    device.check(&op.site, &hidden, &[Axis::Row, Axis::Pos, Axis::None])
}

/// Rows and columns that an op computes for these inputs, which need not be those of its pass: a lens reads others.
fn extent(op: &Op, inputs: &[Value], context: &Context) -> (usize, Range<usize>) {
    let Some(first) = inputs.first().map(Value::shape) else { return (context.rows(), context.span()) };
    let (queries, keys) = match (&op.kernel, first) {
        (Kernel::RelativeScores { .. }, _) => return (first[0], context.span()),
        (Kernel::Scores { .. }, [_, queries, ..]) => (*queries, inputs[1].shape()[1]),
        (Kernel::Pattern { .. } | Kernel::Mix, [_, _, queries, keys]) => (*queries, *keys),
        (Kernel::Convolution { .. }, [_, keys, ..]) => (context.length(), *keys),
        (Kernel::Embed { .. }, [_, length]) | (_, [_, length, _, ..]) => (*length, *length),
        // A vector has no positions.
        _ => (1, 1),
    };
    // An edit may give fewer keys than there are queries.
    (first[0], keys.saturating_sub(queries)..keys.max(queries))
}
