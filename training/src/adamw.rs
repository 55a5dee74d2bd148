//! AdamW with warm-up, cosine decay and clipping by the global norm: all that these models need of an optimiser.

use crate::params::Params;
use burn::tensor::Tensor;

pub struct AdamW {
    first: Vec<Tensor<2>>,
    second: Vec<Tensor<2>>,
    step: i32,
    weight_decay: f32,
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.98;
const EPS: f32 = 1e-8;
const MAX_NORM: f32 = 1.0;

impl AdamW {
    pub fn new(params: &Params, weight_decay: f32) -> Self {
        let zeros: Vec<_> = params.values().iter().map(|v| v.zeros_like()).collect();
        Self { first: zeros.clone(), second: zeros, step: 0, weight_decay }
    }

    /// One update, with a gradient for every parameter.
    pub fn update(&mut self, params: &mut Params, grads: Vec<Tensor<2>>, lr: f32) {
        self.step += 1;
        let squares: f32 = grads.iter().map(|g| number((g.clone() * g.clone()).sum())).sum();
        let clip = (MAX_NORM / squares.sqrt().max(1e-12)).min(1.0);
        let correct1 = 1.0 - BETA1.powi(self.step);
        let correct2 = 1.0 - BETA2.powi(self.step);
        for (at, grad) in grads.into_iter().enumerate() {
            let grad = grad * clip;
            let first = self.first[at].clone() * BETA1 + grad.clone() * (1.0 - BETA1);
            let second = self.second[at].clone() * BETA2 + grad.clone() * grad * (1.0 - BETA2);
            let update = (first.clone() / correct1) / ((second.clone() / correct2).sqrt() + EPS);
            let decay = if params.is_matrix(at) { 1.0 - lr * self.weight_decay } else { 1.0 };
            params.set(at, params.values()[at].clone() * decay - update * lr);
            (self.first[at], self.second[at]) = (first, second);
        }
    }
}

/// Learning rate at a step: linear warm-up, then a cosine down to a fiftieth of the peak.
pub fn schedule(step: usize, steps: usize, warmup: usize, peak: f32) -> f32 {
    if step < warmup {
        return peak * (step + 1) as f32 / warmup as f32;
    }
    let done = (step - warmup) as f32 / (steps - warmup).max(1) as f32;
    peak * (0.02 + 0.98 * 0.5 * (1.0 + (std::f32::consts::PI * done).cos()))
}

/// The value of a one-element tensor.
pub fn number(t: Tensor<1>) -> f32 {
    t.try_into_vec_as::<f32>().expect("scalar can be read")[0]
}
