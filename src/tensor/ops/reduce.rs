//! Many elements to one.
//!
//! On the CPU reductions run over host memory in 64 bits. On other devices they run there: sums along an axis through
//! `sum_dim`, sums of everything through a tree of short sums. Never through a full `sum`, which adds atomically on wgpu
//! and gives other bits from run to run.

use burn::tensor::Tensor;

use crate::tensor::axes::Axis;
use crate::tensor::error::TensorError;
use crate::tensor::host::extremes;
use crate::tensor::summary::pairwise_sum;
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
        let x: Tensor<1> = self.to_float().reshaped(&[count]).tensor();
        let result = match op {
            Reduction::Sum => pairwise_sum(x),
            Reduction::Mean => pairwise_sum(x) / count as f64,
            Reduction::Norm => pairwise_sum(x.square()).sqrt(),
            Reduction::Var | Reduction::Std => {
                let mean = pairwise_sum(x.clone()) / count as f64;
                let var = pairwise_sum((x - mean).square()) / count as f64;
                if op == Reduction::Std { var.sqrt() } else { var }
            }
            Reduction::Min => with_nan(x.clone(), x.min_dim(0)),
            Reduction::Max => with_nan(x.clone(), x.max_dim(0)),
            Reduction::AbsMax => with_nan(x.clone(), x.abs().max_dim(0)),
        };
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
        let x = self.along(axis).to_float().tensor::<3>();
        let out = match op {
            Reduction::Sum => x.sum_dim(1),
            Reduction::Mean => x.mean_dim(1),
            Reduction::Norm => x.square().sum_dim(1).sqrt(),
            Reduction::Var | Reduction::Std => {
                let mean = x.clone().mean_dim(1);
                let var = (x - mean).square().mean_dim(1);
                if op == Reduction::Std { var.sqrt() } else { var }
            }
            Reduction::Min => lines_with_nan(x.clone(), x.min_dim(1)),
            Reduction::Max => lines_with_nan(x.clone(), x.max_dim(1)),
            Reduction::AbsMax => lines_with_nan(x.clone(), x.abs().max_dim(1)),
        };
        Ok(Value::float(out).reshaped(&shape).with_axes(&axes))
    }
}

/// The extremes of lines along the middle axis, NaN where a line has one.
fn lines_with_nan(x: Tensor<3>, extreme: Tensor<3>) -> Tensor<3> {
    let any = x.is_nan().int().sum_dim(1).greater_scalar(0);
    extreme.mask_fill(any, f32::NAN)
}

/// burn's extremes may skip NaN; ours never do.
fn with_nan(x: Tensor<1>, extreme: Tensor<1>) -> Tensor<1> {
    let any = x.is_nan().int().sum_dim(0).greater_scalar(0);
    extreme.mask_fill(any, f32::NAN)
}

/// Shape and axes without one of them.
pub(super) fn without(value: &Value, axis: usize) -> (Vec<usize>, Vec<Axis>) {
    let (mut shape, mut axes) = (value.shape().to_vec(), value.axes().to_vec());
    shape.remove(axis);
    axes.remove(axis);
    (shape, axes)
}
