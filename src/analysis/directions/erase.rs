//! Taking a difference between two kinds out of vectors.
//!
//! LEACE (Belrose et al. 2023): the affine map that changes vectors least and leaves nothing of the kind that a linear
//! classifier could find. For two kinds it is `x - l r . (x - mean)` with `l = S^1/2 u`, `r = u S^-1/2` and `u` along
//! `S^-1/2 c`, where `S` is the covariance of the vectors and `c` their covariance with the label. `S` is estimated with the
//! shrinkage of Bodnar et al. (2014), as in the package concept-erasure 0.2. What that package does about maps that add variance
//! never happens: the covariance after the map is `S - l l`, which is not larger than `S`.

use nalgebra::DVector;

use super::{Sample, Spread};
use crate::debugger::{Error, Result};

/// A difference in units of the spread below which there is nothing to erase, as in concept-erasure.
const LEAST: f64 = 0.01;

/// `x - sum l (r . (x - centre))` over pairs of `l` and `r`.
#[derive(Clone, Debug, PartialEq)]
pub struct Eraser {
    /// `[d]`.
    pub centre: Vec<f64>,
    /// Each `[d]`.
    pub left: Vec<Vec<f64>>,
    pub right: Vec<Vec<f64>>,
}

/// What is erased by the orthogonal projection along a vector around a centre.
pub fn orthogonal(vector: &[f64], centre: Vec<f64>) -> Eraser {
    let norm = super::dot(vector, vector).sqrt();
    let unit: Vec<f64> = vector.iter().map(|x| x / norm).collect();
    Eraser { centre, left: vec![unit.clone()], right: vec![unit] }
}

/// # Errors
/// If there are too few vectors, or their kinds do not differ linearly.
pub fn leace(sample: &Sample) -> Result<Eraser> {
    let spread = Spread::of(sample)?;
    let (n, d, r) = (sample.x.len() as f64, spread.mean.len() as f64, spread.singular.len());
    let share = sample.counts()[0] as f64 / n;
    let labels = DVector::from_iterator(sample.x.len(), sample.first.iter().map(|first| f64::from(*first) - share));
    let with_label = spread.scores.transpose() * labels / (n - 1.0); // [r]
    // The covariance in the span is diagonal; outside of it all eigenvalues are `outside`.
    let variance: Vec<f64> = spread.singular.iter().map(|x| x * x / n).collect();
    let total: f64 = variance.iter().sum();
    let isotropic = total * total / d;
    let crossed = total * total / d;
    let top = total * total * isotropic / n;
    let bottom = variance.iter().map(|x| x * x).sum::<f64>() * isotropic - crossed * crossed;
    let alpha = 1.0 - (top + f64::EPSILON) / (bottom + f64::EPSILON);
    let beta = (1.0 - alpha) * (crossed + f64::EPSILON) / (isotropic + f64::EPSILON);
    let outside = beta * total / d;
    let eigenvalues: Vec<f64> = variance.iter().map(|x| alpha * x + outside).collect();
    let largest = eigenvalues.iter().copied().fold(outside, f64::max);
    let counts = |x: f64| x > largest * d * f64::EPSILON;
    let root =
        |power: f64| DVector::from_fn(r, |i, _| if counts(eigenvalues[i]) { eigenvalues[i].powf(power) } else { 0.0 });
    let (whiten, unwhiten) = (root(-0.5), root(0.5));
    let mut u = whiten.component_mul(&with_label);
    let size = u.norm();
    if size.is_nan() || size <= LEAST {
        return Err(Error::refused("the two kinds of vectors have the same mean: there is nothing to erase"));
    }
    u /= size;
    let of_span = |x: DVector<f64>| -> Vec<f64> { (&spread.basis * x).iter().copied().collect() };
    let (left, right) = (of_span(unwhiten.component_mul(&u)), of_span(whiten.component_mul(&u)));
    Ok(Eraser { centre: spread.mean.clone(), left: vec![left], right: vec![right] })
}
