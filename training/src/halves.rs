//! Gradients of a batch in two halves on two threads: the CPU backend's elementwise work runs on one core each.
//!
//! The halves are added in a fixed order, so the result does not depend on which thread is first.

use crate::adamw::number;
use crate::params::Params;
use burn::tensor::Tensor;

/// The summed loss and gradients of two parts of a batch; `loss` must already be scaled to the whole batch.
pub fn gradients<L: Sync>(
    params: &Params,
    parts: &[L; 2],
    loss: impl Fn(&Params, &L) -> Tensor<1> + Sync,
) -> (f32, Vec<Tensor<2>>) {
    let one = |part: &L| {
        let tracked = params.tracked();
        let loss = loss(&tracked, part);
        let grads = loss.backward();
        let pick = |v: &Tensor<2>| v.grad(&grads).unwrap_or_else(|| v.clone().inner().zeros_like());
        (number(loss.inner()), tracked.values().iter().map(pick).collect::<Vec<_>>())
    };
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| one(&parts[1]));
        (one(&parts[0]), other.join().expect("the second half ends"))
    });
    (first.0 + second.0, first.1.into_iter().zip(second.1).map(|(a, b)| a + b).collect())
}
