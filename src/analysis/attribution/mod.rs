//! How much each element of a site counts for a number, by the methods that Captum has, with its definitions.
//!
//! `F` is the number as a function of the site's value `x`; `x'` is a baseline. Sources: Captum 0.9 (`captum.attr`),
//! and the papers that it names. Methods that sample say so, and take their random numbers from a seed alone.

mod curves;
mod heads;
mod kernel;
mod lime;
mod neurons;
mod path;
mod perturb;
mod players;
mod probe;
mod quality;
pub mod random;
mod rule;

pub use curves::{Curve, area, curves};
pub use heads::{HeadScore, attention_gradient, heads, rollout};
pub use kernel::kernel_shap;
pub use lime::{lime, lime_subsets};
pub use neurons::{Fed, Neuron, neurons};
pub use path::{
    Noise, Shap, conductance, gradient_shap, gradient_shap_with, influence, integrated, noise, plain, relevance,
    through_neuron,
};
pub use perturb::{ablation, occlusion, shapley_exact, shapley_sampled};
pub use players::{Hiding, Players};
pub use probe::{Point, Probe};
pub use quality::{Quality, infidelity, quality, sensitivity};
pub use random::Random;
pub use rule::{RULES, Rule};

#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// One number for each element of the site, in row-major order; for perturbations one for each position.
    pub values: Vec<f64>,
    /// `sum(values) - (F(x) - F(x'))`, for methods that promise this to be zero.
    pub delta: Option<f64>,
    /// `F(x)`.
    pub at_input: f64,
    /// `F(x')`, for methods with a baseline.
    pub at_baseline: Option<f64>,
    /// For what samples: the standard error of the sum.
    pub error: Option<f64>,
    /// Points of a path that were evaluated.
    pub steps: usize,
}

/// A sum that misses what it explains by more than this part of it has not converged: its parts do not add up to that.
const COMPLETE: f64 = 0.05;

/// What a sum of numbers in f32 is off by, as a part of the sum of their magnitudes.
const ROUNDS: f64 = 1e-5;

impl Attribution {
    /// By a method that promises that the values sum to the difference of the numbers at the input and the baseline.
    fn complete(values: Vec<f64>, (at_input, at_baseline): (f64, f64), steps: usize) -> Attribution {
        let delta = Some(values.iter().sum::<f64>() - (at_input - at_baseline));
        Attribution { values, delta, at_input, at_baseline: Some(at_baseline), error: None, steps }
    }

    /// Whether the method promises that the sum is the difference to the baseline, and it is not.
    pub fn is_incomplete(&self) -> bool {
        let (Some(delta), Some(baseline)) = (self.delta, self.at_baseline) else { return false };
        let handed_out = self.values.iter().map(|x| x.abs()).sum::<f64>();
        // A sum of samples is off by its standard error, as long as that is small compared with the number itself.
        let scatter = 2.0 * self.error.unwrap_or(0.0).min(COMPLETE * self.at_input.abs());
        let allowed = COMPLETE * (self.at_input - baseline).abs() + scatter + ROUNDS * handed_out;
        // A sum that is not a number is not complete.
        !delta.is_finite() || delta.abs() > allowed
    }
}
