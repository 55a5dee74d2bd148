//! Neurons: which count most for a number, and what feeds them.

use crate::debugger::{Error, Result, Session};
use crate::lang::{Expr, parse_expr};
use crate::tensor::ops::Slice;
use crate::tensor::step;

/// Feeders told of.
const FEEDERS: usize = 3;

/// One neuron at one position.
#[derive(Clone, Debug, PartialEq)]
pub struct Neuron {
    /// The site that holds it.
    pub site: String,
    /// Its position in the text.
    pub pos: usize,
    /// Its number.
    pub index: usize,
    /// What it is.
    pub value: f64,
    /// What the number gains for it.
    pub slope: f64,
    /// `value * slope`.
    pub counts: f64,
    /// What feeds it most.
    pub fed: Vec<Fed>,
}

/// What a part of the model gives to a neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct Fed {
    /// The part's output.
    pub site: String,
    /// Its relevance for the neuron by the rules of AttnLRP.
    pub share: f64,
}

/// The `count` neurons of the focused row, over all blocks and positions, for which `|n dF/dn|` is largest, and for each what earlier
/// parts add to the residual stream that is most relevant to it: by the rules of AttnLRP, since behind a norm plain gradients times
/// values of all parts add up to nothing. The gradients at hand afterwards are those of the number.
///
/// # Errors
/// If the model has no dense MLP, the number has no gradient, or a mixture of experts lies before a neuron.
pub fn neurons(session: &mut Session, expr: &Expr, text: &str, count: usize) -> Result<Vec<Neuron>> {
    let program = session.run.program.clone();
    let row = session.focus.row;
    session.backward(expr, text)?;
    let mut found = Vec::new();
    for op in (0..program.ops.len()).filter(|&op| program.ops[op].site.ends_with(".mlp.post")) {
        let part = |value: crate::tensor::Value| value.slice(&[Slice::At(row)])?.read_f64();
        let value = session.run.value(op)?;
        let width = value.shape().last().copied().unwrap_or(1);
        let start = session.run.branch().span(session.run.pass).start;
        let values = part(value)?;
        let slopes = part(session.gradient(op)?)?;
        for (i, (value, slope)) in values.iter().zip(&slopes).enumerate() {
            let (pos, index) = (start + i / width, i % width);
            let (value, slope, counts) = (*value, *slope, value * slope);
            found.push(Neuron {
                site: program.ops[op].site.clone(),
                pos,
                index,
                value,
                slope,
                counts,
                fed: Vec::new(),
            });
        }
    }
    if found.is_empty() {
        return Err(Error::Refused("this model has no dense MLP, whose neurons could be ranked".into()));
    }
    found.sort_by(|a, b| b.counts.abs().total_cmp(&a.counts.abs()));
    found.truncate(count);
    let start = session.run.branch().span(session.run.pass).start;
    for number in 0..found.len() {
        step("neurons", number as u64, found.len() as u64)?;
        let neuron = &found[number];
        let name = format!("{}[pos={}, neuron={}]", neuron.site, neuron.pos - start, neuron.index);
        let own = parse_expr(&name, 0)?;
        let end = program.op_of(&found[number].site).unwrap_or(0);
        let parts: Vec<usize> = (0..end).filter(|&op| adds_to_stream(&program.ops[op].site)).collect();
        let shares = session.relevance(&own, &parts, row)?;
        let of = |(&op, &share): (&usize, &f64)| Fed { site: program.ops[op].site.clone(), share };
        let mut fed: Vec<Fed> = parts.iter().zip(&shares).map(of).collect();
        fed.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
        fed.truncate(FEEDERS);
        found[number].fed = fed;
    }
    Ok(found)
}

fn adds_to_stream(site: &str) -> bool {
    site == "embed" || site == "pos_embed" || site.ends_with(".attn.out") || site.ends_with(".mlp.out")
}
