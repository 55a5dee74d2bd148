//! What can go wrong with a value; messages name the op, the shapes and what was expected.

use super::task::note_failure;
use super::{Axis, Interrupted, Value};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    // Shapes and kinds
    #[error("{op}: shapes {left} and {right} do not fit together")]
    Shapes { op: String, left: String, right: String },
    #[error("{op}: needs {expected} elements, found {found}")]
    Kind { op: String, expected: &'static str, found: &'static str },
    #[error("{op}: needs a value with {expected}, found shape {shape}")]
    Rank { op: String, expected: &'static str, shape: String },
    #[error("reshape: {from} has {count} elements, {to} needs {needs}")]
    Reshape { from: String, to: String, count: usize, needs: usize },

    // Axes and indices
    #[error("no axis {axis}: the value has {axes}")]
    Axis { axis: String, axes: String },
    #[error("index {index} is out of range: axis {axis} has 0..{}", .len.saturating_sub(1))]
    Index { index: i64, axis: String, len: usize },
    /// An empty value where at least one element is needed.
    #[error("{op}: the value is empty")]
    Empty { op: String },

    // Devices
    /// The result (of an operation or of a site), or what is needed on the way to it, is larger than what the device
    /// holds in one buffer. Nothing was computed.
    #[error(
        "{op} needs {} ({shape}) in one buffer, and {device} holds at most {}: take a shorter text or fewer rows, or \
         --device cpu",
        size(*.bytes), size(*.limit)
    )]
    TooBig { op: String, shape: String, bytes: u64, limit: u64, device: String },
    /// All elements of a value that is computed in pieces, where they are needed at once and memory does not hold them.
    #[error(
        "all of {shape} takes {} of memory at once, and {} are free: take a part of it, such as one head or some rows",
        size(*.bytes), size(*.available)
    )]
    NoRoom { shape: String, bytes: u64, available: u64 },
    #[error("{0}")]
    Interrupted(Box<Interrupted>),
    #[error("cannot read from the device: {message}")]
    Read { message: String },
    /// The memory of the device is full.
    #[error(
        "the memory of {device} is full: take a shorter text, a smaller --record-budget or --device cpu, or end other \
         programs that use the device; values that are missing now are computed again when they are needed"
    )]
    DeviceFull { device: String },
    /// The device was lost, and all values on it.
    #[error(
        "{device} was lost, with every value on it ({reason}): `llmdbg --resume --device cpu` takes the session up on \
         the CPU, with all commands so far; a batch run must be started again"
    )]
    DeviceLost { device: String, reason: String },
    /// The driver of the device reported something else.
    #[error("{device} failed: {message}; what was computed on it is computed again when it is needed")]
    DeviceFailed { device: String, message: String },
    /// A weight is not there, or can no longer be read from its file.
    #[error("{name}: {message}")]
    Weight { name: String, message: String },
    /// No such device, or it cannot be opened: what was asked for, what there is, and what to do.
    #[error("{message}")]
    Device { message: String },
}

impl TensorError {
    pub(super) fn rank(op: impl Into<String>, expected: &'static str, shape: String) -> TensorError {
        TensorError::Rank { op: op.into(), expected, shape }
    }

    pub(super) fn shapes(op: &str, left: &Value, right: &Value) -> TensorError {
        TensorError::Shapes { op: op.into(), left: left.shape_text(), right: right.shape_text() }
    }

    /// That a weight cannot be had, which counts as a failure of the device.
    pub fn weight(name: impl std::fmt::Display, message: impl std::fmt::Display) -> TensorError {
        note_failure();
        TensorError::Weight { name: name.to_string(), message: message.to_string() }
    }

    /// Whether the device or the checkpoint failed, or the device refused what is too large for it: no mistake of whoever asked.
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            TensorError::Read { .. }
                | TensorError::DeviceFull { .. }
                | TensorError::DeviceLost { .. }
                | TensorError::DeviceFailed { .. }
                | TensorError::Device { .. }
                | TensorError::TooBig { .. }
                | TensorError::NoRoom { .. }
                | TensorError::Weight { .. }
        )
    }
}

/// Bytes in words, with enough digits to tell 128.07 MiB from the limit that it exceeds.
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
