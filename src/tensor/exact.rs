//! Functions of whole lines of numbers in host memory, in 64 bits: softmax, running sums, entropy, products, distances.
//!
//! A running sum of 32 bits over a vocabulary is wrong in the fourth digit. These functions sum in 64 bits, over
//! several lanes side by side and over pieces of one size in their order, so the same numbers give the same bits on any
//! number of threads.

use rayon::prelude::*;

use super::host::{PIECE, extremes, sum_of, sum_of_pairs};
use super::{inlined, vectorised};

/// `exp(x) / sum(exp(x))`. A line with a NaN or +inf is NaN, and so is one of -inf alone, as in PyTorch.
pub(super) fn softmax(line: &mut [f32]) {
    let Some((_, max)) = extremes(line) else { return line.fill(f32::NAN) };
    let max = f64::from(max);
    // Powers are rounded to 32 bits twice, which is two parts in ten million, and computed once.
    each(line, inlined!(|x| exp(f64::from(x) - max) as f32));
    let share = 1.0 / sum_of(line, inlined!(|x| x));
    each(line, inlined!(|x| (f64::from(x) * share) as f32));
}

/// `x - log(sum(exp(x)))`, and NaN where the softmax is.
pub(super) fn log_softmax(line: &mut [f32]) {
    let Some((_, max)) = extremes(line) else { return line.fill(f32::NAN) };
    let max = f64::from(max);
    let sum = sum_of(line, inlined!(|x| exp(x - max)));
    let whole = max + sum.ln();
    each(line, inlined!(|x| (f64::from(x) - whole) as f32));
}

pub(super) fn running_sums(line: &mut [f32]) {
    let mut sum = 0.0;
    for x in line {
        sum += f64::from(*x);
        *x = sum as f32;
    }
}

/// `-sum(p log(p))`, where an element of 0 adds nothing.
pub(super) fn entropy(p: &[f32]) -> f64 {
    sum_of(p, inlined!(|p| if p == 0.0 { 0.0 } else { -p * ln(p) }))
}

/// `sum(p log(p / q))`, where an element of p that is 0 adds nothing, whatever that of q is.
pub(super) fn divergence(p: &[f32], q: &[f32]) -> f64 {
    sum_of_pairs(p, q, inlined!(|p, q| if p == 0.0 { 0.0 } else { p * (ln(p) - ln(q)) }))
}

/// `a . b`
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum_of_pairs(a, b, inlined!(|a, b| a * b))
}

/// `|a - b|`
pub(super) fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = sum_of_pairs(a, b, inlined!(|a, b| (a - b) * (a - b)));
    squares.sqrt()
}

/// `a . b / (|a| |b|)`, NaN where one of them is 0.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

fn each(line: &mut [f32], function: impl Fn(f32) -> f32 + Sync) {
    let run = |piece: &mut [f32]| {
        vectorised(inlined!(|| piece.iter_mut().for_each(|x| *x = function(*x))));
    };
    if line.len() <= PIECE {
        run(line);
    } else {
        line.par_chunks_mut(PIECE).for_each(run);
    }
}

/// `e^x` of what is not positive, to 14 digits, without branches; 0 below the smallest normal number.
#[inline(always)]
fn exp(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: adding it rounds to a whole number
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const LOWEST: f64 = -708.0;
    let zero = x < LOWEST;
    let x = if zero { LOWEST } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW; // |r| <= ln(2) / 2
    // The series of e^r: the first term left out is 6e-15 of it.
    let p = r * (1.0 / 39_916_800.0) + 1.0 / 3_628_800.0;
    let p = p * r + 1.0 / 362_880.0;
    let p = p * r + 1.0 / 40_320.0;
    let p = p * r + 1.0 / 5_040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    let n = (shifted.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64);
    let power = f64::from_bits((n.wrapping_add(1023) << 52) as u64);
    if zero { 0.0 } else { p * power }
}

/// The natural logarithm of a number that comes from 32 bits, to 15 digits, without branches.
#[inline(always)]
fn ln(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let m = f64::from_bits(bits & MANTISSA | 1.0f64.to_bits()); // 1..2
    let half = m > std::f64::consts::SQRT_2;
    let m = if half { 0.5 * m } else { m };
    let n = f64::from((bits >> 52) as i32 - if half { 1022 } else { 1023 });
    // log(m) = 2 artanh(s), by its series: s^2 < 0.0295, and the first term left out is 1e-17 of it.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let p = z * (1.0 / 19.0) + 1.0 / 17.0;
    let p = p * z + 1.0 / 15.0;
    let p = p * z + 1.0 / 13.0;
    let p = p * z + 1.0 / 11.0;
    let p = p * z + 1.0 / 9.0;
    let p = p * z + 1.0 / 7.0;
    let p = p * z + 1.0 / 5.0;
    let p = p * z + 1.0 / 3.0;
    let log = n * std::f64::consts::LN_2 + 2.0 * s * (p * z + 1.0);
    let log = if x == 0.0 { f64::NEG_INFINITY } else { log };
    let log = if x < 0.0 { f64::NAN } else { log };
    if x < f64::INFINITY { log } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_and_logarithms_are_those_of_the_library() {
        for i in 0..200_000 {
            let x = -f64::from(i) * 3.61e-3;
            let (found, wanted) = (exp(x), x.exp());
            assert!(
                (found - wanted).abs() <= 1e-14 * wanted || wanted < 1e-307,
                "exp({x}) is {wanted:e}, found {found:e}"
            );
        }
        assert!(exp(f64::NAN).is_nan() && exp(f64::NEG_INFINITY) == 0.0 && exp(0.0) == 1.0);
        let mut x = 1e-45f32;
        while x < 1e38 {
            let (found, wanted) = (ln(f64::from(x)), f64::from(x).ln());
            // Relative to the logarithm also near 1, where it vanishes.
            assert!((found - wanted).abs() <= 1e-14 * wanted.abs(), "ln({x:e}) is {wanted}, found {found}");
            x = (x * 1.000_7).next_up();
        }
        assert_eq!((ln(0.0), ln(1.0), ln(f64::INFINITY)), (f64::NEG_INFINITY, 0.0, f64::INFINITY));
        assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan() && ln(f64::NEG_INFINITY).is_nan());
    }

    #[test]
    fn a_line_without_a_softmax_is_nan() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        for line in [vec![0.0, nan], vec![0.0, inf], vec![-inf, -inf], vec![]] {
            for function in [softmax, log_softmax] {
                let mut found = line.clone();
                function(&mut found);
                assert!(found.iter().all(|x| x.is_nan()), "{line:?} {found:?}");
            }
        }
        let mut line = vec![0.0, -inf, 0.0];
        softmax(&mut line);
        assert_eq!(line, [0.5, 0.0, 0.5]);
        let mut line = vec![3.0, -inf];
        log_softmax(&mut line);
        assert_eq!(line, [0.0, -inf]);
    }
}
