//! Methods that follow gradients: at the input, along a path from a baseline, or around the input.

use super::{Attribution, Point, Probe, Random, Rule};
use crate::debugger::{Result, Session};
use crate::lang::Expr;

/// Points of a path are doubled up to so many by `-steps auto`.
const MOST_STEPS: usize = 3200;

/// The gradient at the input and the elements of the site `of` there: what saliency and input times gradient are made
/// of.
pub fn plain(probe: &mut Probe<'_>, of: usize) -> Result<Point> {
    let here = probe.here()?;
    Ok(probe.gradients(&[here], of)?.remove(0))
}

fn between(from: &[f32], to: &[f32], at: f64) -> Vec<f32> {
    from.iter().zip(to).map(|(a, b)| (f64::from(*a) + at * (f64::from(*b) - f64::from(*a))) as f32).collect()
}

/// `F` at the input and at the baseline.
fn ends(probe: &mut Probe<'_>, here: &[f32], baseline: &[f32]) -> Result<(f64, f64)> {
    let ends = probe.numbers(&[here.to_vec(), baseline.to_vec()])?;
    Ok((ends[0], ends[1]))
}

/// Integrated gradients: `(x - x') * sum_k w_k grad F(x' + a_k (x - x'))` (Sundararajan, Taly and Yan 2017). Without a
/// number of steps it is doubled until the sum is within `tolerance` of `F(x) - F(x')`.
pub fn integrated(
    probe: &mut Probe<'_>,
    baseline: &[f32],
    rule: Rule,
    steps: Option<usize>,
    tolerance: f64,
) -> Result<Attribution> {
    let here = probe.here()?;
    let ends = ends(probe, &here, baseline)?;
    let mut n = steps.unwrap_or(25);
    loop {
        let mut values = vec![0.0; here.len()];
        let rule_points = rule.points(n);
        let points: Vec<Vec<f32>> = rule_points.iter().map(|(at, _)| between(baseline, &here, *at)).collect();
        for (point, (_, weight)) in probe.gradients(&points, probe.at)?.iter().zip(&rule_points) {
            for (value, gradient) in values.iter_mut().zip(&point.gradient) {
                *value += weight * f64::from(*gradient);
            }
        }
        for ((value, x), b) in values.iter_mut().zip(&here).zip(baseline) {
            *value *= f64::from(*x) - f64::from(*b);
        }
        let found = Attribution::complete(values, ends, n);
        // More points do not make a number of NaN.
        let settled = found.delta.is_some_and(|delta| delta.abs() <= tolerance || !delta.is_finite());
        if steps.is_some() || settled || n >= MOST_STEPS {
            return Ok(found);
        }
        n *= 2;
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Shap {
    pub baseline: usize,
    /// Where between the baseline (0) and the input with noise (1).
    pub at: f64,
    pub noise: Vec<f32>,
}

/// Gradient SHAP: the mean of `(x~ - b) * grad F(l x~ + (1 - l) b)` over samples, `x~` being the input with normal
/// noise, `b` one of the baselines, and `l` uniform on [0, 1] (Lundberg and Lee 2017; Captum's `GradientShap`).
pub fn gradient_shap(probe: &mut Probe<'_>, baselines: &[Vec<f32>], noise: Noise) -> Result<Attribution> {
    let len = probe.here()?.len();
    let mut random = Random::new(noise.seed);
    let samples: Vec<Shap> = (0..noise.samples)
        .map(|_| Shap {
            baseline: random.below(baselines.len()),
            at: random.uniform(),
            noise: (0..len).map(|_| (noise.stdev * random.normal()) as f32).collect(),
        })
        .collect();
    gradient_shap_with(probe, baselines, &samples)
}

pub fn gradient_shap_with(probe: &mut Probe<'_>, baselines: &[Vec<f32>], samples: &[Shap]) -> Result<Attribution> {
    let here = probe.here()?;
    let noisy: Vec<Vec<f32>> =
        samples.iter().map(|sample| here.iter().zip(&sample.noise).map(|(x, e)| x + e).collect()).collect();
    let points: Vec<Vec<f32>> = samples
        .iter()
        .zip(&noisy)
        .map(|(sample, noisy)| between(&baselines[sample.baseline], noisy, sample.at))
        .collect();
    let found = probe.gradients(&points, probe.at)?;
    let mut all = vec![here.clone()];
    all.extend(baselines.iter().cloned());
    let ends = probe.numbers(&all)?;
    let mut values = vec![0.0; here.len()];
    let mut sums = Vec::with_capacity(samples.len());
    let count = samples.len() as f64;
    for ((sample, noisy), point) in samples.iter().zip(&noisy).zip(&found) {
        let baseline = &baselines[sample.baseline];
        let mut sum = 0.0;
        for (i, value) in values.iter_mut().enumerate() {
            let part = (f64::from(noisy[i]) - f64::from(baseline[i])) * f64::from(point.gradient[i]);
            *value += part / count;
            sum += part;
        }
        sums.push(sum);
    }
    let mean = samples.iter().map(|sample| ends[1 + sample.baseline]).sum::<f64>() / count;
    let error = standard_error(&sums);
    Ok(Attribution { error, ..Attribution::complete(values, (ends[0], mean), samples.len()) })
}

/// The standard error of the mean of samples; `None` for fewer than two.
pub(super) fn standard_error(samples: &[f64]) -> Option<f64> {
    let n = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / n;
    let variance = samples.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
    (samples.len() > 1).then(|| (variance / n).sqrt())
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    pub samples: usize,
    /// Standard deviation of normal noise.
    pub stdev: f64,
    pub seed: u64,
}

/// Gradients with normal noise on the input: their mean (SmoothGrad, Smilkov and others 2017), or with `variance` their
/// variance (VarGrad).
pub fn noise(probe: &mut Probe<'_>, noise: Noise, variance: bool) -> Result<Attribution> {
    let here = probe.here()?;
    let mut random = Random::new(noise.seed);
    let points: Vec<Vec<f32>> = (0..noise.samples)
        .map(|_| here.iter().map(|x| (f64::from(*x) + noise.stdev * random.normal()) as f32).collect())
        .collect();
    let found = probe.gradients(&points, probe.at)?;
    let at_input = probe.numbers(std::slice::from_ref(&here))?[0];
    let count = noise.samples as f64;
    let values = (0..here.len())
        .map(|i| {
            let mean = found.iter().map(|point| f64::from(point.gradient[i])).sum::<f64>() / count;
            let square = || found.iter().map(|point| f64::from(point.gradient[i]).powi(2)).sum::<f64>() / count;
            if variance { (square() - mean * mean).max(0.0) } else { mean }
        })
        .collect();
    Ok(Attribution { values, delta: None, at_input, at_baseline: None, error: None, steps: noise.samples })
}

/// The relevance of each element by the rules of AttnLRP; `delta` is less what biases, softmax and constants keep of
/// it.
pub fn relevance(probe: &mut Probe<'_>) -> Result<Attribution> {
    probe.propagate_relevance();
    let point = plain(probe, probe.at)?;
    let values: Vec<f64> =
        point.gradient.iter().zip(&point.value).map(|(g, x)| f64::from(*g) * f64::from(*x)).collect();
    let delta = Some(values.iter().sum::<f64>() - point.number);
    Ok(Attribution { values, delta, at_input: point.number, at_baseline: None, error: None, steps: 1 })
}

/// Conductance of a later site `of` along the path of the probe's site: `sum_k (y(a_(k+1)) - y(a_k)) dF/dy(a_k)` over
/// `steps + 1` points (Dhamdhere, Sundararajan and Yan 2018; Captum's `LayerConductance`, whose sum this is, short ends
/// included).
pub fn conductance(
    probe: &mut Probe<'_>,
    of: usize,
    baseline: &[f32],
    rule: Rule,
    steps: usize,
) -> Result<Attribution> {
    let here = probe.here()?;
    let ends = ends(probe, &here, baseline)?;
    let points: Vec<Vec<f32>> = rule.points(steps + 1).iter().map(|(at, _)| between(baseline, &here, *at)).collect();
    let found = probe.gradients(&points, of)?;
    let mut values = vec![0.0; found[0].value.len()];
    for pair in found.windows(2) {
        for (i, value) in values.iter_mut().enumerate() {
            *value += (f64::from(pair[1].value[i]) - f64::from(pair[0].value[i])) * f64::from(pair[0].gradient[i]);
        }
    }
    Ok(Attribution::complete(values, ends, steps))
}

/// Conductance of one neuron, element `which` of the op `of`, along the path of the op `at`:
/// `(x - x') sum_k w_k dF/dy dy/dx` (Dhamdhere and others 2018; Captum's `NeuronConductance`). `numbers` are the number
/// and the neuron as an expression.
pub fn through_neuron(
    session: &mut Session,
    numbers: (&Expr, &Expr),
    (at, of, which): (usize, usize, usize),
    baseline: &[f32],
    (rule, steps): (Rule, usize),
) -> Result<Attribution> {
    let weights = rule.points(steps);
    let mut probe = Probe::new(session, numbers.0, at)?;
    let here = probe.here()?;
    let (at_input, at_baseline) = ends(&mut probe, &here, baseline)?;
    let points: Vec<Vec<f32>> = weights.iter().map(|(share, _)| between(baseline, &here, *share)).collect();
    let outer = probe.gradients(&points, of)?;
    let inner = Probe::new(session, numbers.1, at)?.gradients(&points, at)?;
    let mut values = vec![0.0; here.len()];
    for ((outer, inner), (_, weight)) in outer.iter().zip(&inner).zip(&weights) {
        let worth = weight * f64::from(outer.gradient[which]);
        for (i, value) in values.iter_mut().enumerate() {
            *value += worth * f64::from(inner.gradient[i]) * (f64::from(here[i]) - f64::from(baseline[i]));
        }
    }
    Ok(Attribution { values, delta: None, at_input, at_baseline: Some(at_baseline), error: None, steps })
}

/// Internal influence of a later site `of` along the path: `sum_k w_k dF/dy(a_k)` (Leino and others 2018).
pub fn influence(probe: &mut Probe<'_>, of: usize, baseline: &[f32], rule: Rule, steps: usize) -> Result<Attribution> {
    let here = probe.here()?;
    let (at_input, at_baseline) = ends(probe, &here, baseline)?;
    let weights = rule.points(steps);
    let points: Vec<Vec<f32>> = weights.iter().map(|(at, _)| between(baseline, &here, *at)).collect();
    let found = probe.gradients(&points, of)?;
    let mut values = vec![0.0; found[0].gradient.len()];
    for (point, (_, weight)) in found.iter().zip(&weights) {
        values.iter_mut().zip(&point.gradient).for_each(|(value, gradient)| *value += weight * f64::from(*gradient));
    }
    Ok(Attribution { values, delta: None, at_input, at_baseline: Some(at_baseline), error: None, steps })
}
