//! How far two values are apart: every measure that a command uses is defined here.
//!
//! All are made of one distance of two elements, [`distance`], which decides about what is not finite: NaN is as far
//! from NaN as an infinity from itself and zeros of two signs from each other, not at all; whatever else is not finite
//! on one side is infinitely far from the other. No measure is NaN or skips an element because of it, except where its
//! field says so. Only bits tell zeros of two signs and NaN of two kinds from each other.
//!
//! - [`Tolerance`] and [`Difference::relative`], the distance as a part of the element or of its row, whichever is
//!   larger, decide in `diff`, `golden`, `set compare`, `catch diverge`, `check cache`, `check batch` and `bisect
//!   -first`.
//! - [`Rms`] and [`relative_rms`], the root mean square of the distances as a part of that of the other side, decide in
//!   `bisect`, `selftest` and `diagnose` on a bundled model's own text, and rank weights in `diff weights` and `info
//!   weights -against`.
//! - [`bits`], [`same_bits`] and [`changed_bits`], whether an element is the same number in every bit, decide in `check determinism`,
//!   `check inert`, at watchpoints, and about whether an edit changed anything.
//! - [`largest`] and [`Difference::max`], the largest distance, decide nowhere: they are shown next to the others.

mod elementwise;
mod tolerance;

pub use elementwise::{Difference, difference, difference_by};
pub use tolerance::{Element, MASKED, Rows, Tolerance, Verdict};

use rayon::prelude::*;

use super::graphics::census::different;
use super::{Kind, TensorError, Value};

/// The distance of two elements: `|a - b|`; zero between what is the same (zeros of either sign, NaN and NaN,
/// infinities of one sign), infinite where only one is finite, or both are not in different ways.
#[inline(always)]
pub fn distance(a: f64, b: f64) -> f64 {
    let same = a == b || a.is_nan() && b.is_nan();
    let off = (a - b).abs();
    match same {
        true => 0.0,
        // The difference of two finite numbers may overflow to infinity, but only one that is not finite makes it NaN.
        false if off.is_nan() => f64::INFINITY,
        false => off,
    }
}

/// The largest distance of two elements; 0 without any.
pub fn largest(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| distance(*a, *b)).fold(0.0, f64::max)
}

/// Root mean squares of `a`, compared with `b`, whose elements are given in any number of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rms {
    squares: f64,
    size: f64,
    count: u64,
}

impl Rms {
    /// Adds an element of each and gives their distance.
    #[inline]
    pub fn add(&mut self, a: f64, b: f64) -> f64 {
        let off = distance(a, b);
        self.squares += off * off;
        self.size += if a.is_finite() && b.is_finite() { b * b } else { 0.0 };
        self.count += 1;
        off
    }

    pub fn join(self, other: Rms) -> Rms {
        Rms { squares: self.squares + other.squares, size: self.size + other.size, count: self.count + other.count }
    }

    /// That of the distances: infinite if one of them is, 0 without any.
    pub fn absolute(self) -> f64 {
        (self.squares / self.count.max(1) as f64).sqrt()
    }

    /// That of the distances as a part of that of `b`, over what is finite in both: infinite if a distance is, 0
    /// without any. `None` where `b` is zero throughout and `a` is not.
    pub fn relative(self) -> Option<f64> {
        match self.size {
            _ if self.squares == 0.0 || self.squares == f64::INFINITY => Some(self.squares),
            0.0 => None,
            size => Some((self.squares / size).sqrt()),
        }
    }
}

/// [`Rms::relative`] of all elements; where `b` is zero throughout, the root mean square of the distances itself.
pub fn relative_rms<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    let mut rms = Rms::default();
    for (a, b) in a.iter().zip(b) {
        rms.add((*a).into(), (*b).into());
    }
    rms.relative().unwrap_or_else(|| rms.absolute())
}

/// The bits of all elements in row-major order. Equal ones mean the same numbers: zeros of two signs differ, and so do
/// NaN of two kinds.
pub fn bits(value: &Value) -> Result<Vec<u64>, TensorError> {
    Ok(match value.kind() {
        Kind::Float => value.read_f64()?.into_iter().map(f64::to_bits).collect(),
        Kind::Int => value.read_i64()?.into_iter().map(|x| x as u64).collect(),
        Kind::Bool => value.read_bool()?.into_iter().map(u64::from).collect(),
    })
}

/// Whether two values have the same shape and the same bits.
///
/// # Errors
/// If one of them cannot be read.
pub fn same_bits(a: &Value, b: &Value) -> Result<bool, TensorError> {
    if a.shape() != b.shape() || a.kind() != b.kind() {
        return Ok(false);
    }
    if a.is_in_pieces() || b.is_in_pieces() {
        let mut same = true;
        a.for_blocks(|matrix, rows, block| {
            same = same && same_bits(&block, &b.block(matrix, rows)?)?;
            Ok(())
        })?;
        return Ok(same);
    }
    match (a.host_f32(), b.host_f32()) {
        (Some(a), Some(b)) => {
            let pairs = a.as_slice().par_iter().zip(b.as_slice()).with_min_len(1 << 14);
            Ok(pairs.all(|(a, b)| a.to_bits() == b.to_bits()))
        }
        _ => match (a.device_f32(), b.device_f32()) {
            (Some(a), Some(b)) => different(&a, &b).map(|different| !different),
            _ => Ok(bits(a)? == bits(b)?),
        },
    }
}

/// How many elements of two values of one shape differ in a bit.
///
/// # Panics
/// If the shapes differ.
pub fn changed_bits(a: &Value, b: &Value) -> Result<usize, TensorError> {
    assert_eq!(a.shape(), b.shape(), "the bits of two values of one shape");
    Ok(bits(a)?.iter().zip(bits(b)?).filter(|(a, b)| *a != b).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    /// Every measure by distances, of one pair.
    fn measures(a: f64, b: f64) -> [f64; 4] {
        let found = difference(&[a, 1.0], &[b, 1.0], &[2], Tolerance::default());
        [distance(a, b), largest(&[1.0, a], &[1.0, b]), relative_rms(&[a, 1.0], &[b, 1.0]), found.max]
    }

    #[test]
    fn all_measures_take_what_is_not_finite_alike() {
        for same in [(0.0, -0.0), (NAN, -NAN), (INF, INF), (-INF, -INF), (1.5, 1.5)] {
            assert_eq!(measures(same.0, same.1), [0.0; 4], "{same:?}");
        }
        let numbers = [1.0, -22500.0, f64::from(f32::MIN)];
        let apart = [(INF, -INF), (INF, NAN)]
            .into_iter()
            .chain(numbers.iter().flat_map(|x| [(*x, NAN), (*x, INF), (-INF, *x)]));
        for (a, b) in apart {
            assert_eq!((measures(a, b), measures(b, a)), ([INF; 4], [INF; 4]), "{a} {b}");
            assert!(!Tolerance::of(1e9).agree(a, b, 1e9) && !Tolerance::of(INF).agree(a, b, 1.0), "{a} {b}");
        }
    }

    #[test]
    fn root_mean_squares_are_those_of_their_formulas() {
        assert_eq!(relative_rms(&[3.0, 4.0], &[3.0, 3.0]), (1.0f64 / 18.0).sqrt());
        assert_eq!(relative_rms(&[0.0, NAN, INF, 2.0], &[-0.0, NAN, INF, 2.0]), 0.0);
        // What is not finite counts for the mean, but has no size.
        assert_eq!(relative_rms(&[NAN, 3.0], &[NAN, 2.0]), 0.5);
        assert_eq!((relative_rms::<f64>(&[], &[]), relative_rms(&[0.0], &[-0.0])), (0.0, 0.0));
        assert_eq!(relative_rms(&[1e-3, 0.0], &[0.0, 0.0]), (1e-6f64 / 2.0).sqrt());
        assert_eq!(largest(&[1.0, -4.0, 2.0], &[1.5, -1.0, 2.0]), 3.0);
        assert_eq!(largest(&[], &[]), 0.0);
    }

    #[test]
    fn parts_add_up() {
        let of = |pairs: &[(f64, f64)]| {
            let mut rms = Rms::default();
            for (a, b) in pairs {
                rms.add(*a, *b);
            }
            rms
        };
        let pairs = [(3.0, 3.0), (4.0, 3.0), (NAN, NAN), (0.0, 0.0)];
        let joined = of(&pairs[..1]).join(of(&pairs[1..]));
        assert_eq!(joined, of(&pairs));
        assert_eq!((joined.absolute(), joined.relative()), (0.5, Some((1.0f64 / 18.0).sqrt())));
        let zero = of(&[(2.0, 0.0), (0.0, 0.0)]);
        assert_eq!((zero.absolute(), zero.relative()), (2.0f64.sqrt(), None));
        let lost = zero.join(of(&[(1.0, NAN)]));
        assert_eq!((lost.absolute(), lost.relative()), (INF, Some(INF)));
        assert_eq!((Rms::default().absolute(), Rms::default().relative()), (0.0, Some(0.0)));
    }

    #[test]
    fn bits_distinguish_zeros_and_nan() {
        let of = |data: &[f32]| Value::from_f32(data.to_vec(), &[data.len()], &Device::cpu());
        let a = of(&[0.0, f32::NAN, f32::INFINITY, 1.0]);
        assert_eq!(changed_bits(&a, &a.clone()), Ok(0));
        assert_eq!(changed_bits(&a, &of(&[-0.0, -f32::NAN, f32::INFINITY, 1.0f32.next_up()])), Ok(3));
        let ids = |data: [i64; 2]| Value::from_i64(data.to_vec(), &[2], &Device::cpu());
        assert_eq!(changed_bits(&ids([3, -1]), &ids([3, 1])), Ok(1));
        let truths = |data: [bool; 2]| Value::from_bool(data.to_vec(), &[2], &Device::cpu());
        assert_eq!(
            (bits(&truths([true, false])), changed_bits(&truths([true, false]), &truths([false, true]))),
            (Ok(vec![1, 0]), Ok(2))
        );
    }
}
