//! Products with weights that are held in fewer bits: in 16, or as a file stores them.
//!
//! Each task widens the columns that it works on: they are multiplied from the cache, and only what is held is read from
//! memory. Every element is the same sum as of a weight that was widened before.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::matmul::{COLUMNS, Halves, LARGE, Matrix, MatrixMut, Output, TILED, columns_by_gemm};
use super::tiles::{Piece, Transposed};
use super::vector::columns_times;
use crate::model::weights::StoredMatrix;

/// Numbers that stay in the nearest cache between widening and multiplying them.
const NEAR: usize = 1 << 12;

thread_local! {
    /// Where columns are widened to.
    static WIDE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// A matrix whose columns are contiguous, and are widened when they are used.
pub trait Columns: Sync {
    /// Rows and columns.
    fn shape(&self) -> (usize, usize);

    /// Some columns, one after another, as 32-bit floats.
    fn widen(&self, columns: Range<usize>, out: &mut [f32]);
}

impl Columns for Halves<'_> {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    fn widen(&self, columns: Range<usize>, out: &mut [f32]) {
        for (column, out) in columns.zip(out.chunks_exact_mut(self.shape.0.max(1))) {
            self.data[column * self.stride..][..self.shape.0].convert_to_f32_slice(out);
        }
    }
}

/// Stored as rows, `[n, k]`, which are the columns of the weight.
impl Columns for StoredMatrix {
    fn shape(&self) -> (usize, usize) {
        (self.width(), self.rows())
    }

    fn widen(&self, columns: Range<usize>, out: &mut [f32]) {
        self.decode_rows(columns, out);
    }
}

/// `out = a b`, plus a bias for each column. Every element of `out` is written.
///
/// # Panics
/// If the shapes do not fit, or a matrix is larger than its memory.
pub fn product_of_columns(out: MatrixMut, a: Matrix, b: &impl Columns, bias: Option<&[f32]>) {
    let ((m, k), (rows, n), row_stride) = (a.shape, b.shape(), out.row_stride);
    if m == 0 || n == 0 {
        return;
    }
    let within = |len: usize, rows: usize, stride: usize, width: usize| (rows - 1) * stride + width <= len;
    assert!(rows == k && out.shape == (m, n) && a.strides == (k, 1), "a product of {:?} and {:?}", a.shape, b.shape());
    assert!(a.data.len() >= m * k && within(out.data.len(), m, row_stride, n), "matrices beyond their memory");
    assert!(row_stride >= n && bias.is_none_or(|bias| bias.len() == n), "rows overlap, or biases lack");
    let into = Output::of(out.data);
    let x = (m > 1 && m <= TILED).then(|| Transposed::new(a));
    let block = if m == 1 { (NEAR / k.max(1)).clamp(1, COLUMNS) } else { COLUMNS };
    (0..n.div_ceil(COLUMNS)).into_par_iter().for_each(|i| {
        let end = n.min((i + 1) * COLUMNS);
        let mut wide = WIDE.take();
        for first in (i * COLUMNS..end).step_by(block) {
            let width = block.min(end - first);
            wide.resize(width * k, 0.0);
            b.widen(first..first + width, &mut wide);
            let w = Matrix { data: &wide, shape: (k, width), strides: (1, k) };
            let bias = bias.map(|bias| &bias[first..first + width]);
            let part = into.shifted(first);
            match &x {
                _ if m == 1 => {
                    #[expect(unsafe_code, reason = "tasks write to different columns of one output")]
                    // SAFETY: these columns lie inside the output (asserted above) and belong to this task alone.
                    let out = unsafe { std::slice::from_raw_parts_mut(part.at(0).cast::<MaybeUninit<f32>>(), width) };
                    columns_times(out, &a.data[..k], &wide, k, (1.0, bias));
                }
                Some(x) => Piece { x, w, out: part, stride: row_stride, columns: 0..width, factor: 1.0, bias }.run(),
                None => columns_by_gemm(part, row_stride, a, w, 0..width, (1.0, bias)),
            }
        }
        WIDE.set(wide);
    });
}

/// Whether a product with such a weight is worth it: of a small one, a copy is made.
pub fn worthwhile((k, n): (usize, usize)) -> bool {
    k * n >= LARGE
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::super::matmul::product;
    use super::*;

    #[test]
    fn a_product_with_halves_has_the_bits_of_one_with_what_they_widen_to() {
        let numbers = |n: usize, from: f32| (0..n).map(move |i| (from + i as f32 * 0.37).sin());
        for (m, k, n, gap) in
            [(1, 300, 301, 0), (1, 5000, 20, 0), (2, 300, 431, 3), (66, 150, 450, 0), (257, 64, 1030, 1)]
        {
            let a: Vec<f32> = numbers(m * k, 0.0).collect();
            let halves: Vec<f16> = numbers(n * (k + gap), 1.0).map(f16::from_f32).collect();
            let wide: Vec<f32> = halves.iter().map(|x| x.to_f32()).collect();
            let bias: Vec<f32> = numbers(n, 2.0).collect();
            for bias in [None, Some(&*bias)] {
                let (mut found, mut wanted) = (vec![MaybeUninit::new(7.0); m * n], vec![MaybeUninit::new(7.0); m * n]);
                let left = Matrix { data: &a, shape: (m, k), strides: (k, 1) };
                let right = Halves { data: &halves, shape: (k, n), stride: k + gap };
                product_of_columns(MatrixMut { data: &mut found, shape: (m, n), row_stride: n }, left, &right, bias);
                let right = Matrix { data: &wide, shape: (k, n), strides: (1, k + gap) };
                product(MatrixMut { data: &mut wanted, shape: (m, n), row_stride: n }, left, right, 1.0, bias);
                for (found, wanted) in found.iter().zip(&wanted) {
                    #[expect(unsafe_code, reason = "initialised above")]
                    // SAFETY: initialised above.
                    let (found, wanted) = unsafe { (found.assume_init(), wanted.assume_init()) };
                    assert_eq!(found, wanted, "{m} {k} {n}");
                }
            }
        }
    }
}
