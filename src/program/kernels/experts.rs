//! Mixtures of experts: which are chosen, with what weights, and what they make of each token. Only chosen experts are
//! computed.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, activation};

use super::{basic, host};
use crate::model::spec::Act;
use crate::model::weights::Weight;
use crate::tensor::{TensorError, Value};

/// The numbers of the largest router logits `[B, T, E]`, largest first: `[B, T, k]`. Of equals the first counts.
pub fn top(router: &Value, chosen: usize) -> Value {
    if let Some(top) = host::top_experts(router, chosen) {
        return top;
    }
    let mut left = router.tensor::<3>(); // [B, T, E]
    let [rows, length, count] = left.dims();
    let numbers = Tensor::<1, Int>::arange(0..count as i64, &left.device()).reshape([1, 1, count]);
    let numbers = numbers.expand([rows, length, count]);
    let mut parts = Vec::with_capacity(chosen);
    for _ in 0..chosen {
        let best = left.clone().argmax(2); // [B, T, 1]
        let taken = numbers.clone().equal(best.clone().expand([rows, length, count]));
        left = left.mask_fill(taken, f32::NEG_INFINITY);
        parts.push(best);
    }
    Value::int(Tensor::cat(parts, 2)) // [B, T, k]
}

/// Softmax of router logits `[B, T, E]` at the chosen experts `[B, T, k]`, over their sum if `normalize`.
pub fn weights(router: &Value, chosen: &Value, normalize: bool) -> Value {
    let probabilities = activation::softmax(router.tensor::<3>(), 2); // [B, T, E]
    let picked = probabilities.gather(2, chosen.int_tensor::<3>()); // [B, T, k]
    Value::float(if normalize { picked.clone() / picked.sum_dim(2) } else { picked })
}

/// The projections of one expert.
pub struct Gated {
    pub gate: Weight,
    pub up: Weight,
    pub down: Weight,
}

pub struct Mixture<'a> {
    /// An expert by its number, which is read if it is not in memory: only those that are chosen are asked for.
    pub experts: &'a dyn Fn(usize) -> Result<Gated, TensorError>,
    pub count: usize,
    /// The expert that every token uses, and how much of it is added, `[d, 1]`.
    pub shared: Option<(Gated, Value)>,
    pub act: Act,
}

/// The weighted sum of what the chosen experts make of `x`, `[B, T, d]`, with the shared expert where there is one.
pub fn mix(x: &Value, chosen: &Value, shares: &Value, mixture: &Mixture) -> Result<Value, TensorError> {
    let [rows, length, width] = *x.shape() else { panic!("hidden states have three axes") };
    let per_token = chosen.shape()[2];
    let chosen = chosen.read_i64()?;
    let flat = x.clone().reshaped(&[1, rows * length, width]);
    let shares = shares.clone().reshaped(&[rows * length * per_token]);
    let mut sum = Sum::new(&flat, &shares);
    for expert in 0..mixture.count {
        let uses: Vec<usize> = (0..chosen.len()).filter(|&use_| chosen[use_] == expert as i64).collect();
        if !uses.is_empty() {
            let tokens: Vec<usize> = uses.iter().map(|use_| use_ / per_token).collect();
            sum = sum.add(&flat, &(mixture.experts)(expert)?, mixture.act, &tokens, &shares, &uses);
        }
    }
    let mut out = sum.finish();
    if let Some((shared, share)) = &mixture.shared {
        let all = gated(&flat, shared, mixture.act);
        let share = activation::sigmoid(basic::linear(&flat, share, None).tensor::<3>()); // [1, B T, 1]
        out = Value::float(out.tensor::<3>() + all.tensor::<3>() * share);
    }
    Ok(out.reshaped(&[rows, length, width]))
}

/// `down(act(gate(x)) * up(x))`.
fn gated(x: &Value, weights: &Gated, act: Act) -> Value {
    let gate = basic::weighted(x, &weights.gate, None);
    let up = basic::weighted(x, &weights.up, None);
    basic::weighted(&basic::gated(&gate, &up, act), &weights.down, None)
}

/// A growing sum over experts, in host memory while everything is there.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Sum {
    Host(Vec<f32>, Vec<usize>),
    Device(Tensor<2>),
}

impl Sum {
    fn new(x: &Value, shares: &Value) -> Sum {
        match (x.host_f32(), shares.host_f32()) {
            (Some(_), Some(_)) => Sum::Host(vec![0.0; x.count()], x.shape().to_vec()),
            _ => Sum::Device(x.tensor::<3>().zeros_like().squeeze_dim(0)), // [N, d]
        }
    }

    /// Adds what an expert makes of some tokens of `x`, times the shares at `uses`.
    fn add(self, x: &Value, weights: &Gated, act: Act, tokens: &[usize], shares: &Value, uses: &[usize]) -> Sum {
        let width = x.shape()[2];
        let index = |list: &[usize]| {
            Value::from_i64(list.iter().map(|&i| i as i64).collect(), &[list.len()], &x.device()).int_tensor::<1>()
        };
        let rows = x.tensor::<3>().squeeze_dim::<2>(0).select(0, index(tokens)); // [n, d]
        let made = gated(&Value::float(rows.unsqueeze::<3>()), weights, act); // [1, n, d]
        let sum = match (self, made.host_f32(), shares.host_f32()) {
            (Sum::Host(mut sum, shape), Some(made), Some(shares)) => {
                let shares = uses.iter().map(|&use_| shares.as_slice()[use_]);
                host::add_rows(&mut sum, made.as_slice(), width, tokens, shares);
                return Sum::Host(sum, shape);
            }
            (sum, ..) => sum.finish().tensor::<3>().squeeze_dim::<2>(0),
        };
        let shares = shares.tensor::<1>().select(0, index(uses)).reshape([uses.len(), 1]);
        let made = made.tensor::<3>().squeeze_dim::<2>(0) * shares; // [n, d]
        Sum::Device(sum.select_assign(0, index(tokens), made, IndexingUpdateOp::Add))
    }

    /// The sum, `[1, N, d]`.
    fn finish(self) -> Value {
        match self {
            Sum::Host(sum, shape) => host::value(sum, &shape),
            Sum::Device(sum) => Value::float(sum.unsqueeze::<3>()),
        }
    }
}
