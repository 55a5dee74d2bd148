//! Edges by intervention: the pass forwards again without one source, with everything held that the graph holds, and what that
//! changes in the target.

use super::held::{Flow, Held, flow, is_factor, onto};
use super::{Graph, Node, at};
use crate::debugger::{Error, Result, Session, edited};
use crate::model::dictionary::Stage;
use crate::program::{Keep, Kernel, Op, Program, Replay, Values, Visitor};
use crate::tensor::ops::BinaryOp;
use crate::tensor::{Value, step};

/// An edge and its intervention.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub target: usize,
    pub source: usize,
    /// What the graph says that the target takes from the source.
    pub edge: f64,
    /// What the target loses without the source.
    pub measured: f64,
    /// What all parts of the target add up to in size: what rounding is a part of.
    pub size: f64,
}

impl Graph {
    /// Checks the `most` largest kept edges from neurons and tokens, by what they are worth to the logits.
    ///
    /// # Errors
    /// If the device fails or the user interrupts.
    pub fn check(&self, session: &mut Session, most: usize) -> Result<Vec<Checked>> {
        let mut edges = Vec::new();
        for (&target, row) in &self.edges {
            let size: f64 = row.iter().map(|(_, part, _)| part.abs()).sum();
            let weight = match self.nodes[target] {
                Node::Logit { .. } => self.activation[target],
                _ => self.influence[target],
            };
            for &(source, edge, kept) in row {
                if kept && matches!(self.nodes[source], Node::Neuron { .. } | Node::Token { .. }) {
                    edges.push((weight * edge.abs() / size, Checked { target, source, edge, measured: 0.0, size }));
                }
            }
        }
        edges.sort_by(|a, b| b.0.total_cmp(&a.0));
        edges.truncate(most);
        let mut held = Held::new(session)?;
        let count = edges.len() as u64;
        let mut checked: Vec<Checked> = edges.into_iter().map(|(_, edge)| edge).collect();
        for (number, edge) in checked.iter_mut().enumerate() {
            step("interventions", number as u64, count)?;
            let before = self.number(&mut held, edge.target, &Values::new())?;
            let end = self.end(&held, edge.target);
            let values = without(&mut held, &self.nodes[edge.source], end)?;
            edge.measured = before - self.number(&mut held, edge.target, &values)?;
        }
        Ok(checked)
    }

    /// The op that a target is read from.
    fn end(&self, held: &Held<'_>, target: usize) -> usize {
        let ops = &held.program.ops;
        match self.nodes[target] {
            Node::Neuron { op, .. } => match ops[op].kernel {
                Kernel::Gated(_) => ops[op].inputs[1],
                _ => ops[op].inputs[0],
            },
            _ => ops[logits_op(&held.program)].inputs[0],
        }
    }

    /// What the target is where these ops have other values.
    fn number(&self, held: &mut Held<'_>, target: usize, values: &Values) -> Result<f64> {
        let end = self.end(held, target);
        let value = values.get(&end).cloned().map_or_else(|| held.base(end), Ok)?;
        match self.nodes[target] {
            Node::Neuron { op, pos, neuron } => {
                let of = held.program.ops[op].clone();
                let here = pos * of.width + neuron;
                let x = value.read_f64()?[here];
                Ok(match of.kernel {
                    Kernel::Gated(_) => {
                        let gate = super::target(held, op)?.1.map_or(1.0, |gate| f64::from(gate[here]));
                        x * gate
                    }
                    _ => x,
                })
            }
            Node::Logit { token } => {
                let mut op = held.program.ops[logits_op(&held.program)].clone();
                if let Kernel::Unembed { softcap, .. } = &mut op.kernel {
                    *softcap = None;
                }
                let input = if op.axes.len() == 3 { at(&value, self.wanted.pos)?.held()? } else { value };
                let logits = held.execute(&op, &[input])?.read_f64()?;
                let less = match self.wanted.foil {
                    Some(foil) => logits[foil],
                    None => logits.iter().sum::<f64>() / logits.len() as f64,
                };
                Ok(logits[token] - less)
            }
            _ => Err(Error::refused("only neurons and logits take something from others")),
        }
    }
}

fn logits_op(program: &Program) -> usize {
    program.op_of("logits").unwrap_or(program.ops.len() - 1)
}

/// The values up to op `end` where a source gives nothing and all that the graph holds is held.
fn without(held: &mut Held<'_>, source: &Node, end: usize) -> Result<Values> {
    let (from, place) = match *source {
        Node::Neuron { op, pos, neuron } => {
            let place = pos * held.program.ops[op].width + neuron;
            (op, place..place + 1)
        }
        Node::Token { pos } => {
            let embed = |op: &Op| matches!(op.kernel, Kernel::Embed { .. });
            let op = held.program.ops.iter().position(embed).ok_or_else(|| Error::refused("there is no embedding"))?;
            (op, pos * held.program.ops[op].width..(pos + 1) * held.program.ops[op].width)
        }
        _ => return Err(Error::refused("only neurons and tokens can be left out")),
    };
    let base = held.base(from)?;
    let mut data = base.read_f32()?;
    data[place].fill(0.0);
    let value = Value::from_f32(data, base.shape(), held.session.run.device_of(from)).with_axes(base.axes()).whole();
    let mut changed = vec![false; held.program.ops.len()];
    changed[from] = true;
    for op in from + 1..=end {
        let of = &held.program.ops[op];
        changed[op] = onto(of).iter().any(|&input| changed[input]);
    }
    let ops: Vec<usize> = (from + 1..=end).filter(|&op| changed[op]).collect();
    let (program, context) = (held.program.clone(), held.context(1)?);
    let weights = held.session.run.branch().weights().clone();
    let replay = Replay { program: &program, weights: &weights, context: &context };
    replay.run(ops, Values::from([(from, value)]), Keep::All, &mut Frozen { held, program: &program })
}

/// Ops that read what the run has wherever the graph holds it.
struct Frozen<'a, 'b> {
    held: &'a mut Held<'b>,
    program: &'a Program,
}

impl Visitor for Frozen<'_, '_> {
    type Error = Error;

    fn outside(&mut self, op: usize) -> Result<Value> {
        self.held.base(op)
    }

    fn read(&mut self, reader: usize, input: usize, value: Value) -> Result<Value> {
        let op = &self.program.ops[reader];
        match flow(op) {
            Flow::On { held: true, .. } if input == op.inputs[0] => self.held.base(input),
            _ => Ok(value),
        }
    }

    /// A factor that is held is what the op has multiplied each element by.
    fn instead(&mut self, op: usize, inputs: &[Value]) -> Result<Option<Value>> {
        if let (Kernel::Dictionary(Stage::Out, _), [.., recon, error]) = (&self.program.ops[op].kernel, inputs) {
            let site = self.held.base(op)?;
            let sum = recon.binary(BinaryOp::Add, error)?.reshaped(site.shape());
            return Ok(Some(sum.with_axes(site.axes())));
        }
        if !is_factor(&self.program.ops[op].kernel) {
            return Ok(None);
        }
        let (before, after) = (self.held.base(self.program.ops[op].inputs[0])?, self.held.base(op)?);
        let (before, made) = (before.read_f32()?, after.read_f32()?);
        let by = before.iter().zip(made).map(|(x, y)| if *x == 0.0 { 0.0 } else { y / x }).collect();
        let by = Value::from_f32(by, after.shape(), self.held.session.run.device_of(op));
        Ok(Some(inputs[0].binary(BinaryOp::Mul, &by)?.with_axes(after.axes())))
    }

    fn made(&mut self, op: usize, value: Value) -> Result<Value> {
        Ok(edited(&self.held.edits, op, value)?)
    }
}
