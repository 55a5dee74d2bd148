//! Guesses at why an op differs. Each is tried: the op is run as guessed, and a guess is told only if that gives the other side's
//! value.

use super::numbers::of_numbers;
use super::{EXPLAINS, FLOOR, Live, beside};
use crate::model::input::Input;
use crate::model::role::{Role, WeightId};
use crate::model::spec::{Act, ModelSpec, Pool};
use crate::model::weights::Weights;
use crate::program::{Context, Kernel, Op, Program, execute};
use crate::tensor::{Device, Value};

/// Pairs of heads that are tried in each other's place.
const PAIRS: usize = 120;

/// An op that differs, and what it was run with.
pub struct Guesses<'a> {
    pub op: &'a Op,
    pub program: &'a Program,
    /// The other side's values.
    pub inputs: &'a [Value],
    pub weights: &'a Weights,
    pub context: &'a Context,
    pub spec: &'a ModelSpec,
    pub input: &'a Input,
    /// What it gives here.
    pub ours: &'a [f64],
    /// What the other side has.
    pub theirs: &'a [f64],
    /// Shape of both, without the row.
    pub shape: &'a [usize],
    pub live: Option<&'a Live>,
}

impl Guesses<'_> {
    /// The first guess that turns ours into theirs.
    pub fn first(&self) -> Option<String> {
        if let Some(relation) = self.weights_there() {
            return Some(relation);
        }
        for (kernel, words) in variants(&self.op.kernel) {
            if self.as_kernel(kernel) {
                return Some(words);
            }
        }
        let special = match &self.op.kernel {
            Kernel::Rotate { rope } => self.of_rotation(*rope),
            Kernel::Scores { scale, softcap, reach } => self.of_scores(*scale, *softcap, *reach),
            Kernel::PositionEmbed => self.of_positions(),
            Kernel::Mix => self.of_keys(self.op),
            Kernel::Embed { .. } => self.of_embedding(),
            Kernel::Unembed { .. } => self.of_head(),
            Kernel::HeadNorm { .. } | Kernel::Gain { .. } | Kernel::LayerNormNormalized | Kernel::RmsNormalized => {
                self.of_norm()
            }
            Kernel::Add => self.of_sum(),
            Kernel::Gated(_) => {
                let swapped: Vec<Value> = self.inputs.iter().rev().cloned().collect();
                let guess = self.run(self.op, &swapped, self.context);
                guess.filter(|guess| self.explains(guess)).map(|_| "gate and up are swapped".to_string())
            }
            _ => None,
        };
        let heads = if self.op.heads > 1 { self.op.heads } else { 1 };
        special
            .or_else(|| self.of_projection())
            .or_else(|| of_numbers(self.ours, self.theirs, self.shape, heads, &|guess| self.explains(guess)))
            .or_else(|| self.other_kernel_there())
    }

    pub(super) fn device(&self) -> Device {
        self.inputs.first().map_or_else(Device::cpu, Value::device)
    }

    /// Whether a value is theirs, but for a small part of what ours is off by.
    pub(super) fn explains(&self, guess: &[f64]) -> bool {
        let was = beside(self.ours, self.theirs);
        // Infinite where masks differ: then a guess must have the right mask, and the right numbers.
        let allowed = if was.is_finite() { (was * EXPLAINS).max(FLOOR) } else { FLOOR };
        guess.len() == self.theirs.len() && beside(guess, self.theirs) <= allowed
    }

    /// What an op gives for other inputs; none if these do not fit it.
    pub(super) fn run(&self, op: &Op, inputs: &[Value], context: &Context) -> Option<Vec<f64>> {
        execute(op, inputs, self.weights, context).read_f64().ok()
    }

    pub(super) fn in_context(&self, context: &Context) -> bool {
        self.run(self.op, self.inputs, context).is_some_and(|guess| self.explains(&guess))
    }

    fn as_kernel(&self, kernel: Kernel) -> bool {
        let op = Op { kernel, ..self.op.clone() };
        self.run(&op, self.inputs, self.context).is_some_and(|guess| self.explains(&guess))
    }

    /// Whether the op with one weight changed gives theirs.
    fn with_weight(&self, id: WeightId, change: &dyn Fn(&[f32], &[usize]) -> Option<Vec<f32>>) -> bool {
        let Some(whole) = self.weights.get(id).and_then(|weight| weight.whole().ok()) else { return false };
        let Ok(data) = whole.read_f32() else { return false };
        let Some(changed) = change(&data, whole.shape()) else { return false };
        let value = Value::from_f32(changed, whole.shape(), &self.device());
        let weights = self.weights.standing_in(id, &value);
        execute(self.op, self.inputs, &weights, self.context).read_f64().is_ok_and(|guess| self.explains(&guess))
    }

    /// Of a token table: a factor that architectures have.
    fn of_embedding(&self) -> Option<String> {
        let Kernel::Embed { scale } = self.op.kernel else { return None };
        let root = (self.spec.d_model as f64).sqrt();
        if scale != 1.0 && self.as_kernel(Kernel::Embed { scale: 1.0 }) {
            return Some("embeddings are not scaled there".into());
        }
        (scale != root && self.as_kernel(Kernel::Embed { scale: root }))
            .then(|| "embeddings are multiplied by the root of the model's width there".into())
    }

    /// Of an unembedding: its factor, cap, bias, and whether it is the token table.
    fn of_head(&self) -> Option<String> {
        let Kernel::Unembed { project, scale, softcap } = self.op.kernel else { return None };
        if scale != 1.0 && self.as_kernel(Kernel::Unembed { project, scale: 1.0, softcap }) {
            return Some("logits are not scaled there".into());
        }
        for cap in [20.0, 30.0, 50.0] {
            if softcap != Some(cap) && self.as_kernel(Kernel::Unembed { project, scale, softcap: Some(cap) }) {
                return Some(format!("logits are capped at {cap} there"));
            }
        }
        let mut op = self.op.clone();
        op.weights.retain(|id| id.role != Role::b_U);
        if op.weights.len() < self.op.weights.len()
            && self.run(&op, self.inputs, self.context).is_some_and(|guess| self.explains(&guess))
        {
            return Some("the other side adds no bias".into());
        }
        let table = WeightId::global(Role::W_E);
        let same = self.weights.get(table).map(|weight| weight.shape())
            == self.weights.get(self.op.weights[0]).map(|weight| weight.shape());
        if !self.weights.tied() && same {
            op.clone_from(self.op);
            op.weights[0] = table;
            if self.run(&op, self.inputs, self.context).is_some_and(|guess| self.explains(&guess)) {
                return Some("the head is tied there: logits are made with the token table".into());
            }
        }
        None
    }

    /// Of norms: a step that is left out.
    fn of_norm(&self) -> Option<String> {
        let input = self.inputs.last()?.read_f64().ok()?;
        if self.explains(&input) {
            return Some(match self.op.kernel {
                Kernel::Gain { .. } => "the gain is not applied there".into(),
                _ => "there is no norm there".into(),
            });
        }
        None
    }

    /// Of a sum: a term that is left out, or has a factor.
    fn of_sum(&self) -> Option<String> {
        let terms: Vec<Vec<f64>> = self.inputs.iter().map(|input| input.read_f64().ok()).collect::<Option<_>>()?;
        let name = |i: usize| self.op.inputs.get(i).map_or("", |&input| self.program.ops[input].site.as_str());
        for (left_out, term) in terms.iter().enumerate() {
            let rest: Vec<f64> = self.ours.iter().zip(term).map(|(sum, x)| sum - x).collect();
            if self.explains(&rest) {
                return Some(format!("{} is not added there", name(left_out)));
            }
            let wanted = self.theirs.iter().zip(&rest).map(|(y, x)| y - x);
            let (product, square) = wanted.zip(term).fold((0.0, 0.0), |(p, s), (y, x)| (p + y * x, s + x * x));
            let factor = product / square;
            let guess: Vec<f64> = rest.iter().zip(term).map(|(rest, x)| rest + factor * x).collect();
            if factor.is_finite() && self.explains(&guess) {
                return Some(format!("{} is added {factor:.6} times there", name(left_out)));
            }
        }
        None
    }

    /// Of what has weights: a bias left out, weights turned or rounded, heads exchanged, or the weights of another projection.
    fn of_projection(&self) -> Option<String> {
        let op = self.op;
        let first = *op.weights.first()?;
        let linear = matches!(
            op.kernel,
            Kernel::Linear { .. } | Kernel::Output | Kernel::VectorLinear | Kernel::PooledLinear(_)
        );
        if op.weights.len() > 1 && (linear || matches!(op.kernel, Kernel::Gain { .. })) {
            let bare = Op { weights: op.weights[..1].to_vec(), ..op.clone() };
            if self.run(&bare, self.inputs, self.context).is_some_and(|guess| self.explains(&guess)) {
                return Some("the other side adds no bias".into());
            }
        }
        if linear {
            let turned = |data: &[f32], shape: &[usize]| match shape {
                [rows, width] if rows == width => {
                    Some((0..data.len()).map(|at| data[at % rows * width + at / rows]).collect())
                }
                _ => None,
            };
            if self.with_weight(first, &turned) {
                return Some("the weights are transposed there".into());
            }
            if let Some(words) = self.siblings().or_else(|| self.interleaved()) {
                return Some(words);
            }
        }
        if matches!(op.kernel, Kernel::Output)
            && let Some(words) = self.exchanged_heads()
        {
            return Some(words);
        }
        let round = |x: &f32| half::f16::from_f32(*x).to_f32();
        if op.weights.iter().any(|id| self.with_weight(*id, &|data, _| Some(data.iter().map(round).collect()))) {
            return Some("the weights are rounded to f16 there".into());
        }
        let round = |x: &f32| half::bf16::from_f32(*x).to_f32();
        op.weights
            .iter()
            .any(|id| self.with_weight(*id, &|data, _| Some(data.iter().map(round).collect())))
            .then(|| "the weights are rounded to bf16 there".into())
    }

    /// Theirs is what another projection of the same inputs gives here: queries, keys and values, or gate and up, in another order.
    fn siblings(&self) -> Option<String> {
        let same = |other: &&Op| {
            other.site != self.op.site && other.inputs == self.op.inputs && other.weights.len() == self.op.weights.len()
        };
        let other = self.program.ops.iter().filter(same).find(|other| {
            let count: usize = self.shape.iter().product();
            other.width * other.heads.max(1) * self.shape[0] == count
                && self.run(other, self.inputs, self.context).is_some_and(|guess| self.explains(&guess))
        })?;
        Some(match other.site.contains(".attn.") {
            true => format!("queries, keys and values stand in another order there: theirs is {} here", other.site),
            false => format!("gate and up are swapped there: theirs is {} here", other.site),
        })
    }

    /// A fused projection that is read head by head there (`[H, 3, h]`) and part by part here (`[3, H, h]`), or the other way round.
    fn interleaved(&self) -> Option<String> {
        let layer = self.op.layer?;
        let parts = ["q", "k", "v"].map(|part| self.program.op_of(&format!("blocks.{layer}.attn.{part}")));
        let index = parts.iter().position(|part| part.is_some_and(|op| self.program.ops[op].site == self.op.site))?;
        let [length, heads, width] = *self.shape else { return None };
        let mut all = Vec::new();
        for part in parts {
            let op = &self.program.ops[part?];
            let value = self.run(op, self.inputs, self.context).filter(|value| value.len() == self.ours.len())?;
            all.push(value);
        }
        let row = heads * width;
        // Feature `f` of position `t` of the fused output, part by part and head by head.
        let by_part = |t: usize, f: usize| all[f / row][t * row + f % row];
        let by_head = |t: usize, f: usize| all[f / width % 3][t * row + f / (3 * width) * width + f % width];
        let head_by_head = (0..length * row).map(|i| {
            let (t, h, d) = (i / row, i % row / width, i % width);
            by_part(t, (h * 3 + index) * width + d)
        });
        if self.explains(&head_by_head.collect::<Vec<_>>()) {
            return Some("queries, keys and values are fused head by head there, one behind the other here".into());
        }
        let part_by_part = (0..length * row).map(|i| by_head(i / row, index * row + i % row));
        self.explains(&part_by_part.collect::<Vec<_>>())
            .then(|| "queries, keys and values are fused one behind the other there, head by head here".into())
    }

    /// Two heads in each other's place in front of the output projection.
    fn exchanged_heads(&self) -> Option<String> {
        let [_, _, heads, width] = *self.inputs[0].shape() else { return None };
        let data = self.inputs[0].read_f32().ok()?;
        let pairs = (0..heads).flat_map(|a| (a + 1..heads).map(move |b| (a, b))).take(PAIRS);
        for (a, b) in pairs {
            let place = |i: usize| match i / width % heads {
                h if h == a => i + (b - a) * width,
                h if h == b => i - (b - a) * width,
                _ => i,
            };
            let swapped: Vec<f32> = (0..data.len()).map(|i| data[place(i)]).collect();
            let value = Value::from_f32(swapped, self.inputs[0].shape(), &self.device());
            let value = value.with_axes(self.inputs[0].axes());
            if self.run(self.op, &[value], self.context).is_some_and(|guess| self.explains(&guess)) {
                return Some(format!("heads {a} and {b} stand in each other's place there"));
            }
        }
        None
    }

    /// Where the other side runs here: the weight of its op that is another one, if its arithmetic is ours.
    fn weights_there(&self) -> Option<String> {
        let live = self.live?;
        let other = &live.program.ops[live.program.op_of(&self.op.site)?];
        if other.kernel != self.op.kernel || other.weights.len() != self.op.weights.len() {
            return None;
        }
        let mut told = Vec::new();
        for (ours, theirs) in self.op.weights.iter().zip(&other.weights) {
            let (a, b) = (self.weights.get(*ours)?, live.weights.get(*theirs)?);
            let heads = match ours.role {
                Role::W_K | Role::W_V | Role::b_K | Role::b_V => self.spec.n_kv_heads,
                _ => self.spec.n_heads,
            };
            let (x, y) = (a.whole().ok()?.read_f32().ok()?, b.whole().ok()?.read_f32().ok()?);
            if a.shape() != b.shape() {
                return Some(format!("{ours} has shape {:?} here, {:?} there", a.shape(), b.shape()));
            }
            if x != y {
                let relation = super::super::weight_difference::related(*ours, (x, y), a.shape(), heads);
                told.push(match relation {
                    Some(relation) => format!("{ours}: {relation}"),
                    None => format!("{ours} has other numbers there"),
                });
            }
        }
        // Of a mixture of experts there may be hundreds.
        let more = if told.len() > 2 { format!("; and {} more weights", told.len() - 2) } else { String::new() };
        told.truncate(2);
        (!told.is_empty()).then(|| told.join("; ") + &more)
    }

    /// Where the other side runs here: that its op is another one.
    fn other_kernel_there(&self) -> Option<String> {
        let live = self.live?;
        let other = &live.program.ops[live.program.op_of(&self.op.site)?];
        (other.kernel != self.op.kernel).then(|| format!("it is {:?} there, {:?} here", other.kernel, self.op.kernel))
    }
}

/// A norm with each usual epsilon but its own.
fn epsilons(own: f64, norm: impl Fn(f64) -> Kernel) -> impl Iterator<Item = (Kernel, String)> {
    const USUAL: [f64; 9] = [1e-5, 1e-6, 1e-12, 1e-8, 1e-7, 1e-4, 1e-3, 1e-2, 0.0];
    USUAL.into_iter().filter(move |eps| *eps != own).map(move |eps| (norm(eps), format!("eps is {eps:e} there")))
}

/// Other arithmetic of the same kind.
fn variants(kernel: &Kernel) -> Vec<(Kernel, String)> {
    const ACTS: [Act; 9] = [
        Act::Gelu,
        Act::GeluTanh,
        Act::QuickGelu,
        Act::Silu,
        Act::Relu,
        Act::Relu2,
        Act::Tanh,
        Act::Sigmoid,
        Act::Linear,
    ];
    let acts = |own: &Act, kernel: &dyn Fn(Act) -> Kernel| -> Vec<(Kernel, String)> {
        let others = ACTS.into_iter().filter(|other| other != own);
        others.map(|act| (kernel(act), format!("the activation is {act:?} there"))).collect()
    };
    match kernel {
        Kernel::LayerNormScale { eps } => {
            let other = (Kernel::RmsScale { eps: *eps }, "the norm is RMS there, without a mean".into());
            epsilons(*eps, |eps| Kernel::LayerNormScale { eps }).chain([other]).collect()
        }
        Kernel::RmsScale { eps } => {
            let other = (Kernel::LayerNormScale { eps: *eps }, "the norm takes the mean off there".into());
            epsilons(*eps, |eps| Kernel::RmsScale { eps }).chain([other]).collect()
        }
        Kernel::LayerNormNormalized => vec![(Kernel::RmsNormalized, "the norm takes no mean off there".into())],
        Kernel::RmsNormalized => vec![(Kernel::LayerNormNormalized, "the norm takes the mean off there".into())],
        Kernel::Gain { one_plus } => {
            let words = if *one_plus { "the gain is w there, not 1 + w" } else { "the gain is 1 + w there" };
            vec![(Kernel::Gain { one_plus: !one_plus }, words.into())]
        }
        Kernel::HeadNorm { norm, over, clip } => {
            let with = |eps: f64| Kernel::HeadNorm {
                norm: crate::model::spec::Norm { eps, ..*norm },
                over: *over,
                clip: *clip,
            };
            epsilons(norm.eps, with).collect()
        }
        Kernel::Activation(act) => acts(act, &Kernel::Activation),
        Kernel::Gated(act) => acts(act, &Kernel::Gated),
        Kernel::Unembed { project, scale, softcap: Some(_) } => vec![(
            Kernel::Unembed { project: *project, scale: *scale, softcap: None },
            "logits are not capped there".into(),
        )],
        Kernel::ExpertWeights { normalize } => {
            let words = if *normalize { "are not divided by their sum" } else { "are divided by their sum" };
            vec![(Kernel::ExpertWeights { normalize: !normalize }, format!("weights of experts {words} there"))]
        }
        Kernel::Experts { act, shared } => acts(act, &|act| Kernel::Experts { act, shared: *shared }),
        Kernel::Pool(own) => pools(own, &Kernel::Pool),
        Kernel::PooledLinear(own) => pools(own, &Kernel::PooledLinear),
        _ => Vec::new(),
    }
}

/// Other positions that a classifier may read.
fn pools(own: &Pool, kernel: &dyn Fn(Pool) -> Kernel) -> Vec<(Kernel, String)> {
    let all = [(Pool::First, "the first"), (Pool::Mean, "the mean of all"), (Pool::Last { pad: None }, "the last")];
    let others = all.into_iter().filter(|(pool, _)| pool != own);
    others.map(|(pool, which)| (kernel(pool), format!("the position read is {which} there"))).collect()
}
