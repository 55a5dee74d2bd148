//! `backward`: the gradient of one number at every site of a pass.
//!
//! The pass is gone through backwards, one op at a time: what an op's output is worth is pulled back to its inputs.
//! Only the tape of one op is held, whatever the size of the model; values come from the recording, or are computed
//! again. Edits are part of the function: what an assignment has replaced no longer counts.

mod at_once;
mod one;
mod walk;

use std::collections::HashMap;

use super::{Branch, Error, Mark, Result, Run, RunScope, Session};
use crate::lang::ast::ExprKind;
use crate::lang::eval::{Datum, evaluate, sites_used};
use crate::lang::{Expr, LangError};
use crate::model::role::WeightId;
use crate::program::{After, OpGradients, Program, Rule, execute};
use crate::tensor::ops::Slice;
use crate::tensor::{Kind, TensorError, Value, step};

pub use one::Share;
pub use walk::Walk;

#[derive(Clone)]
pub struct Gradients {
    pub target: String,
    pub value: f64,
    pub pass: usize,
    /// Whether attention read the key/value cache of earlier passes, beyond which nothing is followed.
    pub cut: bool,
    branch: usize,
    revision: u64,
    /// For all rows.
    values: OpGradients,
    /// Gradients from this op on are whole; those before still lack what ops not pulled back yet will add.
    reached: usize,
    /// Whether it is gone through step by step.
    walked: bool,
    rule: Rule,
}

impl Gradients {
    /// The op whose gradient has become whole last.
    pub fn at(&self) -> usize {
        self.reached
    }
}

/// The ops that an expression reads in the current pass.
pub fn ops_of(session: &Session, expr: &Expr) -> Vec<usize> {
    let program = &session.run.program;
    let mut found: Vec<usize> = sites_used(expr, &*session.run.names, session.block())
        .iter()
        .filter_map(|site| program.source_of(site))
        .collect();
    let cursor = session.run.cursor.checked_sub(1).filter(|op| uses_cursor(expr) && !found.contains(op));
    found.extend(cursor);
    found
}

/// Whether an expression reads the value that was just computed.
pub(super) fn uses_cursor(expr: &Expr) -> bool {
    let mut uses = false;
    expr.walk(&mut |part| uses |= matches!(part.kind, ExprKind::Cursor));
    uses
}

/// The number that an expression is, connected to the values `given` for ops, for all rows of them; of row `row` of
/// those.
///
/// # Errors
/// If it is not a single number, or does not depend on any of them.
pub fn number_of(
    session: &mut Session,
    expr: &Expr,
    given: &HashMap<usize, Value>,
    row: usize,
) -> Result<Value, LangError> {
    let datum = evaluate(expr, &mut RunScope::tracked(session, given.clone(), row))?;
    match datum {
        Datum::Tensor(value) if value.count() != 1 => {
            let message = format!("a gradient is taken of one number, found shape {}", value.shape_text());
            Err(LangError::new(message, expr.span).help("take an element of it, or sum(...)"))
        }
        Datum::Tensor(value) if value.kind() == Kind::Float && value.is_tracked() => Ok(value),
        Datum::Str(_) | Datum::Void => {
            Err(LangError::new(format!("expected a number, found {}", datum.described()), expr.span))
        }
        _ => Err(LangError::new("this does not depend on any value of the pass", expr.span)
            .help("logit(\" Mary\") - logit(\" John\"), loss, sum(L2.resid_post[pos=-1])")),
    }
}

impl Session {
    /// Takes the gradient of an expression over the current pass at all of its sites.
    ///
    /// # Errors
    /// If the expression is not a number that has a gradient, asks for what has not been computed, or the device fails.
    pub fn backward(&mut self, expr: &Expr, text: &str) -> Result<&Gradients> {
        let mut found = self.begin_backward(expr, text)?;
        let last = found.reached;
        while found.reached > 0 {
            let site = &self.run.program.ops[found.reached].site;
            step(site, (last - found.reached) as u64, last as u64)?;
            pull_one(&mut self.run, &mut found)?;
        }
        Ok(self.gradients.insert(found))
    }

    /// What of a number each op in the list is worth by the rules of AttnLRP: `sum(x r)` over a row, where `r` is what
    /// is pulled back.
    ///
    /// # Errors
    /// As [`backward`](Session::backward), and if there is no rule for an op on the way.
    pub fn relevance(&mut self, expr: &Expr, ops: &[usize], row: usize) -> Result<Vec<f64>> {
        let mut found = self.begin_backward(expr, "")?;
        found.rule = Rule::Relevance;
        let first = ops.iter().copied().min().unwrap_or(0);
        while found.reached > first {
            pull_one(&mut self.run, &mut found)?;
        }
        let mut shares = Vec::with_capacity(ops.len());
        for &op in ops {
            let part = |value: &Value| value.slice(&[Slice::At(row)])?.read_f64();
            shares.push(match found.values.get(op) {
                Some(pulled) => {
                    let value = part(&self.run.value_at(Mark { pass: found.pass, op })?)?;
                    value.iter().zip(part(pulled)?).map(|(x, r)| x * r).sum()
                }
                None => 0.0,
            });
        }
        Ok(shares)
    }

    /// The gradients at what an expression reads, before anything is pulled back.
    pub(super) fn begin_backward(&mut self, expr: &Expr, text: &str) -> Result<Gradients> {
        let pass = self.run.pass;
        let ops = ops_of(self, expr);
        let mut given = HashMap::new();
        for &op in &ops {
            given.insert(op, self.run.value_at(Mark { pass, op })?.held()?.leaf());
        }
        let number = number_of(self, expr, &given, self.focus.row)?;
        let value = number.untracked().read_scalar()?;
        let one = Value::from_f32(vec![1.0], &[1], &number.device());
        let pulled = number.pull(&one).ok_or("nothing to follow back")?;
        let values = given.iter().filter_map(|(&op, leaf)| Some((op, pulled.at(leaf)?))).collect();
        let reached = ops.iter().copied().max().unwrap_or(0);
        let (branch, revision) = (self.run.current, self.run.revision());
        let (target, cut, walked, rule) = (text.to_string(), false, false, Rule::Gradient);
        Ok(Gradients { target, value, pass, cut, branch, revision, values, reached, walked, rule })
    }

    pub fn gradients(&self) -> Result<&Gradients> {
        let Some(gradients) = &self.gradients else {
            return Err("there are no gradients yet; \"backward EXPR\" takes them".into());
        };
        let now = (self.run.current, self.run.pass, self.run.revision());
        if now != (gradients.branch, gradients.pass, gradients.revision) {
            let target = &gradients.target;
            return Err(Error::refused(format!(
                "the gradients at hand are those of {target} in another branch or pass, or before an edit; \
                 \"backward {target}\" takes them again"
            )));
        }
        Ok(gradients)
    }

    /// The gradient at the output of an op, for all rows; zero where the number does not depend on it.
    ///
    /// # Errors
    /// If there are no gradients, or the site holds whole numbers.
    pub fn gradient(&mut self, op: usize) -> Result<Value> {
        let gradients = self.gradients()?;
        if op < gradients.reached {
            let ops = &self.run.program.ops;
            let (site, at) = (&ops[op].site, &ops[gradients.reached].site);
            return Err(Error::refused(format!(
                "the backward pass has not come to {site} yet: it is at {at}; step or continue"
            )));
        }
        if let Some(found) = gradients.values.get(op) {
            return Ok(found.clone());
        }
        let value = self.run.peek(op)?;
        match value.kind() {
            Kind::Float => Ok(value.full_like(0.0).with_origin(value.origin().map(<[usize]>::to_vec))),
            _ => {
                let site = &self.run.program.ops[op].site;
                Err(Error::refused(format!("{site} holds whole numbers, which have no gradient")))
            }
        }
    }

    /// The gradient at a weight, in its own layout.
    pub fn weight_gradient(&mut self, id: WeightId) -> Result<Value> {
        self.gradients()?;
        let Session { run, gradients: Some(gradients), .. } = self else {
            return Err("there are no gradients yet".into());
        };
        let (program, current) = (run.program.clone(), run.current);
        let mut sum = OpGradients::default();
        for op in (0..program.ops.len()).filter(|&op| program.ops[op].weights.contains(&id)) {
            if op < gradients.reached {
                let (site, at) = (&program.ops[op].site, &program.ops[gradients.reached].site);
                return Err(Error::refused(format!(
                    "the backward pass has not come to {site}, which reads {id}: it is at {at}"
                )));
            }
            let Some(seed) = gradients.values.get(op) else { continue };
            let at = Mark { pass: gradients.pass, op };
            if let Some(found) = run.branches[current].pull_weight(&program, at, id, seed)? {
                sum.add(0, found)?;
            }
        }
        if let Some(sum) = sum.take(0) {
            return Ok(sum);
        }
        Ok(run.branch().weights().value(id)?.full_like(0.0))
    }
}

/// Pulls the gradient that became whole last back to what its op read; the op before it is whole then.
fn pull_one(run: &mut Run, found: &mut Gradients) -> Result<()> {
    let at = Mark { pass: found.pass, op: found.reached };
    if found.values.get(at.op).is_some() {
        let branch = &mut run.branches[run.current];
        found.cut |= branch.pull_back(&run.program, at, found.rule, &mut found.values)?;
    }
    found.reached = at.op.saturating_sub(1);
    Ok(())
}

impl Branch {
    /// Pulls the gradient at an op back to the ops that it reads. Returns whether part of it went to earlier passes, by
    /// the key/value cache, and was dropped.
    fn pull_back(&mut self, program: &Program, at: Mark, rule: Rule, pulled: &mut OpGradients) -> Result<bool> {
        let at = self.home(at);
        let inputs = self.inputs(program, at)?;
        let span = self.span(at.pass);
        let after = |value: Value| self.edited(at, value.beginning_at(span.start));
        let after = self.is_edited(at).then_some(&after as After<'_>);
        let cached = &program.ops[at.op].cached;
        let mut cut = program.ops[at.op].carried.is_some() && at.pass > 0;
        self.replay(program, at.pass).pull(at.op, &inputs, after, rule, pulled, |input, mut gradient| {
            if cached.contains(&input) && span.start > 0 {
                cut = true;
                let own = Slice::Range { start: span.start, end: span.end, step: 1 };
                gradient = gradient.slice(&[Slice::All, own])?;
            }
            Ok(Some(gradient.with_axes(&program.ops[input].axes).beginning_at(span.start)))
        })?;
        Ok(cut)
    }

    /// The same for one weight of an op; none if the output does not depend on it.
    fn pull_weight(
        &mut self,
        program: &Program,
        at: Mark,
        id: WeightId,
        seed: &Value,
    ) -> Result<Option<Value>, TensorError> {
        let at = self.home(at);
        let op = &program.ops[at.op];
        let inputs = self.inputs(program, at)?;
        let Some(weight) = self.weights().whole(id)? else { return Ok(None) };
        let leaf = weight.leaf();
        let weights = self.weights().standing_in(id, &leaf);
        let value = execute(op, &inputs, &weights, self.context(at.pass))?;
        let out = self.edited(at, value.beginning_at(self.span(at.pass).start))?;
        Ok(out.pull(seed).and_then(|pulled| pulled.at(&leaf)))
    }
}
