//! Operations along the last axis that depend on the order or the sum of elements.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::tensor::reading::FEW;
use crate::tensor::{Kind, Precision, TensorError, Value};
use crate::tensor::{exact, tree};

#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    /// Their indices, by descending value; equal values by ascending index; NaN last.
    pub indices: Vec<usize>,
    pub values: Vec<f64>,
}

impl Value {
    /// Softmax over one axis: in 64 bits on the host, whose result goes back to the device; as a tree where a gradient
    /// follows.
    pub fn softmax(&self, axis: usize) -> Result<Value, TensorError> {
        self.lines(axis, "softmax", exact::softmax, |x| {
            let powers = (x.clone() - tree::max(x.detach())).exp();
            let len = powers.dims()[1];
            powers.clone() / tree::spread(tree::sum(powers), len)
        })
    }

    /// Logarithm of the softmax over one axis.
    pub fn log_softmax(&self, axis: usize) -> Result<Value, TensorError> {
        self.lines(axis, "log_softmax", exact::log_softmax, |x| {
            let below = x.clone() - tree::max(x.detach());
            let len = below.dims()[1];
            below.clone() - tree::spread(tree::sum(below.exp()).log(), len)
        })
    }

    /// Running sums along one axis.
    pub fn cumsum(&self, axis: usize) -> Result<Value, TensorError> {
        self.lines(axis, "cumsum", exact::running_sums, tree::running_sums)
    }

    /// Elements of each line along one axis in ascending order, NaN last. Sorted on the host: no backend sorts on the
    /// device.
    pub fn sort(&self, axis: usize) -> Result<Value, TensorError> {
        self.each_line(axis, "sort", |line| line.sort_by(f32::total_cmp))
    }

    /// The `q`-quantile of all elements, linear between the two nearest, `q` in 0..1; NaN if any element is.
    ///
    /// # Errors
    /// If the value is empty or the device cannot be read.
    pub fn quantile(&self, q: f64) -> Result<f64, TensorError> {
        let mut data = self.read_f64()?;
        if data.is_empty() {
            return Err(TensorError::Empty { op: "quantile".into() });
        }
        if data.iter().any(|x| x.is_nan()) {
            return Ok(f64::NAN);
        }
        data.sort_by(f64::total_cmp);
        let place = q.clamp(0.0, 1.0) * (data.len() - 1) as f64;
        let (low, high) = (data[place.floor() as usize], data[place.ceil() as usize]);
        Ok(if low == high { low } else { low + (high - low) * place.fract() })
    }

    /// The `k` largest of all elements, with indices into the flattened value.
    pub fn topk(&self, k: usize) -> Result<TopK, TensorError> {
        if self.is_in_pieces() {
            return self.topk_in_pieces(k);
        }
        let data = self.read_f64()?;
        let mut order: Vec<usize> = (0..data.len()).collect();
        let key = |i: usize| if data[i].is_nan() { f64::NEG_INFINITY } else { data[i] };
        let by_fall = |&a: &usize, &b: &usize| {
            let nan = data[a].is_nan().cmp(&data[b].is_nan());
            nan.then(key(b).total_cmp(&key(a))).then(a.cmp(&b))
        };
        let k = k.min(order.len());
        if k < order.len() && k > 0 {
            order.select_nth_unstable_by(k - 1, by_fall);
        }
        order.truncate(k);
        order.sort_by(by_fall);
        Ok(TopK { values: order.iter().map(|&i| data[i]).collect(), indices: order })
    }

    /// Index of the first largest (or smallest) element along an axis, which disappears; the first NaN wins.
    ///
    /// # Errors
    /// If there is no such axis, it is empty, or the device cannot be read.
    pub fn arg_extreme(&self, axis: usize, largest: bool) -> Result<Value, TensorError> {
        let op = if largest { "argmax" } else { "argmin" };
        self.check_axis(axis, op)?;
        let len = self.shape()[axis];
        if len == 0 {
            return Err(TensorError::Empty { op: op.into() });
        }
        if self.is_in_pieces() {
            return self.arg_extreme_along(axis, largest);
        }
        let data = self.read_f64()?;
        let inner: usize = self.shape()[axis + 1..].iter().product();
        let outer: usize = self.shape()[..axis].iter().product();
        let mut out = Vec::with_capacity(outer * inner);
        for o in 0..outer {
            for i in 0..inner {
                let at = |k: usize| data[(o * len + k) * inner + i];
                let mut best = 0;
                for k in 1..len {
                    let better = if largest { at(k) > at(best) } else { at(k) < at(best) };
                    if !at(best).is_nan() && (at(k).is_nan() || better) {
                        best = k;
                    }
                }
                out.push(best as i64);
            }
        }
        let (shape, axes) = super::reduce::without(self, axis);
        Ok(Value::from_i64(out, &shape, &self.device()).with_axes(&axes))
    }

    /// Index of the first largest (or smallest) of all elements in row-major order; the first NaN wins.
    ///
    /// # Errors
    /// If the value is empty or the device cannot be read.
    pub fn arg_extreme_of_all(&self, largest: bool) -> Result<f64, TensorError> {
        if self.is_in_pieces() {
            return Ok(self.arg_extreme_in_pieces(largest)? as f64);
        }
        self.clone().reshaped(&[self.count()]).arg_extreme(0, largest)?.read_scalar()
    }

    /// Runs a function of each line along an axis, in host memory, or as operations on `[outer, axis, inner]` where a
    /// gradient follows the value, or it has more bits than are read.
    fn lines(
        &self,
        axis: usize,
        op: &'static str,
        host: fn(&mut [f32]),
        tensor: impl Fn(Tensor<3>) -> Tensor<3>,
    ) -> Result<Value, TensorError> {
        if !self.is_tracked() && self.dtype_name() != "f64" {
            return self.each_line(axis, op, host);
        }
        self.check_axis(axis, op)?;
        let out = tensor(self.along(axis).to_float().tensor::<3>());
        Ok(Value::float(out).reshaped(self.shape()).with_axes(self.axes()))
    }

    /// Runs a function of each line along an axis, on the host.
    fn each_line(
        &self,
        axis: usize,
        op: &'static str,
        f: impl Fn(&mut [f32]) + Send + Sync + Copy + 'static,
    ) -> Result<Value, TensorError> {
        self.check_axis(axis, op)?;
        if self.is_in_pieces() {
            if axis + 1 < self.shape().len() {
                return self.held()?.each_line(axis, op, f);
            }
            let held = (Kind::Float, Precision::F32);
            return Ok(self.mapped(held, move |block| block.each_line(1, op, f)).with_origin(None));
        }
        let rank = self.shape().len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(axis, rank - 1);
        let turned = self.permute(&order);
        let mut data = turned.read_f32()?;
        let len = self.shape()[axis].max(1);
        if data.len() <= FEW {
            data.chunks_mut(len).for_each(f)
        } else {
            data.par_chunks_mut(len).for_each(f)
        }
        Ok(Value::from_f32(data, turned.shape(), &self.device()).with_axes(turned.axes()).permute(&order))
    }

    fn check_axis(&self, axis: usize, op: &str) -> Result<(), TensorError> {
        match self.shape().len() {
            0 => Err(TensorError::rank(op, "at least one axis", self.shape_text())),
            rank if axis >= rank => Err(TensorError::Axis { axis: axis.to_string(), axes: self.shape_text() }),
            _ => Ok(()),
        }
    }
}
