//! What scores get of the distance between query and key, from a table.

use std::ops::Range;

use burn::tensor::{Int, Tensor};

use super::attention::{Scoring, scores};
use super::{basic, host, norm};
use crate::model::spec::{Buckets, Norm};
use crate::program::{Context, Side};
use crate::tensor::{Device, Kind, Precision, TensorError, Value, block_rows, is_large};

/// Numbers of a table `[rows, H]` for each head, by distance: `[B, H, T, S]`.
pub fn bias(table: &Value, buckets: Buckets, context: &Context) -> Value {
    let (span, device) = (context.span(), table.device());
    let [_, heads] = *table.shape() else { panic!("a number for each head, found {table:?}") };
    let (length, keys) = (span.len(), span.end);
    let shape = [context.rows(), heads, length, keys];
    if is_large(&shape, &device) {
        let (table, here) = (table.clone(), device.clone());
        let source = move |matrix: usize, queries: Range<usize>| {
            let rows = rows_of(buckets, span.start + queries.start..span.start + queries.end, keys);
            let of_head = table.tensor::<2>().narrow(1, matrix % heads, 1); // [rows, 1]
            let picked = of_head.select(0, ints(rows, &here)); // [queries S, 1]
            Ok(Value::float(picked.reshape([queries.len(), keys])))
        };
        return Value::in_pieces(&shape, (Kind::Float, Precision::F32), &device, block_rows(keys), source);
    }
    let rows = ints(rows_of(buckets, span.clone(), keys), &device);
    let picked = table.tensor::<2>().select(0, rows).reshape([1, length, keys, heads]); // [1, T, S, H]
    Value::float(picked.permute([0, 3, 1, 2]).expand(shape)) // [B, H, T, S]
}

/// The vectors of a table `[rows, d]` as keys or queries, `[B, rows, H, h]`: normed where there is a norm, and projected.
/// `weights` are gain and bias of the norm, then weight and bias of the projection.
pub fn vectors(table: &Value, of: Option<&Norm>, weights: &[Value], heads: usize, batch: usize) -> Value {
    let [rows, width] = *table.shape() else { panic!("a vector for each row, found {table:?}") };
    let (norm_weights, projection) = weights.split_at(weights.len() - 2);
    let table = table.clone().reshaped(&[1, rows, width]);
    let normed = of.map_or_else(|| table.clone(), |of| norm::whole(&table, of, norm_weights));
    let projected = basic::split_heads(&basic::linear(&normed, &projection[0], Some(&projection[1])), heads);
    let [_, rows, heads, h] = *projected.shape() else { panic!("heads, found {projected:?}") };
    Value::float(projected.tensor::<4>().expand([batch, rows, heads, h])).whole() // [B, rows, H, h]
}

/// Products of queries or keys `[B, n, H, h]` with the vectors of their distances, `[B, rows, H, h]`, times `scale`: `[B,
/// H, T, S]`.
///
/// # Errors
/// If values in pieces cannot be read.
pub fn products(
    x: &Value,
    vectors: &Value,
    (of, buckets, scale): (Side, Buckets, f64),
    context: &Context,
) -> Result<Value, TensorError> {
    let all = scores(x, vectors, Scoring::plain(scale)).held()?; // [B, H, n, rows]
    let (span, device) = (context.span(), all.device());
    let [batch, heads, n, rows] = *all.shape() else { panic!("products of heads, found {all:?}") };
    let (length, keys) = (span.len(), span.end);
    let shape = [batch, heads, length, keys];
    let large = is_large(&shape, &device);
    let on_host = device.is_cpu() && !all.is_tracked() && all.dtype_name() == "f32";
    if !large && !on_host {
        let index = ints(rows_of(buckets, span, keys), &device).reshape([1, 1, length, keys]);
        let all = all.tensor::<4>();
        return Ok(Value::float(match of {
            Side::Query => all.gather(3, index.expand(shape)),
            Side::Key => {
                let index = index.permute([0, 1, 3, 2]).expand([batch, heads, keys, length]);
                all.gather(3, index).permute([0, 1, 3, 2])
            }
        })); // [B, H, T, S]
    }
    let data = all.read_f32()?;
    let gathered = move |matrix: usize, queries: Range<usize>| -> Vec<f32> {
        let mut out = Vec::with_capacity(queries.len() * keys);
        for query in queries {
            for key in 0..keys {
                let at = if of == Side::Query { query } else { key };
                out.push(data[(matrix * n + at) * rows + buckets.row(span.start + query, key)]);
            }
        }
        out
    };
    if large {
        let here = device.clone();
        let source = move |matrix: usize, queries: Range<usize>| {
            Ok(Value::from_f32(gathered(matrix, queries.clone()), &[queries.len(), keys], &here))
        };
        return Ok(Value::in_pieces(&shape, (Kind::Float, Precision::F32), &device, block_rows(keys), source));
    }
    let out = (0..batch * heads).flat_map(|matrix| gathered(matrix, 0..length)).collect();
    Ok(host::value(out, &shape))
}

/// The rows of a table for some queries and all keys, `[queries S]`.
fn rows_of(buckets: Buckets, queries: Range<usize>, keys: usize) -> Vec<i64> {
    queries.flat_map(|query| (0..keys).map(move |key| buckets.row(query, key) as i64)).collect()
}

fn ints(data: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = data.len();
    Value::from_i64(data, &[count], device).int_tensor()
}
