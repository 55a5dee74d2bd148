//! Products of one row with a matrix whose columns are contiguous: bound by memory, so the matrix is read once, in the
//! order in which it is laid out, and asked for some way ahead.

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
        for (j, out) in self.out.iter_mut().enumerate() {
            let column = &self.columns[j * self.stride..j * self.stride + self.x.len()];
            let bias = self.bias.map_or(0.0, |bias| bias[j]);
            out.write(self.factor * dot(simd, self.x, column) + bias);
        }
    }
}

#[inline(always)]
fn dot<S: Simd>(simd: S, x: &[f32], column: &[f32]) -> f32 {
    dot_from(simd, [simd.splat_f32s(0.0); 4], x, column)
}

/// The end of a product of a row and a column, whose vectors are added to four sums in turn: `sums` are those of what
/// was before, a multiple of four vectors.
#[inline(always)]
pub fn dot_from<S: Simd>(simd: S, mut sums: [S::f32s; 4], x: &[f32], column: &[f32]) -> f32 {
    let ((a, rest_a), (b, rest_b)) = (S::as_simd_f32s(x), S::as_simd_f32s(column));
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..4 {
            prefetch((&raw const b[i]).cast::<f32>().wrapping_add(AHEAD));
            sums[i] = simd.mul_add_f32s(a[i], b[i], sums[i]);
        }
    }
    for (a, b) in last_a.iter().zip(last_b) {
        sums[0] = simd.mul_add_f32s(*a, *b, sums[0]);
    }
    let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    rest_a.iter().zip(rest_b).fold(simd.reduce_sum_f32s(sum), |sum, (a, b)| sum + a * b)
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
