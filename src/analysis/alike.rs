//! How much alike the patterns of two heads are.

use super::attention::Text;
use crate::debugger::{Mark, RunError, Session};
use crate::tensor::ops::Slice;

/// Two heads, and how much alike they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Block and number of the first.
    pub a: (usize, usize),
    /// Block and number of the second.
    pub b: (usize, usize),
    /// How far their patterns are apart, in bits: see [`divergence`].
    pub divergence: f64,
}

/// Every pair of heads of these layers, of all if there are none, in the current pass of the focused row.
///
/// # Errors
/// If the pass is not complete, or the device fails.
pub fn pairs(session: &mut Session, layers: &[usize]) -> Result<Vec<Pair>, RunError> {
    let program = session.run.program.clone();
    let (pass, row) = (session.run.pass, session.focus.row);
    let span = session.run.branch().span(pass);
    let text = &session.run.branch().text().rows[row];
    let (ids, real) = (text.ids[..span.end].to_vec(), text.mask[..span.end].to_vec());
    let causal = session.run.model.spec.attention.causal;
    let special = vec![false; ids.len()];
    let mut patterns = Vec::new();
    for layer in (0..program.n_layers()).filter(|layer| layers.is_empty() || layers.contains(layer)) {
        let Some(op) = program.op_of(&format!("blocks.{layer}.attn.pattern")) else { continue };
        let pattern = session.run.value_at(Mark { pass, op })?.slice(&[Slice::At(row)])?; // [H, Q, K]
        let data = pattern.read_f64()?;
        let size = data.len() / pattern.shape()[0].max(1);
        patterns.extend(data.chunks(size.max(1)).enumerate().map(|(head, one)| ((layer, head), one.to_vec())));
    }
    let text = Text { ids: &ids, real: &real, special: &special, start: span.start, causal, reach: None };
    let mut found = Vec::with_capacity(patterns.len() * patterns.len() / 2);
    for (i, (a, first)) in patterns.iter().enumerate() {
        for (b, second) in &patterns[i + 1..] {
            found.push(Pair { a: *a, b: *b, divergence: divergence(first, second, text) });
        }
    }
    Ok(found)
}

/// Jensen-Shannon divergence of two patterns, in bits, mean over queries that see more than one key: 0 for the same pattern, 1 where they
/// never look at the same key. `JSD(p, q) = (KL(p | m) + KL(q | m)) / 2` with `m = (p + q) / 2` (Lin 1991).
pub fn divergence(a: &[f64], b: &[f64], text: Text<'_>) -> f64 {
    let keys = text.ids.len().max(1);
    let (mut sum, mut queries) = (0.0, 0usize);
    for (i, (p, q)) in a.chunks(keys).zip(b.chunks(keys)).enumerate() {
        let query = text.start + i;
        if !text.real[query] || (0..keys).filter(|&k| text.sees(query, k)).count() < 2 {
            continue;
        }
        let part = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
        sum += p.iter().zip(q).map(|(p, q)| (part(*p, (p + q) / 2.0) + part(*q, (p + q) / 2.0)) / 2.0).sum::<f64>();
        queries += 1;
    }
    sum / queries.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_share_no_key_are_a_bit_apart() {
        let (real, special) = ([true; 3], [false; 3]);
        let text = Text { ids: &[1, 2, 3], real: &real, special: &special, start: 0, causal: true, reach: None };
        let to = |of: &dyn Fn(usize) -> usize| -> Vec<f64> {
            (0..9).map(|i| if i % 3 == of(i / 3) { 1.0 } else { 0.0 }).collect()
        };
        let (own, first) = (to(&|q| q), to(&|_| 0));
        assert_eq!(divergence(&own, &own, text), 0.0);
        // The first query sees one key alone, and does not count.
        assert_eq!(divergence(&own, &first, text), 1.0);
        // Half and half against one of both: 1 - (3/4) log2(3) + 1/2 log2(2) ... by its definition.
        let half = [1.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.5, 0.0, 0.5];
        let wanted = 0.5 * (4f64 / 3.0).log2() + 0.5 * (0.5 * (2f64 / 3.0).log2() + 0.5);
        assert!((divergence(&half, &own, text) - wanted).abs() < 1e-12);
    }
}
