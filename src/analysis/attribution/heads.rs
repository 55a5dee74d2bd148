//! Attention heads: what each counts for a number, by its gradient and by taking it out; and attention followed through
//! all blocks.

use super::Probe;
use crate::analysis::{attention_everywhere, ops_in_blocks};
use crate::debugger::{Result, Session};
use crate::lang::Expr;
use crate::program::Part;
use crate::tensor::step;

#[derive(Clone, Debug, PartialEq)]
pub struct HeadScore {
    pub layer: usize,
    pub head: usize,
    /// `sum(z * dF/dz)`: what taking it out would change the number by, were the number linear (Michel, Levy and Neubig
    /// 2019, with its sign).
    pub by_gradient: f64,
    /// `F - F(z = 0)`: what it does change.
    pub by_ablation: f64,
    /// `sum(|A * dF/dA|)` of its pattern.
    pub of_pattern: f64,
}

/// Every head of every block whose output the number depends on.
pub fn heads(session: &mut Session, expr: &Expr) -> Result<Vec<HeadScore>> {
    let program = session.run.program.clone();
    let with_pattern = |(layer, z)| Some((layer, z, program.block_op(layer, Part::Pattern)?));
    let layers: Vec<(usize, usize, usize)> = ops_in_blocks(&program, Part::Z).filter_map(with_pattern).collect();
    let mut found = Vec::new();
    for (number, (layer, z, pattern)) in layers.iter().enumerate() {
        step("heads", number as u64, layers.len() as u64)?;
        // A block that comes after what was asked for counts for nothing.
        let Some(mut probe) = Probe::if_dependent(session, expr, *z)? else { continue };
        let shape = probe.base(*z)?.shape().to_vec();
        let (heads, width) = (shape[2], shape[3]);
        let of_head = |i: usize| i / width % heads;
        let here = probe.here()?;
        let mut points = vec![here.clone()];
        let without = |head| here.iter().enumerate().map(|(i, x)| if of_head(i) == head { 0.0 } else { *x }).collect();
        points.extend((0..heads).map(without));
        let numbers = probe.numbers(&points)?;
        let point = probe.gradients(&[here], *z)?.remove(0);
        let mut by_gradient = vec![0.0; heads];
        for (i, (x, g)) in point.value.iter().zip(&point.gradient).enumerate() {
            by_gradient[of_head(i)] += f64::from(*x) * f64::from(*g);
        }
        let mut probe = Probe::new(session, expr, *pattern)?;
        let here = probe.here()?;
        let point = probe.gradients(&[here], *pattern)?.remove(0);
        let each = point.value.len() / heads;
        for head in 0..heads {
            let part = head * each..(head + 1) * each;
            let products = point.value[part.clone()].iter().zip(&point.gradient[part]);
            found.push(HeadScore {
                layer: *layer,
                head,
                by_gradient: by_gradient[head],
                by_ablation: numbers[0] - numbers[1 + head],
                of_pattern: products.map(|(a, g)| (f64::from(*a) * f64::from(*g)).abs()).sum(),
            });
        }
    }
    match found.is_empty() {
        true => Err("the number does not depend on any attention head".into()),
        false => Ok(found),
    }
}

/// Attention weighted by its gradient and followed through all blocks: `R <- R + mean_h(max(A dF/dA, 0)) R` from the
/// identity (Chefer, Gur and Wolf 2021, "Generic Attention-model Explainability", for self-attention). For the focused
/// row, `[T, T]` in row-major order, and `T`.
pub fn attention_gradient(session: &mut Session, expr: &Expr) -> Result<(Vec<f64>, usize)> {
    attention_everywhere(&session.run.model.spec, "following attention through all blocks")?;
    let program = session.run.program.clone();
    let mut flow: Option<(Vec<f64>, usize)> = None;
    for (layer, op) in ops_in_blocks(&program, Part::Pattern) {
        step("attention", layer as u64, program.n_layers() as u64)?;
        let Some(mut probe) = Probe::if_dependent(session, expr, op)? else { continue };
        let shape = probe.base(op)?.shape().to_vec(); // [1, H, T, T]
        let (heads, t) = (shape[1], shape[2]);
        let here = probe.here()?;
        let point = probe.gradients(&[here], op)?.remove(0);
        let weighted = |head: usize, i: usize| {
            let at = head * t * t + i;
            (f64::from(point.value[at]) * f64::from(point.gradient[at])).max(0.0)
        };
        let mean: Vec<f64> =
            (0..t * t).map(|i| (0..heads).map(|head| weighted(head, i)).sum::<f64>() / heads as f64).collect();
        let identity = || (0..t * t).map(|i| if i / t == i % t { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
        let before = flow.take().map_or_else(identity, |(flow, _)| flow);
        let added = |i: usize| (0..t).map(|k| mean[i / t * t + k] * before[k * t + i % t]).sum::<f64>();
        flow = Some(((0..t * t).map(|i| before[i] + added(i)).collect(), t));
    }
    flow.ok_or_else(|| "the number does not depend on any attention".into())
}

/// Attention rollout: the product over blocks of `(mean over heads of A + 1) / 2`, how much of each position's input
/// reaches each position (Abnar and Zuidema 2020). For the focused row, `[T, T]` in row-major order, and `T`.
pub fn rollout(session: &mut Session) -> Result<(Vec<f64>, usize)> {
    attention_everywhere(&session.run.model.spec, "attention rollout")?;
    let program = session.run.program.clone();
    let pass = session.prompt_pass()?;
    let mut product: Option<(Vec<f64>, usize)> = None;
    for (_, op) in ops_in_blocks(&program, Part::Pattern) {
        let pattern = pass.value(&mut session.run, op)?; // [1, H, T, T]
        let (heads, t) = (pattern.shape()[1], pattern.shape()[2]);
        let data = pattern.read_f64()?;
        let mixed = |i: usize| {
            let mean = (0..heads).map(|head| data[head * t * t + i]).sum::<f64>() / heads as f64;
            0.5 * mean + if i / t == i % t { 0.5 } else { 0.0 }
        };
        let mut mixed: Vec<f64> = (0..t * t).map(mixed).collect();
        if let Some((before, _)) = product {
            let cell = |i: usize| (0..t).map(|k| mixed[i / t * t + k] * before[k * t + i % t]).sum();
            mixed = (0..t * t).map(cell).collect();
        }
        product = Some((mixed, t));
    }
    product.ok_or_else(|| "the model has no attention".into())
}
