//! One weight, which may be split into several tensors.

use std::sync::Arc;

use crate::tensor::{TensorError, Value};

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a model has hundreds of weights, and most are dense")]
pub enum Weight {
    Dense(Value),
    /// A vocabulary matrix, possibly in several tensors.
    Rows(RowChunks),
}

impl Weight {
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Weight::Dense(value) => value.shape().to_vec(),
            Weight::Rows(chunks) => vec![chunks.rows(), chunks.width()],
        }
    }

    /// The tensor, where there is only one.
    pub fn dense(&self) -> Option<&Value> {
        match self {
            Weight::Dense(value) => Some(value),
            Weight::Rows(chunks) if chunks.chunks().len() == 1 => chunks.chunks().first(),
            Weight::Rows(_) => None,
        }
    }

    /// The whole weight as one tensor: a handle, or a joined copy of the chunks.
    pub fn whole(&self) -> Result<Value, TensorError> {
        match self {
            Weight::Dense(value) => Ok(value.clone()),
            Weight::Rows(chunks) => match chunks.chunks() {
                [only] => Ok(only.clone()),
                many => Value::concat(many, 0),
            },
        }
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Weight::Dense(value) => value.bytes(),
            Weight::Rows(chunks) => chunks.chunks().iter().map(Value::bytes).sum(),
        }
    }
}

/// A matrix `[rows, width]` split by rows so that each piece fits the device's largest buffer. One chunk on the CPU.
#[derive(Clone, Debug)]
pub struct RowChunks {
    chunks: Arc<[Value]>,
    rows: usize,
    width: usize,
}

impl RowChunks {
    /// Joins chunks in order.
    ///
    /// # Panics
    /// If there are none, or they are not matrices of one width.
    pub fn new(chunks: Vec<Value>) -> Self {
        let width = match chunks.first().map(Value::shape) {
            Some([_, width]) => *width,
            other => panic!("row chunks must be matrices, found {other:?}"),
        };
        assert!(chunks.iter().all(|chunk| matches!(chunk.shape(), [_, w] if *w == width)), "chunks of one width");
        let rows = chunks.iter().map(|chunk| chunk.shape()[0]).sum();
        RowChunks { chunks: chunks.into(), rows, width }
    }

    /// The chunks, first rows first.
    pub fn chunks(&self) -> &[Value] {
        &self.chunks
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of a chunk that takes at most `max` bytes as 32-bit floats; at least one.
    pub fn rows_per_chunk(width: usize, max: u64) -> usize {
        let row = (width as u64 * 4).max(1);
        usize::try_from((max / row).max(1)).unwrap_or(usize::MAX)
    }

    /// The rows of `value` in chunks of the same heights as these.
    pub(super) fn split(&self, value: &Value) -> RowChunks {
        let mut start = 0;
        let pieces = self.chunks.iter().map(|chunk| {
            let end = start + chunk.shape()[0];
            let piece = value.rows(start..end);
            start = end;
            piece
        });
        RowChunks::new(pieces.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_fit_the_largest_buffer() {
        assert_eq!(RowChunks::rows_per_chunk(768, 128 << 20), 43690);
        assert_eq!(RowChunks::rows_per_chunk(768, u64::MAX), (u64::MAX / 3072) as usize);
        assert_eq!(RowChunks::rows_per_chunk(768, 10), 1);
    }
}
