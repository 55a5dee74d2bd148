//! Directions fitted to vectors of two kinds: the difference of their means, the normal of a logistic regression, the first
//! principal component.
//!
//! All of them lie in the span of the vectors without their mean, which has at most as many dimensions as there are
//! vectors; so they are computed there, whatever the width.

use nalgebra::{DMatrix, DVector};

use super::{Sample, dot};
use crate::analysis::attribution::random::Random;
use crate::debugger::{Error, Result};
use crate::tensor::{proceed, step};

/// Iterations of Newton's method; it takes about ten.
const ITERATIONS: usize = 200;

/// How far the optimum of the logistic loss may be, divided by the length of what is found.
const CONVERGED: f64 = 1e-10;

/// What a step of Newton's method may be expected to gain of the loss, divided by it, before the loss is no measure of it any
/// more: it is rounded.
const ROUNDED: f64 = 1e-13;

/// Singular values below this share of the largest are rounding.
const RANK: f64 = 1e-12;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// The mean of the first kind less that of the second.
    Means,
    /// The `w` of the smallest `|w|^2 / 2 + C sum ln(1 + exp(-y (w . x + b)))`, with `y` 1 for the first kind and -1 for the
    /// second, as in scikit-learn.
    Logistic { c: f64 },
    /// The first principal component of all of them, a unit vector that points to the first kind.
    Principal,
}

impl Method {
    pub fn name(self) -> String {
        match self {
            Method::Means => "difference of means".into(),
            Method::Logistic { c } => format!("logistic regression, C = {c}"),
            Method::Principal => "first principal component".into(),
        }
    }
}

/// A direction, and how far along it the first kind begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    pub vector: Vec<f64>,
    pub offset: f64,
}

/// Vectors in coordinates of their own span: `x = mean + basis scores`.
pub struct Spread {
    /// `[d]`.
    pub mean: Vec<f64>,
    /// `[d, r]`, orthonormal columns, by the variance along them.
    pub(super) basis: DMatrix<f64>,
    /// `[n, r]`.
    pub(super) scores: DMatrix<f64>,
    /// The singular values of the vectors without their mean, `[r]`, the largest first.
    pub(super) singular: Vec<f64>,
}

impl Spread {
    /// # Errors
    /// If there are fewer than two vectors of a kind, some are not finite, or none differs from the others.
    pub fn of(sample: &Sample) -> Result<Spread> {
        sample.check(2)?;
        proceed()?;
        let mean = sample.mean(|_| true);
        let (n, d) = (sample.x.len(), mean.len());
        let centred = DMatrix::from_fn(n, d, |i, j| sample.x[i][j] - mean[j]); // [n, d]
        let bound = 1000 + 100 * n.min(d);
        let svd = centred.try_svd(true, true, 5.0 * f64::EPSILON, bound);
        let svd = svd.ok_or_else(|| Error::refused(format!("no singular values were found in {bound} iterations")))?;
        proceed()?;
        let (Some(u), Some(v)) = (svd.u, svd.v_t) else { return Err(Error::refused("no singular vectors")) };
        let mut order: Vec<usize> = (0..svd.singular_values.len()).collect();
        order.sort_by(|a, b| svd.singular_values[*b].total_cmp(&svd.singular_values[*a]));
        let largest = order.first().map_or(0.0, |at| svd.singular_values[*at]);
        order.retain(|at| svd.singular_values[*at] > RANK * largest);
        if order.is_empty() {
            return Err(Error::refused("all vectors are the same: no direction tells them apart"));
        }
        let singular: Vec<f64> = order.iter().map(|at| svd.singular_values[*at]).collect();
        let basis = DMatrix::from_fn(d, order.len(), |i, j| v[(order[j], i)]);
        let scores = DMatrix::from_fn(n, order.len(), |i, j| u[(i, order[j])] * singular[j]);
        Ok(Spread { mean, basis, scores, singular })
    }

    /// Fits a direction to these labels.
    ///
    /// # Errors
    /// If a kind has no vector, or the optimum is not reached.
    pub fn fit(&self, first: &[bool], method: Method) -> Result<Fitted> {
        let [a, b] = [true, false].map(|kind| self.mean_of(first, kind));
        let (inner, offset) = match method {
            Method::Means => {
                let inner = &a - &b;
                let offset = inner.dot(&(&a + &b)) / 2.0;
                (inner, offset)
            }
            Method::Principal => {
                let mut inner = DVector::zeros(self.singular.len());
                inner[0] = if a[0] >= b[0] { 1.0 } else { -1.0 };
                let offset = inner.dot(&(&a + &b)) / 2.0;
                (inner, offset)
            }
            Method::Logistic { c } => {
                let (inner, intercept) = self.logistic(first, c)?;
                (inner, -intercept)
            }
        };
        if !inner.iter().all(|x| x.is_finite()) {
            return Err(Error::refused("a kind has no vector"));
        }
        let vector: Vec<f64> = (&self.basis * inner).iter().copied().collect(); // [d]
        let offset = offset + dot(&vector, &self.mean);
        Ok(Fitted { vector, offset })
    }

    /// The mean of a kind, `[r]`.
    fn mean_of(&self, first: &[bool], kind: bool) -> DVector<f64> {
        let rows: Vec<usize> = (0..first.len()).filter(|i| first[*i] == kind).collect();
        let mean = |j: usize| rows.iter().map(|i| self.scores[(*i, j)]).sum::<f64>() / rows.len() as f64;
        DVector::from_fn(self.singular.len(), |j, _| mean(j))
    }

    /// Newton's method with halved steps: the loss is convex.
    fn logistic(&self, first: &[bool], c: f64) -> Result<(DVector<f64>, f64)> {
        let (n, r) = self.scores.shape();
        // The intercept is one more coordinate, which the penalty leaves out.
        let x = self.scores.clone().insert_column(r, 1.0); // [n, r + 1]
        let y = DVector::from_fn(n, |i, _| if first[i] { 1.0 } else { -1.0 });
        let loss = |w: &DVector<f64>| {
            let margins = &x * w;
            let penalty: f64 = w.rows(0, r).norm_squared() / 2.0;
            // ln(1 + exp(-m)) without overflow.
            let one = |m: f64| if m > 0.0 { (-m).exp().ln_1p() } else { m.exp().ln_1p() - m };
            penalty + c * margins.iter().zip(y.iter()).map(|(m, y)| one(m * y)).sum::<f64>()
        };
        let mut w = DVector::zeros(r + 1);
        let mut value = loss(&w);
        // What the sum of so many terms is known to.
        let rounding = 1e-14 * c * self.scores.norm();
        for _ in 0..ITERATIONS {
            proceed()?;
            let margins = &x * &w;
            let missed = DVector::from_fn(n, |i, _| 1.0 / (1.0 + (margins[i] * y[i]).exp()));
            let mut gradient = -(x.transpose() * DVector::from_fn(n, |i, _| y[i] * missed[i])) * c;
            for j in 0..r {
                gradient[j] += w[j];
            }
            let mut weighted = x.clone();
            for i in 0..n {
                let weight = c * missed[i] * (1.0 - missed[i]);
                weighted.row_mut(i).scale_mut(weight);
            }
            let mut curvature = x.transpose() * weighted; // [r + 1, r + 1]
            for j in 0..r {
                curvature[(j, j)] += 1.0;
            }
            // A margin that is large everywhere leaves nothing for the intercept.
            curvature[(r, r)] += 1e-12;
            let Some(solved) = curvature.cholesky() else { break };
            let direction = solved.solve(&gradient);
            // Twice what the step gains; the curvature is at least 1, so that the optimum is no further than its root.
            let gain = gradient.dot(&direction);
            if gain.sqrt() <= CONVERGED * w.rows(0, r).norm() + rounding {
                return Ok((w.rows(0, r).into_owned(), w[r]));
            }
            let mut size = 1.0;
            loop {
                let next = &w - &direction * size;
                let found = loss(&next);
                if found <= value || gain <= ROUNDED * value || size < 1e-10 {
                    (w, value) = (next, found);
                    break;
                }
                size /= 2.0;
            }
        }
        Err(Error::refused("the logistic regression did not converge: another C may do (-c)"))
    }
}

/// The share of vectors that a direction tells right.
pub fn accuracy(fitted: &Fitted, sample: &Sample) -> f64 {
    let right = |(x, first): (&Vec<f64>, &bool)| (dot(&fitted.vector, x) > fitted.offset) == *first;
    sample.x.iter().zip(&sample.first).filter(|pair| right(*pair)).count() as f64 / sample.x.len() as f64
}

/// What directions that are fitted to labels in a random order tell right of the held-out vectors: `count` of them.
///
/// # Errors
/// As [`Spread::fit`].
pub fn shuffled(
    spread: &Spread,
    first: &[bool],
    (method, held_out): (Method, &Sample),
    (count, seed): (usize, u64),
) -> Result<Vec<f64>> {
    let mut random = Random::new(seed);
    let mut found = Vec::with_capacity(count);
    for number in 0..count {
        step("shuffled labels", number as u64, count as u64)?;
        let labels: Vec<bool> = random.order(first.len()).into_iter().map(|at| first[at]).collect();
        found.push(accuracy(&spread.fit(&labels, method)?, held_out));
    }
    Ok(found)
}
