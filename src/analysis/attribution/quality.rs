//! How far an attribution can be trusted: does it predict what changes do, and does it stay the same nearby? (Yeh and
//! others 2019; Captum's `infidelity` and `sensitivity_max`.)

use super::{Attribution, Probe, Random};
use crate::debugger::Result;
use crate::tensor::step;

/// How large the noise of infidelity is, and how far away sensitivity looks: Captum's defaults for the second.
const NOISE: f64 = 0.1;
const RADIUS: f64 = 0.02;

const SAMPLES: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// `mean((I . a - (F(x) - F(x - I)))^2)` over perturbations `I`, `a` being what the number gains per unit.
    pub infidelity: f64,
    /// The same with the best factor on `a`.
    pub normalized: f64,
    /// The largest `|a(x') - a(x)| / |a(x)|` over inputs `x'` nearby.
    pub sensitivity: f64,
}

/// Infidelity of what a number gains per unit of each element, plain and normalized.
pub fn infidelity(probe: &mut Probe<'_>, per_unit: &[f64], perturbations: &[Vec<f32>]) -> Result<(f64, f64)> {
    let here = probe.here()?;
    let mut points = vec![here.clone()];
    points.extend(perturbations.iter().map(|by| here.iter().zip(by).map(|(x, i)| x - i).collect()));
    let numbers = probe.numbers(&points)?;
    let expected = |by: &[f32]| by.iter().zip(per_unit).map(|(i, a)| f64::from(*i) * a).sum::<f64>();
    let changes = perturbations.iter().zip(&numbers[1..]);
    let pairs: Vec<(f64, f64)> = changes.map(|(by, number)| (expected(by), numbers[0] - number)).collect();
    let count = pairs.len() as f64;
    let mean = |factor: f64| pairs.iter().map(|(a, b)| (factor * a - b).powi(2)).sum::<f64>() / count;
    let (products, squares): (f64, f64) = pairs.iter().fold((0.0, 0.0), |(p, s), (a, b)| (p + a * b, s + a * a));
    let best = if squares > 0.0 { products / squares } else { 1.0 };
    Ok((mean(1.0), mean(best)))
}

/// The largest relative change of an attribution over inputs nearby.
pub fn sensitivity(
    probe: &mut Probe<'_>,
    nearby: &[Vec<f32>],
    method: &mut dyn FnMut(&mut Probe<'_>) -> Result<Vec<f64>>,
) -> Result<f64> {
    let here = method(probe)?;
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let size = norm(&mut here.iter().copied());
    let size = if size == 0.0 { 1.0 } else { size };
    let mut worst = 0.0f64;
    for point in nearby {
        let outer = probe.move_to(Some(point.clone()));
        let there = method(probe);
        probe.move_to(outer);
        worst = worst.max(norm(&mut there?.iter().zip(&here).map(|(a, b)| a - b)) / size);
    }
    Ok(worst)
}

/// Both, for an attribution to the probe's own site by `method`. `scale` is what its values were multiplied by,
/// `x - x'`; `None` if they are gains per unit already.
pub fn quality(
    probe: &mut Probe<'_>,
    found: &Attribution,
    scale: Option<&[f64]>,
    seed: u64,
    method: &mut dyn FnMut(&mut Probe<'_>) -> Result<Vec<f64>>,
) -> Result<Quality> {
    let here = probe.here()?;
    let per_unit: Vec<f64> = match scale {
        Some(scale) => found.values.iter().zip(scale).map(|(a, by)| if *by == 0.0 { 0.0 } else { a / by }).collect(),
        None => found.values.clone(),
    };
    let mut random = Random::new(seed);
    let noises: Vec<Vec<f32>> =
        (0..SAMPLES).map(|_| here.iter().map(|_| (NOISE * random.normal()) as f32).collect()).collect();
    let (infidelity, normalized) = infidelity(probe, &per_unit, &noises)?;
    let nearby: Vec<Vec<f32>> = (0..SAMPLES)
        .map(|_| here.iter().map(|x| (f64::from(*x) + RADIUS * (2.0 * random.uniform() - 1.0)) as f32).collect())
        .collect();
    let mut done = 0;
    let sensitivity = sensitivity(probe, &nearby, &mut |probe| {
        step("sensitivity", done, SAMPLES as u64 + 1)?;
        done += 1;
        method(probe)
    })?;
    Ok(Quality { infidelity, normalized, sensitivity })
}
