//! Neurons: which count most for a number, and what feeds them.

use crate::debugger::{Result, Session};
use crate::lang::{Expr, parse_expr};
use crate::program::{Op, Part};
use crate::tensor::ops::Slice;
use crate::tensor::{Value, step};

const FEEDERS: usize = 3;

#[derive(Clone, Debug, PartialEq)]
pub struct Neuron {
    pub site: String,
    pub pos: usize,
    pub index: usize,
    pub value: f64,
    /// What the number gains for it.
    pub slope: f64,
    /// `value * slope`.
    pub counts: f64,
    pub fed: Vec<Fed>,
}

/// What a part of the model gives to a neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct Fed {
    pub site: String,
    /// Its relevance for the neuron by the rules of AttnLRP.
    pub share: f64,
}

/// The `count` neurons of the focused row, over all blocks and positions, for which `|n dF/dn|` is largest, and for
/// each what earlier parts add to the residual stream that is most relevant to it: by the rules of AttnLRP, since after
/// a norm plain gradients times values of all parts add up to nothing. The gradients at hand afterwards are those of
/// the number.
///
/// # Errors
/// If the model has no dense MLP, the number has no gradient, or there is a mixture of experts before a neuron.
pub fn neurons(session: &mut Session, expr: &Expr, text: &str, count: usize) -> Result<Vec<Neuron>> {
    let program = session.run.program.clone();
    let row = session.focus.row;
    let start = session.run.branch().span(session.run.pass).start;
    let part = |value: Value| value.slice(&[Slice::At(row)])?.read_f64();
    session.backward(expr, text)?;
    let mut found = Vec::new();
    for op in (0..program.ops.len()).filter(|&op| program.ops[op].part == Some(Part::MlpPost)) {
        let value = session.run.value(op)?;
        let width = value.shape().last().copied().unwrap_or(1);
        let values = part(value)?;
        let slopes = part(session.gradient(op)?)?;
        for (i, (value, slope)) in values.iter().zip(&slopes).enumerate() {
            let (site, pos, index) = (program.ops[op].site.clone(), start + i / width, i % width);
            let (value, slope, counts) = (*value, *slope, value * slope);
            found.push(Neuron { site, pos, index, value, slope, counts, fed: Vec::new() });
        }
    }
    if found.is_empty() {
        return Err("this model has no dense MLP, whose neurons could be ranked".into());
    }
    found.sort_by(|a, b| b.counts.abs().total_cmp(&a.counts.abs()));
    found.truncate(count);
    let total = found.len() as u64;
    for (number, neuron) in found.iter_mut().enumerate() {
        step("neurons", number as u64, total)?;
        let name = format!("{}[pos={}, neuron={}]", neuron.site, neuron.pos - start, neuron.index);
        let own = parse_expr(&name, 0)?;
        let end = program.op_of(&neuron.site).unwrap_or(0);
        let parts: Vec<usize> = (0..end).filter(|&op| adds_to_stream(&program.ops[op])).collect();
        let shares = session.relevance(&own, &parts, row)?;
        let of = |(&op, share): (&usize, f64)| Fed { site: program.ops[op].site.clone(), share };
        neuron.fed = parts.iter().zip(shares).map(of).collect();
        neuron.fed.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
        neuron.fed.truncate(FEEDERS);
    }
    Ok(found)
}

fn adds_to_stream(op: &Op) -> bool {
    matches!(op.part, Some(Part::AttnOutput | Part::CrossOutput | Part::MlpOutput))
        || matches!(op.site.as_str(), "embed" | "pos_embed")
}
