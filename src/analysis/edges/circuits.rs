//! The pass where some edges carry what they carry in another run: one at a time, or all that do not belong to a circuit.

use std::collections::{HashMap, HashSet};

use super::pass::{Pass, less};
use super::structure::{Edge, Input, Node};
use super::{Scored, of_nodes};
use crate::analysis::attribution::random::Random;
use crate::debugger::{Result, Session};
use crate::lang::Expr;
use crate::program::Part;
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Value, step};

/// Whether circuits are made of edges or of nodes; a node is all edges that begin at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Edges,
    Nodes,
}

/// What a number is with what the other run has in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The number here and in the other run.
    pub here: f64,
    pub other: f64,
    /// What it changes by, in the order of what was asked for.
    pub changes: Vec<f64>,
}

/// Measures what the number changes by with each of these sets of edges patched, one set at a time.
///
/// # Errors
/// As [`Pass::new`], and if the device fails or the user interrupts.
pub fn measured(session: &mut Session, expr: &Expr, branch: usize, sets: &[Vec<Edge>]) -> Result<Measured> {
    let mut run = Patched::new(session, expr, branch)?;
    let (here, other) = run.ends()?;
    let mut changes = Vec::with_capacity(sets.len());
    for (done, set) in sets.iter().enumerate() {
        step("patching", done as u64, sets.len() as u64)?;
        changes.push(run.number(&set.iter().copied().collect())? - here);
    }
    Ok(Measured { here, other, changes })
}

/// How much of a number circuits of growing size keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub here: f64,
    pub other: f64,
    /// Size of the circuit, the number with it, and the numbers with random circuits of that size.
    pub points: Vec<(usize, f64, Vec<f64>)>,
    /// How many edges or nodes there are.
    pub all: usize,
}

impl Curve {
    /// `(x - other) / (here - other)`: 1 is as with all of them, 0 as with none.
    pub fn faithfulness(&self, x: f64) -> f64 {
        (x - self.other) / (self.here - self.other)
    }
}

/// The number with the edges or nodes of the largest scores kept and all others patched, for each of these sizes, and with
/// `random` circuits of the same size each.
///
/// # Errors
/// As [`measured`].
pub fn curve(
    session: &mut Session,
    expr: &Expr,
    (branch, scores, kept): (usize, &[Scored], Kept),
    sizes: &[usize],
    (random, seed): (usize, u64),
) -> Result<Curve> {
    let mut run = Patched::new(session, expr, branch)?;
    let (here, other) = run.ends()?;
    let edges: Vec<Edge> = scores.iter().map(|one| one.edge).collect();
    // Units in the order of their scores.
    let units: Vec<Vec<Edge>> = match kept {
        Kept::Edges => Scored::order(scores).into_iter().map(|edge| vec![edge]).collect(),
        Kept::Nodes => {
            let mut nodes = of_nodes(scores);
            nodes.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
            let of = |node: Node| edges.iter().copied().filter(|edge| edge.from == node).collect();
            nodes.into_iter().map(|(node, _)| of(node)).collect()
        }
    };
    let mut generator = Random::new(seed);
    let total = (sizes.len() * (random + 1)) as u64;
    let mut points = Vec::new();
    for (at, &size) in sizes.iter().enumerate() {
        let done = at * (random + 1);
        step("circuits", done as u64, total)?;
        let without = |order: &[usize]| -> HashSet<Edge> {
            order.iter().skip(size).flat_map(|unit| units[*unit].iter().copied()).collect()
        };
        let by_score: Vec<usize> = (0..units.len()).collect();
        let number = run.number(&without(&by_score))?;
        let mut others = Vec::new();
        for draw in 0..random {
            step("circuits", (done + draw + 1) as u64, total)?;
            others.push(run.number(&without(&generator.order(units.len())))?);
        }
        points.push((size, number, others));
    }
    Ok(Curve { here, other, points, all: units.len() })
}

struct Patched<'a> {
    pass: Pass<'a>,
    /// What each node writes in the other run, at the op at which nodes are summed.
    other: Vec<Vec<Vec<f64>>>,
}

impl<'a> Patched<'a> {
    fn new(session: &'a mut Session, expr: &'a Expr, branch: usize) -> Result<Patched<'a>> {
        let pass = Pass::new(session, expr, branch)?;
        let values = |op: usize| pass.other[op].clone();
        let other = pass.structure.writers.iter().map(|writer| pass.given(writer, &values)).collect::<Result<_>>()?;
        Ok(Patched { pass, other })
    }

    /// The number here and in the other run.
    fn ends(&mut self) -> Result<(f64, f64)> {
        let logits = self.pass.structure.readers.last().map_or(0, |reader| reader.entry);
        let (here, other) = (self.pass.here[logits].clone(), self.pass.other[logits].clone());
        Ok((self.pass.number(&here)?, self.pass.number(&other)?))
    }

    /// The number with these edges patched.
    fn number(&mut self, patched: &HashSet<Edge>) -> Result<f64> {
        let structure = self.pass.structure.clone();
        let mut by_input: HashMap<Input, HashSet<Node>> = HashMap::new();
        for edge in patched {
            by_input.entry(edge.to).or_default().insert(edge.from);
        }
        let first = structure.writers[0].write;
        let logits = structure.readers.last().map_or(0, |reader| reader.entry);
        let mut values: Vec<Option<Value>> = self.pass.here.iter().cloned().map(Some).collect();
        // What nodes write in this pass, by writer.
        let mut given: Vec<Option<Vec<Vec<f64>>>> = vec![None; structure.writers.len()];
        let mut changed = vec![false; self.pass.program.ops.len()];
        for op in first + 1..=logits {
            let reads_change = self.pass.program.ops[op].inputs.iter().any(|&input| changed[input]);
            if reads_change {
                values[op] = Some(self.executed(op, &values)?);
                changed[op] = true;
            }
            let Some(reader) = structure.readers.iter().find(|reader| reader.entry == op) else { continue };
            let inputs: Vec<usize> =
                (0..reader.inputs.len()).filter(|&at| by_input.contains_key(&reader.inputs[at])).collect();
            for chunk in inputs.chunks(self.pass.batch(&reader.between)) {
                let mut moved = Vec::with_capacity(chunk.len());
                for &input in chunk {
                    moved.push(self.moved(reader, &by_input[&reader.inputs[input]], &values, &mut given)?);
                }
                let stream = values[reader.stream].clone().ok_or("the stream has not been computed")?;
                let rows = Pass::moved(&stream, &moved)?;
                let found = self.pass.again((reader.stream, &reader.between), rows, &values)?;
                let whole = values[op].clone().ok_or("the reader has not been computed")?;
                values[op] = Some(mixed(&whole, &found, chunk, &reader.inputs)?);
                changed[op] = true;
            }
        }
        let logits = values[logits].clone().ok_or("the logits have not been computed")?;
        self.pass.number(&logits)
    }

    fn executed(&mut self, op: usize, values: &[Option<Value>]) -> Result<Value> {
        let axes = self.pass.program.ops[op].axes.clone();
        let input = self.pass.program.ops[op].inputs[0];
        let first = values[input].clone().ok_or("an input has not been computed")?;
        Ok(self.pass.again((input, &[op]), first, values)?.with_axes(&axes).whole())
    }

    /// By how much the stream that a reader reads moves if these nodes write what they write in the other run: `[T d]`.
    fn moved(
        &mut self,
        reader: &super::structure::Reader,
        nodes: &HashSet<Node>,
        values: &[Option<Value>],
        given: &mut [Option<Vec<Vec<f64>>>],
    ) -> Result<Vec<f64>> {
        let structure = self.pass.structure.clone();
        let mut sum = vec![0.0; self.pass.here[reader.stream].count()];
        for (number, factor) in &reader.terms {
            let writer = &structure.writers[*number];
            let patched: Vec<usize> = (0..writer.nodes.len()).filter(|&at| nodes.contains(&writer.nodes[at])).collect();
            if patched.is_empty() {
                continue;
            }
            let value = |op: usize| values[op].clone().unwrap_or_else(|| self.pass.here[op].clone());
            if given[*number].is_none() {
                given[*number] = Some(self.pass.given(writer, &value)?);
            }
            let here = given[*number].as_ref().ok_or("nodes have not been computed")?;
            let mut by = vec![0.0; sum.len()];
            for at in patched {
                by.iter_mut().zip(less(&self.other[*number][at], &here[at])).for_each(|(by, x)| *by += x);
            }
            if !writer.between.is_empty() {
                // What is added to the stream is made of the sum of all nodes: by scaling it, or by a norm.
                let (before, written) = (value(writer.sum), value(writer.write));
                let rows = Pass::moved(&before, &[by])?;
                let after = self.pass.again((writer.sum, &writer.between), rows, values)?;
                by = less(&after.read_f64()?, &written.read_f64()?);
            }
            sum.iter_mut().zip(by).for_each(|(sum, x)| *sum += factor * x);
        }
        Ok(sum)
    }
}

/// A value of an entry with some heads of rows, one for each of them; of a single node, the only row.
fn mixed(whole: &Value, rows: &Value, chosen: &[usize], inputs: &[Input]) -> Result<Value> {
    let of_heads = matches!(inputs[0], Input::Head { part: Part::Q | Part::K | Part::V | Part::Gate, .. });
    let axis = whole.axes().iter().position(|axis| *axis == Axis::Head).filter(|_| of_heads && inputs.len() > 1);
    let Some(axis) = axis else { return Ok(rows.clone().with_axes(whole.axes()).whole()) };
    let mut value = whole.clone();
    for (row, &head) in chosen.iter().enumerate() {
        let at = |first: Slice| {
            let mut slices = vec![first];
            slices.extend((1..axis).map(|_| Slice::All));
            slices.push(Slice::At(head));
            slices
        };
        let part = rows.slice(&at(Slice::At(row)))?;
        value = value.assign(&at(Slice::At(0)), &part)?;
    }
    Ok(value.with_axes(whole.axes()).whole())
}
