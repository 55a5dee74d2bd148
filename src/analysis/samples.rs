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

#[cfg(test)]
mod tests {
    use super::*;

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
