//! The pass of the prompt next to that of another run, and parts of it computed again.

use std::collections::HashMap;
use std::sync::Arc;

use super::structure::{Reader, Structure, Writer};
use crate::analysis::attention_everywhere;
use crate::debugger::params::head_results;
use crate::debugger::{Error, Mark, PromptPass, Result, Session, Target, number_of, ops_of, row_of};
use crate::lang::Expr;
use crate::model::weights::Weights;
use crate::program::{Context, Keep, OpGradients, Program, Replay, Rule, Values, Visitor};
use crate::tensor::ops::BinaryOp;
use crate::tensor::{Axis, TensorError, Value};

/// Rows are computed together as long as the largest value of theirs stays below this, in bytes.
const VALUE_BYTES: usize = 64 << 20;

/// Two runs of the same program on texts of the same length.
pub struct Pass<'a> {
    pub session: &'a mut Session,
    pub program: Arc<Program>,
    pub structure: Structure,
    expr: &'a Expr,
    logits: usize,
    at: PromptPass,
    weights: Weights,
    /// By op, `[1, ...]`: what this run has, and what the other one has.
    pub here: Vec<Value>,
    pub other: Vec<Value>,
    contexts: HashMap<usize, Arc<Context>>,
}

impl<'a> Pass<'a> {
    /// # Errors
    /// If the run is not in the pass of the prompt, the metric reads something else than logits, edits of values are in force,
    /// the texts have different lengths, or the model has other parts than heads and MLPs.
    pub fn new(session: &'a mut Session, expr: &'a Expr, branch: usize) -> Result<Pass<'a>> {
        let at = session.prompt_pass()?;
        attention_everywhere(&session.run.model.spec, "a graph of heads and MLPs")?;
        if session.run.model.spec.encoder.is_some() {
            return Err(Error::refused("edges leave out cross attention and the encoder, which this model has"));
        }
        for side in [session.run.current, branch] {
            let edits = &session.run.branches[side].edits;
            if let Some(edit) = edits.iter().find(|edit| matches!(edit.target, Target::Op(_))) {
                let text = &edit.text;
                return Err(Error::refused(format!(
                    "the edit \"{text}\" of a value is in force, which is not made again here"
                )));
            }
        }
        if !session.run.branches[branch].edits.iter().all(|edit| !matches!(edit.target, Target::Weight(_)))
            || !session.run.branch().edits.iter().all(|edit| !matches!(edit.target, Target::Weight(_)))
        {
            let weights = |side: usize| -> Vec<String> {
                let edits = session.run.branches[side].edits.iter();
                edits.filter(|edit| matches!(edit.target, Target::Weight(_))).map(|edit| edit.text.clone()).collect()
            };
            if weights(session.run.current) != weights(branch) {
                return Err(Error::refused(
                    "the two branches have different edits of weights: edges carry values between runs of one model",
                ));
            }
        }
        let program = session.run.program.clone();
        let logits = program.op_of("logits").ok_or("edges end at logits, and this model predicts no tokens")?;
        if ops_of(session, expr) != [logits] {
            return Err(Error::refused(
                "edges end at the logits: the number has to be one of logits alone, such as logit(\" Mary\") - logit(\" John\") or loss",
            ));
        }
        let ops = 0..program.ops.len();
        let here = ops.clone().map(|op| at.peek(&mut session.run, op)).collect::<Result<Vec<Value>>>()?;
        let other = ops
            .map(|op| Ok(row_of(&session.run.value_in(branch, Mark { pass: 0, op })?, at.row)?))
            .collect::<Result<Vec<Value>>>()?;
        if here.iter().zip(&other).any(|(a, b)| a.shape() != b.shape()) {
            return Err("the two branches have texts of different lengths".into());
        }
        let heads = |op: usize| {
            let axis = program.ops[op].axes.iter().position(|axis| *axis == Axis::Head);
            axis.map_or(1, |axis| here[op].shape()[axis])
        };
        let structure = Structure::of(&program, &heads)?;
        let weights = session.run.branch().weights().clone();
        Ok(Pass { session, program, structure, expr, logits, at, weights, here, other, contexts: HashMap::new() })
    }

    fn context(&mut self, n: usize) -> Result<Arc<Context>> {
        if let Some(context) = self.contexts.get(&n) {
            return Ok(context.clone());
        }
        let context = Arc::new(self.at.context(&self.session.run, n)?);
        self.contexts.insert(n, context.clone());
        Ok(context)
    }

    /// How many rows of an op are computed together.
    pub fn batch(&self, ops: &[usize]) -> usize {
        let largest = ops.iter().map(|op| 4 * self.here[*op].count()).max().unwrap_or(1);
        (VALUE_BYTES / largest.max(1)).clamp(1, 64)
    }

    /// The number for these logits `[1, T, V]`.
    pub fn number(&mut self, logits: &Value) -> Result<f64> {
        let given = HashMap::from([(self.logits, logits.held()?.leaf())]);
        Ok(number_of(self.session, self.expr, &given, 0)?.untracked().read_scalar()?)
    }

    /// The number, and its gradients at all ops that it depends on, where ops have these values.
    pub fn gradients(&mut self, values: &[Value]) -> Result<(f64, OpGradients)> {
        let leaf = values[self.logits].held()?.leaf();
        let number = number_of(self.session, self.expr, &HashMap::from([(self.logits, leaf.clone())]), 0)?;
        let one = Value::from_f32(vec![1.0], &[1], &number.untracked().device());
        let pulled = number.reshape(&[1])?.pull(&one).and_then(|pulled| pulled.at(&leaf));
        let mut gradients = OpGradients::default();
        gradients.set(self.logits, pulled.ok_or("the number does not depend on the logits")?);
        let (program, context) = (self.program.clone(), self.context(1)?);
        let replay = Replay { program: &program, weights: &self.weights, context: &context };
        let first = self.structure.writers[0].write;
        for op in (first + 1..=self.logits).rev() {
            let inputs: Vec<Value> = program.ops[op].inputs.iter().map(|input| values[*input].clone()).collect();
            let keep = |input: usize, gradient: Value| Ok((input >= first).then_some(gradient));
            replay.pull(op, &inputs, None, Rule::Gradient, &mut gradients, keep)?;
        }
        let number = number.untracked().read_scalar()?;
        Ok((number, gradients))
    }

    /// Gradients at the op `last` of a list pulled back to the op `first` before it, through these ops alone: `seed` and what
    /// is given back have a row for each.
    pub fn pulled(&mut self, (first, ops): (usize, &[usize]), seed: Value, values: &[Value]) -> Result<Value> {
        let Some(&last) = ops.last() else { return Ok(seed) };
        let n = seed.shape()[0];
        let (program, context) = (self.program.clone(), self.context(n)?);
        let replay = Replay { program: &program, weights: &self.weights, context: &context };
        let mut gradients = OpGradients::default();
        gradients.set(last, seed);
        for &op in ops.iter().rev() {
            let inputs: Vec<Value> =
                program.ops[op].inputs.iter().map(|input| repeated(&values[*input], n)).collect::<Result<_, _>>()?;
            let keep = |input: usize, gradient: Value| Ok((input == first || ops.contains(&input)).then_some(gradient));
            replay.pull(op, &inputs, None, Rule::Gradient, &mut gradients, keep)?;
            gradients.take(op);
        }
        gradients.take(first).map_or_else(|| Ok(repeated(&values[first], n)?.full_like(0.0)), Ok)
    }

    /// What the last of a list of ops gives where the op `first` has these rows.
    pub fn again(&mut self, (first, ops): (usize, &[usize]), rows: Value, values: &[Option<Value>]) -> Result<Value> {
        let Some(&last) = ops.last() else { return Ok(rows) };
        let n = rows.shape()[0];
        let (program, context) = (self.program.clone(), self.context(n)?);
        let replay = Replay { program: &program, weights: &self.weights, context: &context };
        let rows = rows.with_axes(&program.ops[first].axes).whole();
        let mut others = Others { values, n };
        let mut found = replay.run(ops.iter().copied(), Values::from([(first, rows)]), Keep::All, &mut others)?;
        found.remove(&last).ok_or_else(|| Error::refused(format!("{} was not computed", program.ops[last].site)))
    }

    /// The pass where the embedding has this value, by op.
    pub fn with_embedding(&mut self, embedding: Value) -> Result<Vec<Value>> {
        let first = self.structure.writers[0].write;
        let ops: Vec<usize> = (first + 1..self.program.ops.len()).collect();
        let (program, context) = (self.program.clone(), self.context(1)?);
        let replay = Replay { program: &program, weights: &self.weights, context: &context };
        let embedding = embedding.with_axes(&program.ops[first].axes).whole();
        let values: Vec<Option<Value>> = self.here.iter().cloned().map(Some).collect();
        let mut others = Others { values: &values, n: 1 };
        let mut found = replay.run(ops, Values::from([(first, embedding)]), Keep::All, &mut others)?;
        Ok((0..program.ops.len()).map(|op| found.remove(&op).unwrap_or_else(|| self.here[op].clone())).collect())
    }

    /// What each node of a writer gives at the op at which they are summed: `[nodes][T d]`. A bias of the sum is left out.
    pub fn given(&self, writer: &Writer, values: &dyn Fn(usize) -> Value) -> Result<Vec<Vec<f64>>> {
        let op = &self.program.ops[writer.sum];
        let (super::Node::Head { layer, .. }, count) = (writer.nodes[0], writer.nodes.len()) else {
            return Ok(vec![values(writer.sum).read_f64()?]);
        };
        let layer = self.session.run.model.spec.weights_of(layer);
        let results = head_results(&values(op.inputs[0]), &self.weights, layer)?; // [1, T, H, d]
        let (length, width) = (results.shape()[1], results.shape()[3]);
        let data = results.read_f64()?;
        let of = |head: usize| {
            let row = |pos: usize| data[(pos * count + head) * width..][..width].iter().copied();
            (0..length).flat_map(row).collect()
        };
        Ok((0..count).map(of).collect())
    }

    /// Seeds at the entry of a reader, one for each of its inputs, made of the gradient there.
    pub fn seeds(&self, reader: &Reader, gradient: &Value) -> Result<Value> {
        let n = reader.inputs.len();
        let axes = self.program.ops[reader.entry].axes.clone();
        let Some(axis) = axes.iter().position(|axis| *axis == Axis::Head).filter(|_| n > 1) else {
            return Ok(gradient.clone());
        };
        let (shape, data) = (gradient.shape().to_vec(), gradient.read_f32()?);
        let inner: usize = shape[axis + 1..].iter().product();
        let mut all = vec![0.0; n * data.len()];
        for (i, x) in data.iter().enumerate() {
            all[i / inner % n * data.len() + i] = *x;
        }
        let shape = [&[n], &shape[1..]].concat();
        Ok(Value::from_f32(all, &shape, &gradient.device()).with_axes(&axes).whole())
    }

    /// A value of an op with numbers added to it, `[1, T, d]` each: `[n, T, d]`.
    pub fn moved(value: &Value, by: &[Vec<f64>]) -> Result<Value> {
        let base = value.read_f64()?;
        let rows = by.iter().flat_map(|by| base.iter().zip(by).map(|(x, y)| (x + y) as f32)).collect();
        let shape = [&[by.len()], &value.shape()[1..]].concat();
        Ok(Value::from_f32(rows, &shape, &value.device()))
    }
}

fn repeated(base: &Value, n: usize) -> Result<Value, TensorError> {
    let axes = base.axes().to_vec();
    Ok(if n == 1 { base.clone() } else { Value::concat(&vec![base.clone(); n], 0)?.with_axes(&axes).whole() })
}

/// What ops read besides those that run: the values of a pass, once for each row.
struct Others<'a> {
    values: &'a [Option<Value>],
    n: usize,
}

impl Visitor for Others<'_> {
    type Error = Error;

    fn outside(&mut self, op: usize) -> Result<Value> {
        let value = self.values[op].as_ref().ok_or_else(|| Error::refused(format!("op {op} has not been computed")))?;
        Ok(repeated(value, self.n)?)
    }
}

/// `a - b`, for lists of the same length.
pub fn less(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `other + part (here - other)`.
pub fn between(here: &Value, other: &Value, part: f64) -> Result<Value, TensorError> {
    let part = Value::from_f32(vec![part as f32], &[], &here.device());
    other.binary(BinaryOp::Add, &here.binary(BinaryOp::Sub, other)?.binary(BinaryOp::Mul, &part)?)
}
