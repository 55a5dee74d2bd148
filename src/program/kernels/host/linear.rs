//! Linear layers and the unembedding.

use super::matmul::{Matrix, MatrixMut, product};
use super::{filled, value};
use crate::tensor::{HostF32, Value};

/// `x W + b` over the last axis of `x`; `W` is `[n, m]`.
pub fn linear(x: &Value, weight: &Value, bias: Option<&Value>) -> Option<Value> {
    let (host, weights) = (x.host_f32()?, weight.host_view()?);
    let [n, m] = *weight.shape() else { return None };
    let &[down, across] = &*weights.strides() else { return None };
    let rows = x.count() / n.max(1);
    let bias = on_host(bias)?;
    let out = filled(rows * m, |out| {
        product(
            MatrixMut { data: out, shape: (rows, m), row_stride: m },
            Matrix { data: host.as_slice(), shape: (rows, n), strides: (n, 1) },
            Matrix { data: weights.data(), shape: (n, m), strides: (down, across) },
            1.0,
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
    let matrices: Vec<HostF32> = chunks.iter().map(Value::host_f32).collect::<Option<_>>()?;
    let out = filled(rows * vocab, |out| {
        let mut start = 0;
        for (chunk, matrix) in chunks.iter().zip(&matrices) {
            let n = chunk.shape()[0];
            product(
                MatrixMut { data: &mut out[start..], shape: (rows, n), row_stride: vocab },
                Matrix { data: host.as_slice(), shape: (rows, d), strides: (d, 1) },
                Matrix { data: matrix.as_slice(), shape: (d, n), strides: (1, d) },
                1.0,
                bias.as_ref().map(|bias| &bias.as_slice()[start..start + n]),
            );
            start += n;
        }
    });
    Some(value(out, &[batch, length, vocab]))
}

/// A bias in host memory; none where it lies elsewhere.
fn on_host(bias: Option<&Value>) -> Option<Option<HostF32>> {
    match bias {
        Some(bias) => bias.host_f32().map(Some),
        None => Some(None),
    }
}
