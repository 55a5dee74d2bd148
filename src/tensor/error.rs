//! What can go wrong with a value, said with the op, the shapes and the expectation.

use super::axes::Axis;
use super::task::Interrupted;

/// A failed tensor operation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TensorError {
    // Shapes and kinds
    /// Two shapes do not fit together.
    #[error("{op}: shapes {left} and {right} do not fit together")]
    Shapes {
        /// The operation.
        op: String,
        /// Shape of the left operand.
        left: String,
        /// Shape of the right operand.
        right: String,
    },
    /// The operation needs another kind of element.
    #[error("{op}: needs {expected} elements, found {found}")]
    Kind {
        /// The operation.
        op: String,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: &'static str,
    },
    /// The operation needs another number of axes.
    #[error("{op}: needs a value with {expected}, found shape {shape}")]
    Rank {
        /// The operation.
        op: String,
        /// What it takes, in words.
        expected: &'static str,
        /// What it was given.
        shape: String,
    },
    /// The number of elements does not match.
    #[error("reshape: {from} has {count} elements, {to} needs {needs}")]
    Reshape {
        /// Shape before.
        from: String,
        /// Shape asked for.
        to: String,
        /// Elements there are.
        count: usize,
        /// Elements needed.
        needs: usize,
    },

    // Axes and indices
    /// No such axis.
    #[error("no axis {axis}: the value has {axes}")]
    Axis {
        /// The name or number asked for.
        axis: String,
        /// What there is.
        axes: String,
    },
    /// An index outside its axis.
    #[error("index {index} is out of range: axis {axis} has 0..{}", .len.saturating_sub(1))]
    Index {
        /// The index asked for.
        index: i64,
        /// Which axis.
        axis: String,
        /// Its length.
        len: usize,
    },
    /// An empty value where at least one element is needed.
    #[error("{op}: the value is empty")]
    Empty {
        /// The operation.
        op: String,
    },

    // Devices
    /// The result, or what is needed on the way to it, is larger than what the device holds in one buffer. Nothing was computed.
    #[error(
        "{op} needs {} ({shape}) in one buffer, and {device} holds at most {}: take a shorter text or fewer rows, or --device cpu",
        size(*.bytes), size(*.limit)
    )]
    TooBig {
        /// The operation, or the site that it computes.
        op: String,
        /// What would be too large.
        shape: String,
        /// Bytes it takes.
        bytes: u64,
        /// Bytes of the largest buffer.
        limit: u64,
        /// The device.
        device: String,
    },
    /// The user interrupted.
    #[error("{0}")]
    Interrupted(Box<Interrupted>),
    /// Reading from the device failed.
    #[error("cannot read from the device: {message}")]
    Read {
        /// What the device says.
        message: String,
    },
    /// No such device, or it cannot be opened.
    #[error("{message}")]
    Device {
        /// What was asked for, what there is, and what to do.
        message: String,
    },
}

impl TensorError {
    /// Whether the device failed, or refused what is too large for it: no mistake of whoever asked.
    pub fn is_fault(&self) -> bool {
        matches!(self, TensorError::Read { .. } | TensorError::Device { .. } | TensorError::TooBig { .. })
    }
}

/// Bytes in words, with the digits that tell 128.07 MiB from the limit that it passes.
fn size(bytes: u64) -> String {
    let (unit, name) = match bytes.checked_ilog2().unwrap_or(0) {
        30.. => (1u64 << 30, "GiB"),
        20..30 => (1 << 20, "MiB"),
        _ => (1 << 10, "KiB"),
    };
    format!("{:.2} {name}", bytes as f64 / unit as f64)
}

/// Prints a shape with axis names: `[head=4, q=15, k=15]`.
pub fn shape_text(shape: &[usize], axes: &[Axis]) -> String {
    let parts: Vec<String> = shape
        .iter()
        .enumerate()
        .map(|(i, len)| match axes.get(i).copied().unwrap_or_default() {
            Axis::None => len.to_string(),
            axis => format!("{axis}={len}"),
        })
        .collect();
    format!("[{}]", parts.join(", "))
}
