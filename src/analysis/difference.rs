//! How far two values are apart. All sums are in 64 bits and over all elements; definitions are those of
//! `numpy.allclose`, llama.cpp (NMSE) and torchlens.

use crate::tensor::unravel;

/// When two elements agree: `|a - b| <= absolute + relative |b|`; NaN agrees with NaN, and an infinity with itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// `absolute`.
    pub absolute: f64,
    /// `relative`.
    pub relative: f64,
}

impl Default for Tolerance {
    /// The floor of one forward pass in f32 (TransformerLens), for numbers large and small.
    fn default() -> Tolerance {
        Tolerance { absolute: 5e-5, relative: 5e-5 }
    }
}

/// How far a value `a` is from a value `b` that it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The largest `|a - b|`; infinite where one is finite and the other is not.
    pub max: f64,
    /// Where it is.
    pub at: Vec<usize>,
    /// The two elements there.
    pub pair: (f64, f64),
    /// The largest `|a - b| / |b|`, over elements of `b` that are not zero.
    pub relative: f64,
    /// `sqrt(mean((a - b)^2))` over elements that are finite in both.
    pub rms: f64,
    /// `mean((a - b)^2) / var(b)` over the same.
    pub nmse: f64,
    /// `a . b / (|a| |b|)` over the same; 1 where both are zero, NaN where one is.
    pub cosine: f64,
    /// The largest number of 32-bit floats between the two.
    pub ulp: u64,
    /// Elements of either that are not finite where those of the other are.
    pub broken: (usize, usize),
    /// Elements that do not agree.
    pub beyond: usize,
    /// Elements.
    pub count: usize,
}

/// Compares two values of one shape.
pub fn difference(a: &[f64], b: &[f64], shape: &[usize], tolerance: Tolerance) -> Difference {
    let mut found = Difference {
        max: 0.0,
        at: Vec::new(),
        pair: (0.0, 0.0),
        relative: 0.0,
        rms: 0.0,
        nmse: 0.0,
        cosine: 1.0,
        ulp: 0,
        broken: (0, 0),
        beyond: 0,
        count: a.len(),
    };
    let (mut squares, mut sum_b, mut finite) = (0.0, 0.0, 0.0);
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    let mut worst = 0;
    for (i, (&x, &y)) in a.iter().zip(b).enumerate() {
        let same = x == y || x.is_nan() && y.is_nan();
        let both = x.is_finite() && y.is_finite();
        let off = match (same, both) {
            (true, _) => 0.0,
            (false, true) => (x - y).abs(),
            (false, false) => f64::INFINITY,
        };
        if off > found.max {
            (found.max, worst) = (off, i);
        }
        let agree = same || both && off <= tolerance.absolute + tolerance.relative * y.abs();
        found.beyond += usize::from(!agree);
        found.broken.0 += usize::from(!x.is_finite() && y.is_finite());
        found.broken.1 += usize::from(x.is_finite() && !y.is_finite());
        if both {
            squares += off * off;
            sum_b += y;
            finite += 1.0;
            (aa, bb, ab) = (aa + x * x, bb + y * y, ab + x * y);
            found.ulp = found.ulp.max(ordered(x as f32).abs_diff(ordered(y as f32)));
            if y != 0.0 {
                found.relative = found.relative.max(off / y.abs());
            }
        } else if !same {
            found.relative = f64::INFINITY;
        }
    }
    if let (Some(&x), Some(&y)) = (a.get(worst), b.get(worst)) {
        (found.pair, found.at) = ((x, y), unravel(worst, shape));
    }
    if finite > 0.0 {
        let mean = sum_b / finite;
        let variance = b.iter().zip(a).filter(|(y, x)| y.is_finite() && x.is_finite());
        let variance = variance.map(|(y, _)| (y - mean).powi(2)).sum::<f64>() / finite;
        found.rms = (squares / finite).sqrt();
        found.nmse = if squares == 0.0 { 0.0 } else { squares / finite / variance };
        found.cosine = if aa == 0.0 && bb == 0.0 { 1.0 } else { ab / (aa * bb).sqrt() };
    }
    found
}

/// The floats in their order, as whole numbers.
fn ordered(x: f32) -> i64 {
    let bits = i64::from(x.to_bits() as i32);
    if bits < 0 { i64::from(i32::MIN) - bits } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &[f64], b: &[f64]) -> Difference {
        difference(a, b, &[a.len()], Tolerance::default())
    }

    #[test]
    fn distances_are_those_of_their_formulas() {
        let found = of(&[1.0, 2.0, 3.5, 0.0], &[1.0, 2.0, 4.0, 0.0]);
        assert_eq!((found.max, found.at.as_slice(), found.pair), (0.5, &[2][..], (3.5, 4.0)));
        assert_eq!((found.relative, found.rms, found.beyond), (0.125, 0.25, 1));
        // var(1, 2, 4, 0) = 2.1875.
        assert!((found.nmse - 0.0625 / 2.1875).abs() < 1e-15);
        let wanted = (1.0 + 4.0 + 14.0) / (17.25f64 * 21.0).sqrt();
        assert!((found.cosine - wanted).abs() < 1e-15);
        assert_eq!(of(&[1.0], &[f64::from(1.0f32.next_up())]).ulp, 1);
        assert_eq!(of(&[f64::from(f32::from_bits(1))], &[-f64::from(f32::from_bits(1))]).ulp, 2);
        assert_eq!(of(&[0.0], &[-0.0]).ulp, 0);
    }

    #[test]
    fn what_is_not_finite_agrees_only_with_itself() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let same = of(&[-inf, nan, 1.0], &[-inf, nan, 1.0]);
        assert_eq!((same.max, same.beyond, same.broken, same.cosine), (0.0, 0, (0, 0), 1.0));
        let off = of(&[inf, 1.0, nan], &[1.0, inf, 1.0]);
        assert_eq!((off.max, off.beyond, off.broken), (inf, 3, (2, 1)));
        assert_eq!(of(&[inf], &[-inf]).beyond, 1);
        assert_eq!(of(&[], &[]).count, 0);
        assert!(of(&[1.0], &[0.0]).cosine.is_nan());
        assert_eq!(of(&[0.0], &[0.0]).cosine, 1.0);
    }
}
