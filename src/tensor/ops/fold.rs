//! Reductions of each line of values to a number, in 64 bits on the host.

use rayon::prelude::*;

use super::elementwise::BinaryOp;
use super::reduce::{Reduction, without};
use crate::tensor::exact;
use crate::tensor::reading::FEW;
use crate::tensor::{TensorError, Value};

/// A function of two lines of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    Dot,
    /// Cosine of the angle between them.
    Cosine,
    Distance,
    /// Kullback-Leibler divergence of the second from the first, in nats.
    Divergence,
}

impl Value {
    /// A number for each line along an axis, or for all elements, of this value and another of its shape. Large values
    /// on a device are multiplied and added up there.
    ///
    /// # Panics
    /// If the shapes differ or there is no such axis.
    pub fn paired(&self, op: Pairing, other: &Value, axis: Option<usize>) -> Result<Vec<f64>, TensorError> {
        let of = match op {
            Pairing::Dot => exact::dot,
            Pairing::Cosine => exact::cosine,
            Pairing::Distance => exact::distance,
            Pairing::Divergence => exact::divergence,
        };
        if self.is_large_elsewhere()
            && let Some(found) = self.paired_there(op, other, axis)?
        {
            return Ok(found);
        }
        fold([self, other], axis, |[a, b]| of(a, b))
    }

    /// The same in 32 bits where the values are; `None` if these do not suffice.
    fn paired_there(&self, op: Pairing, other: &Value, axis: Option<usize>) -> Result<Option<Vec<f64>>, TensorError> {
        let reduced = |x: &Value, op| x.lines_reduced_there(op, axis);
        let product = || self.binary(BinaryOp::Mul, other);
        Ok(match op {
            Pairing::Dot => reduced(&product()?, Reduction::Sum)?,
            Pairing::Distance => reduced(&self.binary(BinaryOp::Sub, other)?, Reduction::Norm)?,
            Pairing::Cosine => {
                let norm = |x| reduced(x, Reduction::Norm);
                let (dots, a, b) = (reduced(&product()?, Reduction::Sum)?, norm(self)?, norm(other)?);
                let (Some(dots), Some(a), Some(b)) = (dots, a, b) else { return Ok(None) };
                Some(dots.iter().zip(a.iter().zip(&b)).map(|(dot, (a, b))| dot / (a * b)).collect())
            }
            Pairing::Divergence => None,
        })
    }

    /// The entropy of the distribution along each line, in nats. An element of 0 adds nothing.
    ///
    /// # Panics
    /// If there is no such axis.
    pub fn entropy(&self, axis: usize) -> Result<Vec<f64>, TensorError> {
        fold([self], Some(axis), |[p]| exact::entropy(p))
    }

    /// Numbers for the lines along an axis as a value without that axis, on the device of this one.
    ///
    /// # Panics
    /// If there are not as many lines.
    pub fn of_lines(&self, numbers: Vec<f64>, axis: usize) -> Value {
        let (shape, axes) = without(self, axis);
        let numbers = numbers.into_iter().map(|x| x as f32).collect();
        Value::from_f32(numbers, &shape, &self.device()).with_axes(&axes)
    }
}

/// Reduces each line of values of one shape to a number, in 64 bits on the host: lines along an axis, or all elements.
///
/// # Panics
/// If the shapes differ or there is no such axis.
pub(super) fn fold<const N: usize>(
    values: [&Value; N],
    axis: Option<usize>,
    of: impl Fn([&[f32]; N]) -> f64 + Sync,
) -> Result<Vec<f64>, TensorError> {
    let shape = values[0].shape();
    assert!(values.iter().all(|value| value.shape() == shape), "values of one shape");
    if values.iter().any(|value| value.is_in_pieces()) {
        return fold_pieces(values, axis, &of);
    }
    fold_held(values, axis, of)
}

fn fold_held<const N: usize>(
    values: [&Value; N],
    axis: Option<usize>,
    of: impl Fn([&[f32]; N]) -> f64 + Sync,
) -> Result<Vec<f64>, TensorError> {
    let (count, shape) = (values[0].count(), values[0].shape());
    let host = |value: &Value| match axis {
        Some(axis) if axis + 1 < shape.len() => {
            let order: Vec<usize> = (0..shape.len()).filter(|&i| i != axis).chain([axis]).collect();
            value.permute(&order).on_host()
        }
        _ => value.on_host(),
    };
    let hosts = values.iter().map(|value| host(value)).collect::<Result<Vec<_>, _>>()?;
    let len = axis.map_or(count, |axis| shape[axis]);
    let lines: usize = axis.map_or(1, |axis| without(values[0], axis).0.iter().product());
    let data: [&[f32]; N] = std::array::from_fn(|n| hosts[n].as_slice());
    let line = |i: usize| of(data.map(|data| &data[i * len..(i + 1) * len]));
    Ok(if count <= FEW { (0..lines).map(line).collect() } else { (0..lines).into_par_iter().map(line).collect() })
}

/// The same where one of the values is in pieces: lines along the last axis are taken some at a time, and for others all
/// elements are held.
fn fold_pieces<const N: usize>(
    values: [&Value; N],
    axis: Option<usize>,
    of: &(dyn Fn([&[f32]; N]) -> f64 + Sync),
) -> Result<Vec<f64>, TensorError> {
    if axis.is_none_or(|axis| axis + 1 < values[0].shape().len()) {
        let held: Vec<Value> = values.iter().map(|value| value.held()).collect::<Result<_, _>>()?;
        return fold_held(std::array::from_fn(|n| &held[n]), axis, of);
    }
    let first = values.iter().position(|value| value.is_in_pieces()).unwrap_or_default();
    let mut numbers = Vec::new();
    values[first].for_blocks(|matrix, rows, block| {
        let take = |n: usize| if n == first { Ok(block.clone()) } else { values[n].block(matrix, rows.clone()) };
        let blocks = (0..N).map(take).collect::<Result<Vec<_>, TensorError>>()?;
        numbers.extend(fold_held(std::array::from_fn(|n| &blocks[n]), Some(1), of)?);
        Ok(())
    })?;
    Ok(numbers)
}
