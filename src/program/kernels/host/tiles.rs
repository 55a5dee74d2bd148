//! Products of some rows with a weight whose columns are contiguous, in tiles of sums that stay in registers.
//!
//! With few rows a product is bound as much by fetching the weight as by arithmetic. `gemm` first copies what it
//! fetches and then computes; here the weight is read where it is, and what comes next is asked for while something is
//! worked on, evenly, because memory answers only so many questions at a time. That takes a third off for 64 rows, and
//! nothing any more from 200 rows on.
//!
//! Every element is one sum over all of `k` in order, so neither the number of rows nor the pieces that a product is
//! cut into show in it.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::filled;
use super::matmul::{Matrix, Output};
use super::stored::StoredRows;
use super::vector::prefetch;
use crate::model::checkpoint::decode::{LARGEST_BLOCK, decode};

const ROWS: usize = 6;

/// Columns of the weight whose sums are written together.
const COLUMNS: usize = 8 * ROWS;

/// Terms of the sums between two questions.
const STEPS: usize = 8;

/// Numbers that memory is fetched in.
const LINE: usize = 16;

/// Terms for which a stored weight is widened at a time: whole blocks, and with those of the rows near enough.
const CHUNK: usize = 4 * LARGEST_BLOCK;

/// `out = factor * x w`, plus a bias, for some columns; rows of `out` are `stride` apart.
pub struct Piece<'a> {
    pub x: &'a Transposed,
    pub w: Columns<'a>,
    pub out: Output,
    pub stride: usize,
    pub columns: Range<usize>,
    pub factor: f32,
    pub bias: Option<&'a [f32]>,
}

/// A weight whose columns are contiguous.
pub enum Columns<'a> {
    Floats(Matrix<'a>),
    Stored(StoredRows<'a>),
}

impl Columns<'_> {
    /// Terms of a sum.
    fn terms(&self) -> usize {
        match self {
            Columns::Floats(w) => w.shape.0,
            Columns::Stored(w) => w.width,
        }
    }
}

/// The rows that are multiplied, side by side, in groups as wide as a tile: each group is `[k, rows]`.
pub struct Transposed {
    data: Vec<f32>,
    rows: usize,
}

impl Transposed {
    /// Transposes the rows of `x`, which must be contiguous.
    pub fn new(x: Matrix) -> Transposed {
        let (rows, k) = x.shape;
        let (lanes, vectors) = Arch::new().dispatch(Shape);
        let data = filled(rows.next_multiple_of(lanes) * k, |data| {
            let mut rest = data;
            for first in (0..rows).step_by(lanes * vectors) {
                let width = (rows - first).next_multiple_of(lanes).min(lanes * vectors);
                let (group, others) = rest.split_at_mut(width * k);
                rest = others;
                let used = width.min(rows - first);
                group.chunks_exact_mut(width).for_each(|column| column[used..].fill(MaybeUninit::new(0.0)));
                // A few rows at a time, so that their lines stay in the cache while all their numbers are taken.
                for at in (0..used).step_by(LINE) {
                    let some = LINE.min(used - at);
                    for (i, column) in group.chunks_exact_mut(width).enumerate() {
                        for (row, to) in column[at..at + some].iter_mut().enumerate() {
                            to.write(x.data[(first + at + row) * x.strides.0 + i]);
                        }
                    }
                }
            }
        });
        Transposed { data, rows }
    }
}

/// Numbers in a vector, and vectors in a row of a tile: as many as there are registers for.
struct Shape;

impl WithSimd for Shape {
    type Output = (usize, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (usize, usize) {
        (S::F32_LANES, if S::REGISTER_COUNT >= 32 { 4 } else { 2 })
    }
}

impl Piece<'_> {
    pub fn run(self) {
        Arch::new().dispatch(self);
    }

    /// Writes what belongs to one row from column `from` on.
    #[inline(always)]
    fn write(&self, row: usize, from: usize, sums: &[f32]) {
        let at = self.out.at(row * self.stride + from).cast::<MaybeUninit<f32>>();
        #[expect(unsafe_code, reason = "several pieces share one output")]
        // SAFETY: whoever makes a piece guarantees that its columns lie inside the output and belong to it alone.
        let out = unsafe { std::slice::from_raw_parts_mut(at, sums.len()) };
        match self.bias {
            Some(bias) => {
                for ((out, sum), bias) in out.iter_mut().zip(sums).zip(&bias[from..]) {
                    out.write(self.factor * sum + bias);
                }
            }
            None => {
                for (out, sum) in out.iter_mut().zip(sums) {
                    out.write(self.factor * sum);
                }
            }
        }
    }
}

impl WithSimd for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (lanes, vectors) = Shape.with_simd(simd);
        let data: &[S::f32s] = bytemuck::cast_slice(&self.x.data);
        for from in self.columns.clone().step_by(COLUMNS) {
            let columns = from..self.columns.end.min(from + COLUMNS);
            let mut rest = data;
            for first in (0..self.x.rows).step_by(lanes * vectors) {
                let rows = first..self.x.rows.min(first + lanes * vectors);
                let (group, others) = rest.split_at(rows.len().div_ceil(lanes) * self.w.terms());
                rest = others;
                match rows.len().div_ceil(lanes) {
                    1 => self.group::<S, 1>(simd, group, rows, columns.clone()),
                    2 => self.group::<S, 2>(simd, group, rows, columns.clone()),
                    3 => self.group::<S, 3>(simd, group, rows, columns.clone()),
                    _ => self.group::<S, 4>(simd, group, rows, columns.clone()),
                }
            }
        }
    }
}

impl Piece<'_> {
    /// Up to [`COLUMNS`] columns are multiplied with a group of rows, `[k, V vectors]`, and their sums transposed when
    /// they are written.
    #[inline(always)]
    fn group<S: Simd, const V: usize>(&self, simd: S, x: &[S::f32s], rows: Range<usize>, columns: Range<usize>) {
        let mut sums = [[simd.splat_f32s(0.0); V]; COLUMNS];
        match &self.w {
            // What follows has been fetched when the first rows were multiplied.
            Columns::Floats(w) => floats(simd, w, x, &mut sums, columns.clone(), rows.start == 0),
            Columns::Stored(w) => stored(simd, w, x, &mut sums, columns.clone()),
        }
        let sums = bytemuck::cast_slice::<_, f32>(sums.as_flattened());
        let width = V * S::F32_LANES;
        for (i, row) in rows.enumerate() {
            let column: [f32; COLUMNS] = std::array::from_fn(|j| sums[j * width + i]);
            self.write(row, columns.start, &column[..columns.len()]);
        }
    }
}

/// Sums of products with columns in 32 bits; those that follow may be fetched.
#[inline(always)]
fn floats<S: Simd, const V: usize>(
    simd: S,
    w: &Matrix,
    x: &[S::f32s],
    sums: &mut [[S::f32s; V]],
    columns: Range<usize>,
    fetch: bool,
) {
    let (k, n, stride) = (w.shape.0, w.shape.1, w.strides.1);
    for some in even(columns.len(), columns.len().div_ceil(ROWS)) {
        let (first, next) = (columns.start + some.start, columns.start + some.end);
        let lines = k.div_ceil(LINE);
        let ahead = Ahead {
            at: w.data.as_ptr().wrapping_add(next * stride).cast(),
            stride: stride * size_of::<f32>(),
            lines,
            count: if fetch { some.len().min(n - next.min(n)) * lines } else { 0 },
        };
        let column = |i: usize| &w.data[(first + i) * stride..][..k];
        multiply(simd, column, x, &mut sums[some], ahead);
    }
}

/// Sums of products with columns as they are stored. They are widened some terms at a time, and then multiplied from
/// the cache.
#[inline(always)]
fn stored<S: Simd, const V: usize>(
    simd: S,
    w: &StoredRows,
    x: &[S::f32s],
    sums: &mut [[S::f32s; V]],
    columns: Range<usize>,
) {
    let (elements, size) = w.kind.block().unwrap_or((1, 1));
    let (bytes, lines) = (CHUNK / elements * size, (CHUNK / elements * size).div_ceil(LINE * size_of::<f32>()));
    let mut wide = [0.0; ROWS * CHUNK];
    for (i, x) in x.chunks(CHUNK * V).enumerate() {
        let terms = x.len() / V;
        for some in even(columns.len(), columns.len().div_ceil(ROWS)) {
            for (j, wide) in some.clone().zip(wide.chunks_exact_mut(CHUNK)) {
                let chunk = &w.row(columns.start + j)[i * bytes..];
                decode(w.kind, &chunk[..terms / elements * size], &mut wide[..terms]);
            }
            let row = w.bytes.as_ptr().wrapping_add((columns.start + some.start) * w.stride);
            let ahead =
                Ahead { at: row.wrapping_add((i + 1) * bytes), stride: w.stride, lines, count: some.len() * lines };
            let column = |i: usize| &wide[i * CHUNK..][..terms];
            multiply(simd, column, x, &mut sums[some.clone()], ahead);
        }
    }
}

/// `0..n` in ranges that differ by one at most.
#[inline(always)]
fn even(n: usize, ranges: usize) -> impl Iterator<Item = Range<usize>> {
    (0..ranges).map(move |i| i * n / ranges..(i + 1) * n / ranges)
}

/// Memory that will be wanted: so many lines, in rows of `lines`, `stride` bytes apart.
#[derive(Clone, Copy)]
struct Ahead {
    at: *const u8,
    stride: usize,
    lines: usize,
    count: usize,
}

/// `sums += rows panel` for up to [`ROWS`] rows.
#[inline(always)]
fn multiply<'a, S: Simd, const V: usize>(
    simd: S,
    row: impl Fn(usize) -> &'a [f32],
    panel: &[S::f32s],
    sums: &mut [[S::f32s; V]],
    ahead: Ahead,
) {
    match sums {
        [a] => tile(simd, [row(0)], panel, [a], ahead),
        [a, b] => tile(simd, [row(0), row(1)], panel, [a, b], ahead),
        [a, b, c] => tile(simd, [row(0), row(1), row(2)], panel, [a, b, c], ahead),
        [a, b, c, d] => tile(simd, [row(0), row(1), row(2), row(3)], panel, [a, b, c, d], ahead),
        [a, b, c, d, e] => {
            tile(simd, [row(0), row(1), row(2), row(3), row(4)], panel, [a, b, c, d, e], ahead);
        }
        [a, b, c, d, e, f] => {
            tile(simd, [row(0), row(1), row(2), row(3), row(4), row(5)], panel, [a, b, c, d, e, f], ahead);
        }
        _ => unreachable!("tiles have up to six rows"),
    }
}

/// A tile whose sums stay in registers.
#[inline(always)]
fn tile<S: Simd, const N: usize, const V: usize>(
    simd: S,
    rows: [&[f32]; N],
    panel: &[S::f32s],
    sums: [&mut [S::f32s; V]; N],
    ahead: Ahead,
) {
    let k = panel.len() / V;
    let rows = rows.map(|row| &row[..k]);
    let mut totals = [[simd.splat_f32s(0.0); V]; N];
    for (totals, sums) in totals.iter_mut().zip(&sums) {
        *totals = **sums;
    }
    let vectors = panel.as_chunks::<V>().0;
    // Evenly over the sum: memory answers only so many questions at a time.
    let (steps, rest) = vectors.as_chunks::<STEPS>();
    let lines = (ahead.count * STEPS).div_ceil(k.max(1));
    let (mut line, mut start) = (0, ahead.at);
    for (i, vectors) in steps.iter().enumerate() {
        for _ in 0..lines {
            prefetch(start.wrapping_add(line * LINE * size_of::<f32>()).cast());
            line += 1;
            if line == ahead.lines {
                (line, start) = (0, start.wrapping_add(ahead.stride));
            }
        }
        for (s, vectors) in vectors.iter().enumerate() {
            totals = step(simd, totals, rows, i * STEPS + s, *vectors);
        }
    }
    for (i, vectors) in rest.iter().enumerate() {
        totals = step(simd, totals, rows, steps.len() * STEPS + i, *vectors);
    }
    for (sums, totals) in sums.into_iter().zip(totals) {
        *sums = totals;
    }
}

#[inline(always)]
fn step<S: Simd, const N: usize, const V: usize>(
    simd: S,
    mut totals: [[S::f32s; V]; N],
    rows: [&[f32]; N],
    i: usize,
    vectors: [S::f32s; V],
) -> [[S::f32s; V]; N] {
    for r in 0..N {
        #[expect(unsafe_code, reason = "a test in this loop takes a quarter of its time")]
        // SAFETY: the caller has cut the rows to the length of the panel.
        let factor = simd.splat_f32s(unsafe { *rows[r].get_unchecked(i) });
        for v in 0..V {
            totals[r][v] = simd.mul_add_f32s(factor, vectors[v], totals[r][v]);
        }
    }
    totals
}
