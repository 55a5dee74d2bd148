//! Kernel SHAP: Shapley values by a weighted linear regression over subsets of positions (Lundberg and Lee 2017;
//! Captum's `KernelShap`).

use super::perturb::MOST_EXACT;
use super::{Attribution, Hiding, Random};
use crate::debugger::{Error, Result};

/// The number with subsets of players shown is fitted by a sum of one number for each player, under the constraint
/// that all of them make up `F(x) - F(x')`. Without a number of samples every subset is taken, weighted by the kernel
/// `(n - 1) / (C(n, k) k (n - k))`, which gives Shapley values exactly; with one, subsets are drawn by that weight.
///
/// # Errors
/// If there are more than twelve players and no number of samples, or fewer samples than players.
pub fn kernel_shap(players: usize, samples: Option<usize>, seed: u64) -> Result<Hiding> {
    let n = players;
    if n < 2 {
        return Err("kernelshap needs at least two positions".into());
    }
    let sets = match samples {
        None if n > MOST_EXACT => {
            return Err(format!("{n} positions have too many subsets; -samples N draws N of them").into());
        }
        Some(samples) if samples < n => {
            return Err(format!("{n} numbers cannot be fitted to {samples} samples; give more").into());
        }
        None => all(n),
        Some(samples) => drawn(n, samples, seed),
    };
    let members: Vec<Vec<bool>> = sets.iter().map(|(shown, _)| shown.clone()).collect();
    let shown = move |i: usize, player: usize| match i {
        0 => true,
        1 => false,
        _ => members[i - 2][player],
    };
    Ok(Hiding::new(2 + sets.len(), shown, move |numbers| {
        finite(numbers)?;
        let (at_input, at_baseline) = (numbers[0], numbers[1]);
        let values = fitted(&sets, &numbers[2..], n, at_baseline, at_input - at_baseline)
            .ok_or("the subsets drawn do not tell all positions apart; give more samples")?;
        Ok(Attribution::complete(values, (at_input, at_baseline), sets.len()))
    }))
}

/// Refuses numbers to which nothing can be fitted.
pub(super) fn finite(numbers: &[f64]) -> Result<()> {
    match numbers.iter().filter(|x| !x.is_finite()).count() {
        0 => Ok(()),
        bad => Err(Error::refused(format!(
            "the number is not finite (NaN or infinite) for {bad} of {} inputs, so nothing can be fitted to it",
            numbers.len()
        ))),
    }
}

/// Which positions are shown, and the weight of that.
type Subset = (Vec<bool>, f64);

/// Every subset except the empty one and the whole.
fn all(n: usize) -> Vec<Subset> {
    let binomial = |k: usize| (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64);
    (1..(1usize << n) - 1)
        .map(|set| {
            let k = set.count_ones() as usize;
            let weight = (n - 1) as f64 / (binomial(k) * (k * (n - k)) as f64);
            ((0..n).map(|position| set >> position & 1 == 1).collect(), weight)
        })
        .collect()
}

/// Subsets drawn by the weight of their size, the members at random.
fn drawn(n: usize, samples: usize, seed: u64) -> Vec<Subset> {
    let mut random = Random::new(seed);
    let weights: Vec<f64> = (1..n).map(|k| (n - 1) as f64 / (k * (n - k)) as f64).collect();
    let sum: f64 = weights.iter().sum();
    (0..samples)
        .map(|_| {
            let mut left = random.uniform() * sum;
            let used_up = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            let size = used_up.map_or(weights.len(), |at| at + 1);
            let members = random.order(n);
            let mut shown = vec![false; n];
            members[..size].iter().for_each(|&position| shown[position] = true);
            (shown, 1.0)
        })
        .collect()
}

/// Least squares with the constraint that the sum is `total`: the last position is what the others leave. `None` if the
/// equations have no single solution.
fn fitted(sets: &[Subset], numbers: &[f64], n: usize, at_baseline: f64, total: f64) -> Option<Vec<f64>> {
    let m = n - 1;
    let mut matrix = vec![vec![0.0; m + 1]; m];
    for ((shown, weight), number) in sets.iter().zip(numbers) {
        let last = f64::from(u8::from(shown[m]));
        let x: Vec<f64> = shown[..m].iter().map(|shown| f64::from(u8::from(*shown)) - last).collect();
        let y = number - at_baseline - last * total;
        for (i, row) in matrix.iter_mut().enumerate() {
            for (cell, x_j) in row.iter_mut().zip(x.iter().chain([&y])) {
                *cell += weight * x[i] * x_j;
            }
        }
    }
    let mut values = solved(matrix)?;
    values.push(total - values.iter().sum::<f64>());
    Some(values)
}

/// Gaussian elimination with pivots: rows are equations, their last cell the right-hand side.
fn solved(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    let scale = rows.iter().flatten().fold(0.0f64, |largest, x| largest.max(x.abs()));
    for column in 0..n {
        let pivot = (column..n).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        if rows[pivot][column].abs() <= 1e-12 * scale {
            return None;
        }
        rows.swap(column, pivot);
        let (above, below) = rows.split_at_mut(column + 1);
        let pivot = &above[column];
        for row in below {
            let factor = row[column] / pivot[column];
            row.iter_mut().zip(pivot).skip(column).for_each(|(x, p)| *x -= factor * p);
        }
    }
    let mut values = vec![0.0; n];
    for column in (0..n).rev() {
        let rest: f64 = (column + 1..n).map(|j| rows[column][j] * values[j]).sum();
        values[column] = (rows[column][n] - rest) / rows[column][column];
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a sum with a product between the first two, half of the product belongs to each.
    #[test]
    fn all_subsets_give_shapley_values() {
        let f = |shown: &[bool]| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| f64::from(u8::from(shown[i])));
            5.0 + 2.0 * a - b + 3.0 * c + 0.5 * d + 4.0 * a * b
        };
        let sets = all(4);
        let numbers: Vec<f64> = sets.iter().map(|(shown, _)| f(shown)).collect();
        let values = fitted(&sets, &numbers, 4, 5.0, f(&[true; 4]) - 5.0).unwrap();
        for (found, wanted) in values.iter().zip([4.0, 1.0, 3.0, 0.5]) {
            assert!((found - wanted).abs() < 1e-12, "{values:?}");
        }
        // A linear number is fitted exactly by any sample that tells positions apart.
        let linear =
            |shown: &[bool]| shown.iter().zip([1.0, -2.0, 0.25]).map(|(s, w)| f64::from(u8::from(*s)) * w).sum();
        let sets = drawn(3, 20, 5);
        let numbers: Vec<f64> = sets.iter().map(|(shown, _)| linear(shown)).collect();
        let values = fitted(&sets, &numbers, 3, 0.0, -0.75).unwrap();
        assert!(values.iter().zip([1.0, -2.0, 0.25]).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
    }

    #[test]
    fn subsets_that_say_too_little_are_refused() {
        let same = vec![(vec![true, false, false], 1.0); 5];
        assert_eq!(fitted(&same, &[1.0; 5], 3, 0.0, 1.0), None);
        let sizes = drawn(9, 4000, 1);
        let single = sizes.iter().filter(|(shown, _)| shown.iter().filter(|s| **s).count() == 1).count();
        // 1/8 of the sum over k of 1 / (k (9 - k)).
        let share = (1.0 / 8.0) / (1..9).map(|k| 1.0 / f64::from(k * (9 - k))).sum::<f64>();
        assert!((single as f64 / 4000.0 - share).abs() < 0.04, "{single} {share}");
    }
}
