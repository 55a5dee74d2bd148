//! Tensors of a graphics device as kernels take them.

use burn::tensor::{DType, Int, Tensor, TensorData};
use burn_wgpu::{CubeBackend, CubeTensor};
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use cubecl::zspace::metadata::Metadata;
use cubecl::zspace::{Shape, Strides};

use super::stored::Form;
use crate::tensor::{Device, Kind, TensorError, Value};

/// Elements of 4 bytes in the memory of a graphics device, in row-major order.
#[derive(Clone)]
struct Memory {
    client: Client,
    handle: Handle,
    device: cubecl::Device,
    len: usize,
}

impl Memory {
    fn of(tensor: &CubeTensor, len: usize) -> Memory {
        let CubeTensor { client, handle, device, .. } = tensor.clone();
        Memory { client, handle, device, len }
    }

    fn empty(&self, len: usize) -> Memory {
        Memory {
            handle: self.client.empty(len.max(1) * 4),
            len,
            client: self.client.clone(),
            device: self.device.clone(),
        }
    }

    /// As an argument of a kernel that reads `by` elements at a time.
    fn vectors(&self, by: usize) -> BufferArg {
        assert!(self.len.is_multiple_of(by), "whole vectors");
        #[expect(unsafe_code, reason = "a kernel relies on the length of its memory")]
        // SAFETY: the memory holds as many elements.
        unsafe {
            BufferArg::from_raw_parts(self.handle.clone(), self.len / by)
        }
    }

    fn tensor(self, shape: &[usize], dtype: DType) -> CubeTensor {
        debug_assert_eq!(self.len, shape.iter().product::<usize>());
        let mut strides = vec![1; shape.len()];
        for axis in (0..shape.len().saturating_sub(1)).rev() {
            strides[axis] = strides[axis + 1] * shape[axis + 1];
        }
        let meta = Metadata::new(Shape::from(shape.to_vec()), Strides::from(strides));
        CubeTensor::new(self.client, self.handle, meta, self.device, dtype)
    }
}

/// Floats in 32 bits in the memory of a graphics device.
#[derive(Clone)]
pub struct DeviceF32(Memory);

/// Whole numbers or bytes in words of 32 bits in the memory of a graphics device.
#[derive(Clone)]
pub struct DeviceWords(Memory);

macro_rules! memory {
    ($name:ident) => {
        impl $name {
            /// How many elements there are.
            #[allow(clippy::len_without_is_empty, reason = "none is empty where kernels run")]
            pub fn len(&self) -> usize {
                self.0.len
            }

            pub fn client(&self) -> &Client {
                &self.0.client
            }

            /// As an argument of a kernel.
            pub fn arg(&self) -> BufferArg {
                self.0.vectors(1)
            }

            /// As an argument of a kernel that reads `by` elements at a time.
            ///
            /// # Panics
            /// If they are not whole vectors.
            pub fn vectors(&self, by: usize) -> BufferArg {
                self.0.vectors(by)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.len)
            }
        }
    };
}

memory!(DeviceF32);
memory!(DeviceWords);

impl DeviceF32 {
    /// Memory on the same device, of which nothing is written.
    pub fn empty(&self, len: usize) -> DeviceF32 {
        DeviceF32(self.0.empty(len))
    }

    /// The bits of the same numbers.
    pub fn words(&self) -> DeviceWords {
        DeviceWords(self.0.clone())
    }

    /// As a value.
    ///
    /// # Panics
    /// If there are not as many elements as the shape has.
    pub fn value(self, shape: &[usize]) -> Value {
        let tensor = self.0.tensor(&[shape.iter().product()], DType::F32);
        Value::float(Tensor::<1>::from_primitive::<CubeBackend>(tensor)).reshaped(shape)
    }
}

impl DeviceWords {
    /// Uploads bytes, and as many after them as fill whole words and one more, which kernels may read; `None` on the
    /// CPU.
    pub fn of_bytes(mut bytes: Vec<u8>, device: &Device) -> Option<DeviceWords> {
        bytes.resize(bytes.len().next_multiple_of(4) + 4, 0);
        let len = bytes.len() / 4;
        let data = TensorData::from_bytes_vec(bytes, [len], DType::I32);
        let tensor = Tensor::<1, Int>::from_data(data, (device.burn(), DType::I32));
        let tensor = tensor.try_into_primitive::<CubeBackend>().ok()?;
        Some(DeviceWords(Memory::of(&tensor, len)))
    }

    /// The bytes of so many words from the first on, which are on `device`; waits for it.
    ///
    /// # Errors
    /// If the device fails.
    pub fn read(&self, words: usize, device: &Device) -> Result<Vec<u8>, TensorError> {
        let tensor = self.0.clone().tensor(&[self.0.len], DType::I32);
        let tensor = Tensor::<1, Int>::from_primitive::<CubeBackend>(tensor).narrow(0, 0, words.min(self.0.len));
        Ok(device.checked(tensor.try_into_data())?.into_bytes().to_vec())
    }

    /// Memory for floats on the same device, of which nothing is written.
    pub fn empty(&self, len: usize) -> DeviceF32 {
        DeviceF32(self.0.empty(len))
    }
}

/// The first `length` columns of `[B, T, K, h]` on a graphics device, as a view; `None` elsewhere.
pub fn first_columns(tensor: &Tensor<4>, length: usize) -> Option<Tensor<4>> {
    let [rows, _, heads, width] = tensor.dims();
    let mut view = tensor.clone().try_into_primitive::<CubeBackend>().ok()?;
    let strides = view.meta.strides().clone();
    view.meta = Box::new(Metadata::new(Shape::from(vec![rows, length, heads, width]), strides));
    Some(Tensor::from_primitive::<CubeBackend>(view))
}

impl Value {
    /// Elements of a float value in the memory of a graphics device, in row-major order; `None` if it is elsewhere, in
    /// pieces, or a gradient follows it. What is held in 16 bits is widened, what is a strided view copied.
    pub fn device_f32(&self) -> Option<DeviceF32> {
        if self.kind() != Kind::Float || self.is_in_pieces() || self.count() == 0 {
            return None;
        }
        self.cube_tensor()?;
        let flat = self.clone().reshaped(&[self.count()]).any_rank();
        let tensor = flat.try_into_primitive::<CubeBackend>().ok()?;
        (tensor.dtype == DType::F32).then(|| DeviceF32(Memory::of(&tensor, self.count())))
    }

    /// A matrix in the memory of a graphics device as it is held, and whether its columns and not its rows follow each
    /// other there, as linear weights are laid out. `None` as for [`Value::device_f32`].
    pub fn device_matrix(&self) -> Option<(DeviceWords, Form, bool)> {
        let [rows, columns] = *self.shape() else { return None };
        let tensor = self.cube_tensor()?;
        if rows > 1 && columns > 1 && tensor.meta.strides()[..] == [1, rows] {
            let (words, form, _) = self.transpose().device_matrix()?;
            return Some((words, form, true));
        }
        // Halves are read where they are, if they fill whole words in the order of the rows.
        if tensor.dtype == DType::F16 && self.count().is_multiple_of(2) {
            let flat = self.clone().reshaped(&[self.count()]).held_any_rank();
            let tensor = flat.try_into_primitive::<CubeBackend>().ok()?;
            return Some((DeviceWords(Memory::of(&tensor, self.count() / 2)), Form::F16, false));
        }
        self.device_f32().map(|matrix| (matrix.words(), Form::F32, false))
    }

    /// Whole numbers in the memory of a graphics device, in row-major order; `None` if it is elsewhere.
    pub fn device_i32(&self) -> Option<DeviceWords> {
        if self.kind() != Kind::Int || self.is_in_pieces() || self.count() == 0 || self.device().is_cpu() {
            return None;
        }
        let flat = self.clone().reshaped(&[self.count()]).int_tensor::<1>();
        let tensor = flat.try_into_primitive::<CubeBackend>().ok()?;
        (tensor.dtype == DType::I32).then(|| DeviceWords(Memory::of(&tensor, self.count())))
    }

    /// The tensor as it is held on a graphics device, if it is there and no gradient follows it.
    fn cube_tensor(&self) -> Option<CubeTensor> {
        match self.kind() {
            Kind::Float if !self.is_in_pieces() => self.held_any_rank().try_into_primitive::<CubeBackend>().ok(),
            _ => None,
        }
    }
}
