//! Reading values: the only place where anything waits for a device. Long loops read, so the user can interrupt here.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::tensor::{Bool, DType, Int, Tensor, TensorReadError};
use burn_flex::{Flex, FlexTensor};

use super::{Device, HostF32, HostHalves, HostHeld, HostView, Kind, TensorError, Value, proceed, transposed};

/// Elements that are read from a device as quickly as a few operations on them are started there: results of no more
/// elements than this are computed on the host, in 64 bits.
pub(super) const FEW: usize = 1 << 14;

thread_local! {
    static READS: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has waited for a graphics device, to read from it.
pub fn device_reads() -> u64 {
    READS.get()
}

/// Elements that are read from a device in the time of a few launches.
const NEAR: usize = 1 << 20;

impl Value {
    /// All elements as 32-bit floats in row-major order; waits for the device.
    pub fn read_f32(&self) -> Result<Vec<f32>, TensorError> {
        proceed()?;
        if self.is_in_pieces() {
            return self.held()?.read_f32();
        }
        match self.kind() {
            Kind::Float => self.checked(|| Tensor::<1>::from_dispatch(self.flat_raw()).try_into_vec_as::<f32>()),
            _ => Ok(self.read_f64()?.into_iter().map(|x| x as f32).collect()),
        }
    }

    /// All elements as 64-bit floats in row-major order (truth values as 0 and 1); waits for the device.
    pub fn read_f64(&self) -> Result<Vec<f64>, TensorError> {
        proceed()?;
        if self.is_in_pieces() {
            self.check_memory(12)?;
            return self.held()?.read_f64();
        }
        match self.kind() {
            Kind::Float => self.checked(|| Tensor::<1>::from_dispatch(self.flat_raw()).try_into_vec_as::<f64>()),
            Kind::Int => Ok(self.read_i64()?.into_iter().map(|x| x as f64).collect()),
            Kind::Bool => Ok(self.read_bool()?.into_iter().map(|x| if x { 1.0 } else { 0.0 }).collect()),
        }
    }

    /// All elements as whole numbers; floats are refused.
    pub fn read_i64(&self) -> Result<Vec<i64>, TensorError> {
        if self.is_in_pieces() {
            return self.held()?.read_i64();
        }
        match self.kind() {
            Kind::Int => self.checked(|| Tensor::<1, Int>::from_dispatch(self.flat_raw()).try_into_vec_as::<i64>()),
            Kind::Bool => Ok(self.read_bool()?.into_iter().map(i64::from).collect()),
            Kind::Float => Err(TensorError::Kind { op: "read".into(), expected: "int", found: "float" }),
        }
    }

    /// All elements as truth values; other kinds are refused.
    pub fn read_bool(&self) -> Result<Vec<bool>, TensorError> {
        if self.is_in_pieces() {
            return self.held()?.read_bool();
        }
        match self.kind() {
            Kind::Bool => self.checked(|| Tensor::<1, Bool>::from_dispatch(self.flat_raw()).try_into_vec_as::<bool>()),
            kind => Err(TensorError::Kind { op: "read".into(), expected: "bool", found: kind.name() }),
        }
    }

    /// The only element of a value that has one.
    pub fn read_scalar(&self) -> Result<f64, TensorError> {
        match self.read_f64()?.as_slice() {
            [x] => Ok(*x),
            _ => Err(TensorError::rank("scalar", "one element", self.shape_text())),
        }
    }

    /// What `read` reads of it, unless its device failed there or before: a failure is reported when the work is done,
    /// and values that depend on it cannot all be distinguished from sound ones.
    pub(super) fn checked<T, E: Into<TensorReadError>>(
        &self,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, TensorError> {
        let device = self.device();
        if !device.is_cpu() {
            READS.set(READS.get() + 1);
        }
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(read) => device.checked(read),
            // The memory that a read takes may be what is missing.
            Err(panic) => device.fault().and_then(|()| resume_unwind(panic)),
        }
    }

    /// Waits until all work on its device is done that was started before, and frees what waited to be sent: by
    /// reading one element, which no other way of waiting does. Does nothing on the CPU.
    ///
    /// # Errors
    /// What failed on the device.
    pub fn settle(&self) -> Result<(), TensorError> {
        let device = self.device();
        if device.is_cpu() || self.count() == 0 {
            return Ok(());
        }
        self.clone().reshaped(&[self.count()]).rows(0..1).read_f64().map(|_| ())
    }

    /// Elements of a float value in host memory, `None` if it is on a device: on the CPU nothing is copied unless the
    /// value is a strided view or held in 16 bits.
    pub fn host_f32(&self) -> Option<HostF32> {
        let tensor = self.host_tensor()?;
        let tensor = if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() };
        match tensor.dtype() {
            DType::F32 => Some(HostF32::Shared(tensor)),
            DType::F16 => Some(HostF32::Copied(HostHalves::new(tensor).widened())),
            _ => None,
        }
    }

    /// A float value as it is laid out in host memory, `None` if it is on a device: transposed and cut views are not
    /// copied; what is held in 16 bits is, in the same layout.
    pub fn host_view(&self) -> Option<HostView> {
        Some(match self.host_held()? {
            HostHeld::Single(view) => view,
            HostHeld::Half(halves) => HostView { memory: HostF32::Copied(halves.widened()), strides: halves.strides },
        })
    }

    /// A float value as it is laid out and held in host memory, `None` if it is on a device.
    pub fn host_held(&self) -> Option<HostHeld> {
        let tensor = self.host_tensor()?;
        let forward = tensor.layout().strides().iter().all(|stride| *stride >= 0);
        let tensor = if forward { tensor } else { tensor.to_contiguous() };
        match tensor.dtype() {
            DType::F32 => Some(HostHeld::Single(HostView::new(tensor))),
            DType::F16 => Some(HostHeld::Half(HostHalves::new(tensor))),
            _ => None,
        }
    }

    /// The float tensor as it is held on the CPU, if it is there and no gradient follows it.
    fn host_tensor(&self) -> Option<FlexTensor> {
        match self.kind() {
            Kind::Float if !self.is_in_pieces() => self.held_any_rank().try_into_primitive::<Flex>().ok(),
            _ => None,
        }
    }

    /// The same value in host memory, if it is not so large that looking at a part of it there is better; remembered. What
    /// looks at several parts of a value reads them so from a device at once.
    pub fn near(&self) -> Result<Value, TensorError> {
        if self.is_in_pieces() || self.is_tracked() || self.count() > NEAR || self.device().is_cpu() {
            return Ok(self.clone());
        }
        if let Some(near) = self.known().near.get() {
            return Ok(near.clone().with_axes(self.axes()).with_origin(self.origin().map(<[usize]>::to_vec)));
        }
        let (shape, cpu) = (self.shape(), Device::cpu());
        let near = match self.kind() {
            Kind::Float => Value::from_f32(self.read_f32()?, shape, &cpu).held_like(self),
            Kind::Int => Value::from_i64(self.read_i64()?, shape, &cpu),
            Kind::Bool => Value::from_bool(self.read_bool()?, shape, &cpu),
        };
        let near = near.with_axes(self.axes()).with_origin(self.origin().map(<[usize]>::to_vec));
        Ok(self.known().near.get_or_init(|| near).clone())
    }

    /// All elements in host memory, without a copy if they are there already.
    pub(super) fn on_host(&self) -> Result<HostF32, TensorError> {
        if self.is_in_pieces() {
            return self.held()?.on_host();
        }
        self.host_f32().map_or_else(|| self.read_f32().map(HostF32::Copied), Ok)
    }

    /// The same matrix with contiguous columns, as linear weights are laid out, so that products with it take the same
    /// steps and round alike: a copy if it must be. What is not a matrix in host memory stays as it is.
    ///
    /// # Errors
    /// If the user interrupts.
    pub fn by_columns(self) -> Result<Value, TensorError> {
        match *self.shape() {
            [from, to] if from > 1 && self.host_held().is_some_and(|held| held.strides()[0] != 1) => {
                Ok(Value::linear(transposed(self.read_f32()?, from, to), from, to, &self.device()))
            }
            _ => Ok(self),
        }
    }
}
