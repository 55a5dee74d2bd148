//! Means of samples and how sure one can be of them.

use super::attribution::random::Random;

const RESAMPLES: usize = 2000;

/// A mean, and the interval that holds it in 95 of 100 cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    pub count: usize,
    pub mean: f64,
    /// Standard deviation, of a sample (`n - 1`); 0 of one number.
    pub std: f64,
    /// Lower and upper end, by the bootstrap's percentiles (Efron 1979); `None` for fewer than three numbers.
    pub interval: Option<(f64, f64)>,
}

/// The mean of a sample. The interval depends on the seed alone.
pub fn mean(sample: &[f64], seed: u64) -> Mean {
    let count = sample.len();
    let average = |numbers: &mut dyn Iterator<Item = f64>| numbers.sum::<f64>() / count.max(1) as f64;
    let mean = average(&mut sample.iter().copied());
    let squares: f64 = sample.iter().map(|x| (x - mean).powi(2)).sum();
    let std = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
    let interval = (count > 2).then(|| {
        let mut random = Random::new(seed);
        let mut means: Vec<f64> =
            (0..RESAMPLES).map(|_| average(&mut (0..count).map(|_| sample[random.below(count)]))).collect();
        means.sort_by(f64::total_cmp);
        (means[RESAMPLES * 25 / 1000], means[RESAMPLES * 975 / 1000])
    });
    Mean { count, mean, std, interval }
}

/// The difference of the means of two samples that need not have the same variance (Welch 1947).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    pub difference: f64,
    /// What holds it in 95 of 100 cases.
    pub interval: (f64, f64),
    /// How often samples of equal means are as far apart.
    pub p: f64,
}

/// `a` less `b`; `None` if one has fewer than two numbers, or both have no variance.
pub fn welch(a: &[f64], b: &[f64]) -> Option<Welch> {
    let [a, b] = [a, b].map(|sample| mean(sample, 0));
    let [of_a, of_b] = [a, b].map(|of| of.std.powi(2) / of.count as f64);
    let error = (of_a + of_b).sqrt();
    if a.count < 2 || b.count < 2 || error.is_nan() || error <= 0.0 {
        return None;
    }
    let freedom = (of_a + of_b).powi(2) / (of_a.powi(2) / (a.count - 1) as f64 + of_b.powi(2) / (b.count - 1) as f64);
    let difference = a.mean - b.mean;
    let p = beyond(difference / error, freedom);
    // The quantile by halving: the probability falls with t.
    let (mut low, mut high) = (0.0, 1.0);
    while beyond(high, freedom) > 0.05 {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if beyond(middle, freedom) > 0.05 { low = middle } else { high = middle }
    }
    let half = high * error;
    Some(Welch { difference, interval: (difference - half, difference + half), p })
}

/// The probability that Student's t is at least so far from 0: the regularized incomplete beta function of
/// `v / (v + t^2)` with parameters `v / 2` and `1 / 2`.
fn beyond(t: f64, v: f64) -> f64 {
    let (a, b, x) = (v / 2.0, 0.5, v / (v + t * t));
    // The continued fraction converges fast on one side of the mean; the other follows by symmetry.
    match x < (a + 1.0) / (a + b + 2.0) {
        true => beta_fraction(a, b, x),
        false => 1.0 - beta_fraction(b, a, 1.0 - x),
    }
}

/// `I_x(a, b)` by its continued fraction (Lentz; Press et al., Numerical Recipes 6.4).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let safe = |x: f64| if x.abs() < 1e-300 { 1e-300 } else { x };
    let (mut c, mut d) = (1.0, 1.0 / safe(1.0 - (a + b) * x / (a + 1.0)));
    let mut product = d;
    for m in 1..1000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = product;
        for term in [even, odd] {
            d = 1.0 / safe(1.0 + term * d);
            c = safe(1.0 + term / c);
            product *= c * d;
        }
        if (product - before).abs() <= 1e-16 * product.abs() {
            break;
        }
    }
    front * product
}

/// The logarithm of the gamma function of a positive number, by Stirling's series above 15.
fn ln_gamma(x: f64) -> f64 {
    let (mut shift, mut x) = (0.0, x);
    while x < 15.0 {
        shift += x.ln();
        x += 1.0;
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5)) - 1.0 / (1680.0 * x.powi(7));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.ttest_ind(a, b, equal_var=False)` of scipy 1.17.1, its p value and `confidence_interval()`.
    #[test]
    fn the_difference_of_two_samples_is_that_of_scipy() {
        let cases: [(&[f64], &[f64], f64, [f64; 2]); 2] = [
            (
                &[2.1, 3.4, 1.9, 4.2, 2.8, 3.1, 2.2],
                &[1.2, 0.7, 2.5, 1.1, 1.9],
                0.014379607066443815,
                [0.3323172841337385, 2.3362541444376905],
            ),
            (&[0.5, 0.6], &[10.0, -3.0, 2.25], 0.5713794267278596, [-18.775415863585067, 13.708749196918399]),
        ];
        for (a, b, p, [low, high]) in cases {
            let found = welch(a, b).unwrap();
            let near = |x: f64, wanted: f64| assert!((x - wanted).abs() < 1e-9 * wanted.abs(), "{x} {wanted}");
            near(found.p, p);
            near(found.interval.0, low);
            near(found.interval.1, high);
        }
        assert_eq!(welch(&[1.0], &[2.0, 3.0]), None);
        assert_eq!(welch(&[1.0, 1.0], &[2.0, 2.0]), None);
    }

    /// `scipy.stats.t.ppf(0.975, v)`.
    #[test]
    fn quantiles_of_student_are_those_of_scipy() {
        let known = [
            (1.0, 12.706204736174694),
            (2.5, 3.5746548420036817),
            (7.0, 2.364624251592784),
            (30.0, 2.0422724563012378),
            (1000.0, 1.9623390808264083),
        ];
        for (v, t) in known {
            assert!((beyond(t, v) - 0.05).abs() < 1e-12, "{v}: {}", beyond(t, v));
        }
    }

    /// For a normal sample the interval is that of its standard error, 1.96 s / sqrt(n).
    #[test]
    fn an_interval_is_as_wide_as_theory_says() {
        let mut random = Random::new(3);
        let sample: Vec<f64> = (0..400).map(|_| 5.0 + 2.0 * random.normal()).collect();
        let found = mean(&sample, 0);
        let (low, high) = found.interval.unwrap();
        let wanted = 1.96 * found.std / 20.0;
        assert!((high - low - 2.0 * wanted).abs() < 0.2 * wanted, "{low} {high} {wanted}");
        assert!(low < found.mean && found.mean < high && (found.mean - 5.0).abs() < 0.3);
        assert_eq!(mean(&sample, 0), found);
        assert_eq!(mean(&[2.0, 4.0], 0), Mean { count: 2, mean: 3.0, std: 2f64.sqrt(), interval: None });
    }
}
