//! The model as a function of one of its values: the current pass again, with other values at a site, many at a time.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::in_force::{edited, in_force};
use crate::debugger::{Edit, Error, Mark, Result, Session, Target, number_of, ops_of};
use crate::lang::Expr;
use crate::model::Input;
use crate::program::{After, Context, Program, execute, pull_back, pull_relevance};
use crate::tensor::{Value, step};

/// Rows are computed together as long as what they hold stays below this.
const BATCH_BYTES: u64 = 256 << 20;

/// And no single value of theirs grows beyond this: larger pieces of memory are given back to the system each time, and clearing
/// them when they are taken again costs more than a larger batch saves.
const VALUE_BYTES: u64 = 28 << 20;

/// A number over the pass of the prompt, as a function of what op `at` gives.
pub struct Probe<'a> {
    session: &'a mut Session,
    program: Arc<Program>,
    expr: &'a Expr,
    /// The ops that the number reads.
    read: Vec<usize>,
    /// The op whose values vary.
    pub at: usize,
    /// Ops that depend on it and that the number depends on, in order.
    affected: Vec<usize>,
    edits: Vec<Edit>,
    /// What the run has there, for the focused row: `[1, ...]`.
    base: HashMap<usize, Value>,
    contexts: HashMap<usize, Arc<Context>>,
    bytes: u64,
    largest: u64,
    /// The same of all that is repeated for a batch, what ops only read included: in bytes of arithmetic.
    widest: u64,
    elsewhere: Option<Vec<f32>>,
    /// Whether relevance is propagated, by the rules of AttnLRP, and not gradients.
    relevance: bool,
}

impl<'a> Probe<'a> {
    /// # Errors
    /// If the run is not in the pass of the prompt, the number does not depend on the site, or edits are in force that cannot be made
    /// again.
    pub fn new(session: &'a mut Session, expr: &'a Expr, at: usize) -> Result<Probe<'a>> {
        let program = session.run.program.clone();
        if session.run.pass > 0 {
            let why = "attribution works in the pass of the prompt: go back with \"reverse-token\" or \"goto #0\"";
            return Err(Error::Refused(why.into()));
        }
        let read = ops_of(session, expr);
        let last = read.iter().copied().max().unwrap_or(0);
        let mut after = vec![false; program.ops.len()];
        after[at] = true;
        for op in at + 1..=last {
            after[op] = program.ops[op].inputs.iter().any(|&input| after[input]);
        }
        let mut needed = vec![false; program.ops.len()];
        for &op in &read {
            needed[op] = true;
        }
        for op in (0..=last).rev().filter(|&op| after[op]) {
            if needed[op] {
                program.ops[op].inputs.iter().for_each(|&input| needed[input] = true);
            }
        }
        let affected: Vec<usize> = (at + 1..=last).filter(|&op| after[op] && needed[op]).collect();
        if !needed[at] {
            return Err(Error::Independent(program.ops[at].site.clone()));
        }
        let edits = in_force(session, &|op| affected.contains(&op))?;
        let mut probe = Probe {
            session,
            program,
            expr,
            read,
            at,
            affected,
            edits,
            base: HashMap::new(),
            contexts: HashMap::new(),
            bytes: 0,
            largest: 1,
            widest: 1,
            elsewhere: None,
            relevance: false,
        };
        for op in probe.affected.clone() {
            let bytes = probe.base(op)?.bytes();
            probe.bytes += bytes * 3;
            probe.largest = probe.largest.max(bytes);
            for read in [&probe.program.clone().ops[op].inputs[..], &[op, at]].concat() {
                probe.widest = probe.widest.max(4 * probe.base(read)?.count() as u64);
            }
        }
        Ok(probe)
    }

    /// What the run has at an op, for the focused row: `[1, ...]`.
    pub fn base(&mut self, op: usize) -> Result<Value> {
        if let Some(value) = self.base.get(&op) {
            return Ok(value.clone());
        }
        let row = self.session.focus.row;
        let whole = self.session.run.value_at(Mark { pass: 0, op })?;
        let value = whole.rows(row..row + 1).with_axes(whole.axes());
        self.base.insert(op, value.clone());
        Ok(value)
    }

    /// Looks from elsewhere, or from where the run is again; gives where it looked from before.
    pub fn move_to(&mut self, elements: Option<Vec<f32>>) -> Option<Vec<f32>> {
        std::mem::replace(&mut self.elsewhere, elements)
    }

    /// The elements of the site in the run, or where the probe was moved to.
    pub fn here(&mut self) -> Result<Vec<f32>> {
        if let Some(elements) = &self.elsewhere {
            return Ok(elements.clone());
        }
        let at = self.at;
        Ok(self.base(at)?.read_f32()?)
    }

    /// From now on gradients are those of AttnLRP: an element times its gradient is its relevance.
    pub fn propagate_relevance(&mut self) {
        self.relevance = true;
    }

    /// How many rows are computed together: no more than the device holds in one buffer.
    pub fn batch(&self) -> usize {
        let held = self.session.run.device().max_buffer_bytes() / self.widest;
        (BATCH_BYTES / self.bytes.max(1)).min(VALUE_BYTES / self.largest).min(held).clamp(1, 64) as usize
    }

    /// The number for each of these values of the site.
    pub fn numbers(&mut self, points: &[Vec<f32>]) -> Result<Vec<f64>> {
        self.numbers_of(points.len(), &|i| points[i].clone())
    }

    /// The same for `count` values that are made when they are needed: many of a large site are more than memory holds.
    pub fn numbers_of(&mut self, count: usize, point: &dyn Fn(usize) -> Vec<f32>) -> Result<Vec<f64>> {
        let mut found = Vec::with_capacity(count);
        while found.len() < count {
            step("evaluations", found.len() as u64, count as u64)?;
            let chunk: Vec<Vec<f32>> = (found.len()..count).take(self.batch()).map(point).collect();
            let values = self.forward(&chunk, self.at)?;
            let rows = self.rows(&values, chunk.len())?;
            for row in rows {
                found.push(row.untracked().read_scalar()?);
            }
        }
        Ok(found)
    }

    /// The number for each of these values of the site, the values of the op `of` there (the site itself or one after it), and
    /// the gradient at `of`.
    pub fn gradients(&mut self, points: &[Vec<f32>], of: usize) -> Result<Vec<Point>> {
        if of != self.at && !self.affected.contains(&of) {
            let (of, at) = (&self.program.ops[of].site, &self.program.ops[self.at].site);
            return Err(Error::Refused(format!("{of} does not lie between {at} and the number")));
        }
        let mut found = Vec::with_capacity(points.len());
        for chunk in points.chunks(self.batch()) {
            step("evaluations", found.len() as u64, points.len() as u64)?;
            let values = self.forward(chunk, self.at)?;
            let (numbers, mut gradients) = self.ends(&values, chunk.len())?;
            for op in self.affected.clone().into_iter().rev().take_while(|&op| op > of) {
                let Some(seed) = gradients.remove(&op) else { continue };
                let inputs = self.inputs(op, &values, chunk.len())?;
                let weights = self.session.run.branch().weights().clone();
                let context = self.context(chunk.len())?;
                let edits = &self.edits;
                let after = |value: Value| edited(edits, op, value);
                let touched = edits.iter().any(|edit| edit.target == Target::Op(op));
                let after = touched.then_some(&after as After<'_>);
                let of = &self.program.ops[op];
                let pulled = match self.relevance {
                    true => pull_relevance(of, &inputs, &weights, &context, after, &seed)?,
                    false => pull_back(of, &inputs, &weights, &context, after, &seed)?,
                };
                for (&input, gradient) in self.program.ops[op].inputs.iter().zip(pulled) {
                    let Some(gradient) = gradient.filter(|_| values.contains_key(&input)) else { continue };
                    let sum = match gradients.remove(&input) {
                        Some(sum) => sum.binary(crate::tensor::ops::BinaryOp::Add, &gradient)?,
                        None => gradient,
                    };
                    gradients.insert(input, sum);
                }
            }
            let value = &values[&of];
            let width = value.count() / chunk.len();
            let gradient = match gradients.remove(&of) {
                Some(gradient) => gradient.read_f32()?,
                None => vec![0.0; value.count()],
            };
            let elements = value.read_f32()?;
            for (i, number) in numbers.into_iter().enumerate() {
                let part = i * width..(i + 1) * width;
                let (value, gradient) = (elements[part.clone()].to_vec(), gradient[part].to_vec());
                found.push(Point { number, value, gradient });
            }
        }
        Ok(found)
    }

    /// The number of each row, and the gradients of each at what it reads. A row has a tape of its own: the gradient of one logit
    /// is as large as all logits, and those of all rows together would be that again for each row.
    fn ends(&mut self, values: &HashMap<usize, Value>, n: usize) -> Result<(Vec<f64>, HashMap<usize, Value>)> {
        let mut numbers = Vec::with_capacity(n);
        let mut parts: HashMap<usize, Vec<Value>> = HashMap::new();
        for row in 0..n {
            let mut leaves = HashMap::new();
            for op in self.read.clone() {
                let leaf = match values.get(&op) {
                    Some(value) => value.rows(row..row + 1).with_axes(value.axes()).whole().leaf(),
                    None => self.base(op)?,
                };
                leaves.insert(op, leaf);
            }
            let number = number_of(self.session, self.expr, &leaves, 0)?;
            numbers.push(number.untracked().read_scalar()?);
            let one = Value::from_f32(vec![1.0], &[1], &number.untracked().device());
            let pulled = number.reshape(&[1])?.pull(&one).expect("numbers are tracked");
            for (op, leaf) in leaves.iter().filter(|(_, leaf)| leaf.is_tracked()) {
                let gradient = pulled.at(leaf).unwrap_or_else(|| leaf.untracked().full_like(0.0));
                parts.entry(*op).or_default().push(gradient);
            }
        }
        let joined = parts.into_iter().map(|(op, rows)| Ok((op, Value::concat(&rows, 0)?)));
        Ok((numbers, joined.collect::<Result<_>>()?))
    }

    /// Values of all affected ops for these values of op `at`.
    fn forward(&mut self, points: &[Vec<f32>], at: usize) -> Result<HashMap<usize, Value>> {
        let n = points.len();
        let mut shape = self.base(at)?.shape().to_vec();
        shape[0] = n;
        let axes = self.program.ops[at].axes.clone();
        let device = self.session.run.device().clone();
        let value = Value::from_f32(points.concat(), &shape, &device).with_axes(&axes).whole();
        let mut values = HashMap::from([(at, value)]);
        for op in self.affected.clone() {
            let inputs = self.inputs(op, &values, n)?;
            let weights = self.session.run.branch().weights().clone();
            let context = self.context(n)?;
            let value = execute(&self.program.ops[op], &inputs, &weights, &context)?;
            values.insert(op, edited(&self.edits, op, value)?);
        }
        Ok(values)
    }

    fn inputs(&mut self, op: usize, values: &HashMap<usize, Value>, n: usize) -> Result<Vec<Value>> {
        let program = self.program.clone();
        program.ops[op]
            .inputs
            .iter()
            .map(|input| match values.get(input) {
                Some(value) => Ok(value.clone()),
                None => self.repeated(*input, n),
            })
            .collect()
    }

    fn repeated(&mut self, op: usize, n: usize) -> Result<Value> {
        let base = self.base(op)?;
        let axes = base.axes().to_vec();
        Ok(if n == 1 { base } else { Value::concat(&vec![base; n], 0)?.with_axes(&axes).whole() })
    }

    /// The values that the number reads, as leaves where they vary.
    fn targets(&mut self, values: &HashMap<usize, Value>, n: usize) -> Result<HashMap<usize, Value>> {
        let read = self.read.clone();
        read.into_iter()
            .map(|op| match values.get(&op) {
                Some(value) => Ok((op, value.leaf())),
                None => Ok((op, self.repeated(op, n)?)),
            })
            .collect()
    }

    fn rows(&mut self, values: &HashMap<usize, Value>, n: usize) -> Result<Vec<Value>> {
        let leaves = self.targets(values, n)?;
        (0..n).map(|row| number_of(self.session, self.expr, &leaves, row).map_err(Error::At)).collect()
    }

    fn context(&mut self, n: usize) -> Result<Arc<Context>> {
        if !self.contexts.contains_key(&n) {
            let run = &self.session.run;
            let row = run.branch().prompt().rows[self.session.focus.row].clone();
            let input = Input::from_rows(&run.model, vec![row; n])?;
            let context = Context::new(&run.model.spec, &input, run.branch().span(0), run.device());
            self.contexts.insert(n, Arc::new(context));
        }
        Ok(self.contexts[&n].clone())
    }

    /// What the site holds where the model, with the edits that are in force, reads these tokens instead: `[1, ...]`'s elements.
    pub fn of_tokens(&mut self, ids: &[u32]) -> Result<Vec<f32>> {
        let tokens = self.program.op_of("tokens").ok_or_else(|| Error::Refused("no tokens".into()))?;
        let device = self.session.run.device().clone();
        let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let value = Value::from_i64(ids.clone(), &[1, ids.len()], &device).with_axes(&self.program.ops[tokens].axes);
        let mut values = HashMap::from([(tokens, value)]);
        // The text is another one, the model is the same: edits in force are part of it.
        let edits = in_force(self.session, &|op| op <= self.at)?;
        for op in tokens + 1..=self.at {
            if !self.program.ops[op].inputs.iter().any(|input| values.contains_key(input)) {
                continue;
            }
            let inputs = self.inputs(op, &values, 1)?;
            let weights = self.session.run.branch().weights().clone();
            let context = self.context(1)?;
            let value = execute(&self.program.ops[op], &inputs, &weights, &context)?;
            values.insert(op, edited(&edits, op, value)?);
        }
        match values.get(&self.at) {
            Some(value) => Ok(value.read_f32()?),
            None => Err(Error::Refused(format!("{} does not depend on the tokens", self.program.ops[self.at].site))),
        }
    }
}

/// The number at one point, the values of a site there, and the gradient.
pub struct Point {
    /// The number.
    pub number: f64,
    /// The elements of the site.
    pub value: Vec<f32>,
    /// What the number gains for each.
    pub gradient: Vec<f32>,
}
