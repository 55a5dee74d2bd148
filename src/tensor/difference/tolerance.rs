//! When two elements agree: what rounding may do to them, and the verdict of a comparison.

use rayon::prelude::*;

use super::distance;
use crate::tensor::{inlined, vectorised};

/// Elements that a task takes.
pub(super) const PIECE: usize = 1 << 15;

/// Elements that are worked on side by side.
pub(super) const LANES: usize = 8;

/// An element type that values are compared in.
pub trait Element: Copy + Into<f64> + Sync {
    /// As a 32-bit float, for counting floats between two.
    fn single(self) -> f32;
}

impl Element for f64 {
    #[inline(always)]
    fn single(self) -> f32 {
        self as f32
    }
}

impl Element for f32 {
    #[inline(always)]
    fn single(self) -> f32 {
        self
    }
}

/// When two elements agree: `|a - b| <= absolute + relative max(|b|, s)`, where `s` is the size of the row of `b` that
/// they are in ([`sizes`]); NaN agrees with NaN, and an infinity with itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    pub absolute: f64,
    pub relative: f64,
}

impl Default for Tolerance {
    /// What two passes in f32 may differ by and both be right.
    ///
    /// Measured on SmolLM2 (135M, 30 blocks, activations up to 22,500) over the 333 values that transformers gives: in
    /// f32 they are at most 2.5e-5 of this measure from the same in f64 for 5 tokens, 5.3e-5 for 488; values here are
    /// at most 6.2e-5 and 7.4e-5 from those of transformers in f32. Two sides that both round may differ by 1.1e-4, and
    /// deeper models round more: it is twice that. A weight of one head that is wrong by 5 % is 0.14 of the measure.
    fn default() -> Tolerance {
        Tolerance::of(2e-4)
    }
}

impl Tolerance {
    pub fn of(relative: f64) -> Tolerance {
        Tolerance { absolute: 0.0, relative }
    }

    /// Whether an element of a row of this size agrees with that of the other side.
    #[inline(always)]
    pub fn agree(self, a: f64, b: f64, size: f64) -> bool {
        let off = distance(a, b);
        off == 0.0 || off < f64::INFINITY && off <= self.absolute + self.relative * larger(b.abs(), size)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Same,
    /// All elements agree within the tolerance: by default, what rounding does.
    Rounding,
    Different,
}

/// The distance as a part of the size of the second element and of its row.
#[inline(always)]
pub(super) fn share(x: f64, y: f64, size: f64) -> f64 {
    match distance(x, y) {
        0.0 => 0.0,
        f64::INFINITY => f64::INFINITY,
        off => off / larger(y.abs(), size),
    }
}

/// As `f64::max` of two numbers, in one instruction.
#[inline(always)]
pub(super) fn larger(x: f64, y: f64) -> f64 {
    if x > y { x } else { y }
}

/// Numbers at or below this mean minus infinity where scores are masked: Python adds -10,000 to a score, or writes the
/// lowest finite number.
pub const MASKED: f64 = -9e3;

/// The size of each row of a value: the root mean square of its finite elements, and at least the median of those of
/// the rows that are not zero. A value with one axis has rows of one element.
///
/// Sums, products and norms round by the size of what they are made of, which is that of a whole row and not of an
/// element that happens to be small. A few positions of a large model hold activations a thousand times as large as all
/// others: rows keep those from hiding differences in the rest. The median is for rows that are small as a whole, or
/// have one element.
pub(super) fn sizes<T: Element>(b: &[T], shape: &[usize]) -> Vec<f64> {
    let width = width_of(shape);
    let of = |rows: &[T]| -> Vec<f64> { vectorised(inlined!(|| rows.chunks(width).map(size_of).collect())) };
    let mut found = if b.len() <= PIECE {
        of(b)
    } else {
        b.par_chunks((PIECE / width).max(1) * width).map(of).collect::<Vec<_>>().concat()
    };
    let mut known: Vec<f64> = found.iter().copied().filter(|size| *size > 0.0).collect();
    if known.is_empty() {
        return found;
    }
    let middle = known.len() / 2;
    let (_, &mut median, _) = known.select_nth_unstable_by(middle, f64::total_cmp);
    found.iter_mut().for_each(|size| *size = larger(*size, median));
    found
}

/// How many elements the rows of a value of that shape have.
fn width_of(shape: &[usize]) -> usize {
    if shape.len() > 1 { shape[shape.len() - 1].max(1) } else { 1 }
}

/// The root mean square of the finite elements of a row.
#[inline(always)]
fn size_of<T: Element>(row: &[T]) -> f64 {
    let (mut squares, mut finite) = ([0.0f64; LANES], [0.0f64; LANES]);
    for chunk in row.chunks(LANES) {
        for (lane, x) in chunk.iter().enumerate() {
            let x: f64 = (*x).into();
            let counts = x.abs() < f64::INFINITY;
            squares[lane] += if counts { x * x } else { 0.0 };
            finite[lane] += if counts { 1.0 } else { 0.0 };
        }
    }
    let finite: f64 = finite.iter().sum();
    if finite > 0.0 { (squares.iter().sum::<f64>() / finite).sqrt() } else { 0.0 }
}

/// Sizes of the rows of a value: see [`sizes`].
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    width: usize,
    sizes: Vec<f64>,
}

impl Rows {
    pub fn of<T: Element>(b: &[T], shape: &[usize]) -> Rows {
        Rows { width: width_of(shape), sizes: sizes(b, shape) }
    }

    /// Those of some of its elements, by their indices, each as a separate row.
    pub fn at(&self, elements: impl Iterator<Item = usize>) -> Rows {
        Rows { width: 1, sizes: elements.map(|element| self.size(element)).collect() }
    }

    pub fn size(&self, element: usize) -> f64 {
        self.sizes[element / self.width]
    }

    /// The sizes for `into.len()` elements, the first being element `from`.
    #[inline(always)]
    pub(super) fn fill(&self, from: usize, into: &mut [f64]) {
        let (mut at, end) = (0, into.len());
        while at < end {
            let row = (from + at) / self.width;
            let until = ((row + 1) * self.width - from).min(end);
            into[at..until].fill(self.sizes[row]);
            at = until;
        }
    }
}
