//! How well dictionaries rebuild the values of a text, and what the model loses with what they rebuild in their place.
//!
//! The numbers are those of SAELens' evaluations: L0, the share of the variance that is explained
//! `1 - sum |x - y|^2 / sum |x - mean x|^2`, the mean cosine, and the loss of the model as it is, with the site
//! rebuilt, and with zeros in its place.

use std::collections::HashMap;
use std::sync::Arc;

use crate::debugger::{Error, Result, Session};
use crate::model::Input;
use crate::model::dictionary::{Dictionary, Stage};
use crate::program::{Keep, Made, Replay, Values};
use crate::tensor::ops::Slice;
use crate::tensor::{Value, step};

/// How well a dictionary fits a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Positions that count: real tokens that are not special ones.
    pub positions: usize,
    /// Features that are active at a position, on average.
    pub l0: f64,
    /// Features that are active anywhere.
    pub alive: usize,
    /// The share of the variance that is explained; `None` of fewer than two positions, or without any variance.
    pub explained: Option<f64>,
    pub cosine: f64,
    /// `None` for models that predict no next token, and for texts of one token.
    pub losses: Option<Losses>,
}

/// The mean loss over the text, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    pub clean: f64,
    /// With what is rebuilt in the place of the site.
    pub rebuilt: f64,
    /// With zeros in its place.
    pub zero: f64,
}

impl Losses {
    /// What of the loss that zeros cost is not lost: 1 if rebuilding costs nothing.
    pub fn recovered(&self) -> f64 {
        (self.zero - self.rebuilt) / (self.zero - self.clean)
    }
}

/// The values of one dictionary in a pass.
#[derive(Default)]
struct Seen {
    wanted: Option<Value>,
    recon: Option<Value>,
    acts: Option<Value>,
}

/// How well each of some dictionaries fits the prompt of the current branch, with the weights as they are edited and
/// without edits of values.
///
/// # Errors
/// If the device fails, or the user interrupts.
pub fn fits(session: &Session, dictionaries: &[Arc<Dictionary>]) -> Result<Vec<Fit>> {
    let run = &session.run;
    let input = run.branch().prompt();
    let program = &run.program;
    let op = |one: &Dictionary, stage: Stage| {
        program.op_of(&one.site(stage)).ok_or_else(|| Error::refused(format!("{} is not loaded", one.name)))
    };
    let logits = program.op_of("logits").filter(|_| run.generates());
    let mut seen: Vec<Seen> = dictionaries.iter().map(|_| Seen::default()).collect();
    // Which value of which dictionary an op gives.
    let mut of_op: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
    for (number, one) in dictionaries.iter().enumerate() {
        let out = &program.ops[op(one, Stage::Out)?];
        let wanted = if one.coding().transcodes { out.inputs[0] } else { op(one, Stage::In)? };
        for (at, part) in [(wanted, 0), (op(one, Stage::Recon)?, 1), (op(one, Stage::Acts)?, 2)] {
            of_op.entry(at).or_default().push((number, part));
        }
    }
    let mut clean = None;
    pass(session, &input, &mut |op, value| {
        for &(number, part) in of_op.get(&op).into_iter().flatten() {
            let seen = &mut seen[number];
            *[&mut seen.wanted, &mut seen.recon, &mut seen.acts][part] = Some(value.clone());
        }
        if logits == Some(op) {
            clean = loss(&value, &input)?;
        }
        Ok(value)
    })?;
    let counted = counted(session, &input);
    let mut all = Vec::new();
    for (number, (one, seen)) in dictionaries.iter().zip(&seen).enumerate() {
        step("judging dictionaries", number as u64, dictionaries.len() as u64)?;
        let mut fit = measured(seen, &counted)?;
        if let (Some(clean), Some(logits)) = (clean, logits) {
            let (out, recon) = (op(one, Stage::Out)?, op(one, Stage::Recon)?);
            let with = |instead: &dyn Fn(&Value, &Value) -> Result<Value>| -> Result<Option<f64>> {
                let (mut rebuilt, mut found) = (None, None);
                pass(session, &input, &mut |op, value| {
                    if op == recon {
                        rebuilt = Some(value.clone());
                    }
                    if op == logits {
                        found = loss(&value, &input)?;
                    }
                    match (&rebuilt, op == out) {
                        (Some(rebuilt), true) => instead(&value, rebuilt),
                        _ => Ok(value),
                    }
                })?;
                Ok(found)
            };
            let like = |value: &Value, other: Value| other.with_axes(value.axes()).held_like(value);
            let rebuilt = with(&|value, rebuilt| Ok(like(value, rebuilt.reshape(value.shape())?)))?;
            let zero = with(&|value, _| Ok(like(value, value.full_like(0.0))))?;
            fit.losses = rebuilt.zip(zero).map(|(rebuilt, zero)| Losses { clean, rebuilt, zero });
        }
        all.push(fit);
    }
    Ok(all)
}

type See<'a> = &'a mut dyn FnMut(usize, Value) -> Result<Value>;

/// The pass over an input, whose values `made` sees and may replace.
fn pass(session: &Session, input: &Input, made: See<'_>) -> Result<()> {
    let run = &session.run;
    let context = run.context_of(input);
    let replay = Replay { program: &run.program, weights: run.branch().weights(), context: &context };
    let ops = 0..run.program.ops.len();
    replay.run(ops, Values::new(), Keep::Read, &mut Made(made))?;
    Ok(())
}

/// Which positions of which rows count, row after row.
fn counted(session: &Session, input: &Input) -> Vec<bool> {
    let special = &session.run.model.special;
    let is_special = |id: u32| {
        let few = [special.bos, special.pad, special.cls, special.sep, special.mask];
        few.contains(&Some(id)) || special.eos.contains(&id)
    };
    let rows = input.rows.iter();
    rows.flat_map(|row| row.ids.iter().zip(&row.mask).map(|(id, real)| *real && !is_special(*id))).collect()
}

fn measured(seen: &Seen, counted: &[bool]) -> Result<Fit> {
    let missing = || Error::refused("the pass has not come to the dictionary");
    let (wanted, recon, acts) = (
        seen.wanted.as_ref().ok_or_else(missing)?,
        seen.recon.as_ref().ok_or_else(missing)?,
        seen.acts.as_ref().ok_or_else(missing)?,
    );
    let (width, features) = (recon.shape()[2].max(1), acts.shape()[2].max(1));
    let (x, y, acts) = (wanted.read_f32()?, recon.read_f32()?, acts.read_f32()?);
    let here: Vec<usize> = (0..counted.len()).filter(|at| counted[*at]).collect();
    let count = here.len();
    let line = |data: &[f32], at: usize| -> Vec<f64> {
        data[at * width..(at + 1) * width].iter().map(|x| f64::from(*x)).collect()
    };
    let mut mean = vec![0.0; width];
    for &at in &here {
        mean.iter_mut().zip(line(&x, at)).for_each(|(mean, x)| *mean += x / count as f64);
    }
    let (mut left, mut all, mut cosines, mut active) = (0.0, 0.0, 0.0, 0usize);
    let mut alive = vec![false; features];
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for &at in &here {
        let (x, y) = (line(&x, at), line(&y, at));
        left += square(&x, &y);
        all += square(&x, &mean);
        cosines += product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt();
        for (feature, _) in
            acts[at * features..(at + 1) * features].iter().enumerate().filter(|(_, value)| **value != 0.0)
        {
            active += 1;
            alive[feature] = true;
        }
    }
    Ok(Fit {
        positions: count,
        l0: active as f64 / count.max(1) as f64,
        alive: alive.iter().filter(|alive| **alive).count(),
        explained: (count > 1 && all > 0.0).then(|| 1.0 - left / all),
        cosine: cosines / count.max(1) as f64,
        losses: None,
    })
}

/// The mean loss of logits `[B, T, V]` over the tokens that follow; `None` without any.
fn loss(logits: &Value, input: &Input) -> Result<Option<f64>> {
    let (mut sum, mut count) = (0.0, 0usize);
    for (number, row) in input.rows.iter().enumerate() {
        let real: Vec<usize> = (0..row.ids.len()).filter(|&column| row.mask[column]).collect();
        let mut next = real.iter().zip(real.iter().skip(1)).map(|(at, next)| (*at, row.ids[*next])).peekable();
        let logprobs = logits.slice(&[Slice::At(number)])?.log_softmax(1)?;
        logprobs.for_blocks(|_, rows, block| {
            while let Some((at, id)) = next.next_if(|(at, _)| rows.contains(at)) {
                let place = [Slice::At(at - rows.start), Slice::At(id as usize)];
                sum -= block.slice(&place)?.read_scalar()?;
                count += 1;
            }
            Ok(())
        })?;
    }
    Ok((count > 0).then(|| sum / count as f64))
}
