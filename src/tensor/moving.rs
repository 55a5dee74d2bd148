//! Which device a value is on, and the same value on another one.

use burn::tensor::{Bool, DType, Int, Tensor};

use super::task::note_failure;
use super::{Device, Kind, TensorError, Value, proceed};

impl Value {
    pub fn device(&self) -> Device {
        if let Some(pieces) = self.pieces() {
            return pieces.device.clone();
        }
        Device::of(self.raw_device())
    }

    /// As burn knows it.
    fn raw_device(&self) -> burn::tensor::Device {
        if let Some(pieces) = self.pieces() {
            return pieces.device.burn().clone();
        }
        match self.kind() {
            Kind::Float => Tensor::<1>::from_dispatch(self.raw()).device(),
            Kind::Int => Tensor::<1, Int>::from_dispatch(self.raw()).device(),
            Kind::Bool => Tensor::<1, Bool>::from_dispatch(self.raw()).device(),
        }
    }

    /// The same value on a device: itself if it is there, else a copy with the same bits. Gradients go back through it.
    ///
    /// # Errors
    /// If one of the two devices fails, or the other cannot hold it.
    pub fn on(&self, device: &Device) -> Result<Value, TensorError> {
        if self.raw_device() == *device.burn() { Ok(self.clone()) } else { self.moved(device) }
    }

    /// The same value on the device of another one.
    ///
    /// # Errors
    /// As [`on`](Value::on).
    pub fn on_device_of(&self, other: &Value) -> Result<Value, TensorError> {
        let same = Device::cpu_alone() || self.raw_device() == other.raw_device();
        if same { Ok(self.clone()) } else { self.on(&other.device()) }
    }

    fn moved(&self, device: &Device) -> Result<Value, TensorError> {
        proceed()?;
        let axes = self.axes();
        device.check("moving a value", self.shape(), axes)?;
        if self.is_in_pieces() {
            return self.held()?.on(device);
        }
        let value = match self.kind() {
            Kind::Float if self.is_tracked() => Value::float(self.held_any_rank().to_device(device.burn())),
            Kind::Float => {
                let dtype = self.held_any_rank().dtype();
                if !device.burn().supports_dtype(dtype) {
                    return Err(unheld(dtype, device));
                }
                let data = self.checked(|| Tensor::<1>::from_dispatch(self.flat_raw()).try_into_data())?;
                Value::float(Tensor::<1>::from_data(data, (device.burn(), dtype)))
            }
            // Whole numbers have another width on each kind of device.
            Kind::Int => Value::from_i64(self.read_i64()?, &[self.count()], device),
            Kind::Bool => Value::from_bool(self.read_bool()?, &[self.count()], device),
        };
        let origin = self.origin().map(<[usize]>::to_vec);
        Ok(value.reshaped(self.shape()).with_axes(axes).with_origin(origin))
    }
}

fn unheld(dtype: DType, device: &Device) -> TensorError {
    note_failure();
    let (dtype, name) = (dtype.name(), device.name());
    TensorError::Device {
        message: format!("{name} does not hold numbers in {dtype}; use --dtype f32, or --device cpu"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ops::BinaryOp;
    use super::super::{Axis, DeviceChoice, Precision, bits};
    use super::*;

    fn devices() -> [Device; 2] {
        [Device::cpu(), Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)")]
    }

    #[test]
    fn a_move_keeps_bits_axes_and_beginnings() {
        let [cpu, other] = devices();
        let numbers = vec![-0.0, f32::NAN, f32::NEG_INFINITY, 1e-42, f32::MAX, 0.1];
        let floats = Value::from_f32(numbers, &[2, 3], &cpu).with_axes(&[Axis::Pos, Axis::Dim]).beginning_at(4);
        let ints = Value::from_i64(vec![-5, 70_000, 0], &[3], &cpu);
        let truths = Value::from_bool(vec![true, false], &[2, 1], &cpu);
        let halves = floats.clone().held_in(Precision::F16);
        for value in [floats.clone(), floats.transpose(), halves, ints, truths, Value::from_f32(vec![2.5], &[], &cpu)] {
            let there = value.on(&other).unwrap();
            assert_eq!((there.device().is_cpu(), there.dtype_name()), (false, value.dtype_name()));
            let back = there.on_device_of(&floats).unwrap();
            for moved in [&there, &back] {
                assert_eq!(bits(moved), bits(&value));
                assert_eq!(
                    (moved.shape(), moved.axes(), moved.origin()),
                    (value.shape(), value.axes(), value.origin())
                );
            }
        }
    }

    #[test]
    fn of_two_devices_the_left_one_counts_and_gradients_go_back_to_both() {
        let devices = devices();
        for (left, right) in [(0, 1), (1, 0)] {
            let of = |numbers: [f32; 2], device: usize| Value::from_f32(numbers.to_vec(), &[2], &devices[device]);
            let (a, b) = (of([2.0, 3.0], left).leaf(), of([10.0, 100.0], right).leaf());
            let product = a.binary(BinaryOp::Mul, &b).unwrap();
            assert_eq!(product.device().is_cpu(), left == 0);
            let joined = Value::concat(&[a.clone(), product.clone(), b.clone()], 0).unwrap();
            assert_eq!(joined.untracked().read_f32().unwrap(), [2.0, 3.0, 20.0, 300.0, 10.0, 100.0]);
            let pulled = joined.pull(&joined.untracked().full_like(1.0)).unwrap();
            let at = |leaf: &Value| pulled.at(leaf).unwrap();
            assert_eq!(at(&a).read_f32().unwrap(), [11.0, 101.0]);
            assert_eq!(at(&b).read_f32().unwrap(), [3.0, 4.0]);
            assert_eq!([at(&a), at(&b)].map(|found| found.device().is_cpu()), [left == 0, right == 0]);
        }
    }
}
