//! Mixtures of experts: which are chosen, and with what weights.

use burn::tensor::{Bool, Int, Tensor, activation};

use super::host;
use crate::model::spec::{GroupScore, Groups, Router, Score};
use crate::tensor::Value;

/// The numbers of the experts with the largest scores, largest first, by router logits `[B, T, E]`: `[B, T, k]`. Of
/// equals the first counts. `correction` is added to the scores for this, `[E]`.
pub fn top(router: &Value, correction: Option<&Value>, chosen: usize, by: &Router) -> Value {
    if correction.is_none() && by.groups.is_none() {
        // Scores are in the order of logits.
        return largest(router, chosen);
    }
    let mut scores = scores(router.tensor::<3>(), by.score); // [B, T, E]
    if let Some(correction) = correction {
        let count = correction.count();
        scores = scores + correction.tensor::<1>().reshape([1, 1, count]);
    }
    if let Some(groups) = &by.groups {
        scores = in_groups(scores, groups);
    }
    largest(&Value::float(scores), chosen)
}

/// Scores of experts by router logits `[B, T, E]`, where each expert has one whatever is chosen.
fn scores(logits: Tensor<3>, score: Score) -> Tensor<3> {
    match score {
        Score::Softmax | Score::SparseMixer { .. } => activation::softmax(logits, 2),
        Score::Sigmoid => activation::sigmoid(logits),
    }
}

/// Scores `[B, T, E]`, minus infinity outside the best groups.
fn in_groups(scores: Tensor<3>, groups: &Groups) -> Tensor<3> {
    let [rows, length, count] = scores.dims();
    let each = count / groups.count;
    let by_group = scores.clone().reshape([rows * length, groups.count, each]); // [B T, G, e]
    let worth = match groups.by {
        GroupScore::Best => by_group.max_dim(2), // [B T, G, 1]
        GroupScore::TwoBest => {
            let best = by_group.clone().argmax(2);
            let others = by_group.clone().mask_fill(is_number(each, best), f32::NEG_INFINITY);
            by_group.max_dim(2) + others.max_dim(2)
        }
    };
    let worth = Value::float(worth.reshape([1, rows * length, groups.count]));
    let kept = largest(&worth, groups.kept).int_tensor::<3>().reshape([rows * length, 1, groups.kept]);
    // Whether each group is one of those kept.
    let numbers = Tensor::<1, Int>::arange(0..groups.count as i64, &kept.device()).reshape([1, groups.count, 1]);
    let shape = [rows * length, groups.count, groups.kept];
    let hits = same(numbers.expand(shape), kept.expand(shape)).int().sum_dim(2); // [B T, G, 1]
    let out = hits.equal_elem(0).expand([rows * length, groups.count, each]).reshape([rows, length, count]);
    scores.mask_fill(out, f32::NEG_INFINITY)
}

/// Which of `count` entries of the last axis has the given number `[_, _, 1]`: `[_, _, count]`.
fn is_number(count: usize, number: Tensor<3, Int>) -> Tensor<3, Bool> {
    let [rows, length, _] = number.dims();
    let shape = [rows, length, count];
    let numbers = Tensor::<1, Int>::arange(0..count as i64, &number.device()).reshape([1, 1, count]);
    same(numbers.expand(shape), number.expand(shape))
}

/// Whether small whole numbers are the same: numbers of experts come in 64 bits from the host, and in 32 from a backend.
fn same(a: Tensor<3, Int>, b: Tensor<3, Int>) -> Tensor<3, Bool> {
    a.float().equal(b.float())
}

/// The numbers of the largest entries of `[B, T, E]`, largest first: `[B, T, k]`. Of equals the first counts.
fn largest(scores: &Value, chosen: usize) -> Value {
    if let Some(top) = host::top_experts(scores, chosen) {
        return top;
    }
    let mut left = scores.tensor::<3>(); // [B, T, E]
    let count = left.dims()[2];
    let mut parts = Vec::with_capacity(chosen);
    for _ in 0..chosen {
        let best = left.clone().argmax(2); // [B, T, 1]
        left = left.mask_fill(is_number(count, best.clone()), f32::NEG_INFINITY);
        parts.push(best);
    }
    Value::int(Tensor::cat(parts, 2)) // [B, T, k]
}

/// The weights of the chosen experts `[B, T, k]`, by router logits `[B, T, E]`: `[B, T, k]`.
pub fn weights(router: &Value, chosen: &Value, by: &Router) -> Value {
    let (logits, chosen) = (router.tensor::<3>(), chosen.int_tensor::<3>());
    let mut weights = match by.score {
        Score::SparseMixer { jitter } => sparse_mixer(logits, chosen, jitter),
        score => scores(logits, score).gather(2, chosen), // [B, T, k]
    };
    if by.normalize {
        let mut sum = weights.clone().sum_dim(2); // [B, T, 1]
        if by.least > 0.0 {
            sum = sum.clamp_min(by.least);
        }
        weights = weights / if by.added > 0.0 { sum.add_scalar(by.added) } else { sum };
    }
    Value::float(if by.scale == 1.0 { weights } else { weights.mul_scalar(by.scale) })
}

/// Weights of chosen experts `[B, T, k]`, each times the factor of its expert, of `[E]`.
pub fn scaled(weights: &Value, chosen: &Value, factors: &Value) -> Value {
    let [rows, length, count] = *chosen.shape() else { panic!("experts of positions") };
    let chosen = chosen.int_tensor::<3>().reshape([rows * length * count]);
    let factors = factors.tensor::<1>().select(0, chosen).reshape([rows, length, count]);
    Value::float(weights.tensor::<3>() * factors)
}

/// For each chosen expert, softmax over those that are left and near enough to it.
fn sparse_mixer(logits: Tensor<3>, chosen: Tensor<3, Int>, jitter: f64) -> Tensor<3> {
    let [_, _, count] = logits.dims();
    let shape = logits.dims();
    let mut left = logits.clone(); // [B, T, E]
    let mut parts = Vec::new();
    for k in 0..chosen.dims()[2] {
        let this = chosen.clone().narrow(2, k, 1); // [B, T, 1]
        let own = logits.clone().gather(2, this.clone()).expand(shape);
        let factor = logits.clone().abs().max_pair(own.clone());
        let far = ((own - logits.clone()) / factor).greater_elem(2.0 * jitter);
        let near = left.clone().mask_fill(far, f32::NEG_INFINITY);
        parts.push(activation::softmax(near, 2).gather(2, this.clone()));
        left = left.mask_fill(is_number(count, this), f32::NEG_INFINITY);
    }
    Tensor::cat(parts, 2) // [B, T, k]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::Device;

    /// The choice by loops: groups by their two best, then the best experts in those kept.
    fn by_loops(scores: &[f32], groups: &Groups, chosen: usize) -> Vec<i64> {
        let best = |values: Vec<f32>, count: usize| {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
            order.truncate(count);
            order
        };
        let each = scores.len() / groups.count;
        let worth = |group: &[f32]| {
            let mut group = group.to_vec();
            group.sort_by(|a, b| b.total_cmp(a));
            if groups.by == GroupScore::Best { group[0] } else { group[0] + group[1] }
        };
        let kept = best(scores.chunks(each).map(worth).collect(), groups.kept);
        let inside = |i: usize| if kept.contains(&(i / each)) { scores[i] } else { f32::NEG_INFINITY };
        best((0..scores.len()).map(inside).collect(), chosen).into_iter().map(|i| i as i64).collect()
    }

    proptest! {
        #[test]
        fn experts_are_chosen_in_the_best_groups(
            order in Just((0..12).collect::<Vec<i32>>()).prop_shuffle(),
            kept in 1usize..4,
            two in any::<bool>(),
        ) {
            // Scores that are far from each other, sums of two included.
            let logits: Vec<f32> = order.iter().map(|i| *i as f32 * 0.37 - 2.0 + (*i * *i) as f32 * 0.011).collect();
            let by = if two { GroupScore::TwoBest } else { GroupScore::Best };
            let groups = Groups { count: 4, kept, by };
            let router = Router { score: Score::Sigmoid, groups: Some(groups), ..Router::default() };
            let sigmoid = |x: &f32| 1.0 / (1.0 + (-x).exp());
            let wanted = by_loops(&logits.iter().map(sigmoid).collect::<Vec<f32>>(), &groups, 3);
            let value = Value::from_f32(logits, &[1, 1, 12], &Device::cpu());
            prop_assert_eq!(top(&value, None, 3, &router).read_i64().unwrap(), wanted);
        }
    }

    #[test]
    fn a_correction_decides_the_choice_and_not_the_weights() {
        let of = |data: &[f32], shape: &[usize]| Value::from_f32(data.to_vec(), shape, &Device::cpu());
        let logits = of(&[1.0, 0.0, -1.0], &[1, 1, 3]);
        let router =
            Router { score: Score::Sigmoid, correction: true, normalize: true, scale: 2.0, ..Router::default() };
        let chosen = top(&logits, Some(&of(&[-1.0, 0.0, 1.0], &[3])), 2, &router);
        assert_eq!(chosen.read_i64().unwrap(), [2, 1]);
        let found = weights(&logits, &chosen, &router).read_f32().unwrap();
        let (a, b) = (1.0 / (1.0 + 1f32.exp()), 0.5);
        for (found, wanted) in found.iter().zip([2.0 * a / (a + b), 2.0 * b / (a + b)]) {
            assert!((found - wanted).abs() < 1e-6, "{found} for {wanted}");
        }
    }
}
