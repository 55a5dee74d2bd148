//! Masks, and products in the shapes of real models and long prompts: libraries choose other kernels by size, and a
//! wrong one shows in its own sizes only.

use super::{Case, Probe, sent};
use crate::debugger::Result;
use crate::program::bare::{self, Attention};
use crate::tensor::{Device, Value};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        name: "products of a few rows",
        large: false,
        allowed: 2e-5,
        cases: |device| products(&[1, 33, 257], &[(256, 256)], device),
    },
    Probe {
        name: "attention with masks",
        large: false,
        allowed: 1e-4,
        cases: |device| attention(&[(2, 7), (2, 33)], 0.125, device),
    },
    Probe {
        name: "attention with large scores",
        large: false,
        allowed: 1e-3,
        cases: |device| attention(&[(2, 33)], 100.0, device),
    },
    Probe {
        name: "products of width 768",
        large: true,
        allowed: 2e-5,
        cases: |device| products(&[1, 257, 512, 535, 1024, 4096], &[(768, 768), (768, 3072), (3072, 768)], device),
    },
    Probe {
        name: "products of width 4096",
        large: true,
        allowed: 2e-5,
        cases: |device| products(&[1, 257, 512, 535, 1024, 4096], &[(4096, 4096)], device),
    },
    Probe {
        name: "attention over long prompts",
        large: true,
        allowed: 1e-4,
        cases: |device| attention(&[(4, 257), (4, 512), (4, 535), (2, 1024), (1, 4096)], 0.125, device),
    },
];

/// Numbers from -1 to 1 without a pattern, always the same.
fn random(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn dot(a: &[f32], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum()
}

/// Products `x W` of so many rows with weights of these shapes `(from, to)`. Each row is compared by its product with a
/// vector of signs, which is that of `x` with `W` times the vector: every element counts, and one that is wrong shows,
/// at the cost of a few rows instead of all.
fn products(rows: &[usize], shapes: &[(usize, usize)], device: &Device) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for &(from, to) in shapes {
        let weight = random(from * to, 1); // [to, from]
        let signs: Vec<f64> = random(to, 2).into_iter().map(|x| f64::from(x.signum())).collect();
        let mut of_weight = vec![0.0; from];
        for (row, sign) in weight.chunks_exact(from).zip(&signs) {
            of_weight.iter_mut().zip(row).for_each(|(sum, w)| *sum += sign * f64::from(*w));
        }
        device.check("a test", &[to, from], &[])?;
        let weight = Value::linear(weight, from, to, device);
        for &count in rows {
            let x = random(count * from, 3);
            let found = bare::product(&sent(x.clone(), &[1, count, from], device)?, &weight)?.read_f32()?;
            // The size of such a sum: the mean square of the numbers in x and W is a third.
            let size = ((from * to) as f64).sqrt() / 3.0;
            cases.extend(x.chunks_exact(from).zip(found.chunks_exact(to)).enumerate().map(|(row, (x, found))| {
                let what = format!("row {row} of [{count}, {from}] x [{from}, {to}]");
                Case::close(what, dot(found, &signs) as f32, dot(x, &of_weight), size)
            }));
        }
    }
    Ok(cases)
}

/// Causal attention with so many heads over so many tokens. All rows of a pattern are summed, and all masked scores and
/// their shares looked at; some queries of each head are compared with the same in 64 bits.
fn attention(sizes: &[(usize, usize)], scale: f64, device: &Device) -> Result<Vec<Case>> {
    const WIDTH: usize = 64;
    let mut cases = Vec::new();
    for &(heads, length) in sizes {
        let data: Vec<Vec<f32>> = (4..7).map(|seed| random(length * heads * WIDTH, seed)).collect();
        let shape = [1, length, heads, WIDTH];
        let [q, k, v] = [0, 1, 2].map(|i| sent(data[i].clone(), &shape, device));
        let Attention { scores, pattern, mixed } = bare::causal_attention(&q?, &k?, &v?, scale)?;
        let (scores, pattern, mixed) = (scores.read_f32()?, pattern.read_f32()?, mixed.read_f32()?);
        let line = |i: usize, token: usize, head: usize| &data[i][(token * heads + head) * WIDTH..][..WIDTH];
        for head in 0..heads {
            let rows = (head * length..(head + 1) * length).enumerate();
            for (query, row) in rows {
                let (scores, pattern) = (&scores[row * length..][..length], &pattern[row * length..][..length]);
                let at = |what: &str| format!("{what} of head {head}, query {query}, {length} tokens");
                let sum: f64 = pattern.iter().map(|x| f64::from(*x)).sum();
                cases.push(Case::close(at("the sum of the pattern"), sum as f32, 1.0, 1.0));
                let unmasked = |from: &[f32], hidden: f32| from[query + 1..].iter().find(|x| **x != hidden).copied();
                if let Some(wrong) = unmasked(scores, f32::NEG_INFINITY) {
                    cases.push(Case::exact(at("a masked score"), wrong, f32::NEG_INFINITY));
                }
                if let Some(wrong) = unmasked(pattern, 0.0) {
                    cases.push(Case::exact(at("a masked part of the pattern"), wrong, 0.0));
                }
                if ![0, 1, length / 2, length - 2, length - 1].contains(&query) {
                    continue;
                }
                let q: Vec<f64> = line(0, query, head).iter().map(|x| f64::from(*x)).collect();
                let exact: Vec<f64> = (0..=query).map(|key| dot(line(1, key, head), &q) * scale).collect();
                let most = exact.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = exact.iter().map(|score| (score - most).exp()).collect();
                let total: f64 = weights.iter().sum();
                let size = 8.0 * scale / 3.0;
                for key in 0..=query {
                    cases.push(Case::close(at("a score"), scores[key], exact[key], size));
                    cases.push(Case::close(at("the pattern"), pattern[key], weights[key] / total, 1.0));
                }
                let found = &mixed[(query * heads + head) * WIDTH..][..WIDTH];
                for (feature, found) in found.iter().enumerate() {
                    let wanted: f64 =
                        weights.iter().enumerate().map(|(key, w)| w * f64::from(line(2, key, head)[feature])).sum();
                    cases.push(Case::close(at("a mixed value"), *found, wanted / total, 1.0));
                }
            }
        }
    }
    Ok(cases)
}
