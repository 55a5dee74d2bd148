//! Linear layers and the unembedding.

use super::halves::{product_of_halves, worthwhile};
use super::matmul::{Halves, Matrix, MatrixMut, product};
use super::{filled, on_host, value};
use crate::tensor::{HostF32, HostHeld, Value};

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
        HostHeld::Half(halves) if down == 1 && across >= shape.0 && worthwhile(shape) => {
            product_of_halves(out, x, Halves { data: halves.data(), shape, stride: across }, bias);
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

/// Products of `[B, T, d]` with the rows of matrices `[., d]`, one after the other: `[B, T, V]`.
pub fn unembed(x: &Value, chunks: &[Value], bias: Option<&Value>) -> Option<Value> {
    let host = x.host_f32()?;
    let [batch, length, d] = *x.shape() else { return None };
    let rows = batch * length;
    let vocab = chunks.iter().map(|chunk| chunk.shape()[0]).sum();
    let bias = on_host(bias)?;
    let matrices: Vec<_> = chunks.iter().map(|chunk| chunk.transpose().host_held()).collect::<Option<_>>()?;
    let out = filled(rows * vocab, |out| {
        let mut start = 0;
        for (chunk, matrix) in chunks.iter().zip(&matrices) {
            let n = chunk.shape()[0];
            for first in (0..rows).step_by(TOGETHER) {
                let some = TOGETHER.min(rows - first);
                times(
                    MatrixMut { data: &mut out[first * vocab + start..], shape: (some, n), row_stride: vocab },
                    Matrix { data: &host.as_slice()[first * d..], shape: (some, d), strides: (d, 1) },
                    matrix,
                    (d, n),
                    bias.as_ref().map(|bias| &bias.as_slice()[start..start + n]),
                );
            }
            start += n;
        }
    });
    Some(value(out, &[batch, length, vocab]))
}
