//! Many elements to one.
//!
//! On the CPU reductions run over host memory in 64 bits. On other devices large values are reduced in place, as trees
//! of short sums, never through a full `sum`, which adds atomically on wgpu and gives different bits from run to run;
//! what leaves the range of 32 bits there is read after all. Where a gradient follows, they are such trees on every
//! device.

use burn::tensor::Tensor;

use super::fold::fold;
use crate::tensor::host::{Census, extremes, sum_of};
use crate::tensor::reading::FEW;
use crate::tensor::{Axis, Kind, TensorError, Value, inlined, named};
use crate::tensor::{exact, tree};

named! {
    /// A function of many elements, by its name in expressions.
    pub enum Reduction, name {
        Sum = "sum",
        Mean = "mean",
        /// Population variance.
        Var = "var",
        /// Population standard deviation.
        Std = "std",
        /// Smallest; NaN if any element is.
        Min = "min",
        /// Largest; NaN if any element is.
        Max = "max",
        /// Largest magnitude; NaN if any element is.
        AbsMax = "absmax",
        /// Euclidean norm.
        Norm = "norm",
    }
}

impl Reduction {
    /// Whether it takes an element as it is.
    fn compares(self) -> bool {
        matches!(self, Reduction::Min | Reduction::Max | Reduction::AbsMax)
    }

    /// Whether a number that was computed in 32 bits is what 64 bits give: neither it nor the squares that it was made
    /// of have left their range.
    fn holds(self, found: f64) -> bool {
        let least = match self {
            Reduction::Sum | Reduction::Mean => 1e-30,
            Reduction::Norm | Reduction::Std => 1e-12,
            Reduction::Var => 1e-24,
            Reduction::Min | Reduction::Max | Reduction::AbsMax => return true,
        };
        found.is_finite() && found.abs() >= least
    }

    /// Of 32-bit floats in host memory.
    fn of_line(self, line: &[f32]) -> f64 {
        let count = line.len() as f64;
        let of_extremes = |f: fn((f32, f32)) -> f32| extremes(line).map_or(f64::NAN, |both| f(both).into());
        let sum = || sum_of(line, inlined!(|x| x));
        match self {
            Reduction::Sum => sum(),
            Reduction::Mean => sum() / count,
            Reduction::Norm => exact::dot(line, line).sqrt(),
            Reduction::Var | Reduction::Std => {
                let mean = sum() / count;
                let squares = sum_of(line, inlined!(|x| (x - mean) * (x - mean)));
                let var = squares / count;
                if self == Reduction::Std { var.sqrt() } else { var }
            }
            Reduction::Min => of_extremes(|(min, _)| min),
            Reduction::Max => of_extremes(|(_, max)| max),
            Reduction::AbsMax => of_extremes(|(min, max)| min.abs().max(max.abs())),
        }
    }

    /// Of elements that have been counted and added up.
    fn of_census(self, census: &Census) -> f64 {
        let Census { nan, pos_inf, neg_inf, sum, squares, spread, .. } = *census;
        let count = (census.finite + nan + pos_inf + neg_inf) as f64;
        let infinite = |of: u64, infinity: f64, otherwise: f32| if of > 0 { infinity } else { f64::from(otherwise) };
        if nan > 0 {
            return f64::NAN;
        }
        let sum = match (pos_inf > 0, neg_inf > 0) {
            (false, false) => sum,
            (true, true) => f64::NAN,
            (true, false) => f64::INFINITY,
            (false, true) => f64::NEG_INFINITY,
        };
        let any = pos_inf + neg_inf;
        match self {
            Reduction::Sum => sum,
            Reduction::Mean => sum / count,
            Reduction::Norm => {
                if any > 0 {
                    f64::INFINITY
                } else {
                    squares.sqrt()
                }
            }
            Reduction::Var if any > 0 => f64::NAN,
            Reduction::Var => spread / count,
            Reduction::Std => Reduction::Var.of_census(census).sqrt(),
            Reduction::Min => infinite(neg_inf, f64::NEG_INFINITY, census.min),
            Reduction::Max => infinite(pos_inf, f64::INFINITY, census.max),
            Reduction::AbsMax => infinite(any, f64::INFINITY, census.magnitude()),
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
    /// Reduces all elements to one number.
    ///
    /// # Errors
    /// If the value is empty (sums of nothing are 0) or the device cannot be read.
    pub fn reduce(&self, op: Reduction) -> Result<f64, TensorError> {
        if self.count() == 0 && op != Reduction::Sum {
            return Err(TensorError::Empty { op: op.name().into() });
        }
        if self.is_in_pieces() {
            return self.reduced_in_pieces(op);
        }
        if self.kind() != Kind::Float || self.dtype_name() == "f64" {
            return Ok(op.of_host(self.read_f64()?.into_iter()));
        }
        if self.is_large_elsewhere()
            && let Some(found) = self.lines_reduced_there(op, None)?
        {
            return Ok(found[0]);
        }
        Ok(op.of_line(self.on_host()?.as_slice()))
    }

    /// Reduces one axis, which disappears. A gradient can be followed back from it.
    ///
    /// # Errors
    /// If the axis is empty (sums of nothing are 0), there is no such axis, or the device cannot be read.
    pub fn reduce_axis(&self, op: Reduction, axis: usize) -> Result<Value, TensorError> {
        let Some(&len) = self.shape().get(axis) else {
            return Err(TensorError::Axis { axis: axis.to_string(), axes: self.shape_text() });
        };
        if len == 0 && op != Reduction::Sum {
            return Err(TensorError::Empty { op: op.name().into() });
        }
        if self.is_in_pieces() {
            return self.reduced_along(op, axis);
        }
        let tracked = self.is_tracked();
        if tracked || self.is_large_elsewhere() {
            let (shape, axes) = without(self, axis);
            let x = self.along(axis).to_float().tensor();
            let out = Value::float(reduced(op, x, tracked)).reshaped(&shape).with_axes(&axes);
            if tracked || op.compares() || out.read_f64()?.into_iter().all(|found| op.holds(found)) {
                return Ok(out);
            }
        }
        let numbers = match self.kind() == Kind::Float && self.dtype_name() != "f64" {
            true => fold([self], Some(axis), |[line]| op.of_line(line))?,
            false => self.lines_of_any_kind(op, axis)?,
        };
        Ok(self.of_lines(numbers, axis))
    }

    /// Whole numbers, truth values and floats of 64 bits, which lose bits in 32.
    fn lines_of_any_kind(&self, op: Reduction, axis: usize) -> Result<Vec<f64>, TensorError> {
        let (data, len) = (self.read_f64()?, self.shape()[axis]);
        let inner: usize = self.shape()[axis + 1..].iter().product();
        let outer: usize = self.shape()[..axis].iter().product();
        let lines = (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i)));
        Ok(lines.map(|(o, i)| op.of_host((0..len).map(|k| data[(o * len + k) * inner + i]))).collect())
    }

    /// Reduces all elements, or lines along an axis, where they are, in 32 bits; `None` if these do not suffice.
    pub(super) fn lines_reduced_there(
        &self,
        op: Reduction,
        axis: Option<usize>,
    ) -> Result<Option<Vec<f64>>, TensorError> {
        let found = match axis {
            Some(axis) => Value::float(reduced(op, self.along(axis).tensor(), false)).read_f64()?,
            None => match self.reduced_there(op)? {
                Some(found) => vec![found],
                None => return Ok(None),
            },
        };
        Ok(found.iter().all(|found| op.holds(*found)).then_some(found))
    }

    /// Whether it is on a device and holds more than is worth reading.
    pub(super) fn is_large_elsewhere(&self) -> bool {
        self.count() > FEW && !self.device().is_cpu()
    }

    /// Reduces all elements where they are; `None` if they are held in another width than a census takes.
    fn reduced_there(&self, op: Reduction) -> Result<Option<f64>, TensorError> {
        Ok(self.census_there()?.map(|(census, _)| op.of_census(&census)))
    }
}

/// Reduces the middle axis by operations on tensors, which a gradient can follow if it is `tracked`.
fn reduced(op: Reduction, x: Tensor<3>, tracked: bool) -> Tensor<3> {
    let len = x.dims()[1];
    let count = len as f64;
    match op {
        Reduction::Sum => tree::sum(x),
        Reduction::Mean => tree::sum(x) / count,
        Reduction::Norm => tree::sum(x.square()).sqrt(),
        Reduction::Var | Reduction::Std => {
            let mean = tree::sum(x.clone()) / count;
            let mean = if tracked { tree::spread(mean, len) } else { mean };
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
