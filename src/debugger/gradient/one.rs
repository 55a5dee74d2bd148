//! One step backwards from one position: what a share of an op's output there is worth at what the op reads.

use super::ops_of;
use crate::debugger::{Branch, Mark, Result, Session};
use crate::lang::Expr;
use crate::program::{After, Along, Kernel, Op, Program, Rule, pull_back, pull_relevance};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, TensorError, Value};

/// What a number takes from the output of an op at one position: the sum of `x r` over its elements, in the order of
/// the other axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    pub op: usize,
    /// The column of the text, or of the source for an op along that; `None` if the op has no positions.
    pub column: Option<usize>,
    /// The values of the op.
    pub x: Vec<f64>,
    /// What each of them is multiplied by.
    pub r: Vec<f64>,
}

impl Share {
    pub fn value(&self) -> f64 {
        self.x.iter().zip(&self.r).filter(|(_, r)| **r != 0.0).map(|(x, r)| x * r).sum()
    }
}

/// The axis of an op's output that counts positions, the row axis being the first.
fn positions(op: &Op) -> Option<usize> {
    op.axes.iter().position(|axis| matches!(axis, Axis::Pos | Axis::Q | Axis::SourcePos | Axis::SourceQ))
}

/// The column of the first position of an op in a pass that begins at `start`: a source begins at its first in each.
fn start_of(op: &Op, start: usize) -> usize {
    if op.along == Along::Source { 0 } else { start }
}

/// Whether an op computes each position from that position of what it reads, and from nothing that depends on which
/// position it is.
fn is_local(op: &Op) -> bool {
    matches!(
        op.kernel,
        Kernel::Add
            | Kernel::Same
            | Kernel::Scale { .. }
            | Kernel::Project
            | Kernel::LayerNormNormalized
            | Kernel::RmsNormalized
            | Kernel::Gain { .. }
            | Kernel::Linear { .. }
            | Kernel::HeadNorm { .. }
            | Kernel::Output
            | Kernel::Activation(_)
            | Kernel::Gated(_)
            | Kernel::Unembed { .. }
    )
}

impl Session {
    /// The number that an expression is, and what it takes of each site and position that it reads, by its gradient there, in the
    /// focused row.
    ///
    /// # Errors
    /// As [`backward`](Session::backward).
    pub fn shares(&mut self, expr: &Expr) -> Result<(f64, Vec<Share>)> {
        let found = self.begin_backward(expr, "")?;
        let mut shares = Vec::new();
        for op in ops_of(self, expr) {
            let Some(r) = found.values.get(op) else { continue };
            let value = self.run.value_at(Mark { pass: found.pass, op })?;
            let start = start_of(&self.run.program.ops[op], self.run.branch().span(found.pass).start);
            spread(&self.run.program.ops[op], op, (&value, r), (self.focus.row, start), &mut shares)?;
        }
        Ok((found.value, shares))
    }

    /// What a share of an op is worth at what the op reads, by a rule. Inputs that are `held` count as constants.
    ///
    /// # Errors
    /// If there is no rule for the op, the device fails, or the user interrupts.
    pub fn pull_share(&mut self, share: &Share, rule: Rule, held: &[usize]) -> Result<Vec<Share>> {
        let row = self.focus.row;
        let program = self.run.program.clone();
        let op = &program.ops[share.op];
        let current = self.run.current;
        let branch = &mut self.run.branches[current];
        let (pass, at) = match share.column {
            // The pass of the prompt computes it for all.
            at if op.along == Along::Source => (0, at),
            None => (self.run.pass, None),
            Some(column) => {
                let (pass, at) = branch.column(column);
                (pass, Some(at))
            }
        };
        let mark = Mark { pass, op: share.op };
        let mut inputs = branch.inputs(&program, mark)?;
        let start = branch.span(pass).start;
        let edited = branch.is_edited(mark);
        let one = |at: usize| Slice::Range { start: at, end: at + 1, step: 1 };
        let alone = at.filter(|_| is_local(op) && !edited);
        if let Some(at) = alone {
            inputs =
                inputs.iter().map(|input| input.slice(&[one(row), one(at)])).collect::<Result<_, TensorError>>()?;
        }
        let seed = branch.seed(&program, mark, share, (row, at), alone.is_some())?;
        let after = |value: Value| branch.edited(mark, value.beginning_at(start));
        let after = edited.then_some(&after as After<'_>);
        let (weights, context) = (branch.weights(), branch.context(pass));
        let pulled = match rule {
            Rule::Gradient => pull_back(op, &inputs, weights, context, after, &seed)?,
            Rule::Relevance => pull_relevance(op, &inputs, weights, context, after, &seed)?,
        };
        let mut shares = Vec::new();
        for (number, ((&of, x), r)) in op.inputs.iter().zip(&inputs).zip(pulled).enumerate() {
            let Some(r) = r.filter(|_| !held.contains(&number)) else { continue };
            if alone.is_some() {
                shares.push(Share { op: of, column: share.column, x: x.read_f64()?, r: r.read_f64()? });
                continue;
            }
            let start = if op.cached.contains(&of) { 0 } else { start_of(&program.ops[of], start) };
            spread(&program.ops[of], of, (x, &r), (row, start), &mut shares)?;
        }
        Ok(shares)
    }
}

impl Branch {
    /// The gradient that says what a share takes of an op: zero but at its row and position, or that position alone.
    fn seed(
        &mut self,
        program: &Program,
        at: Mark,
        share: &Share,
        (row, position): (usize, Option<usize>),
        alone: bool,
    ) -> Result<Value> {
        let op = &program.ops[at.op];
        let value = self.value(program, at)?;
        let mut shape = value.shape().to_vec();
        if alone {
            (shape[0], shape[1]) = (1, 1);
        }
        let row = if alone { 0 } else { row };
        let mut data = vec![0.0f32; shape.iter().product()];
        let places = places(&shape, row, positions(op).zip(if alone { Some(0) } else { position }));
        for (place, r) in places.zip(&share.r) {
            data[place] = *r as f32;
        }
        Ok(Value::from_f32(data, &shape, op.device(self.weights().placement())))
    }
}

/// The places of the elements of one row, and of one position where there is an axis of positions.
fn places(shape: &[usize], row: usize, at: Option<(usize, usize)>) -> impl Iterator<Item = usize> {
    let (axis, position) = at.unwrap_or((0, row));
    let outer: usize = if axis == 0 { 1 } else { shape[1..axis].iter().product() };
    let inner: usize = shape[axis + 1..].iter().product();
    let (length, before) = (shape[axis], if axis == 0 { 0 } else { row * outer });
    (0..outer).flat_map(move |o| {
        let first = ((before + o) * length + position) * inner;
        first..first + inner
    })
}

/// Makes a share of each position of an op at which something is taken.
fn spread(
    op: &Op,
    number: usize,
    (x, r): (&Value, &Value),
    (row, start): (usize, usize),
    to: &mut Vec<Share>,
) -> Result<()> {
    let shape = r.shape().to_vec();
    let (x, r) = (x.held()?.read_f64()?, r.read_f64()?);
    let of = |at: Option<(usize, usize)>, column| {
        let (x, r) = places(&shape, row, at).map(|place| (x[place], r[place])).unzip();
        Share { op: number, column, x, r }
    };
    match positions(op) {
        None => to.push(of(None, None)),
        Some(axis) => to.extend((0..shape[axis]).map(|at| of(Some((axis, at)), Some(start + at)))),
    }
    to.retain(|share| share.r.iter().any(|r| *r != 0.0));
    Ok(())
}
