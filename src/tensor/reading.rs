//! Reading values: the only place where anything waits for a device.

use std::borrow::Cow;

use burn::tensor::{Bool, DType, Int, Tensor};
use burn_flex::Flex;

use super::error::TensorError;
use super::host::transposed;
use super::host_memory::{HostF32, HostView};
use super::value::{Kind, Value};

impl Value {
    /// All elements as 32-bit floats in row-major order; waits for the device.
    pub fn read_f32(&self) -> Result<Vec<f32>, TensorError> {
        match self.kind() {
            Kind::Float => Tensor::<1>::from_dispatch(self.flat_raw()).try_into_vec_as::<f32>().map_err(read_error),
            _ => Ok(self.read_f64()?.into_iter().map(|x| x as f32).collect()),
        }
    }

    /// All elements as 64-bit floats in row-major order (truth values as 0 and 1); waits for the device.
    pub fn read_f64(&self) -> Result<Vec<f64>, TensorError> {
        match self.kind() {
            Kind::Float => Tensor::<1>::from_dispatch(self.flat_raw()).try_into_vec_as::<f64>().map_err(read_error),
            Kind::Int => Ok(self.read_i64()?.into_iter().map(|x| x as f64).collect()),
            Kind::Bool => Ok(self.read_bool()?.into_iter().map(|x| if x { 1.0 } else { 0.0 }).collect()),
        }
    }

    /// All elements as whole numbers; floats are refused.
    pub fn read_i64(&self) -> Result<Vec<i64>, TensorError> {
        match self.kind() {
            Kind::Int => Tensor::<1, Int>::from_dispatch(self.flat_raw()).try_into_vec_as::<i64>().map_err(read_error),
            Kind::Bool => Ok(self.read_bool()?.into_iter().map(i64::from).collect()),
            Kind::Float => Err(TensorError::Kind { op: "read".into(), expected: "int", found: "float" }),
        }
    }

    /// All elements as truth values; other kinds are refused.
    pub fn read_bool(&self) -> Result<Vec<bool>, TensorError> {
        match self.kind() {
            Kind::Bool => {
                Tensor::<1, Bool>::from_dispatch(self.flat_raw()).try_into_vec_as::<bool>().map_err(read_error)
            }
            kind => Err(TensorError::Kind { op: "read".into(), expected: "bool", found: kind.name() }),
        }
    }

    /// The only element of a value that has one.
    pub fn read_scalar(&self) -> Result<f64, TensorError> {
        match self.read_f64()?.as_slice() {
            [x] => Ok(*x),
            _ => Err(TensorError::Rank { op: "scalar".into(), expected: "one element", shape: self.shape_text() }),
        }
    }

    /// Elements of a float value as they lie in host memory, if they do: on the CPU nothing is copied unless the value is a
    /// strided view or held in 16 bits.
    pub fn host_f32(&self) -> Option<HostF32> {
        if self.kind() != Kind::Float {
            return None;
        }
        let tensor = self.any_rank().try_into_primitive::<Flex>().ok()?;
        if tensor.dtype() != DType::F32 {
            return None;
        }
        Some(HostF32::new(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }))
    }

    /// A float value as it lies in host memory, if it does: transposed and cut views are not copied, what is held in 16 bits is.
    pub fn host_view(&self) -> Option<HostView> {
        if self.kind() != Kind::Float {
            return None;
        }
        let tensor = self.any_rank().try_into_primitive::<Flex>().ok()?;
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let forward = tensor.layout().strides().iter().all(|stride| *stride >= 0);
        Some(HostView::new(if forward { tensor } else { tensor.to_contiguous() }))
    }

    /// The same matrix laid out as `other` is, so that products with it take the same steps and round alike: a copy if it
    /// must be. What is no matrix in host memory stays as it is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn laid_out_like(self, other: &Value) -> Result<Value, TensorError> {
        let by_columns = |value: &Value| value.host_view().is_some_and(|view| view.strides()[0] == 1);
        match *self.shape() {
            [from, to] if from > 1 && by_columns(other) && !by_columns(&self) => {
                Ok(Value::linear(transposed(self.read_f32()?, from, to), from, to, &self.device()))
            }
            _ => Ok(self),
        }
    }
}

fn read_error(error: impl std::fmt::Display) -> TensorError {
    TensorError::Read { message: error.to_string() }
}

/// The bytes of `value` for an exact comparison: equal vectors mean equal bits.
pub fn bits(value: &Value) -> Result<Cow<'static, [u64]>, TensorError> {
    let bits = match value.kind() {
        Kind::Float => value.read_f64()?.into_iter().map(f64::to_bits).collect(),
        Kind::Int => value.read_i64()?.into_iter().map(|x| x as u64).collect(),
        Kind::Bool => value.read_bool()?.into_iter().map(u64::from).collect(),
    };
    Ok(Cow::Owned(bits))
}
