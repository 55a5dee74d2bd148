//! How similar the patterns of two heads are.

use super::attention::{OfPass, Text};
use super::ops_in_blocks;
use crate::debugger::{Mark, Result, Session};
use crate::program::Part;
use crate::tensor::ops::Slice;
use crate::tensor::step;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Block and number of the first.
    pub a: (usize, usize),
    /// Block and number of the second.
    pub b: (usize, usize),
    /// How far their patterns are apart, in bits: see [`divergence`].
    pub divergence: f64,
}

/// Weights of attention that are held at once.
const HELD: usize = 1 << 28;

/// Every pair of heads of these layers, of all if none are given, in the current pass of the focused row.
///
/// # Errors
/// If the pass is not complete, the patterns are too large to be held together, the user interrupts, or the device
/// fails.
pub fn pairs(session: &mut Session, layers: &[usize]) -> Result<Vec<Pair>> {
    let program = session.run.program.clone();
    let (pass, row) = (session.run.pass, session.focus.row);
    let mut patterns: Vec<((usize, usize), Vec<f32>)> = Vec::new();
    let mut held = 0;
    let wanted = |(layer, _): &(usize, usize)| layers.is_empty() || layers.contains(layer);
    for (layer, op) in ops_in_blocks(&program, Part::Pattern).filter(wanted) {
        let pattern = session.run.value_at(Mark { pass, op })?;
        let pattern = pattern.slice(&[Slice::At(row)])?; // [H, Q, K]
        held += pattern.count();
        if held > HELD {
            return Err("patterns of so many heads on so many tokens are too large: name some layers".into());
        }
        let data = pattern.read_f32()?;
        let size = (data.len() / pattern.shape()[0].max(1)).max(1);
        patterns.extend(data.chunks(size).enumerate().map(|(head, one)| ((layer, head), one.to_vec())));
    }
    let of_pass = OfPass::new(session);
    let mut found = Vec::with_capacity(patterns.len() * patterns.len() / 2);
    for (i, (a, first)) in patterns.iter().enumerate() {
        step("pairs of heads", i as u64, patterns.len() as u64)?;
        for (b, second) in &patterns[i + 1..] {
            found.push(Pair { a: *a, b: *b, divergence: divergence(first, second, of_pass.text(None)) });
        }
    }
    Ok(found)
}

/// Jensen-Shannon divergence of two patterns, in bits, mean over queries that see more than one key: 0 for the same
/// pattern, 1 where they never look at the same key. `JSD(p, q) = (KL(p | m) + KL(q | m)) / 2` with `m = (p + q) / 2`
/// (Lin 1991).
pub fn divergence(a: &[f32], b: &[f32], text: Text<'_>) -> f64 {
    let keys = text.ids.len().max(1);
    let (mut sum, mut queries) = (0.0, 0usize);
    for (i, (p, q)) in a.chunks(keys).zip(b.chunks(keys)).enumerate() {
        let query = text.start + i;
        if !text.real[query] || (0..keys).filter(|&k| text.sees(query, k)).count() + usize::from(text.sinks) < 2 {
            continue;
        }
        let part = |p: f64, m: f64| if p == 0.0 { 0.0 } else { p * (p / m).log2() };
        let both = p.iter().zip(q).map(|(p, q)| (f64::from(*p), f64::from(*q)));
        let apart = |(p, q): (f64, f64)| (part(p, (p + q) / 2.0) + part(q, (p + q) / 2.0)) / 2.0;
        sum += both.map(apart).sum::<f64>();
        if text.sinks {
            let [p, q] = [p, q].map(|row| (1.0 - row.iter().map(|x| f64::from(*x)).sum::<f64>()).max(0.0));
            sum += apart((p, q));
        }
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
        let text =
            Text { ids: &[1, 2, 3], real: &real, special: &special, start: 0, causal: true, reach: None, sinks: false };
        let to = |of: &dyn Fn(usize) -> usize| -> Vec<f32> {
            (0..9).map(|i| if i % 3 == of(i / 3) { 1.0 } else { 0.0 }).collect()
        };
        let (own, first) = (to(&|q| q), to(&|_| 0));
        assert_eq!(divergence(&own, &own, text), 0.0);
        // The first query sees one key alone, and does not count.
        assert_eq!(divergence(&own, &first, text), 1.0);
        // Half and half against one of both, by the definition.
        let half = [1.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.5, 0.0, 0.5];
        let wanted = 0.5 * (4f64 / 3.0).log2() + 0.5 * (0.5 * (2f64 / 3.0).log2() + 0.5);
        assert!((divergence(&half, &own, text) - wanted).abs() < 1e-12);
    }
}
