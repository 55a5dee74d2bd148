//! Points and weights on [0, 1] for integrals along a path.

use std::f64::consts::PI;

/// How an integral over [0, 1] is approximated. Sources: captum's `approximation_methods.py`, whose trapezoid rule sums
/// its weights to `1 - 1/n`; here they sum to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Gauss and Legendre: exact for polynomials up to degree `2n - 1`.
    #[default]
    GaussLegendre,
    /// The left ends of `n` equal parts.
    Left,
    Right,
    Middle,
    /// `n` equally spaced points with both ends, those of half weight.
    Trapezoid,
}

/// The rules by the names that captum has for them.
pub const RULES: [(&str, Rule); 5] = [
    ("gausslegendre", Rule::GaussLegendre),
    ("riemann_left", Rule::Left),
    ("riemann_right", Rule::Right),
    ("riemann_middle", Rule::Middle),
    ("riemann_trapezoid", Rule::Trapezoid),
];

impl Rule {
    pub fn name(self) -> &'static str {
        RULES.iter().find(|(_, rule)| *rule == self).map_or("", |(name, _)| name)
    }

    /// `n` points and their weights, which sum to 1.
    pub fn points(self, n: usize) -> Vec<(f64, f64)> {
        let n = n.max(1);
        let step = 1.0 / n as f64;
        let equal = |shift: f64| (0..n).map(|k| ((k as f64 + shift) * step, step)).collect();
        match self {
            Rule::GaussLegendre => gauss_legendre(n),
            Rule::Left => equal(0.0),
            Rule::Right => equal(1.0),
            Rule::Middle => equal(0.5),
            Rule::Trapezoid if n == 1 => vec![(0.5, 1.0)],
            Rule::Trapezoid => {
                let step = 1.0 / (n - 1) as f64;
                let weight = |k: usize| if k == 0 || k == n - 1 { step / 2.0 } else { step };
                (0..n).map(|k| (k as f64 * step, weight(k))).collect()
            }
        }
    }
}

/// Roots of the Legendre polynomial of degree `n` by Newton's method, moved to [0, 1], in rising order.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = (0..n)
        .map(|k| {
            let mut x = (PI * (k as f64 + 0.75) / (n as f64 + 0.5)).cos();
            for _ in 0..100 {
                let (value, derivative) = legendre(n, x);
                let step = value / derivative;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            let slope = legendre(n, x).1;
            // The weight on [-1, 1] is 2 / ((1 - x^2) P'(x)^2).
            (0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect();
    points.reverse();
    points
}

/// The Legendre polynomial of degree `n` and its derivative.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let next = ((2 * k - 1) as f64 * x * value - (k - 1) as f64 * before) / k as f64;
        (before, value) = (value, next);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Closed forms, and numpy's `leggauss` to all digits that it gives.
    #[test]
    fn points_are_those_of_the_books() {
        let three = Rule::GaussLegendre.points(3);
        for ((x, w), (wanted, weight)) in three.into_iter().zip([
            (0.1127016653792583, 5.0 / 18.0),
            (0.5, 8.0 / 18.0),
            (0.8872983346207417, 5.0 / 18.0),
        ]) {
            assert!((x - wanted).abs() < 1e-15 && (w - weight).abs() < 1e-14, "{x} {w}");
        }
        let fifty = Rule::GaussLegendre.points(50);
        assert!((fifty[0].0 - 5.667977899644905e-4).abs() < 1e-15, "{}", fifty[0].0);
        assert!((fifty[0].1 - 1.4543112765789633e-3).abs() < 1e-14, "{}", fifty[0].1);
        assert_eq!(Rule::Left.points(4), [(0.0, 0.25), (0.25, 0.25), (0.5, 0.25), (0.75, 0.25)]);
        assert_eq!(Rule::Right.points(2), [(0.5, 0.5), (1.0, 0.5)]);
        assert_eq!(Rule::Middle.points(2), [(0.25, 0.5), (0.75, 0.5)]);
        assert_eq!(Rule::Trapezoid.points(3), [(0.0, 0.25), (0.5, 0.5), (1.0, 0.25)]);
    }

    #[test]
    fn weights_sum_to_one_and_lines_are_integrated_exactly() {
        for (name, rule) in RULES {
            for n in [1, 2, 3, 7, 50, 200] {
                let points = rule.points(n);
                let sum: f64 = points.iter().map(|(_, w)| w).sum();
                assert!((sum - 1.0).abs() < 1e-12, "{name} {n}: {sum}");
                assert!(points.is_sorted_by(|a, b| a.0 < b.0), "{name} {n}");
            }
        }
        let integral = |rule: Rule, n, f: fn(f64) -> f64| rule.points(n).iter().map(|(x, w)| w * f(*x)).sum::<f64>();
        // A polynomial of degree 9 needs five points.
        assert!((integral(Rule::GaussLegendre, 5, |x| x.powi(9)) - 0.1).abs() < 1e-14);
        assert!((integral(Rule::Trapezoid, 7, |x| 3.0 * x) - 1.5).abs() < 1e-14);
        assert!((integral(Rule::Middle, 7, |x| 3.0 * x) - 1.5).abs() < 1e-14);
    }
}
