//! What `diagnose` measures: weights, values, attention, neurons, prediction. Rules judge it; nothing here does.

use std::collections::HashMap;

use super::activations::silent;
use super::attention::{Scored, of_session};
use crate::debugger::{Mark, RunError, Session};
use crate::program::{Kernel, Part};
use crate::tensor::ops::Slice;
use crate::tensor::{Kind, step};

#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub rule: &'static str,
    /// Where: a weight, a site, a head.
    pub at: String,
    pub value: f64,
}

/// A massive activation is at least this large, whatever the median.
const MASSIVE: f64 = 100.0;

/// Queries that a score of attention needs to mean anything.
const QUERIES: usize = 6;

pub(super) fn measured(rule: &'static str, at: impl Into<String>, value: f64) -> Measured {
    Measured { rule, at: at.into(), value }
}

/// Every weight of the current branch.
pub fn weights(session: &Session) -> Result<Vec<Measured>, RunError> {
    let weights = session.run.branch().weights();
    let ids = weights.ids();
    let mut found = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        step(&id.to_string(), number as u64, ids.len() as u64)?;
        let Some(summary) = weights.summary(*id)? else { continue };
        found.push(measured("weight-nonfinite", id.to_string(), (summary.count - finite(&summary)) as f64));
        if weights.shape(*id).is_some_and(|shape| shape.len() > 1) {
            found.push(measured("weight-zero", id.to_string(), summary.zeros as f64 / summary.count.max(1) as f64));
        }
    }
    Ok(found)
}

fn finite(summary: &crate::tensor::Summary) -> u64 {
    summary.count - summary.nan - summary.pos_inf - summary.neg_inf
}

/// Every value of the complete current pass, in the focused row.
pub fn values(session: &mut Session) -> Result<Vec<Measured>, RunError> {
    let program = session.run.program.clone();
    let (pass, row) = (session.run.pass, session.focus.row);
    let starts = session.run.branch().span(pass).start == 0;
    let mut found = Vec::new();
    let mut bad = false;
    let mut norms: HashMap<(usize, Part), f64> = HashMap::new();
    for (number, op) in program.ops.iter().enumerate() {
        step(&op.site, number as u64, program.ops.len() as u64)?;
        let value = session.run.value_at(Mark { pass, op: number })?;
        if value.kind() != Kind::Float {
            continue;
        }
        let value = value.slice(&[Slice::At(row)])?;
        let summary = value.summary()?;
        // Masks are minus infinity in scores, and nowhere else.
        let masked = if matches!(op.kernel, Kernel::Scores { .. }) { summary.neg_inf } else { 0 };
        let wrong = summary.count - finite(&summary) - masked;
        if !bad {
            found.push(measured("nonfinite", &op.site, wrong as f64));
            bad = wrong > 0;
        }
        if wrong > 0 {
            // Its other numbers follow from what is wrong.
            continue;
        }
        found.push(measured("overflow", &op.site, summary.absmax));
        if let (Some(layer), Some(part), true) = (op.layer, op.part, op.is_stream()) {
            found.push(measured("vanished", &op.site, summary.absmax));
            let mut magnitudes = value.read_f64()?;
            norms.extend(usual_norm(&magnitudes, op.width, starts).map(|norm| ((layer, part), norm)));
            magnitudes.iter_mut().for_each(|x| *x = x.abs());
            magnitudes.sort_by(f64::total_cmp);
            let median = magnitudes.get(magnitudes.len() / 2).copied().unwrap_or(0.0);
            if summary.absmax > MASSIVE && median > 0.0 {
                found.push(measured("massive", &op.site, summary.absmax / median));
            }
        }
        if op.part == Some(Part::MlpPost) {
            found.push(measured("neurons-dead", &op.site, silent(&value.read_f64()?, op.width)));
        }
    }
    for layer in 1..program.n_layers() {
        let norm = |part: Part| norms.get(&(layer, part));
        if let (Some(before), Some(after)) = (norm(Part::ResidPre).filter(|norm| **norm > 0.0), norm(Part::ResidPost)) {
            found.push(measured("growth", Part::ResidPost.site(layer), after / before));
        }
    }
    Ok(found)
}

/// The median norm over positions. The first token of a text has massive activations in every healthy model of many families, so it is
/// left out; `None` if there is no other.
fn usual_norm(data: &[f64], width: usize, starts: bool) -> Option<f64> {
    let rows = data.chunks(width.max(1)).skip(usize::from(starts));
    let mut norms: Vec<f64> = rows.map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt()).collect();
    norms.sort_by(f64::total_cmp);
    norms.get(norms.len() / 2).copied()
}

/// Every head of the current pass, in the focused row; empty if the text is too short to tell.
pub fn attention(session: &mut Session) -> Result<Vec<Measured>, RunError> {
    if session.run.branch().span(session.run.pass).len() < QUERIES {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for Scored { layer, head, scores } in of_session(session, &[], None)? {
        found.push(measured("head-uniform", format!("L{layer}H{head}"), scores.entropy));
        found.push(measured("head-concentrated", format!("L{layer}H{head}"), scores.largest));
    }
    Ok(found)
}

/// How flat the prediction at the focused position is: its entropy as a part of that of guessing. `None` if the model
/// predicts no tokens.
pub fn prediction(session: &mut Session) -> Result<Option<Measured>, RunError> {
    let program = session.run.program.clone();
    let logits = program.op_of("logits").filter(|&op| matches!(program.ops[op].kernel, Kernel::Unembed { .. }));
    let Some(op) = logits else { return Ok(None) };
    let (pass, at) = session.run.branch().column(session.focus_pos());
    let logits = session.run.value_at(Mark { pass, op })?.slice(&[Slice::At(session.focus.row), Slice::At(at)])?;
    let logprobs = logits.log_softmax(0)?.read_f64()?;
    let entropy: f64 = -logprobs.iter().filter(|x| x.is_finite()).map(|x| x.exp() * x).sum::<f64>();
    Ok(Some(measured("prediction-flat", "logits", entropy / (logprobs.len() as f64).ln())))
}
