//! What a number takes from others when the rest of the pass is held: the pass backwards with norm scales, attention patterns and
//! gates as constants, up to the neurons, tokens and biases that it is a sum of.

use std::collections::HashMap;
use std::sync::Arc;

use crate::debugger::{Edit, PromptPass, Result, Session, Target, edited, in_force};
use crate::model::dictionary::Stage;
use crate::program::{After, Context, Kernel, Op, OpGradients, Program, Replay, Rule, execute};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, TensorError, Value};

/// Rows are computed together as long as the largest value of theirs stays below this, in bytes.
const VALUE_BYTES: usize = 16 << 20;

/// Most rows that are computed together.
const ROWS: usize = 32;

/// Entries that a row keeps, the largest; the others are summed.
const KEPT: usize = 1 << 15;

/// What is left of a sum in which nothing but rounding is left, as a part of the sizes that were added.
const ROUNDING: f64 = 1e-5;

/// What a number is a sum of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A neuron of the MLP whose activations op `op` gives.
    Neuron { op: usize, pos: usize, neuron: usize },
    /// The embedding of the token at a position.
    Token { pos: usize },
    /// Other rows of tables: of positions and token types. One for all positions.
    Table { op: usize },
    /// What op `op` gives at a position, which is not linear in what it reads and no neuron.
    Other { op: usize, pos: Option<usize> },
    /// The bias of an op, at all positions.
    Bias { op: usize },
}

/// What one number takes from its sources.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// What it is.
    pub value: f64,
    /// The largest parts.
    pub parts: Vec<(Source, f32)>,
    /// How many more there are, what they add up to, and the sum of their sizes.
    pub others: (usize, f64, f64),
}

impl Row {
    /// The sum of the sizes of all parts.
    pub fn size(&self) -> f64 {
        self.parts.iter().map(|(_, part)| f64::from(part.abs())).sum::<f64>() + self.others.2
    }

    fn add(&mut self, source: Source, part: f64) {
        if part != 0.0 {
            self.parts.push((source, part as f32));
        }
    }

    /// Keeps the largest parts.
    fn cut(&mut self) {
        if self.parts.len() <= KEPT {
            return;
        }
        self.parts.select_nth_unstable_by(KEPT, |a, b| b.1.abs().total_cmp(&a.1.abs()));
        for (_, part) in self.parts.drain(KEPT..) {
            let part = f64::from(part);
            self.others = (self.others.0 + 1, self.others.1 + part, self.others.2 + part.abs());
        }
    }
}

/// What happens to what is pulled back to the output of an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The op is a source.
    Source,
    /// It goes on, except to the first input where `held`.
    On { rule: Rule, held: bool },
}

/// Whether an op gives the activations of the neurons of an MLP, or the features of a dictionary.
pub fn is_neurons(op: &Op) -> bool {
    if let Kernel::Dictionary(stage, _) = op.kernel {
        return stage == Stage::Acts;
    }
    let acts = matches!(op.kernel, Kernel::Activation(_) | Kernel::Gated(_) | Kernel::Xielu);
    acts && op.axes.last() == Some(&Axis::Neuron)
}

/// Whether an op counts as a factor of each element, which is held: a norm of heads, whose scale is inside of it, and the
/// activation of a pooler.
pub fn is_factor(kernel: &Kernel) -> bool {
    matches!(kernel, Kernel::HeadNorm { clip: None, .. } | Kernel::Activation(_) | Kernel::ActivationNorm(_, None))
}

pub fn flow(op: &Op) -> Flow {
    let on = |rule, held| Flow::On { rule, held };
    match &op.kernel {
        _ if is_neurons(op) || op.inputs.is_empty() => Flow::Source,
        // The scale, the pattern, the gate.
        Kernel::LayerNormNormalized | Kernel::RmsNormalized | Kernel::Mix | Kernel::Gated(_) => {
            on(Rule::Gradient, true)
        }
        Kernel::Dictionary(stage, _) if *stage != Stage::Error => on(Rule::Gradient, false),
        _ if is_factor(&op.kernel) => on(Rule::Relevance, false),
        kernel if kernel.is_affine() => on(Rule::Gradient, false),
        _ => Flow::Source,
    }
}

/// The inputs of an op to which what is pulled back goes on. The site of a dictionary is what is rebuilt of it and what that
/// leaves out, so that it goes on to these and not to what computed the site.
pub fn onto(op: &Op) -> &[usize] {
    match (flow(op), &op.kernel) {
        (Flow::Source, _) => &[],
        (_, Kernel::Dictionary(Stage::Out, _)) => &op.inputs[op.inputs.len() - 2..],
        (Flow::On { held: true, .. }, _) => &op.inputs[1..],
        _ => &op.inputs,
    }
}

/// The ops that what is pulled back from an op comes to.
pub fn reached(program: &Program, from: usize) -> Vec<bool> {
    let mut reached = vec![false; from + 1];
    reached[from] = true;
    for op in (0..=from).rev() {
        if reached[op] {
            onto(&program.ops[op]).iter().for_each(|&input| reached[input] = true);
        }
    }
    reached
}

/// The pass of the prompt for the focused row, with edits in force, held.
pub struct Held<'a> {
    pub session: &'a mut Session,
    pub pass: PromptPass,
    pub program: Arc<Program>,
    pub edits: Vec<Edit>,
    base: HashMap<usize, Value>,
    contexts: HashMap<usize, Arc<Context>>,
}

impl<'a> Held<'a> {
    /// # Errors
    /// If the run is not in the pass of the prompt, or edits are in force that cannot be made for one row.
    pub fn new(session: &'a mut Session) -> Result<Held<'a>> {
        let (program, pass) = (session.run.program.clone(), session.prompt_pass()?);
        let edits = in_force(session, &|_| true)?;
        Ok(Held { session, pass, program, edits, base: HashMap::new(), contexts: HashMap::new() })
    }

    /// What the run has at an op: `[1, ...]`.
    pub fn base(&mut self, op: usize) -> Result<Value> {
        if let Some(value) = self.base.get(&op) {
            return Ok(value.clone());
        }
        let value = self.pass.value(&mut self.session.run, op)?.whole();
        self.base.insert(op, value.clone());
        Ok(value)
    }

    pub fn context(&mut self, n: usize) -> Result<Arc<Context>> {
        if let Some(context) = self.contexts.get(&n) {
            return Ok(context.clone());
        }
        let context = Arc::new(self.pass.context(&self.session.run, n)?);
        self.contexts.insert(n, context.clone());
        Ok(context)
    }

    /// How many numbers of an op are pulled back together.
    pub fn batch(&self, op: usize) -> usize {
        let length = self.session.run.branch().prompt().length();
        // Numbers for each position, of what goes backwards: not of scores and logits.
        let of = |op: &Op| match flow(op) {
            _ if matches!(op.kernel, Kernel::Mix) => op.heads * op.width.max(length),
            Flow::On { .. } => op.heads.max(1) * op.width,
            Flow::Source => op.width,
        };
        let ops = self.program.ops[..=op].iter().filter(|op| !matches!(op.kernel, Kernel::Unembed { .. }));
        let largest = 4 * length * ops.map(of).max().unwrap_or(0);
        (VALUE_BYTES / largest.max(1)).clamp(1, ROWS)
    }

    /// Rows of the sums `sum(seed x)` over what an op gives, where each seed has one number that is not zero: at a position
    /// and an index, and what it is.
    ///
    /// # Errors
    /// If the device fails or the user interrupts.
    pub fn rows(&mut self, op: usize, seeds: &[(usize, usize, f32)]) -> Result<Vec<Row>> {
        let base = self.base(op)?;
        let (count, width) = (base.count(), self.program.ops[op].width);
        let mut data = vec![0.0; count * seeds.len()];
        for (row, (pos, index, factor)) in seeds.iter().enumerate() {
            data[row * count + pos * width + index] = *factor;
        }
        self.pulled(op, data, vec![Row::default(); seeds.len()])
    }

    /// What each of these gradients at an op takes from sources, added to rows.
    pub fn pulled(&mut self, op: usize, seeds: Vec<f32>, mut rows: Vec<Row>) -> Result<Vec<Row>> {
        let n = rows.len();
        let base = self.base(op)?;
        let shape = [&[n], &base.shape()[1..]].concat();
        let seed = Value::from_f32(seeds, &shape, self.session.run.device_of(op)).with_axes(base.axes()).whole();
        let mut gradients = OpGradients::default();
        gradients.set(op, seed);
        let (program, context) = (self.program.clone(), self.context(n)?);
        for number in (0..=op).rev() {
            rows.iter_mut().filter(|row| row.parts.len() > 2 * KEPT).for_each(Row::cut);
            let Some(seed) = gradients.get(number).cloned() else { continue };
            let of = &program.ops[number];
            let value = self.base(number)?;
            let out = value.read_f64()?;
            let Flow::On { rule, .. } = flow(of) else {
                sources(&mut rows, (number, of), value.shape(), (&out, &seed.read_f32()?));
                gradients.take(number);
                continue;
            };
            let inputs = of.inputs.iter().map(|&input| repeated(&self.base(input)?, n)).collect::<Result<Vec<_>>>()?;
            let weights = self.session.run.branch().weights().clone();
            let replay = Replay { program: &program, weights: &weights, context: &context };
            let edits = &self.edits;
            let after = |value: Value| edited(edits, number, value);
            let touched = edits.iter().any(|edit| edit.target == Target::Op(number));
            let after = touched.then_some(&after as After<'_>);
            let mut left = worth(&out, &seed.read_f32()?, n);
            let mut taken: Vec<(usize, Value)> = Vec::new();
            if let Kernel::Dictionary(Stage::Out, _) = of.kernel {
                for &input in onto(of) {
                    let shape = [&[n], &self.base(input)?.shape()[1..]].concat();
                    let gradient = seed.clone().reshaped(&shape).with_axes(self.base(input)?.axes()).whole();
                    gradients.add(input, gradient.clone())?;
                    taken.push((input, gradient));
                }
            } else {
                replay.pull(number, &inputs, after, rule, &mut gradients, |input, gradient| {
                    let goes_on = onto(of).contains(&input);
                    taken.extend(goes_on.then(|| (input, gradient.clone())));
                    Ok(goes_on.then_some(gradient))
                })?;
            }
            gradients.take(number);
            let mut sizes: Vec<f64> = left.iter().map(|(value, size)| value.abs().max(*size)).collect();
            for (input, gradient) in taken {
                let found = worth(&self.base(input)?.read_f64()?, &gradient.read_f32()?, n);
                for (row, (value, size)) in found.into_iter().enumerate() {
                    left[row].0 -= value;
                    sizes[row] += size;
                }
            }
            for ((row, (value, _)), size) in rows.iter_mut().zip(left).zip(sizes) {
                match value.abs() > ROUNDING * size {
                    true => row.add(Source::Bias { op: number }, value),
                    false => row.others = (row.others.0, row.others.1 + value, row.others.2 + value.abs()),
                }
            }
        }
        for row in &mut rows {
            row.value = row.parts.iter().map(|(_, part)| f64::from(*part)).sum::<f64>() + row.others.1;
            row.cut();
        }
        Ok(rows)
    }

    /// What an op gives for these inputs with the weights of the branch, without edits of its output.
    pub fn execute(&mut self, op: &Op, inputs: &[Value]) -> Result<Value> {
        let context = self.context(1)?;
        Ok(execute(op, inputs, self.session.run.branch().weights(), &context)?)
    }
}

fn repeated(base: &Value, n: usize) -> Result<Value> {
    let axes = base.axes().to_vec();
    Ok(if n == 1 { base.clone() } else { Value::concat(&vec![base.clone(); n], 0)?.with_axes(&axes).whole() })
}

/// `sum(x r)` for each of `n` rows of `r`, and the sum of the sizes.
fn worth(x: &[f64], r: &[f32], n: usize) -> Vec<(f64, f64)> {
    let one = |r: &[f32]| {
        let parts = x.iter().zip(r).filter(|(_, r)| **r != 0.0).map(|(x, r)| x * f64::from(*r));
        parts.fold((0.0, 0.0), |(sum, size), part| (sum + part, size + part.abs()))
    };
    r.chunks((r.len() / n).max(1)).map(one).collect()
}

/// Adds what an op that is a source gives to each row: by neurons, by positions, or together.
fn sources(rows: &mut [Row], (number, op): (usize, &Op), shape: &[usize], (x, r): (&[f64], &[f32])) {
    let positions = op.axes.iter().position(|axis| matches!(axis, Axis::Pos | Axis::Q));
    let neurons = is_neurons(op);
    for (row, r) in rows.iter_mut().zip(r.chunks(x.len().max(1))) {
        if neurons {
            for (at, (x, r)) in x.iter().zip(r).enumerate().filter(|(_, (_, r))| **r != 0.0) {
                let (pos, neuron) = (at / op.width, at % op.width);
                row.add(Source::Neuron { op: number, pos, neuron }, x * f64::from(*r));
            }
            continue;
        }
        match (&op.kernel, positions) {
            (Kernel::PositionEmbed | Kernel::TypeEmbed, _) => {
                row.add(Source::Table { op: number }, worth(x, r, 1)[0].0);
            }
            // Positions are the first axis after the row.
            (kernel, Some(1)) => {
                let each = (x.len() / shape[1].max(1)).max(1);
                for (pos, (x, r)) in x.chunks(each).zip(r.chunks(each)).enumerate() {
                    let source = match kernel {
                        Kernel::Embed { .. } => Source::Token { pos },
                        _ => Source::Other { op: number, pos: Some(pos) },
                    };
                    row.add(source, worth(x, r, 1)[0].0);
                }
            }
            _ => row.add(Source::Other { op: number, pos: None }, worth(x, r, 1)[0].0),
        }
    }
}

/// One position of a value `[1, T, ...]`.
pub fn at(value: &Value, pos: usize) -> Result<Value, TensorError> {
    value.slice(&[Slice::All, Slice::Range { start: pos, end: pos + 1, step: 1 }])
}
