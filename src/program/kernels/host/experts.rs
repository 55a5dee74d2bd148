//! Choosing experts, and adding up what they make.

use crate::tensor::{Device, Value};

pub fn top_experts(router: &Value, chosen: usize) -> Option<Value> {
    let host = router.host_f32()?;
    let [rows, length, count] = *router.shape() else { return None };
    let mut numbers = Vec::with_capacity(rows * length * chosen);
    for logits in host.as_slice().chunks_exact(count.max(1)) {
        let mut order: Vec<usize> = (0..count).collect();
        // NaN counts as the largest, as in torch.
        let key = |i: &usize| if logits[*i].is_nan() { f32::INFINITY } else { logits[*i] };
        order.sort_by(|a, b| key(b).total_cmp(&key(a)));
        numbers.extend(order.iter().take(chosen).map(|&i| i as i64));
    }
    Some(Value::from_i64(numbers, &[rows, length, chosen], &Device::cpu()))
}

/// Adds rows of `made`, each times its share, to the rows `tokens` of `sum`.
pub fn add_rows(sum: &mut [f32], made: &[f32], width: usize, tokens: &[usize], shares: impl Iterator<Item = f32>) {
    for ((row, &token), share) in made.chunks_exact(width.max(1)).zip(tokens).zip(shares) {
        for (sum, x) in sum[token * width..(token + 1) * width].iter_mut().zip(row) {
            *sum += x * share;
        }
    }
}
