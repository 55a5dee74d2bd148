//! One weight as ops find it, or some rows of one.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use crate::model::checkpoint::{StoredType, decode, decode_range};
use crate::tensor::{Device, TensorError, Value};

/// Elements of a matrix from which on it is kept as it is stored. Smaller ones are 32-bit floats.
pub const LARGE: usize = 1 << 16;

/// Elements that one task widens.
const SHARE: usize = 1 << 16;

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one is made for a use, and gone after it")]
pub enum Weight {
    /// As values are held.
    Dense(Value),
    /// As the file has it: in memory of the CPU, widened where it is used.
    Stored {
        matrix: Arc<StoredMatrix>,
        /// Whether the weight is the transpose of the matrix: a linear weight `[in, out]` is stored as `[out, in]`.
        transposed: bool,
    },
}

impl Weight {
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Weight::Dense(value) => value.shape().to_vec(),
            Weight::Stored { matrix, transposed: false } => vec![matrix.rows, matrix.width],
            Weight::Stored { matrix, transposed: true } => vec![matrix.width, matrix.rows],
        }
    }

    /// As a value: a handle, or widened, exactly, and laid out as a dense weight is.
    pub fn value(&self) -> Value {
        match self {
            Weight::Dense(value) => value.clone(),
            Weight::Stored { matrix, transposed } => {
                let value = matrix.widened();
                if *transposed { value.transpose() } else { value }
            }
        }
    }

    /// Waits until it is where it is held: see [`Value::settle`].
    ///
    /// # Errors
    /// What failed on the device.
    pub fn settle(&self) -> Result<(), TensorError> {
        match self {
            Weight::Dense(value) => value.settle(),
            Weight::Stored { .. } => Ok(()),
        }
    }

    /// The device that it is on.
    pub fn device(&self) -> Device {
        match self {
            Weight::Dense(value) => value.device(),
            Weight::Stored { .. } => Device::cpu(),
        }
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> u64 {
        match self {
            Weight::Dense(value) => value.bytes(),
            Weight::Stored { matrix, .. } => matrix.bytes.len() as u64,
        }
    }
}

/// A matrix `[rows, width]` as it is stored in a file: its rows, which are whole blocks, one after another.
#[derive(Debug)]
pub struct StoredMatrix {
    kind: StoredType,
    rows: usize,
    width: usize,
    bytes: Vec<u8>,
}

impl StoredMatrix {
    /// # Panics
    /// If the bytes are not those of as many rows of whole blocks.
    pub fn new(kind: StoredType, rows: usize, width: usize, bytes: Vec<u8>) -> StoredMatrix {
        assert_eq!(row_bytes(kind, width).map(|row| row * rows), Some(bytes.len()), "{rows} rows of {width} {kind:?}");
        StoredMatrix { kind, rows, width, bytes }
    }

    pub fn kind(&self) -> StoredType {
        self.kind
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// The bytes of all rows.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Some rows, one after another, widened.
    pub fn decode_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        let length = self.bytes.len() / self.rows.max(1);
        decode(self.kind, &self.bytes[rows.start * length..rows.end * length], out);
    }

    /// All of it as a value `[rows, width]` of 32-bit floats.
    pub fn widened(&self) -> Value {
        let mut out = vec![0.0; self.rows * self.width];
        out.par_chunks_mut(SHARE).enumerate().for_each(|(i, out)| {
            decode_range(self.kind, &self.bytes, i * SHARE, out);
        });
        Value::from_f32(out, &[self.rows, self.width], &Device::cpu())
    }
}

/// The bytes of a row of `width` elements; `None` if it is not whole blocks.
pub fn row_bytes(kind: StoredType, width: usize) -> Option<usize> {
    let (elements, bytes) = kind.block()?;
    width.is_multiple_of(elements).then_some(width / elements * bytes)
}
