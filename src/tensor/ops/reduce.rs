//! Many elements to one.
//!
//! On the CPU reductions run over host memory in 64 bits. On other devices they run there: sums along an axis through
//! `sum_dim`, sums of everything through a tree of short sums. Never through a full `sum`, which adds atomically on wgpu
//! and gives other bits from run to run.

use burn::tensor::Tensor;

use crate::tensor::axes::Axis;
use crate::tensor::error::TensorError;
use crate::tensor::host::extremes;
use crate::tensor::tree;
use crate::tensor::value::Value;

/// A function of many elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Sum.
    Sum,
    /// Arithmetic mean.
    Mean,
    /// Population variance.
    Var,
    /// Population standard deviation.
    Std,
    /// Smallest; NaN if any element is.
    Min,
    /// Largest; NaN if any element is.
    Max,
    /// Largest magnitude; NaN if any element is.
    AbsMax,
    /// Euclidean norm.
    Norm,
}

impl Reduction {
    /// The name of the function in expressions.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Mean => "mean",
            Reduction::Var => "var",
            Reduction::Std => "std",
            Reduction::Min => "min",
            Reduction::Max => "max",
            Reduction::AbsMax => "absmax",
            Reduction::Norm => "norm",
        }
    }

    fn of_host(self, data: impl Iterator<Item = f64> + Clone) -> f64 {
        let extreme = |better: fn(f64, f64) -> bool, data: &mut dyn Iterator<Item = f64>| {
            let mut best = f64::NAN;
            for (i, x) in data.enumerate() {
                if x.is_nan() {
                    return f64::NAN;
                }
                if i == 0 || better(x, best) {
                    best = x;
                }
            }
            best
        };
        let count = data.clone().count() as f64;
        match self {
            Reduction::Sum => data.sum(),
            Reduction::Mean => data.sum::<f64>() / count,
            Reduction::Var => {
                let mean = data.clone().sum::<f64>() / count;
                data.map(|x| (x - mean).powi(2)).sum::<f64>() / count
            }
            Reduction::Std => Reduction::Var.of_host(data).sqrt(),
            Reduction::Norm => data.map(|x| x * x).sum::<f64>().sqrt(),
            Reduction::Min => extreme(|x, best| x < best, &mut data.clone()),
            Reduction::Max => extreme(|x, best| x > best, &mut data.clone()),
            Reduction::AbsMax => extreme(|x, best| x > best, &mut data.map(f64::abs)),
        }
    }
}

impl Value {
    /// Reduces all elements to one number. Only that number leaves the device.
    ///
    /// # Errors
    /// If the value is empty (sums of nothing are 0) or the device cannot be read.
    pub fn reduce(&self, op: Reduction) -> Result<f64, TensorError> {
        if self.count() == 0 && op != Reduction::Sum {
            return Err(TensorError::Empty { op: op.name().into() });
        }
        if let Some(host) = self.host_f32() {
            let data = host.as_slice();
            let of_extremes = |f: fn((f32, f32)) -> f32| extremes(data).map_or(f64::NAN, |both| f(both).into());
            return Ok(match op {
                Reduction::Min => of_extremes(|(min, _)| min),
                Reduction::Max => of_extremes(|(_, max)| max),
                Reduction::AbsMax => of_extremes(|(min, max)| min.abs().max(max.abs())),
                _ => op.of_host(data.iter().map(|&x| f64::from(x))),
            });
        }
        if self.device().is_cpu() || self.count() == 0 {
            return Ok(op.of_host(self.read_f64()?.into_iter()));
        }
        let count = self.count();
        let x = self.to_float().reshaped(&[1, count, 1]).tensor();
        let result = reduced(op, x, count);
        Value::float(result).read_scalar()
    }

    /// Reduces one axis, which disappears.
    ///
    /// # Errors
    /// If the axis is empty (sums of nothing are 0), or there is no such axis.
    pub fn reduce_axis(&self, op: Reduction, axis: usize) -> Result<Value, TensorError> {
        let Some(&len) = self.shape().get(axis) else {
            return Err(TensorError::Axis { axis: axis.to_string(), axes: self.shape_text() });
        };
        if len == 0 && op != Reduction::Sum {
            return Err(TensorError::Empty { op: op.name().into() });
        }
        let (shape, axes) = without(self, axis);
        if self.device().is_cpu() {
            let data = self.read_f64()?;
            let inner: usize = self.shape()[axis + 1..].iter().product();
            let outer: usize = self.shape()[..axis].iter().product();
            let mut out = Vec::with_capacity(outer * inner);
            for o in 0..outer {
                for i in 0..inner {
                    let line = (0..len).map(|k| data[(o * len + k) * inner + i]);
                    out.push(op.of_host(line) as f32);
                }
            }
            return Ok(Value::from_f32(out, &shape, &self.device()).with_axes(&axes));
        }
        let out = reduced(op, self.along(axis).to_float().tensor(), len);
        Ok(Value::float(out).reshaped(&shape).with_axes(&axes))
    }
}

/// Reduces the middle axis, which has `len` entries, on the device.
fn reduced(op: Reduction, x: Tensor<3>, len: usize) -> Tensor<3> {
    let count = len as f64;
    match op {
        Reduction::Sum => tree::sum(x),
        Reduction::Mean => tree::sum(x) / count,
        Reduction::Norm => tree::sum(x.square()).sqrt(),
        Reduction::Var | Reduction::Std => {
            let mean = tree::sum(x.clone()) / count;
            let var = tree::sum((x - mean).square()) / count;
            if op == Reduction::Std { var.sqrt() } else { var }
        }
        Reduction::Min => tree::min(x),
        Reduction::Max => tree::max(x),
        Reduction::AbsMax => tree::max(x.abs()),
    }
}

/// Shape and axes without one of them.
pub(super) fn without(value: &Value, axis: usize) -> (Vec<usize>, Vec<Axis>) {
    let (mut shape, mut axes) = (value.shape().to_vec(), value.axes().to_vec());
    shape.remove(axis);
    axes.remove(axis);
    (shape, axes)
}
