//! Linear layers and the unembedding.

use pulp::bytemuck::cast_slice;

use super::matmul::{Matrix, MatrixMut, product};
use super::stored::{StoredRows, product_of_stored, product_with_stored_rows};
use super::{filled, on_host, value};
use crate::model::checkpoint::StoredType;
use crate::model::weights::{StoredMatrix, Weight};
use crate::tensor::{HostF32, HostHeld, TensorError, Value};

/// Positions that are multiplied with a vocabulary together: as many as the tiles like best, so that parts of logits cost
/// no more than all of them.
pub const TOGETHER: usize = 128;

/// `out = x W + b` with a weight `[n, m]` as it is laid out.
fn times(out: MatrixMut, x: Matrix, weight: &HostHeld, shape: (usize, usize), bias: Option<&[f32]>) {
    let (down, across) = (weight.strides()[0], weight.strides()[1]);
    match weight {
        HostHeld::Single(view) => {
            product(out, x, Matrix { data: view.data(), shape, strides: (down, across) }, 1.0, bias);
        }
        HostHeld::Half(halves) if down == 1 && across >= shape.0 => {
            product_of_stored(out, x, halves_of(halves.data(), shape, across), bias);
        }
        HostHeld::Half(halves) => {
            let wide = halves.widened();
            product(out, x, Matrix { data: &wide, shape, strides: (down, across) }, 1.0, bias);
        }
    }
}

pub fn linear(x: &Value, weight: &Value, bias: Option<&Value>) -> Option<Value> {
    let (host, held) = (x.host_f32()?, weight.host_held()?);
    let [n, m] = *weight.shape() else { return None };
    let rows = x.count() / n.max(1);
    let bias = on_host(bias)?;
    let out = filled(rows * m, |out| {
        times(
            MatrixMut { data: out, shape: (rows, m), row_stride: m },
            Matrix { data: host.as_slice(), shape: (rows, n), strides: (n, 1) },
            &held,
            (n, m),
            bias.as_ref().map(HostF32::as_slice),
        );
    });
    let mut shape = x.shape().to_vec();
    *shape.last_mut()? = m;
    Some(value(out, &shape))
}

/// The same with the transpose `[m, n]` of the weight as it is stored.
pub fn linear_stored(x: &Value, weight: &StoredMatrix, bias: Option<&Value>) -> Option<Value> {
    let (host, stored) = (x.host_f32()?, rows_of(weight)?);
    let (n, m) = (weight.width(), weight.rows());
    let rows = x.count() / n.max(1);
    let bias = on_host(bias)?;
    let out = filled(rows * m, |out| {
        let out = MatrixMut { data: out, shape: (rows, m), row_stride: m };
        let x = Matrix { data: host.as_slice(), shape: (rows, n), strides: (n, 1) };
        product_of_stored(out, x, stored, bias.as_ref().map(HostF32::as_slice));
    });
    let mut shape = x.shape().to_vec();
    *shape.last_mut()? = m;
    Some(value(out, &shape))
}

/// What `x W` of [`linear_stored`] gives back for a gradient at its output, `[B, T, m]`: its product with the weight as
/// it is stored, `[m, n]`.
pub fn back_through_stored(seed: &Value, weight: &StoredMatrix) -> Option<Value> {
    let (host, stored) = (seed.host_f32()?, rows_of(weight)?);
    let (m, n) = (weight.rows(), weight.width());
    let rows = seed.count() / m.max(1);
    let out = filled(rows * n, |out| {
        let out = MatrixMut { data: out, shape: (rows, n), row_stride: n };
        let seed = Matrix { data: host.as_slice(), shape: (rows, m), strides: (m, 1) };
        product_with_stored_rows(out, seed, stored);
    });
    let mut shape = seed.shape().to_vec();
    *shape.last_mut()? = n;
    Some(value(out, &shape))
}

/// The rows of a matrix in host memory; `None` if it is elsewhere.
fn rows_of(matrix: &StoredMatrix) -> Option<StoredRows<'_>> {
    let (rows, width, bytes) = (matrix.rows(), matrix.width(), matrix.bytes()?);
    Some(StoredRows { kind: matrix.kind(), bytes, rows, width, stride: bytes.len() / rows.max(1) })
}

/// Columns of halves, `stride` apart.
fn halves_of(data: &[half::f16], (k, n): (usize, usize), stride: usize) -> StoredRows<'_> {
    StoredRows { kind: StoredType::F16, bytes: cast_slice(data), rows: n, width: k, stride: 2 * stride }
}

/// Products of `[B, T, d]` with the rows of matrices `[., d]`, one after the other: `[B, T, V]`.
///
/// # Errors
/// If a matrix cannot be read, or the user interrupts.
pub fn unembed(
    x: &Value,
    vocab: usize,
    pieces: impl Iterator<Item = Result<Weight, TensorError>>,
    bias: Option<&Value>,
) -> Option<Result<Value, TensorError>> {
    let host = x.host_f32()?;
    let [batch, length, d] = *x.shape() else { return None };
    let rows = batch * length;
    let bias = on_host(bias)?;
    let mut out: Vec<f32> = Vec::with_capacity(rows * vocab);
    let spare = &mut out.spare_capacity_mut()[..rows * vocab];
    let mut start = 0;
    for piece in pieces {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => return Some(Err(error)),
        };
        let n = piece.shape()[0];
        let bias = bias.as_ref().map(|bias| &bias.as_slice()[start..start + n]);
        let held = match &piece {
            Weight::Stored { .. } => None,
            Weight::Dense(value) => Some(value.transpose().host_held()?),
        };
        for first in (0..rows).step_by(TOGETHER) {
            let some = TOGETHER.min(rows - first);
            let into = MatrixMut { data: &mut spare[first * vocab + start..], shape: (some, n), row_stride: vocab };
            let x = Matrix { data: &host.as_slice()[first * d..], shape: (some, d), strides: (d, 1) };
            match (&piece, &held) {
                (Weight::Stored { matrix, .. }, _) => product_of_stored(into, x, rows_of(matrix)?, bias),
                (Weight::Dense(_), held) => times(into, x, held.as_ref()?, (d, n), bias),
            }
        }
        start += n;
    }
    assert_eq!(start, vocab, "rows of all pieces");
    #[expect(unsafe_code, reason = "the products have written every number")]
    // SAFETY: the capacity is there, and each product has written all rows of its columns, which together are all.
    unsafe {
        out.set_len(rows * vocab);
    }
    Some(Ok(value(out, &[batch, length, vocab])))
}
