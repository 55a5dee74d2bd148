//! Products of one row with a matrix: bound by memory, so the matrix is read once, in the order in which it lies.

use rayon::prelude::*;

use super::matmul::Matrix;
use crate::tensor::vectorised;

/// Rows of the matrix that one task adds up where rows are contiguous.
const ROWS: usize = 96;

/// Columns of the matrix that one task multiplies where columns are contiguous.
const COLUMNS: usize = 256;

/// Partial sums in one vector, and in the four that are added side by side in a product of two rows.
const WIDTH: usize = 8;
const LANES: usize = 4 * WIDTH;

/// `out = factor * x b`, or `out += factor * x b`; none if neither rows nor columns of `b` are contiguous. The pieces do not
/// depend on the number of threads and are added in order.
pub fn row_times(out: &mut [f32], x: &[f32], b: Matrix, factor: f32, add: bool) -> Option<()> {
    if !add {
        out.fill(0.0);
    }
    match b.strides {
        (stride, 1) => by_rows(out, x, b, stride, factor),
        (1, stride) => by_columns(out, x, b, stride, factor),
        _ => return None,
    }
    Some(())
}

/// Each task adds its rows, weighted by their numbers of `x`.
fn by_rows(out: &mut [f32], x: &[f32], b: Matrix, stride: usize, factor: f32) {
    let n = out.len();
    let row = |i: usize| &b.data[i * stride..i * stride + n];
    let piece = |(p, x): (usize, &[f32])| {
        let mut sum = vec![0.0f32; n];
        vectorised(
            #[inline(always)]
            || {
                for (i, x) in x.chunks(4).enumerate() {
                    let at = p * ROWS + i * 4;
                    match *x {
                        [a, b, c, d] => {
                            let rows = row(at).iter().zip(row(at + 1)).zip(row(at + 2).iter().zip(row(at + 3)));
                            for (sum, ((w0, w1), (w2, w3))) in sum.iter_mut().zip(rows) {
                                *sum += (a * w0 + b * w1) + (c * w2 + d * w3);
                            }
                        }
                        _ => {
                            for (k, x) in x.iter().enumerate() {
                                sum.iter_mut().zip(row(at + k)).for_each(|(sum, w)| *sum += x * w);
                            }
                        }
                    }
                }
            },
        );
        sum
    };
    let sums: Vec<Vec<f32>> = x.par_chunks(ROWS).enumerate().map(piece).collect();
    for sum in sums {
        out.iter_mut().zip(sum).for_each(|(out, sum)| *out += factor * sum);
    }
}

/// Each task multiplies `x` with its columns.
fn by_columns(out: &mut [f32], x: &[f32], b: Matrix, stride: usize, factor: f32) {
    out.par_chunks_mut(COLUMNS).enumerate().for_each(|(p, out)| {
        vectorised(
            #[inline(always)]
            || {
                for (j, out) in out.iter_mut().enumerate() {
                    let at = (p * COLUMNS + j) * stride;
                    *out += factor * dot(x, &b.data[at..at + x.len()]);
                }
            },
        );
    });
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [[0.0f32; WIDTH]; 4];
    let ((whole_a, rest_a), (whole_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sum: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    for (a, b) in whole_a.iter().zip(whole_b) {
        let [l0, l1, l2, l3] = &mut lanes;
        for i in 0..WIDTH {
            l0[i] += a[i] * b[i];
        }
        for i in 0..WIDTH {
            l1[i] += a[WIDTH + i] * b[WIDTH + i];
        }
        for i in 0..WIDTH {
            l2[i] += a[2 * WIDTH + i] * b[2 * WIDTH + i];
        }
        for i in 0..WIDTH {
            l3[i] += a[3 * WIDTH + i] * b[3 * WIDTH + i];
        }
    }
    let [l0, l1, l2, l3] = lanes;
    for ((l0, l1), (l2, l3)) in l0.iter().zip(&l1).zip(l2.iter().zip(&l3)) {
        sum += (l0 + l1) + (l2 + l3);
    }
    sum
}
