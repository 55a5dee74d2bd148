//! Statistics of numbers in host memory, as loops that the compiler turns into vector instructions: counts and extremes
//! as whole numbers (whose order of addition is free), sums in 64 bits over eight lanes side by side. The same numbers
//! give the same bits on every machine.

use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

pub(super) const LANES: usize = 8;

/// Numbers in the work of one task.
pub(super) const PIECE: usize = 1 << 16;

/// Numbers that stay in the nearest cache from one loop to the next.
const BLOCK: usize = 1 << 11;

/// A closure that is always inlined: only so is its loop compiled for the vectors of [`vectorised`].
macro_rules! inlined {
    ($($closure:tt)*) => {{
        #[inline(always)]
        $($closure)*
    }};
}
pub(crate) use inlined;

/// Runs loops with 512-bit or 256-bit vectors where the processor has them: the compiler makes further versions of what
/// is inlined into `run`. No operation is fused by it, so the width changes no bit.
pub(crate) fn vectorised<R>(run: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide<R>(run: impl FnOnce() -> R) -> R {
            run()
        }
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
        fn widest<R>(run: impl FnOnce() -> R) -> R {
            run()
        }
        if std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512dq")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512bw")
        {
            #[expect(unsafe_code, reason = "a function for features that not every processor has")]
            // SAFETY: the processor has the features.
            return unsafe { widest(run) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "a function for a feature that not every processor has")]
            // SAFETY: the processor has the feature.
            return unsafe { wide(run) };
        }
    }
    run()
}

/// A matrix `[rows, columns]` as `[columns, rows]`.
pub fn transposed<T: Copy + Default + Send + Sync>(data: Vec<T>, rows: usize, columns: usize) -> Vec<T> {
    const SQUARE: usize = 16;
    assert_eq!(data.len(), rows * columns, "elements of a matrix");
    if data.is_empty() {
        return data;
    }
    let mut out = vec![T::default(); data.len()];
    out.par_chunks_mut(SQUARE * rows).enumerate().for_each(|(i, out)| {
        for row in (0..rows).step_by(SQUARE) {
            for (j, out) in out.chunks_exact_mut(rows).enumerate() {
                let some = &mut out[row..rows.min(row + SQUARE)];
                for (k, out) in some.iter_mut().enumerate() {
                    *out = data[(row + k) * columns + i * SQUARE + j];
                }
            }
        }
    });
    out
}

/// Halves as 32-bit floats, exactly.
pub(super) fn widened(halves: &[half::f16]) -> Vec<f32> {
    let mut out = vec![0.0; halves.len()];
    let pieces = out.par_chunks_mut(PIECE).zip(halves.par_chunks(PIECE));
    pieces.for_each(|(out, halves)| halves.convert_to_f32_slice(out));
    out
}

/// 32-bit floats as halves, to nearest and ties to even.
pub(super) fn halved(data: &[f32]) -> Vec<half::f16> {
    let mut out = vec![half::f16::ZERO; data.len()];
    let pieces = out.par_chunks_mut(PIECE).zip(data.par_chunks(PIECE));
    pieces.for_each(|(out, data)| out.convert_from_f32_slice(data));
    out
}

/// What one pass over numbers counts. `min`, `max` and the sums are over the finite ones; without any, `min` is inf and
/// `max` is -inf.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Census {
    pub finite: u64,
    pub nan: u64,
    pub pos_inf: u64,
    pub neg_inf: u64,
    pub zeros: u64,
    pub min: f32,
    pub max: f32,
    pub sum: f64,
    pub squares: f64,
    /// Sum of squared distances from the mean.
    pub spread: f64,
}

impl Default for Census {
    fn default() -> Census {
        let (min, max) = (f32::INFINITY, f32::NEG_INFINITY);
        Census { finite: 0, nan: 0, pos_inf: 0, neg_inf: 0, zeros: 0, min, max, sum: 0.0, squares: 0.0, spread: 0.0 }
    }
}

impl Census {
    /// That of both together.
    pub fn join(self, other: Census) -> Census {
        let (a, b) = (self.finite as f64, other.finite as f64);
        let apart = match self.finite == 0 || other.finite == 0 {
            true => 0.0,
            false => (self.sum / a - other.sum / b).powi(2) * (a * b / (a + b)),
        };
        Census {
            finite: self.finite + other.finite,
            nan: self.nan + other.nan,
            pos_inf: self.pos_inf + other.pos_inf,
            neg_inf: self.neg_inf + other.neg_inf,
            zeros: self.zeros + other.zeros,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            spread: self.spread + other.spread + apart,
        }
    }

    /// The largest magnitude of the finite numbers.
    pub fn magnitude(&self) -> f32 {
        self.max.abs().max(self.min.abs())
    }
}

/// A census of each piece, in their order.
pub(super) fn censuses(data: &[f32]) -> Vec<Census> {
    match data.len() <= PIECE {
        true => vec![census_of_piece(data)],
        false => data.par_chunks(PIECE).map(census_of_piece).collect(),
    }
}

fn census_of_piece(data: &[f32]) -> Census {
    let mut whole = Census::default();
    let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
    for block in data.chunks(BLOCK) {
        vectorised(inlined!(|| {
            let count = |holds: fn(f32) -> bool| u64::from(block.iter().map(|x| u32::from(holds(*x))).sum::<u32>());
            let min = block.iter().map(|x| if x.is_finite() { key(*x) } else { i32::MAX }).min();
            let max = block.iter().map(|x| if x.is_finite() { key(*x) } else { i32::MIN }).max();
            let nonfinite = count(|x| !x.is_finite());
            if nonfinite > 0 {
                whole.nan += count(f32::is_nan);
                whole.pos_inf += count(|x| x == f32::INFINITY);
                whole.neg_inf += count(|x| x == f32::NEG_INFINITY);
            }
            whole.zeros += count(|x| x == 0.0);
            if nonfinite < block.len() as u64 {
                whole.min = whole.min.min(min.map_or(f32::INFINITY, of_key));
                whole.max = whole.max.max(max.map_or(f32::NEG_INFINITY, of_key));
            }
            let wide = |x: f32| f64::from(if x.is_finite() { x } else { 0.0 });
            add(&mut sums, block, wide);
            add(&mut squares, block, |x| wide(x) * wide(x));
        }));
    }
    (whole.sum, whole.squares) = (sums.iter().sum(), squares.iter().sum());
    whole.finite = data.len() as u64 - whole.nan - whole.pos_inf - whole.neg_inf;
    whole.spread = spread(data, whole.sum / whole.finite as f64);
    whole
}

/// Adds a function of each number to the lanes, in turn.
#[inline(always)]
fn add(lanes: &mut [f64; LANES], data: &[f32], function: impl Fn(f32) -> f64) {
    let mut sums = *lanes;
    let (pieces, rest) = data.as_chunks::<LANES>();
    for piece in pieces {
        for (sum, x) in sums.iter_mut().zip(piece) {
            *sum += function(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += function(*x);
    }
    *lanes = sums;
}

/// A whole number that is ordered as the float is: NaN is beyond the infinities.
#[inline(always)]
pub(super) fn key(x: f32) -> i32 {
    let bits = x.to_bits() as i32;
    bits ^ ((bits >> 31) & i32::MAX)
}

fn of_key(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) & i32::MAX)) as u32)
}

/// Sum of squared distances of the finite numbers from `mean`.
fn spread(data: &[f32], mean: f64) -> f64 {
    sum_of(
        data,
        inlined!(|x| {
            let distance = if x.is_finite() { x - mean } else { 0.0 };
            distance * distance
        }),
    )
}

pub(super) fn sum_of(data: &[f32], function: impl Fn(f64) -> f64 + Sync) -> f64 {
    in_pieces(data.len(), |piece| {
        let mut lanes = [0.0; LANES];
        vectorised(inlined!(|| {
            add(&mut lanes, &data[piece], inlined!(|x| function(f64::from(x))));
        }));
        lanes.iter().sum()
    })
}

/// The sum of a function of each pair of numbers of two lines of one length.
pub(super) fn sum_of_pairs(a: &[f32], b: &[f32], function: impl Fn(f64, f64) -> f64 + Sync) -> f64 {
    assert_eq!(a.len(), b.len(), "lines of one length");
    in_pieces(a.len(), |piece| {
        let mut lanes = [0.0; LANES];
        vectorised(inlined!(|| {
            let ((a, rest_a), (b, rest_b)) = (a[piece.clone()].as_chunks::<LANES>(), b[piece].as_chunks::<LANES>());
            let mut sums = lanes;
            for (a, b) in a.iter().zip(b) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += function((*a).into(), (*b).into());
                }
            }
            for ((sum, a), b) in sums.iter_mut().zip(rest_a).zip(rest_b) {
                *sum += function((*a).into(), (*b).into());
            }
            lanes = sums;
        }));
        lanes.iter().sum()
    })
}

/// The sum of what `of` gives for each piece, in the order of the pieces, whichever comes first.
fn in_pieces(len: usize, of: impl Fn(Range<usize>) -> f64 + Sync) -> f64 {
    if len <= PIECE {
        return of(0..len);
    }
    let piece = |i: usize| of(i * PIECE..len.min((i + 1) * PIECE));
    let pieces: Vec<f64> = (0..len.div_ceil(PIECE)).into_par_iter().map(piece).collect();
    pieces.iter().sum()
}

/// Smallest and largest of numbers, infinities included; `None` with a NaN or without numbers.
pub(super) fn extremes(data: &[f32]) -> Option<(f32, f32)> {
    let (min, max) = vectorised(inlined!(|| {
        let keys = data.iter().map(|x| key(*x));
        keys.fold((i32::MAX, i32::MIN), |(min, max), key| (min.min(key), max.max(key)))
    }));
    let numbers = key(f32::NEG_INFINITY)..=key(f32::INFINITY);
    (numbers.contains(&min) && numbers.contains(&max)).then(|| (of_key(min), of_key(max)))
}

/// Index of the first number of magnitude `magnitude`.
pub(super) fn first_of_magnitude(data: &[f32], magnitude: f32) -> Option<usize> {
    const PIECE: usize = 256;
    let holds =
        |piece: &[f32]| vectorised(inlined!(|| piece.iter().fold(false, |found, x| found | (x.abs() == magnitude))));
    let piece = data.chunks(PIECE).position(holds)?;
    let within = data[piece * PIECE..].iter().position(|x| x.abs() == magnitude)?;
    Some(piece * PIECE + within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers with many repetitions, zeros, infinities and NaN among them.
    fn numbers() -> impl Strategy<Value = Vec<f32>> {
        let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN, f32::MIN_POSITIVE];
        let one = prop_oneof![
            6 => (-8i32..8).prop_map(|x| x as f32 / 4.0),
            3 => -1e3f32..1e3,
            1 => (0..special.len()).prop_map(move |i| special[i]),
        ];
        prop::collection::vec(one, 0..600)
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        for (rows, columns) in [(1, 1), (3, 50), (40, 17), (16, 32)] {
            let data: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let turned = transposed(data.clone(), rows, columns);
            assert_eq!(turned[rows - 1], data[(rows - 1) * columns]);
            assert_eq!(transposed(turned, columns, rows), data);
        }
    }

    proptest! {
        #[test]
        fn a_census_counts_as_one_would(data in numbers()) {
            let count = |holds: fn(&f32) -> bool| data.iter().filter(|x| holds(x)).count() as u64;
            let finite: Vec<f32> = data.iter().copied().filter(|x| x.is_finite()).collect();
            let census = censuses(&data).into_iter().fold(Census::default(), Census::join);
            prop_assert_eq!(census.finite, finite.len() as u64);
            prop_assert_eq!(census.nan, count(|x| x.is_nan()));
            prop_assert_eq!(census.pos_inf, count(|x| *x == f32::INFINITY));
            prop_assert_eq!(census.neg_inf, count(|x| *x == f32::NEG_INFINITY));
            prop_assert_eq!(census.zeros, count(|x| *x == 0.0));
            prop_assert_eq!(census.min, finite.iter().copied().fold(f32::INFINITY, f32::min));
            prop_assert_eq!(census.max, finite.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let near = |found: f64, wanted: f64, size: f64| (found - wanted).abs() <= 1e-12 * size;
            let size: f64 = finite.iter().map(|x| f64::from(x.abs())).sum();
            prop_assert!(near(census.sum, finite.iter().map(|x| f64::from(*x)).sum(), size));
            let squares: f64 = finite.iter().map(|x| f64::from(*x).powi(2)).sum();
            prop_assert!(near(census.squares, squares, squares));
            let mean = census.sum / finite.len().max(1) as f64;
            let wanted: f64 = finite.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
            prop_assert!(near(spread(&data, mean), wanted, wanted));
            let (first, rest) = data.split_at(data.len() / 3);
            let parts = [first, rest].map(census_of_piece);
            prop_assert!(near(parts[0].join(parts[1]).spread, wanted, squares));
        }

        #[test]
        fn extremes_are_those_of_a_plain_loop(data in numbers()) {
            let wanted = match data.iter().any(|x| x.is_nan()) || data.is_empty() {
                true => None,
                false => Some((
                    data.iter().copied().fold(f32::INFINITY, f32::min),
                    data.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                )),
            };
            prop_assert_eq!(extremes(&data), wanted);
        }

        #[test]
        fn the_first_of_a_magnitude_is_found(data in numbers(), magnitude in 0i32..9) {
            let magnitude = magnitude as f32 / 4.0;
            prop_assert_eq!(first_of_magnitude(&data, magnitude), data.iter().position(|x| x.abs() == magnitude));
        }
    }
}
