//! LIME: a sparse linear surrogate over which positions are shown, fitted near the text (Ribeiro, Singh and Guestrin
//! 2016; Captum's `Lime` with its defaults).

use super::kernel::finite;
use super::{Attribution, Hiding, Players, Random};

/// Sweeps of coordinate descent after which it is given up.
const SWEEPS: usize = 100_000;

/// Which players are shown, each with probability 1/2.
pub fn lime_subsets(players: usize, samples: usize, seed: u64) -> Vec<Vec<bool>> {
    let mut random = Random::new(seed);
    (0..samples).map(|_| (0..players).map(|_| random.uniform() < 0.5).collect()).collect()
}

/// The coefficients of the lasso `1/(2 sum w) sum w (F - c - b.shown)^2 + alpha |b|_1` over the subsets `shown`, with
/// the weight `exp(-d^2 / 2)` of the cosine distance `d` between the site as it is, `here`, and with players hidden.
pub fn lime(shown: Vec<Vec<bool>>, (here, baseline): (&[f32], &[f32]), players: &Players, alpha: f64) -> Hiding {
    let near = |set: &Vec<bool>| similarity(here, &players.point(here, baseline, |player| set[player]));
    let weights: Vec<f64> = shown.iter().map(near).collect();
    let (steps, sets) = (shown.len(), shown.clone());
    // The last is the site as it is.
    Hiding::new(
        steps + 1,
        move |i, player| sets.get(i).is_none_or(|set| set[player]),
        move |numbers| {
            finite(numbers)?;
            let values = lasso(&shown, &numbers[..steps], &weights, alpha)
                .ok_or("the surrogate does not settle; choose a different number of samples or a larger -alpha")?;
            Ok(Attribution { values, delta: None, at_input: numbers[steps], at_baseline: None, error: None, steps })
        },
    )
}

/// `exp(-d^2 / 2)` for the cosine distance `d`; of a vector of zeros it is 1.
fn similarity(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    let distance = 1.0 - if norms > 0.0 { dot(a, b) / norms } else { 0.0 };
    (-distance * distance / 2.0).exp()
}

/// Coordinate descent with an intercept, as scikit-learn's `Lasso` has it. `None` if it does not settle.
fn lasso(shown: &[Vec<bool>], numbers: &[f64], weights: &[f64], alpha: f64) -> Option<Vec<f64>> {
    let n = shown.first()?.len();
    let total: f64 = weights.iter().sum();
    let weights: Vec<f64> = weights.iter().map(|w| w / total).collect();
    let mean_of = |of: &dyn Fn(usize) -> f64| weights.iter().enumerate().map(|(i, w)| w * of(i)).sum::<f64>();
    let one = |i: usize, j: usize| f64::from(u8::from(shown[i][j]));
    let means: Vec<f64> = (0..n).map(|j| mean_of(&|i| one(i, j))).collect();
    let mean = mean_of(&|i| numbers[i]);
    let x: Vec<Vec<f64>> = (0..n).map(|j| (0..shown.len()).map(|i| one(i, j) - means[j]).collect()).collect();
    let squares: Vec<f64> = x.iter().map(|column| mean_of(&|i| column[i] * column[i])).collect();
    let mut left: Vec<f64> = numbers.iter().map(|y| y - mean).collect();
    let mut values = vec![0.0; n];
    let scale = left.iter().fold(0.0f64, |most, y| most.max(y.abs()));
    for _ in 0..SWEEPS {
        let mut moved = 0.0f64;
        for j in 0..n {
            if squares[j] <= f64::EPSILON {
                continue;
            }
            let before = values[j];
            let pull = mean_of(&|i| x[j][i] * left[i]) + squares[j] * before;
            // Plus zero, so that nothing is minus zero.
            let value = pull.signum() * (pull.abs() - alpha).max(0.0) / squares[j] + 0.0;
            if value != before {
                left.iter_mut().zip(&x[j]).for_each(|(left, x)| *left -= (value - before) * x);
                values[j] = value;
                moved = moved.max((value - before).abs());
            }
        }
        if moved <= 1e-12 * scale {
            return Some(values);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With orthogonal columns the lasso has a closed form: what least squares gives, drawn towards zero by `alpha`
    /// over the mean square, 1/4 here.
    #[test]
    fn of_all_subsets_the_coefficients_are_shrunk_alike() {
        let shown: Vec<Vec<bool>> = (0..16).map(|set| (0..4).map(|j| set >> j & 1 == 1).collect()).collect();
        let wanted = [2.0, -1.0, 0.3, 0.02];
        let numbers: Vec<f64> = shown
            .iter()
            .map(|set| 5.0 + set.iter().zip(wanted).map(|(shown, b)| if *shown { b } else { 0.0 }).sum::<f64>())
            .collect();
        let values = lasso(&shown, &numbers, &[1.0; 16], 0.01).unwrap();
        for (found, wanted) in values.iter().zip([1.96, -0.96, 0.26, 0.0]) {
            assert!((found - wanted).abs() < 1e-10, "{values:?}");
        }
    }

    #[test]
    fn subsets_follow_their_seed() {
        let sets = lime_subsets(10, 1000, 3);
        assert_eq!(sets, lime_subsets(10, 1000, 3));
        assert_ne!(sets, lime_subsets(10, 1000, 4));
        let shown = sets.iter().flatten().filter(|shown| **shown).count();
        assert!((4800..5200).contains(&shown), "{shown}");
    }
}
