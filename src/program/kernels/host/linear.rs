//! Linear layers and the unembedding.

use super::matmul::{Matrix, MatrixMut, product};
use super::value;
use crate::tensor::Value;

/// `x W + b` over the last axis of `x`; `W` is `[n, m]`.
pub fn linear(x: &Value, weight: &Value, bias: Option<&Value>) -> Option<Value> {
    let (host, weights) = (x.host_f32()?, weight.host_matrix()?);
    let [n, m] = *weight.shape() else { return None };
    let rows = x.count() / n.max(1);
    let mut out = match bias {
        Some(bias) => bias.host_f32()?.as_slice().repeat(rows),
        None => vec![0.0; rows * m],
    };
    product(
        MatrixMut { data: &mut out, shape: (rows, m), row_stride: m },
        Matrix { data: host.as_slice(), shape: (rows, n), strides: (n, 1) },
        Matrix { data: weights.data(), shape: (n, m), strides: weights.strides() },
        1.0,
        bias.is_some(),
    );
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
    let mut out = match bias {
        Some(bias) => bias.host_f32()?.as_slice().repeat(rows),
        None => vec![0.0; rows * vocab],
    };
    let mut start = 0;
    for chunk in chunks {
        let n = chunk.shape()[0];
        product(
            MatrixMut { data: out.get_mut(start..)?, shape: (rows, n), row_stride: vocab },
            Matrix { data: host.as_slice(), shape: (rows, d), strides: (d, 1) },
            Matrix { data: chunk.host_f32()?.as_slice(), shape: (d, n), strides: (1, d) },
            1.0,
            bias.is_some(),
        );
        start += n;
    }
    Some(value(out, &[batch, length, vocab]))
}
