//! The model as a function of one of its values: the current pass again, with other values at a site, many at a time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::debugger::{Edit, Error, PromptPass, Result, Session, Target, edited, in_force, number_of, ops_of, row_of};
use crate::lang::Expr;
use crate::program::{After, Along, Context, Keep, OpGradients, Program, Replay, Rule, Values, Visitor};
use crate::tensor::{Device, Value, step};

/// Rows are computed together as long as what they hold stays below this.
const BATCH_BYTES: u64 = 256 << 20;

/// And no single value of theirs grows beyond this: larger pieces of memory are given back to the system each time, and
/// clearing them when they are taken again costs more than a larger batch saves.
const VALUE_BYTES: u64 = 28 << 20;

/// A number over the pass of the prompt, or several, as a function of what op `at` gives.
pub struct Probe<'a> {
    session: &'a mut Session,
    pass: PromptPass,
    program: Arc<Program>,
    exprs: &'a [Expr],
    /// Which of the numbers is asked for where one is.
    asked: usize,
    read: Vec<usize>,
    /// The op whose values vary.
    pub at: usize,
    /// Ops that depend on it and that the number depends on, in order.
    affected: Vec<usize>,
    edits: Vec<Edit>,
    /// What the run has there, for the focused row: `[1, ...]`.
    base: Values,
    contexts: HashMap<usize, Arc<Context>>,
    bytes: u64,
    largest: u64,
    /// The same of all that is repeated for a batch, what ops only read included: in bytes of arithmetic.
    widest: u64,
    elsewhere: Option<Vec<f32>>,
    rule: Rule,
}

impl<'a> Probe<'a> {
    /// # Errors
    /// If the run is not in the pass of the prompt, the number does not depend on the site, or edits are in force that
    /// cannot be made again.
    pub fn new(session: &'a mut Session, expr: &'a Expr, at: usize) -> Result<Probe<'a>> {
        Probe::of_several(session, std::slice::from_ref(expr), at)
    }

    /// The same for several numbers, the first of which is asked for.
    pub fn of_several(session: &'a mut Session, exprs: &'a [Expr], at: usize) -> Result<Probe<'a>> {
        let (program, pass) = (session.run.program.clone(), session.prompt_pass()?);
        let mut read: Vec<usize> = exprs.iter().flat_map(|expr| ops_of(session, expr)).collect();
        read.sort_unstable();
        read.dedup();
        let last = read.iter().copied().max().unwrap_or(0);
        let after = depend_on(&program, at);
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
            pass,
            program,
            exprs,
            asked: 0,
            read,
            at,
            affected,
            edits,
            base: Values::new(),
            contexts: HashMap::new(),
            bytes: 0,
            largest: 1,
            widest: 1,
            elsewhere: None,
            rule: Rule::Gradient,
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

    /// The same; `None` if the number does not depend on the site.
    pub fn if_dependent(session: &'a mut Session, expr: &'a Expr, at: usize) -> Result<Option<Probe<'a>>> {
        match Probe::new(session, expr, at) {
            Err(Error::Independent(_)) => Ok(None),
            probe => probe.map(Some),
        }
    }

    /// What the run has at an op, for the focused row: `[1, ...]`.
    pub fn base(&mut self, op: usize) -> Result<Value> {
        if let Some(value) = self.base.get(&op) {
            return Ok(value.clone());
        }
        let value = self.pass.value(&mut self.session.run, op)?;
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
        Ok(self.base(self.at)?.read_f32()?)
    }

    /// From now on the number is this one of several.
    pub fn ask(&mut self, number: usize) {
        self.asked = number;
    }

    /// From now on gradients are those of AttnLRP: an element times its gradient is its relevance.
    pub fn propagate_relevance(&mut self) {
        self.rule = Rule::Relevance;
    }

    /// How many rows are computed together: no more than the device holds in one buffer.
    pub fn batch(&self) -> usize {
        let devices = self.session.run.model.placement.devices();
        let held = devices.iter().map(Device::max_buffer_bytes).min().unwrap_or(u64::MAX) / self.widest;
        (BATCH_BYTES / self.bytes.max(1)).min(VALUE_BYTES / self.largest).min(held).clamp(1, 64) as usize
    }

    /// The number for each of these values of the site.
    pub fn numbers(&mut self, points: &[Vec<f32>]) -> Result<Vec<f64>> {
        self.numbers_of(points.len(), &|i| points[i].clone())
    }

    /// The same for `count` values that are made when they are needed: many of a large site are more than memory holds.
    pub fn numbers_of(&mut self, count: usize, point: &dyn Fn(usize) -> Vec<f32>) -> Result<Vec<f64>> {
        let exprs = self.exprs;
        let asked = &exprs[self.asked..=self.asked];
        Ok(self.numbers_in(asked, count, point)?.into_iter().flatten().collect())
    }

    /// All numbers for each of them.
    pub fn numbers_of_each(&mut self, count: usize, point: &dyn Fn(usize) -> Vec<f32>) -> Result<Vec<Vec<f64>>> {
        self.numbers_in(self.exprs, count, point)
    }

    fn numbers_in(&mut self, exprs: &[Expr], count: usize, point: &dyn Fn(usize) -> Vec<f32>) -> Result<Vec<Vec<f64>>> {
        let mut found = Vec::with_capacity(count);
        while found.len() < count {
            step("evaluations", found.len() as u64, count as u64)?;
            let chunk: Vec<Vec<f32>> = (found.len()..count).take(self.batch()).map(point).collect();
            let values = self.forward(&chunk)?;
            // The values that the numbers read, as leaves where they vary.
            let mut leaves = Values::new();
            for op in self.read.clone() {
                let value = values.get(&op).map(Value::leaf);
                leaves.insert(op, value.map_or_else(|| self.repeated(op, chunk.len()), Ok)?);
            }
            for row in 0..chunk.len() {
                let mut number = |expr| Ok(number_of(self.session, expr, &leaves, row)?.untracked().read_scalar()?);
                found.push(exprs.iter().map(&mut number).collect::<Result<Vec<f64>>>()?);
            }
        }
        Ok(found)
    }

    /// The number for each of these values of the site, the values of the op `of` there (the site itself or one after
    /// it), and the gradient at `of`.
    pub fn gradients(&mut self, points: &[Vec<f32>], of: usize) -> Result<Vec<Point>> {
        if of != self.at && !self.affected.contains(&of) {
            let (of, at) = (&self.program.ops[of].site, &self.program.ops[self.at].site);
            return Err(format!("{of} is not between {at} and the number").into());
        }
        let mut found = Vec::with_capacity(points.len());
        for chunk in points.chunks(self.batch()) {
            step("evaluations", found.len() as u64, points.len() as u64)?;
            let values = self.forward(chunk)?;
            let (numbers, mut pulled) = self.ends(&values, chunk.len())?;
            let (program, context) = (self.program.clone(), self.context(chunk.len())?);
            let weights = self.session.run.branch().weights().clone();
            let replay = Replay { program: &program, weights: &weights, context: &context };
            for op in self.affected.clone().into_iter().rev().take_while(|&op| op > of) {
                if pulled.get(op).is_none() {
                    continue;
                }
                let inputs = self.inputs(op, &values, chunk.len())?;
                let edits = &self.edits;
                let after = |value: Value| edited(edits, op, value);
                let touched = edits.iter().any(|edit| edit.target == Target::Op(op));
                let after = touched.then_some(&after as After<'_>);
                replay.pull(op, &inputs, after, self.rule, &mut pulled, |input, gradient| {
                    Ok(values.contains_key(&input).then_some(gradient))
                })?;
                pulled.take(op);
            }
            let value = &values[&of];
            let width = value.count() / chunk.len();
            let gradient = match pulled.take(of) {
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

    /// The number of each row, and the gradients of each at what it reads. Each row has its own tape: the gradient of
    /// one logit is as large as all logits, and those of all rows together would be that again for each row.
    fn ends(&mut self, values: &Values, n: usize) -> Result<(Vec<f64>, OpGradients)> {
        let mut numbers = Vec::with_capacity(n);
        let mut parts: HashMap<usize, Vec<Value>> = HashMap::new();
        for row in 0..n {
            let mut leaves = HashMap::new();
            for op in self.read.clone() {
                let leaf = match values.get(&op) {
                    Some(value) => row_of(value, row)?.whole().leaf(),
                    None => self.base(op)?,
                };
                leaves.insert(op, leaf);
            }
            let number = number_of(self.session, &self.exprs[self.asked], &leaves, 0)?;
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

    /// Values of all affected ops for these values of the site.
    fn forward(&mut self, points: &[Vec<f32>]) -> Result<Values> {
        let mut shape = self.base(self.at)?.shape().to_vec();
        shape[0] = points.len();
        let value = Value::from_f32(points.concat(), &shape, self.session.run.device_of(self.at));
        let value = value.with_axes(&self.program.ops[self.at].axes).whole();
        let (ops, edits) = (self.affected.clone(), self.edits.clone());
        self.replayed(ops, Values::from([(self.at, value)]), edits, points.len())
    }

    /// Runs ops for `n` copies of the focused row on these values; all others that they read are those of the run.
    fn replayed(&mut self, ops: Vec<usize>, values: Values, edits: Vec<Edit>, n: usize) -> Result<Values> {
        let (program, context) = (self.program.clone(), self.context(n)?);
        let weights = self.session.run.branch().weights().clone();
        let replay = Replay { program: &program, weights: &weights, context: &context };
        replay.run(ops, values, Keep::All, &mut OfCopies { probe: self, edits, n })
    }

    fn inputs(&mut self, op: usize, values: &Values, n: usize) -> Result<Vec<Value>> {
        let program = self.program.clone();
        let of = |input| values.get(input).map_or_else(|| self.repeated(*input, n), |value| Ok(value.clone()));
        program.ops[op].inputs.iter().map(of).collect()
    }

    fn repeated(&mut self, op: usize, n: usize) -> Result<Value> {
        let base = self.base(op)?;
        let axes = base.axes().to_vec();
        Ok(if n == 1 { base } else { Value::concat(&vec![base; n], 0)?.with_axes(&axes).whole() })
    }

    fn context(&mut self, n: usize) -> Result<Arc<Context>> {
        if let Some(context) = self.contexts.get(&n) {
            return Ok(context.clone());
        }
        let context = Arc::new(self.pass.context(&self.session.run, n)?);
        self.contexts.insert(n, context.clone());
        Ok(context)
    }

    /// What the site holds where the model, with the edits that are in force, reads these tokens instead: `[1, ...]`'s
    /// elements.
    pub fn of_tokens(&mut self, ids: &[u32]) -> Result<Vec<f32>> {
        let name = match self.program.ops[self.at].along {
            Along::Source => "encoder.tokens",
            Along::Text | Along::Across => "tokens",
        };
        let tokens = self.program.op_of(name).ok_or("no tokens")?;
        let shape = [1, ids.len()];
        let ids = ids.iter().map(|&id| i64::from(id)).collect();
        let value = Value::from_i64(ids, &shape, self.session.run.device_of(tokens));
        let value = value.with_axes(&self.program.ops[tokens].axes);
        let after = depend_on(&self.program, tokens);
        if !after[self.at] {
            return Err(format!("{} does not depend on the tokens", self.program.ops[self.at].site).into());
        }
        // The text is different, the model is the same: edits in force are part of it.
        let edits = in_force(self.session, &|op| op <= self.at)?;
        let ops = (tokens + 1..=self.at).filter(|&op| after[op]).collect();
        let values = self.replayed(ops, Values::from([(tokens, value)]), edits, 1)?;
        Ok(values[&self.at].read_f32()?)
    }
}

/// Whether each op depends on one: that op itself does.
fn depend_on(program: &Program, one: usize) -> Vec<bool> {
    let mut found = vec![false; program.ops.len()];
    found[one] = true;
    for op in one + 1..program.ops.len() {
        found[op] = program.ops[op].inputs.iter().any(|&input| found[input]);
    }
    found
}

/// Ops run for so many copies of the focused row.
struct OfCopies<'a, 'b> {
    probe: &'a mut Probe<'b>,
    edits: Vec<Edit>,
    n: usize,
}

impl Visitor for OfCopies<'_, '_> {
    type Error = Error;

    fn outside(&mut self, op: usize) -> Result<Value> {
        self.probe.repeated(op, self.n)
    }

    fn made(&mut self, op: usize, value: Value) -> Result<Value> {
        Ok(edited(&self.edits, op, value)?)
    }
}

/// The number at one point, the values of a site there, and the gradient.
pub struct Point {
    pub number: f64,
    pub value: Vec<f32>,
    /// What the number gains for each.
    pub gradient: Vec<f32>,
}
