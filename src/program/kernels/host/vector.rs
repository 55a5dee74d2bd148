//! Products of one row with a matrix whose columns, or rows, are contiguous: bound by memory, so the matrix is read once,
//! in the order in which it is laid out, and asked for some way ahead.

use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::matmul::Matrix;

/// Numbers of the matrix that one task takes at least: with less, handing out tasks shows.
const PIECE: usize = 1 << 15;

/// Tasks that a product is cut into at most.
const TASKS: usize = 24;

/// How far ahead of the arithmetic memory is asked for, in numbers.
const AHEAD: usize = 2048;

/// `out = factor * x b`, plus a bias.
pub fn row_times(out: &mut [MaybeUninit<f32>], x: &[f32], b: Matrix, factor: f32, bias: Option<&[f32]>) {
    let stride = b.strides.1;
    let columns = pieces(x.len(), out.len());
    out.par_chunks_mut(columns).enumerate().for_each(|(p, out)| {
        let start = p * columns;
        let bias = bias.map(|bias| &bias[start..]);
        columns_times(out, x, &b.data[start * stride..], stride, (factor, bias));
    });
}

/// Columns of a matrix `[k, n]` that one task takes.
pub fn pieces(k: usize, n: usize) -> usize {
    (PIECE.max(k * n / TASKS) / k.max(1)).max(1)
}

/// The same for columns that one task takes, `stride` apart.
pub fn columns_times(
    out: &mut [MaybeUninit<f32>],
    x: &[f32],
    columns: &[f32],
    stride: usize,
    (factor, bias): (f32, Option<&[f32]>),
) {
    Arch::new().dispatch(Columns { out, x, columns, stride, factor, bias });
}

/// `out = factor * x columns`, plus a bias.
struct Columns<'a> {
    out: &'a mut [MaybeUninit<f32>],
    x: &'a [f32],
    columns: &'a [f32],
    stride: usize,
    factor: f32,
    bias: Option<&'a [f32]>,
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ahead = if self.stride == self.x.len() { AHEAD } else { whole_steps(self.stride) };
        for (j, out) in self.out.iter_mut().enumerate() {
            let column = &self.columns[j * self.stride..j * self.stride + self.x.len()];
            let bias = self.bias.map_or(0.0, |bias| bias[j]);
            out.write(self.factor * dot(simd, self.x, column, ahead) + bias);
        }
    }
}

#[inline(always)]
fn dot<S: Simd>(simd: S, x: &[f32], column: &[f32], ahead: usize) -> f32 {
    dot_from(simd, [simd.splat_f32s(0.0); 4], x, column, ahead)
}

/// The end of a product of a row and a column, whose vectors are added to four sums in turn: `sums` are those of what
/// was before, a multiple of four vectors. Memory is asked for `ahead` numbers before it is needed.
#[inline(always)]
pub fn dot_from<S: Simd>(simd: S, mut sums: [S::f32s; 4], x: &[f32], column: &[f32], ahead: usize) -> f32 {
    let ((a, rest_a), (b, rest_b)) = (S::as_simd_f32s(x), S::as_simd_f32s(column));
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..4 {
            prefetch((&raw const b[i]).cast::<f32>().wrapping_add(ahead));
            sums[i] = simd.mul_add_f32s(a[i], b[i], sums[i]);
        }
    }
    for (a, b) in last_a.iter().zip(last_b) {
        prefetch((&raw const *b).cast::<f32>().wrapping_add(ahead));
        sums[0] = simd.mul_add_f32s(*a, *b, sums[0]);
    }
    let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    rest_a.iter().zip(rest_b).fold(simd.reduce_sum_f32s(sum), |sum, (a, b)| sum + a * b)
}

/// `out = weights rows`, for rows that are as long as `out` and `stride` apart.
pub fn times_rows(out: &mut [MaybeUninit<f32>], weights: &[f32], rows: &[f32], stride: usize) {
    Arch::new().dispatch(Rows { out, weights, rows, stride });
}

struct Rows<'a> {
    out: &'a mut [MaybeUninit<f32>],
    weights: &'a [f32],
    rows: &'a [f32],
    stride: usize,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Rows { out, weights, rows, stride } = self;
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let (vectors, rest) = S::as_uninit_mut_simd_f32s(out);
        let (fours, few) = vectors.as_chunks_mut::<4>();
        let (twos, last) = few.as_chunks_mut::<2>();
        let mut at = 0;
        for out in fours {
            *out = sums(simd, weights, rows, (at, stride)).map(MaybeUninit::new);
            at += 4 * lanes;
        }
        for out in twos {
            *out = sums(simd, weights, rows, (at, stride)).map(MaybeUninit::new);
            at += 2 * lanes;
        }
        for out in last {
            let [sum] = sums(simd, weights, rows, (at, stride));
            out.write(sum);
            at += lanes;
        }
        for (i, out) in rest.iter_mut().enumerate() {
            out.write(weights.iter().enumerate().map(|(row, weight)| weight * rows[row * stride + at + i]).sum());
        }
    }
}

/// `V` vectors of `weights rows` from column `at` on, in registers.
#[inline(always)]
fn sums<S: Simd, const V: usize>(simd: S, weights: &[f32], rows: &[f32], (at, stride): (usize, usize)) -> [S::f32s; V] {
    let width = V * size_of::<S::f32s>() / size_of::<f32>();
    let ahead = whole_steps(stride);
    let mut totals = [simd.splat_f32s(0.0); V];
    for (i, weight) in weights.iter().enumerate() {
        let (vectors, _) = S::as_simd_f32s(&rows[i * stride + at..][..width]);
        let weight = simd.splat_f32s(*weight);
        for (total, vector) in totals.iter_mut().zip(vectors) {
            prefetch((&raw const *vector).cast::<f32>().wrapping_add(ahead));
            *total = simd.mul_add_f32s(weight, *vector, *total);
        }
    }
    totals
}

/// About [`AHEAD`] in steps of `stride`, of which only a part is read each time.
fn whole_steps(stride: usize) -> usize {
    (AHEAD / stride.max(1)).max(1) * stride
}

/// Asks for the memory at an address. Processors look ahead by themselves only to the end of a page of 4 KiB.
#[inline(always)]
pub fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "an instruction")]
        // SAFETY: prefetching reads nothing; any address will do.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at.cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, from: f32) -> Vec<f32> {
        (0..n).map(|i| (from + i as f32 * 0.37).sin()).collect()
    }

    fn written(out: &[MaybeUninit<f32>]) -> Vec<f32> {
        #[expect(unsafe_code, reason = "initialised by the callers")]
        // SAFETY: initialised by the callers.
        out.iter().map(|x| unsafe { x.assume_init() }).collect()
    }

    #[test]
    fn a_row_times_rows_or_columns_that_lie_apart_is_sums_of_products() {
        for (count, width, stride) in [(1, 32, 128), (300, 32, 128), (17, 200, 201), (5, 3, 4), (0, 40, 40), (9, 1, 1)]
        {
            let data = numbers(count * stride, 0.0);
            let element = |row: usize, i: usize| f64::from(data[row * stride + i]);
            let (weights, x) = (numbers(count, 1.0), numbers(width, 2.0));
            let mut out = vec![MaybeUninit::new(7.0); width];
            // The last row may end with the memory.
            let rows = if count == 0 { &[][..] } else { &data[..(count - 1) * stride + width] };
            times_rows(&mut out, &weights, rows, stride);
            for (i, found) in written(&out).into_iter().enumerate() {
                let wanted: f64 = (0..count).map(|row| f64::from(weights[row]) * element(row, i)).sum();
                assert!((f64::from(found) - wanted).abs() < 1e-4, "{count} {width}: {found} for {wanted}");
            }
            let mut out = vec![MaybeUninit::new(7.0); count];
            columns_times(&mut out, &x, rows, stride, (0.5, None));
            for (row, found) in written(&out).into_iter().enumerate() {
                let wanted: f64 = 0.5 * (0..width).map(|i| f64::from(x[i]) * element(row, i)).sum::<f64>();
                assert!((f64::from(found) - wanted).abs() < 1e-4, "{count} {width}: {found} for {wanted}");
            }
        }
    }
}
