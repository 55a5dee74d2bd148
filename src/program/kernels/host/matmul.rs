//! Matrix products of strided matrices, in pieces of columns: a single row, few rows and many rows are each computed
//! differently.
//!
//! burn-flex hands a whole product to `gemm`, whose own threads help little at the shapes of a transformer (few rows,
//! wide weights): a product in pieces of columns, one task each, took half the time. The piece is a multiple of the
//! columns that a kernel of `gemm` computes at once.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::tiles::{Columns, Piece, Transposed};
use super::vector::row_times;
use crate::model::weights;

pub const COLUMNS: usize = 192;

/// Numbers of a matrix with contiguous columns, as weights are kept, from which on few rows are multiplied in a way of
/// their own.
pub const LARGE: usize = weights::LARGE;

/// Rows up to which such a matrix is multiplied in tiles.
pub const TILED: usize = 256;

/// A matrix in memory: element `(i, j)` is `data[i * strides.0 + j * strides.1]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub data: &'a [f32],
    pub shape: (usize, usize),
    pub strides: (usize, usize),
}

impl Matrix<'_> {
    fn fits(&self) -> bool {
        fits(self.data.len(), self.shape, self.strides)
    }
}

/// A matrix to be written, rows `row_stride` apart. Its memory may hold anything before.
pub struct MatrixMut<'a> {
    pub data: &'a mut [MaybeUninit<f32>],
    pub shape: (usize, usize),
    pub row_stride: usize,
}

/// Pointer to the output, shared by tasks that write to different columns.
#[derive(Clone, Copy)]
pub struct Output(*mut f32);

#[expect(unsafe_code, reason = "tasks write to different columns of one output, which are interleaved in memory")]
// SAFETY: see `product`.
unsafe impl Send for Output {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: see `product`.
unsafe impl Sync for Output {}

impl Output {
    pub fn of(out: &mut [MaybeUninit<f32>]) -> Output {
        Output(out.as_mut_ptr().cast())
    }

    pub fn shifted(self, offset: usize) -> Output {
        Output(self.at(offset))
    }

    pub fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// How a product is computed as a part of a larger one.
#[derive(Clone, Copy)]
pub struct Share {
    /// Whether it is handed out in several tasks: not if it is itself one of several. That does not show in its bits.
    pub tasks: bool,
    /// Its first columns are all that is computed: so many, rounded up to pieces.
    pub columns: usize,
}

/// `out = factor * a b`, plus a bias for each column; in several tasks where it is large. Every element of `out` is
/// written.
pub fn product(out: MatrixMut, a: Matrix, b: Matrix, factor: f32, bias: Option<&[f32]>) {
    product_by(Share { tasks: true, columns: usize::MAX }, out, a, b, factor, bias);
}

/// The same for a part of it, with the bits that this part has in the whole product.
pub fn product_by(share: Share, out: MatrixMut, a: Matrix, b: Matrix, factor: f32, bias: Option<&[f32]>) {
    let (m, k) = a.shape;
    let n = b.shape.1;
    assert!(b.shape.0 == k && out.shape == (m, n), "product of {:?} and {:?} in {:?}", a.shape, b.shape, out.shape);
    assert!(
        a.fits() && b.fits() && fits(out.data.len(), out.shape, (out.row_stride, 1)),
        "matrices beyond their memory"
    );
    assert!(out.row_stride >= n || m <= 1, "rows of the output overlap");
    assert!(bias.is_none_or(|bias| bias.len() == n), "a bias for each column");
    if m == 0 || n == 0 {
        return;
    }
    let weight = k * n >= LARGE && b.strides.0 == 1 && a.strides.1 == 1;
    if m == 1 && weight {
        row_times(&mut out.data[..n], &a.data[..k], b, factor, bias);
        return;
    }
    let into = Output::of(out.data);
    if m <= TILED && weight {
        return tiled(share, into, out.row_stride, a, b, factor, bias);
    }
    let piece = |columns: Range<usize>| columns_by_gemm(into, out.row_stride, a, b, columns, (factor, bias));
    let pieces = n.min(share.columns).div_ceil(COLUMNS);
    let columns = |i: usize| i * COLUMNS..((i + 1) * COLUMNS).min(n);
    if pieces == 1 || !share.tasks {
        (0..pieces).for_each(|i| piece(columns(i)));
    } else {
        (0..pieces).into_par_iter().for_each(|i| piece(columns(i)));
    }
}

/// Some columns of a product, for many rows.
pub fn columns_by_gemm(
    into: Output,
    row_stride: usize,
    a: Matrix,
    b: Matrix,
    columns: Range<usize>,
    (factor, bias): (f32, Option<&[f32]>),
) {
    let (m, k) = a.shape;
    #[expect(unsafe_code, reason = "gemm takes pointers")]
    // SAFETY: all elements reached lie inside the slices (asserted by the callers); pieces write to different columns,
    // and rows of the output do not overlap. gemm is asked not to read the output, so it may be uninitialised.
    unsafe {
        gemm::gemm(
            m,
            columns.len(),
            k,
            into.at(columns.start),
            1,
            row_stride as isize,
            false,
            a.data.as_ptr(),
            a.strides.1 as isize,
            a.strides.0 as isize,
            b.data.as_ptr().wrapping_add(columns.start * b.strides.1),
            b.strides.1 as isize,
            b.strides.0 as isize,
            1.0,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    let Some(bias) = bias else { return };
    for row in 0..m {
        #[expect(unsafe_code, reason = "the piece has just been written, and is in the nearest cache still")]
        // SAFETY: as above, and gemm has written these elements.
        let out = unsafe { std::slice::from_raw_parts_mut(into.at(row * row_stride + columns.start), columns.len()) };
        out.iter_mut().zip(&bias[columns.clone()]).for_each(|(out, bias)| *out += bias);
    }
}

/// `out += a b` for a few rows of `a`, by one task.
pub fn add_product(out: MatrixMut, a: Matrix, b: Matrix) {
    let ((m, k), n) = (a.shape, b.shape.1);
    assert!(b.shape.0 == k && out.shape == (m, n), "product of {:?} and {:?} in {:?}", a.shape, b.shape, out.shape);
    assert!(
        a.fits() && b.fits() && fits(out.data.len(), out.shape, (out.row_stride, 1)),
        "matrices beyond their memory"
    );
    assert!(out.row_stride >= n || m <= 1, "rows of the output overlap");
    #[expect(unsafe_code, reason = "gemm takes pointers")]
    // SAFETY: all elements reached lie inside the slices, and rows of the output do not overlap (asserted above). The
    // caller has written the output, which gemm reads.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            Output::of(out.data).at(0),
            1,
            out.row_stride as isize,
            true,
            a.data.as_ptr(),
            a.strides.1 as isize,
            a.strides.0 as isize,
            b.data.as_ptr(),
            b.strides.1 as isize,
            b.strides.0 as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The product in tiles, for few rows.
fn tiled(share: Share, out: Output, stride: usize, a: Matrix, b: Matrix, factor: f32, bias: Option<&[f32]>) {
    let n = b.shape.1.min(share.columns);
    let x = &Transposed::new(a);
    if !share.tasks {
        return Piece { x, w: Columns::Floats(b), out, stride, columns: 0..n, factor, bias }.run();
    }
    (0..n.div_ceil(COLUMNS)).into_par_iter().for_each(|i| {
        let columns = i * COLUMNS..((i + 1) * COLUMNS).min(n);
        Piece { x, w: Columns::Floats(b), out, stride, columns, factor, bias }.run();
    });
}

fn fits(len: usize, (rows, columns): (usize, usize), (row, column): (usize, usize)) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row + (columns - 1) * column < len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, from: f32) -> Vec<f32> {
        (0..n).map(|i| (from + i as f32 * 0.37).sin()).collect()
    }

    #[test]
    fn products_are_sums_of_products_in_any_layout() {
        for (m, k, n) in [
            (1, 5, 900),
            (1, 800, 3),
            (7, 33, 500),
            (40, 64, 193),
            (3, 4, 1),
            (1, 301, 431),
            (1, 97, 1000),
            (2, 300, 301),
            (23, 777, 130),
            (66, 150, 450),
            (256, 64, 1024),
            (257, 64, 1024),
        ] {
            let (a, b) = (numbers(m * k, 0.0), numbers(k * n, 1.0));
            let transposed: Vec<f32> =
                (0..n).flat_map(|j| (0..k).map(move |i| (i, j))).map(|(i, j)| b[i * n + j]).collect();
            let bias = numbers(n, 2.0);
            let stride = n + 2;
            let left = Matrix { data: &a, shape: (m, k), strides: (k, 1) };
            let right = [
                Matrix { data: &b, shape: (k, n), strides: (n, 1) },
                Matrix { data: &transposed, shape: (k, n), strides: (1, k) },
            ];
            for (right, bias) in right.into_iter().flat_map(|right| [(right, None), (right, Some(&*bias))]) {
                let mut out = vec![MaybeUninit::new(7.0); (m - 1) * stride + n];
                product(MatrixMut { data: &mut out, shape: (m, n), row_stride: stride }, left, right, 0.5, bias);
                for (i, found) in out.iter().enumerate() {
                    #[expect(unsafe_code, reason = "initialised above")]
                    // SAFETY: initialised above.
                    let found = unsafe { found.assume_init() };
                    let (row, column) = (i / stride, i % stride);
                    let wanted = if column < n {
                        let sum: f64 = (0..k).map(|x| f64::from(a[row * k + x]) * f64::from(b[x * n + column])).sum();
                        0.5 * sum + bias.map_or(0.0, |bias| f64::from(bias[column]))
                    } else {
                        7.0
                    };
                    assert!((f64::from(found) - wanted).abs() < 1e-4, "{m} {k} {n}: {found} for {wanted}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "beyond their memory")]
    fn a_matrix_larger_than_its_memory_is_refused() {
        let a = Matrix { data: &[1.0; 5], shape: (2, 3), strides: (3, 1) };
        let b = Matrix { data: &[1.0; 3], shape: (3, 1), strides: (1, 1) };
        let out = &mut [MaybeUninit::uninit(); 2];
        product(MatrixMut { data: out, shape: (2, 1), row_stride: 1 }, a, b, 1.0, None);
    }
}
