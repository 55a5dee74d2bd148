//! How values are held: the type that weights and activations have in memory.
//!
//! Arithmetic is in 32 bits whatever they are held in. In f16 an op reads its inputs and weights widened, exactly,
//! computes, and its result is rounded once. That is the same on every device, and what a graphics device does that
//! sums products of halves in 32 bits.

use std::str::FromStr;

use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use super::host::halved;
use super::value::flat;
use super::{Device, HostHeld, Kind, TensorError, Value, named};

named! {
    /// What weights and activations are held in.
    #[derive(Default)]
    pub enum Precision, name {
        #[default]
        F32 = "f32",
        /// 16 bits: half the memory, 11 bits of precision, nothing beyond 65504.
        F16 = "f16",
    }
}

impl Precision {
    pub fn bytes(self) -> u64 {
        if self == Precision::F16 { 2 } else { 4 }
    }

    pub fn largest(self) -> f32 {
        if self == Precision::F16 { half::f16::MAX.to_f32() } else { f32::MAX }
    }

    /// Half the distance between 1 and the next number: the largest relative error of rounding.
    pub fn rounding(self) -> f64 {
        if self == Precision::F16 { half::f16::EPSILON.to_f64() / 2.0 } else { f64::from(f32::EPSILON) / 2.0 }
    }

    /// The same, if the device can hold values so.
    ///
    /// # Errors
    /// If its driver has no such type.
    pub fn on(self, device: &Device) -> Result<Precision, TensorError> {
        if self == Precision::F32 || device.burn().supports_dtype(DType::F16) {
            return Ok(self);
        }
        let message = format!(
            "{} does not hold numbers in f16 (its driver lacks shader-f16); use --dtype f32, or --device cpu",
            device.name()
        );
        Err(TensorError::Device { message })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Precision::ALL.iter().copied().find(|known| known.name() == text).ok_or_else(|| "use f32 or f16".into())
    }
}

impl Value {
    /// Uploads 64-bit floats in row-major order: for checking what is computed in 32 bits. Devices without the type
    /// refuse.
    ///
    /// # Panics
    /// If the vector does not have as many elements as the shape, or the device has no such type; the CPU has.
    pub fn from_f64(data: Vec<f64>, shape: &[usize], device: &Device) -> Value {
        let tensor = Tensor::<1>::from_data(flat(data, shape), (device.burn(), DType::F64));
        Value::float(tensor).reshaped(shape)
    }

    /// The same value as it is held: floats are rounded, to nearest and ties to even, or widened. Whole numbers and
    /// truth values stay as they are, and so does what is tracked, since rounding has no derivative.
    pub fn held_in(self, precision: Precision) -> Value {
        if self.kind() != Kind::Float || self.dtype_name() == precision.name() || self.is_tracked() {
            return self;
        }
        if self.is_in_pieces() {
            return self.mapped((Kind::Float, precision), move |block| Ok(block.clone().held_in(precision)));
        }
        let origin = self.origin().map(<[usize]>::to_vec);
        match precision {
            Precision::F32 => self.with_raw(|raw| raw),
            Precision::F16 => self.halved_on_host().unwrap_or_else(|| self.with_raw(|raw| raw.cast(FloatDType::F16))),
        }
        .with_origin(origin)
    }

    /// Rounded to f16, `None` if it is not in host memory. A weight keeps its layout, which is how products read it
    /// fastest.
    fn halved_on_host(&self) -> Option<Value> {
        let halves = |data: &[f32], shape: &[usize]| {
            let data = TensorData::new(halved(data), [data.len()]);
            Value::float(Tensor::<1>::from_data(data, (self.device().burn(), DType::F16))).reshaped(shape)
        };
        let view = self.host_view()?;
        let out = match turned(self.shape(), &view.strides) {
            Some([to, from]) => halves(&view.data()[..from * to], &[to, from]).transpose(),
            None => halves(self.host_f32()?.as_slice(), self.shape()),
        };
        Some(out.with_axes(self.axes()))
    }

    /// Widened on all threads in its layout; `None` unless it is held as `dtype` of 16 bits in host memory.
    pub(super) fn widened_on_host(&self, dtype: DType) -> Option<Value> {
        if dtype != DType::F16 {
            return None;
        }
        let HostHeld::Half(halves) = self.host_held()? else { return None };
        let out = match turned(self.shape(), &halves.strides) {
            Some([to, from]) => Value::from_f32(halves.widened(), &[to, from], &self.device()).transpose(),
            None => Value::from_f32(self.host_f32()?.into_vec(), self.shape(), &self.device()),
        };
        Some(out)
    }

    pub fn held_like(self, other: &Value) -> Value {
        self.held_in(if other.dtype_name() == "f16" { Precision::F16 } else { Precision::F32 })
    }
}

/// The lengths of a matrix as it is laid out; `None` unless it is transposed and without gaps.
fn turned(shape: &[usize], strides: &[usize]) -> Option<[usize; 2]> {
    match (shape, strides) {
        (&[from, to], &[1, stride]) if stride == from && from > 1 => Some([to, from]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::super::DeviceChoice;
    use super::super::ops::{BinaryOp, Slice};
    use super::*;

    fn held(data: &[f32], device: &Device) -> Value {
        Value::from_f32(data.to_vec(), &[data.len()], device).held_in(Precision::F16)
    }

    fn devices() -> [Device; 2] {
        [Device::cpu(), Device::open(DeviceChoice::Vulkan(0)).unwrap()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Against the crate `half`, which rounds to nearest, ties to even.
        #[test]
        fn what_is_held_in_f16_is_rounded_to_the_nearest_half(bits in prop::collection::vec(any::<u32>(), 1..200)) {
            let device = Device::cpu();
            let data: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| !x.is_nan()).collect();
            let wanted: Vec<f32> = data.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
            prop_assert_eq!(held(&data, &device).read_f32().unwrap(), wanted);
        }
    }

    #[test]
    fn every_device_rounds_alike_and_computes_in_32_bits() {
        // 2049 is between two halves; 70000 beyond the largest; 6e-8 is the smallest.
        let data = [0.1, 1.0 / 3.0, 2049.0, 2051.0, 65504.0, 70000.0, -70000.0, 6e-8, 1e-3, f32::NEG_INFINITY];
        let wanted: Vec<f32> = data.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
        for device in devices() {
            assert_eq!(Precision::F16.on(&device).unwrap(), Precision::F16, "{device:?}");
            let value = held(&data, &device);
            assert_eq!((value.dtype_name(), value.bytes()), ("f16", 20), "{device:?}");
            assert_eq!(value.read_f32().unwrap(), wanted, "{device:?}");
            let sum = value.binary(BinaryOp::Add, &value).unwrap();
            let doubled: Vec<f32> = wanted.iter().map(|x| x + x).collect();
            assert_eq!((sum.dtype_name(), sum.read_f32().unwrap()), ("f32", doubled), "{device:?}");
            let cut = value.slice(&[Slice::Range { start: 1, end: 4, step: 1 }]).unwrap();
            assert_eq!((cut.dtype_name(), cut.read_f32().unwrap()), ("f16", wanted[1..4].to_vec()), "{device:?}");
            assert_eq!(value.summary().unwrap().absmax, 65504.0, "{device:?}");
            assert_eq!(value.summary().unwrap().pos_inf, 1, "{device:?}");
        }
    }

    #[test]
    fn whole_numbers_and_what_is_tracked_stay() {
        let device = Device::cpu();
        assert_eq!(Value::from_i64(vec![70000], &[1], &device).held_in(Precision::F16).read_i64().unwrap(), [70000]);
        let leaf = Value::from_f32(vec![0.1], &[1], &device).leaf();
        assert_eq!(leaf.held_in(Precision::F16).dtype_name(), "f32");
    }
}
