//! Direct logit attribution: a logit as the sum of what every component adds to the residual stream.
//!
//! The path from the stream to the logit is affine once the scale of each norm on it is held at what it was: the
//! gradient `g` of the logit along this path is followed back from the unembedding through norms and sums, and a
//! component that adds `c` counts `g . c` (Elhage et al. 2021; `logit_attrs` of TransformerLens). A norm with
//! statistics `m`, `s` passes back `(g - mean(g)) / s`, without a mean `g / s`. Weights stay as they are: nothing is
//! folded or centred. What is left are biases.

use std::collections::BTreeMap;

use crate::debugger::{Mark, Result, RunError, Session, Target};
use crate::model::dictionary::Stage;
use crate::model::role::Role;
use crate::model::spec::Act;
use crate::program::{self, Kernel, Op, Program, execute, pull_back};
use crate::tensor::ops::Slice;
use crate::tensor::{TensorError, Value};

/// What adds to a logit.
#[derive(Clone, Debug, PartialEq)]
pub enum Component {
    /// The output of an op: an embedding, an MLP.
    Site(String),
    Head(usize, usize),
    /// The bias of an op, and whatever edits have put in its place.
    Bias(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub component: Component,
    pub layer: Option<usize>,
    pub share: f64,
    /// Of a head: what it adds by way of each key position.
    pub sources: Vec<f64>,
}

/// A logit, or a difference of two, and its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Direct {
    /// What is explained; before the cap where the model caps its logits.
    pub value: f64,
    pub capped: bool,
    /// In program order.
    pub parts: Vec<Part>,
    /// Neurons of dense MLPs: block, number, what it adds.
    pub neurons: Vec<(usize, usize, f64)>,
    /// Features of dictionaries: the site of the features, number, what it adds.
    pub features: Vec<(String, usize, f64)>,
}

/// What components are divided into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    #[default]
    Components,
    /// MLPs into their neurons too.
    Neurons,
    /// Where a dictionary is on the path, what it rebuilds into its features, its bias and its error; nothing before it.
    Features,
}

/// Explains `sum(factor * logit(token))` at a position of the focused row. `split` says what else is asked for.
///
/// # Errors
/// If the model predicts no tokens or its head is not affine, or the pass has not come to its logits.
pub fn direct(session: &mut Session, pos: usize, wanted: &[(usize, f64)], split: Split) -> Result<Direct> {
    let (pass, at) = session.run.branch().column(pos);
    let program = session.run.program.clone();
    let logits = program.op_of("logits").filter(|&op| matches!(program.ops[op].kernel, Kernel::Unembed { .. }));
    let logits = logits.ok_or("the model predicts no tokens, so no logit can be explained")?;
    let (gradients, parts, neurons, features) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
    let mut walk = Walk { session, pass, at, gradients, parts, neurons, features, split };
    let mut op = program.ops[logits].clone();
    let mut capped = false;
    if let Kernel::Unembed { softcap, .. } = &mut op.kernel {
        capped = softcap.take().is_some();
    }
    let hidden = op.inputs[0];
    let input = walk.here(hidden)?;
    let vocab = op.width;
    let mut seed = vec![0.0f32; vocab];
    wanted.iter().for_each(|(token, factor)| seed[*token] += *factor as f32);
    let seed = Value::from_f32(seed, &[1, 1, vocab], walk.session.run.device_of(logits));
    let pulled = walk.pull(&op, std::slice::from_ref(&input), &seed)?.swap_remove(0);
    let g = pulled.ok_or("the logit does not depend on the hidden state")?.read_f64()?;
    // What the head makes of this hidden state, without its cap.
    let branch = walk.session.run.branch();
    let own = execute(&op, std::slice::from_ref(&input), branch.weights(), branch.context(pass))?.read_f64()?;
    let value: f64 = wanted.iter().map(|(token, factor)| own[*token] * factor).sum();
    let bias = value - dot(&g, &input.read_f64()?);
    if has_bias(&op) {
        walk.bias(&op, bias);
    }
    walk.gradients.insert(hidden, g);
    let found = walk.gone_through(&program)?;
    if found.parts.iter().all(|part| part.layer.is_none()) {
        return Err("the head of this model is not affine: its logits are not a sum over components".into());
    }
    Ok(Direct { value, capped, ..found })
}

/// Explains `vector . x` in the same way, where `x` is what a site holds at a position of the focused row.
///
/// # Errors
/// If the pass has not come to the site.
pub fn along(session: &mut Session, pos: usize, (op, vector): (usize, &[f64]), split: Split) -> Result<Direct> {
    let (pass, at) = session.run.branch().column(pos);
    let program = session.run.program.clone();
    let (parts, neurons, features) = (Vec::new(), Vec::new(), Vec::new());
    let gradients = BTreeMap::from([(op, vector.to_vec())]);
    let mut walk = Walk { session, pass, at, gradients, parts, neurons, features, split };
    let value = dot(vector, &walk.here(op)?.read_f64()?);
    Ok(Direct { value, ..walk.gone_through(&program)? })
}

struct Walk<'a> {
    session: &'a mut Session,
    pass: usize,
    at: usize,
    /// Of ops still to be gone through.
    gradients: BTreeMap<usize, Vec<f64>>,
    parts: Vec<Part>,
    neurons: Vec<(usize, usize, f64)>,
    features: Vec<(String, usize, f64)>,
    split: Split,
}

impl Walk<'_> {
    /// Goes through everything that has a gradient, from the last op to the first.
    fn gone_through(mut self, program: &Program) -> Result<Direct> {
        while let Some((number, g)) = self.gradients.pop_last() {
            self.op(number, &program.ops[number], g)?;
        }
        self.parts.reverse();
        let Walk { parts, neurons, features, .. } = self;
        Ok(Direct { value: f64::NAN, capped: false, parts, neurons, features })
    }

    /// The value of an op at the position, `[1, 1, ...]`.
    fn here(&mut self, op: usize) -> Result<Value, RunError> {
        let value = self.session.run.value_at(Mark { pass: self.pass, op })?;
        let row = self.session.focus.row;
        let one = |at: usize| Slice::Range { start: at, end: at + 1, step: 1 };
        Ok(value.slice(&[one(row), one(self.at)])?)
    }

    fn pull(&self, op: &Op, inputs: &[Value], seed: &Value) -> Result<Vec<Option<Value>>, TensorError> {
        let branch = self.session.run.branch();
        pull_back(op, inputs, branch.weights(), branch.context(self.pass), None, seed)
    }

    fn add(&mut self, op: usize, g: Vec<f64>) {
        match self.gradients.get_mut(&op) {
            Some(sum) => sum.iter_mut().zip(g).for_each(|(sum, more)| *sum += more),
            None => drop(self.gradients.insert(op, g)),
        }
    }

    fn bias(&mut self, op: &Op, share: f64) {
        self.push(Component::Bias(op.site.clone()), op.layer, share, Vec::new());
    }

    fn push(&mut self, component: Component, layer: Option<usize>, share: f64, sources: Vec<f64>) {
        self.parts.push(Part { component, layer, share, sources });
    }

    /// Passes a gradient on through an affine op, or counts what the op adds.
    fn op(&mut self, number: usize, op: &Op, g: Vec<f64>) -> Result<()> {
        match &op.kernel {
            Kernel::Same => self.add(op.inputs[0], g),
            Kernel::Scale { factor } => self.add(op.inputs[0], g.iter().map(|x| x * factor).collect()),
            Kernel::Times => {
                let back = self.back(op, &g)?;
                self.add(op.inputs[0], back);
            }
            Kernel::Add => op.inputs.iter().for_each(|&input| self.add(input, g.clone())),
            Kernel::LayerNormNormalized | Kernel::RmsNormalized => {
                let scale = self.here(op.inputs[0])?.read_f64()?[0];
                let mean = match op.kernel {
                    Kernel::LayerNormNormalized => g.iter().sum::<f64>() / g.len() as f64,
                    _ => 0.0,
                };
                let g: Vec<f64> = g.iter().map(|x| (x - mean) / scale).collect();
                // What is normed is the sum of the other inputs.
                op.inputs[1..].iter().for_each(|&input| self.add(input, g.clone()));
            }
            Kernel::Gain { .. } => {
                let back = self.back(op, &g)?;
                let (out, input) = (self.here(number)?.read_f64()?, self.here(op.inputs[0])?.read_f64()?);
                if has_bias(op) {
                    self.bias(op, dot(&g, &out) - dot(&back, &input));
                }
                self.add(op.inputs[0], back);
            }
            Kernel::Dictionary(Stage::Out, _) if self.split == Split::Features => self.dictionary(op, &g)?,
            Kernel::Dictionary(Stage::Out, _) => {
                let site = op.inputs[0];
                let (out, before) = (self.here(number)?.read_f64()?, self.here(site)?.read_f64()?);
                // What edits of features have changed.
                if out != before {
                    self.bias(op, dot(&g, &out) - dot(&g, &before));
                }
                self.add(site, g);
            }
            Kernel::Output if op.part == Some(program::Part::AttnOutput) => self.heads(number, op, &g)?,
            _ => {
                let share = dot(&g, &self.here(number)?.read_f64()?);
                // Other linear layers of a block read no neurons.
                let of_mlp = matches!(op.part, Some(program::Part::MlpOutput | program::Part::DenseOutput));
                let neurons = self.split == Split::Neurons && of_mlp;
                if let (Kernel::Linear { .. }, Some(layer), true) = (&op.kernel, op.layer, neurons) {
                    self.neurons(op, layer, &g)?;
                }
                self.push(Component::Site(op.site.clone()), op.layer, share, Vec::new());
            }
        }
        Ok(())
    }

    /// The gradient at the first input of an op that acts on each position alone.
    fn back(&mut self, op: &Op, g: &[f64]) -> Result<Vec<f64>> {
        let inputs: Vec<Value> = op.inputs.iter().map(|&input| self.here(input)).collect::<Result<_, _>>()?;
        let device = op.device(&self.session.run.model.placement);
        let seed = Value::from_f32(g.iter().map(|x| *x as f32).collect(), &[1, 1, g.len()], device);
        let pulled = self.pull(op, &inputs, &seed)?.swap_remove(0);
        Ok(pulled.ok_or_else(|| format!("{} does not depend on its input", op.site))?.read_f64()?)
    }

    /// What each head adds, and by way of which keys.
    fn heads(&mut self, number: usize, op: &Op, g: &[f64]) -> Result<()> {
        let layer = op.layer.unwrap_or(0);
        let mut of_z = self.back(op, g)?;
        let z = self.here(op.inputs[0])?;
        // A dictionary may be behind what heads mix.
        let program = self.session.run.program.clone();
        let mut mix = op.inputs[0];
        while let Kernel::Dictionary(Stage::Out, _) = program.ops[mix].kernel {
            mix = program.ops[mix].inputs[0];
        }
        let (heads, width) = (z.shape()[2], z.shape()[3]);
        let z = z.read_f64()?;
        let share = dot(g, &self.here(number)?.read_f64()?);
        let mut sum = 0.0;
        let adds = |head: usize| dot(&of_z[head * width..][..width], &z[head * width..][..width]);
        let adds: Vec<f64> = (0..heads).map(adds).collect();
        let mixed = &program.ops[mix];
        let mix = match (&mixed.kernel, mixed.inputs.as_slice()) {
            (Kernel::Gated(Act::Sigmoid), &[gate, mix]) => {
                // What heads mix is worth less by its gate.
                let gates = self.here(gate)?.read_f64()?;
                of_z.iter_mut().zip(gates).for_each(|(g, gate)| *g /= 1.0 + (-gate).exp());
                mix
            }
            _ => mix,
        };
        let sources = self.sources(mix, &of_z, (heads, width))?;
        for ((head, sources), adds) in (0..heads).zip(sources).zip(adds) {
            sum += adds;
            self.push(Component::Head(layer, head), op.layer, adds, sources);
        }
        // An edit of the output is added to what the heads add.
        let edited = self.session.run.branch().edits.iter().any(|edit| edit.target == Target::Op(number));
        if has_bias(op) || edited {
            self.bias(op, share - sum);
        }
        Ok(())
    }

    /// `A[q, k] (g_z . v[k])` of every head and key.
    fn sources(&mut self, mix: usize, of_z: &[f64], (heads, width): (usize, usize)) -> Result<Vec<Vec<f64>>> {
        let program = self.session.run.program.clone();
        let (pattern, v) = (program.ops[mix].inputs[0], program.ops[mix].inputs[1]);
        let row = self.session.focus.row;
        let pattern = self.session.run.value_at(Mark { pass: self.pass, op: pattern })?;
        let pattern = pattern.slice(&[Slice::At(row), Slice::All, Slice::At(self.at)])?;
        let keys = pattern.shape()[1];
        let pattern = pattern.read_f64()?;
        let mut values = Vec::new();
        let mut kv_heads = 1;
        // Values of all passes so far, joined along positions.
        for pass in 0..=self.pass {
            let part = self.session.run.value_at(Mark { pass, op: v })?.slice(&[Slice::At(row)])?;
            kv_heads = part.shape()[1];
            values.extend(part.read_f64()?);
        }
        let group = heads / kv_heads.max(1);
        let of_key = |head: usize, k: usize| {
            let (g, v) = (&of_z[head * width..][..width], &values[(k * kv_heads + head / group) * width..][..width]);
            pattern[head * keys + k] * dot(g, v)
        };
        Ok((0..heads).map(|head| (0..keys).map(|k| of_key(head, k)).collect()).collect())
    }

    /// What each feature of a dictionary adds, what its bias does, and what its error does.
    fn dictionary(&mut self, op: &Op, g: &[f64]) -> Result<()> {
        let program = self.session.run.program.clone();
        let &[_, _, _, acts, recon, error] = &op.inputs[..] else {
            return Err(format!("{} is incomplete", op.site).into());
        };
        let (of_acts, of_recon, of_error) = (&program.ops[acts], &program.ops[recon], &program.ops[error]);
        // The decoder is affine: its gradient at the features is what each is worth.
        let worth = self.back(of_recon, g)?;
        let features = self.here(acts)?.read_f64()?;
        let whole = dot(g, &self.here(recon)?.read_f64()?);
        let adds: Vec<f64> = worth.iter().zip(&features).map(|(worth, x)| worth * x).collect();
        let active = adds.iter().enumerate().filter(|(feature, _)| features[*feature] != 0.0);
        self.features.extend(active.map(|(feature, adds)| (of_acts.site.clone(), feature, *adds)));
        let sum: f64 = adds.iter().sum();
        self.bias(of_recon, whole - sum);
        self.push(Component::Site(of_acts.site.clone()), op.layer, sum, Vec::new());
        let left = dot(g, &self.here(error)?.read_f64()?);
        self.push(Component::Site(of_error.site.clone()), op.layer, left, Vec::new());
        Ok(())
    }

    fn neurons(&mut self, op: &Op, layer: usize, g: &[f64]) -> Result<()> {
        let back = self.back(op, g)?;
        let post = self.here(op.inputs[0])?.read_f64()?;
        let adds = back.iter().zip(&post).enumerate().map(|(neuron, (g, x))| (layer, neuron, g * x));
        self.neurons.extend(adds);
        Ok(())
    }
}

/// Whether an op on the path of the stream adds a bias.
fn has_bias(op: &Op) -> bool {
    let reads = |role: Role| op.weights.iter().any(|weight| weight.role == role);
    match op.kernel {
        Kernel::Unembed { .. } => reads(Role::b_U),
        Kernel::Output => reads(Role::b_O),
        // Of a norm: its gain, and its bias if it has one.
        Kernel::Gain { .. } => op.weights.len() > 1,
        _ => false,
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
