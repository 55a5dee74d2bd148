//! Products with weights that are kept in memory as they are stored.
//!
//! Each task widens the columns that it works on, so only what is stored is read from memory. Every element is the same
//! sum, to the bit, as of a weight that was widened before.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::matmul::{COLUMNS, LARGE, Matrix, MatrixMut, Output, TILED, columns_by_gemm, product};
use super::stored_row::row_times_stored;
use super::tiles::{Columns, Piece, Transposed};
use crate::model::checkpoint::StoredType;
use crate::model::checkpoint::decode::{decode, decode_range};

thread_local! {
    /// Where columns are widened to.
    static WIDE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// A weight `[rows, width]` as it is stored. A row is whole blocks, and `stride` bytes after the one before.
#[derive(Clone, Copy)]
pub struct StoredRows<'a> {
    pub kind: StoredType,
    pub bytes: &'a [u8],
    pub rows: usize,
    pub width: usize,
    pub stride: usize,
}

impl<'a> StoredRows<'a> {
    /// Bytes of one row.
    fn size(&self) -> usize {
        let (elements, bytes) = self.kind.block().unwrap_or((1, 0));
        self.width / elements * bytes
    }

    /// Whether the rows are whole blocks, and lie inside the memory.
    fn fits(&self) -> bool {
        let whole = self.kind.block().is_some_and(|(elements, _)| self.width.is_multiple_of(elements));
        let end = (self.rows.max(1) - 1) * self.stride + self.size();
        whole && (self.rows == 0 || self.stride >= self.size() && end <= self.bytes.len())
    }

    pub fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.stride..][..self.size()]
    }

    /// Writes rows as 32-bit floats, one after the other.
    fn widen(&self, rows: Range<usize>, out: &mut [f32]) {
        if self.stride == self.size() {
            decode(self.kind, &self.bytes[rows.start * self.stride..rows.end * self.stride], out);
            return;
        }
        for (row, out) in rows.zip(out.chunks_exact_mut(self.width.max(1))) {
            decode(self.kind, self.row(row), out);
        }
    }

    fn widened(&self) -> Vec<f32> {
        let mut wide = vec![0.0; self.rows * self.width];
        self.widen(0..self.rows, &mut wide);
        wide
    }

    /// Whether widening piece by piece is worth it: a small weight is widened as a whole.
    fn large(&self) -> bool {
        self.rows * self.width >= LARGE
    }
}

/// `out = a bᵀ`, plus a bias for each row of `b`: `[m, width]` times `[rows, width]`. Every element of `out` is written.
///
/// # Panics
/// If the shapes do not fit, or a matrix is larger than its memory.
pub fn product_of_stored(out: MatrixMut, a: Matrix, b: StoredRows, bias: Option<&[f32]>) {
    let ((m, k), n) = (a.shape, b.rows);
    check(&out, &a, &b, (b.width, n));
    assert!(bias.is_none_or(|bias| bias.len() == n), "a bias for each column");
    if m == 0 || n == 0 {
        return;
    }
    if !b.large() {
        let wide = Matrix { data: &b.widened(), shape: (k, n), strides: (1, k) };
        return product(out, a, wide, 1.0, bias);
    }
    if m == 1 {
        return row_times_stored(&mut out.data[..n], &a.data[..k], b, bias);
    }
    let (into, stride) = (Output::of(out.data), out.row_stride);
    if m <= TILED {
        let x = &Transposed::new(a);
        return (0..n.div_ceil(COLUMNS)).into_par_iter().for_each(|i| {
            let columns = i * COLUMNS..n.min((i + 1) * COLUMNS);
            Piece { x, w: Columns::Stored(b), out: into, stride, columns, factor: 1.0, bias }.run();
        });
    }
    by_columns(n, |columns, wide| {
        wide.resize(columns.len() * k, 0.0);
        b.widen(columns.clone(), wide);
        let w = Matrix { data: wide, shape: (k, columns.len()), strides: (1, k) };
        let bias = bias.map(|bias| &bias[columns.clone()]);
        columns_by_gemm(into.shifted(columns.start), stride, a, w, 0..columns.len(), (1.0, bias));
    });
}

/// `out = a b`: `[m, rows]` times `[rows, width]`, as it is needed for gradients. Every element of `out` is written.
///
/// # Panics
/// If the shapes do not fit, or a matrix is larger than its memory.
pub fn product_with_stored_rows(out: MatrixMut, a: Matrix, b: StoredRows) {
    let (k, n) = (b.rows, b.width);
    check(&out, &a, &b, (k, n));
    // A matrix of one column would be taken for one with contiguous columns.
    if !b.large() || n == 1 {
        let wide = Matrix { data: &b.widened(), shape: (k, n), strides: (n, 1) };
        return product(out, a, wide, 1.0, None);
    }
    let (into, stride) = (Output::of(out.data), out.row_stride);
    by_columns(n, |columns, wide| {
        wide.resize(k * COLUMNS, 0.0);
        for (row, wide) in wide.chunks_exact_mut(COLUMNS).enumerate() {
            decode_range(b.kind, b.row(row), columns.start, &mut wide[..columns.len()]);
        }
        let w = Matrix { data: wide, shape: (k, columns.len()), strides: (COLUMNS, 1) };
        columns_by_gemm(into.shifted(columns.start), stride, a, w, 0..columns.len(), (1.0, None));
    });
}

/// Runs a task for each piece of columns of an output, with memory to widen to.
fn by_columns(n: usize, task: impl Fn(Range<usize>, &mut Vec<f32>) + Sync) {
    (0..n.div_ceil(COLUMNS)).into_par_iter().for_each(|i| {
        let mut wide = WIDE.take();
        task(i * COLUMNS..n.min((i + 1) * COLUMNS), &mut wide);
        WIDE.set(wide);
    });
}

/// Checks what the products rely on, where `b` is multiplied as a matrix of a shape.
fn check(out: &MatrixMut, a: &Matrix, b: &StoredRows, (k, n): (usize, usize)) {
    let m = a.shape.0;
    assert!(
        a.shape.1 == k && out.shape == (m, n) && (m <= 1 || a.strides == (k, 1)) && a.strides.1 == 1,
        "a product of {:?} and {:?} in {:?}",
        a.shape,
        (k, n),
        out.shape
    );
    assert!(
        a.data.len() >= m * k && b.fits() && out.data.len() >= m.saturating_sub(1) * out.row_stride + n.min(m * n),
        "matrices beyond their memory"
    );
    assert!(out.row_stride >= n || m <= 1, "rows of the output overlap");
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
