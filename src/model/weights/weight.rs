//! One weight as ops find it, or some rows of one.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use crate::model::checkpoint::{StoredType, decode, decode_range};
use crate::tensor::graphics::DeviceWords;
use crate::tensor::graphics::stored::{self, Form};
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
    /// As the file has it, widened where it is used.
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
            Weight::Stored { matrix, .. } => matrix.settle(),
        }
    }

    /// The device that it is on.
    pub fn device(&self) -> Device {
        match self {
            Weight::Dense(value) => value.device(),
            Weight::Stored { matrix, .. } => matrix.device(),
        }
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> u64 {
        match self {
            Weight::Dense(value) => value.bytes(),
            Weight::Stored { matrix, .. } => matrix.size(),
        }
    }
}

/// A matrix `[rows, width]` as it is stored in a file: its rows, which are whole blocks, one after another.
#[derive(Debug)]
pub struct StoredMatrix {
    kind: StoredType,
    rows: usize,
    width: usize,
    memory: Memory,
}

/// Where the bytes of a matrix are.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each matrix")]
enum Memory {
    Host(Vec<u8>),
    Device { words: DeviceWords, device: Device },
}

impl StoredMatrix {
    /// # Panics
    /// If the bytes are not those of as many rows of whole blocks.
    pub fn new(kind: StoredType, rows: usize, width: usize, bytes: Vec<u8>) -> StoredMatrix {
        assert_eq!(row_bytes(kind, width).map(|row| row * rows), Some(bytes.len()), "{rows} rows of {width} {kind:?}");
        StoredMatrix { kind, rows, width, memory: Memory::Host(bytes) }
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

    /// The same in the memory of a graphics device; as it is where that is the CPU.
    pub fn on(self, device: &Device) -> StoredMatrix {
        let Memory::Host(bytes) = self.memory else { return self };
        if device.is_cpu() {
            return StoredMatrix { memory: Memory::Host(bytes), ..self };
        }
        let words = DeviceWords::of_bytes(bytes, device).expect("the memory of a graphics device");
        StoredMatrix { memory: Memory::Device { words, device: device.clone() }, ..self }
    }

    fn device(&self) -> Device {
        match &self.memory {
            Memory::Host(_) => Device::cpu(),
            Memory::Device { device, .. } => device.clone(),
        }
    }

    fn settle(&self) -> Result<(), TensorError> {
        match &self.memory {
            Memory::Host(_) => Ok(()),
            Memory::Device { words, device } => words.read(1, device).map(drop),
        }
    }

    /// Bytes of memory.
    pub fn size(&self) -> u64 {
        (row_bytes(self.kind, self.width).unwrap_or(0) * self.rows) as u64
    }

    /// The bytes of all rows; `None` if they are on a graphics device.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.memory {
            Memory::Host(bytes) => Some(bytes),
            Memory::Device { .. } => None,
        }
    }

    /// The words on a graphics device, and what they are; `None` on the CPU.
    pub fn on_device(&self) -> Option<(&DeviceWords, Form)> {
        match &self.memory {
            Memory::Host(_) => None,
            Memory::Device { words, .. } => form_of(self.kind).map(|form| (words, form)),
        }
    }

    /// Some rows, one after another, widened.
    ///
    /// # Errors
    /// If they are on a device, and that fails.
    pub fn decode_rows(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), TensorError> {
        let length = row_bytes(self.kind, self.width).unwrap_or(0);
        let part = rows.start * length..rows.end * length;
        match &self.memory {
            Memory::Host(bytes) => decode(self.kind, &bytes[part], out),
            Memory::Device { words, device } => decode(self.kind, &words.read(usize::MAX, device)?[part], out),
        }
        Ok(())
    }

    /// All of it as a value `[rows, width]` of 32-bit floats, where it is.
    pub fn widened(&self) -> Value {
        let shape = [self.rows, self.width];
        let bytes = match (&self.memory, self.on_device()) {
            (_, Some((words, form))) => return stored::widen(words, form, self.rows * self.width).value(&shape),
            (Memory::Host(bytes), _) => bytes,
            (Memory::Device { .. }, None) => unreachable!("only forms that kernels read are held on a device"),
        };
        let mut out = vec![0.0; self.rows * self.width];
        out.par_chunks_mut(SHARE).enumerate().for_each(|(i, out)| {
            decode_range(self.kind, bytes, i * SHARE, out);
        });
        Value::from_f32(out, &shape, &Device::cpu())
    }
}

/// What the kernels of graphics devices call a stored type; `None` for one that they do not read.
pub fn form_of(kind: StoredType) -> Option<Form> {
    Some(match kind {
        StoredType::F32 => Form::F32,
        StoredType::BF16 => Form::BF16,
        StoredType::F16 => Form::F16,
        StoredType::Q4_0 => Form::Q4_0,
        StoredType::Q4_1 => Form::Q4_1,
        StoredType::Q5_0 => Form::Q5_0,
        StoredType::Q5_1 => Form::Q5_1,
        StoredType::Q8_0 => Form::Q8_0,
        StoredType::Q2_K => Form::Q2_K,
        StoredType::Q3_K => Form::Q3_K,
        StoredType::Q4_K => Form::Q4_K,
        StoredType::Q5_K => Form::Q5_K,
        StoredType::Q6_K => Form::Q6_K,
        _ => return None,
    })
}

/// The bytes of a row of `width` elements; `None` if it is not whole blocks.
pub fn row_bytes(kind: StoredType, width: usize) -> Option<usize> {
    let (elements, bytes) = kind.block()?;
    width.is_multiple_of(elements).then_some(width / elements * bytes)
}
