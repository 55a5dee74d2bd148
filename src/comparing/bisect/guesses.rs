//! Guesses at why an op differs. Each is tried: the op is run as guessed, and a guess is told only if that gives the other side's
//! value.

use super::numbers::of_numbers;
use super::stretch::Stretch;
use super::{EXPLAINS, FAINT, FLOOR, Live, NOISE};
use crate::model::input::Input;
use crate::model::role::{Role, WeightId};
use crate::model::spec::{Act, ModelSpec, Pool};
use crate::model::weights::Weights;
use crate::program::{Context, Kernel, Op, execute};
use crate::tensor::{Device, Kind, Value, relative_rms};

/// What is known of a difference.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The ops that it arises in.
    pub stretch: &'a Stretch<'a>,
    pub weights: &'a Weights,
    pub context: &'a Context,
    pub spec: &'a ModelSpec,
    pub input: &'a Input,
    /// What the last of them gives here.
    pub ours: &'a [f64],
    /// What the other side has.
    pub theirs: &'a [f64],
    /// What an op is usually off by: the rounding of values that were stored in few bits.
    pub usual: f64,
    /// Whether the difference may be that too: then only a guess without free numbers, that takes most of it away, says that it is not.
    pub faint: bool,
    pub live: Option<&'a Live>,
}

impl Known<'_> {
    /// The first guess, at one op after the other, that turns ours into theirs.
    pub fn reason(&self) -> Option<String> {
        let last = self.stretch.last();
        let one = |(number, op): (usize, &Op)| {
            // What an earlier op of the same kind said is said of all of them.
            let guess = Guesses::of(self, number)?.first()?;
            Some(if number == last { guess } else { format!("{}: {guess}", op.site) })
        };
        self.stretch.ops().find_map(one).or_else(|| self.other_heads())
    }

    /// Whether a value of the last op is theirs, but for a small part of what ours is off by.
    pub(super) fn is_theirs(&self, guess: &[f64]) -> bool {
        guess.len() == self.theirs.len() && relative_rms(guess, self.theirs) <= self.allowed()
    }

    /// What a right guess may be off by.
    fn allowed(&self) -> f64 {
        let was = relative_rms(self.ours, self.theirs);
        if self.faint {
            return (was / FAINT).min(FAINT * self.usual);
        }
        // Infinite where masks differ: then a guess must have the right mask, and the right numbers.
        let share = if was.is_finite() { was * EXPLAINS } else { 0.0 };
        share.max(FLOOR).max(NOISE * self.usual)
    }

    /// Whether so little is left that a guess is right.
    pub(super) fn explains_by(&self, left: f64) -> bool {
        left <= self.allowed()
    }

    /// The guess that leaves least, if it is right. Behind rounding several may be near enough.
    pub(super) fn best(&self, guesses: impl Iterator<Item = (f64, String)>) -> Option<String> {
        let least = guesses.min_by(|a, b| a.0.total_cmp(&b.0))?;
        self.explains_by(least.0).then_some(least.1)
    }

    /// Whether the other side's value comes out if some ops compute something else, and the others what they do.
    pub(super) fn explains(
        &self,
        changed: &dyn Fn(usize) -> bool,
        compute: &dyn Fn(usize, &Op, &[Value]) -> Option<Value>,
    ) -> bool {
        self.explains_by(self.left(changed, compute))
    }

    /// How far the last op is from the other side's value then; infinite if nothing comes out.
    pub(super) fn left(
        &self,
        changed: &dyn Fn(usize) -> bool,
        compute: &dyn Fn(usize, &Op, &[Value]) -> Option<Value>,
    ) -> f64 {
        let unchanged = (self.weights, self.context);
        let again = self.stretch.again(unchanged, changed, &mut |number, op, inputs| compute(number, op, inputs));
        let guess = again.and_then(|value| value.read_f64().ok()).filter(|guess| guess.len() == self.theirs.len());
        guess.map(|guess| relative_rms(&guess, self.theirs)).filter(|left| !left.is_nan()).unwrap_or(f64::INFINITY)
    }
}

/// One op of a stretch, what it reads and what it gives here.
pub struct Guesses<'a> {
    pub known: &'a Known<'a>,
    pub number: usize,
    pub op: &'a Op,
    pub inputs: Vec<Value>,
    /// What it gives here.
    pub ours: Vec<f64>,
    /// Shape of that, without the row.
    pub shape: Vec<usize>,
}

impl<'a> Guesses<'a> {
    fn of(known: &'a Known<'a>, number: usize) -> Option<Guesses<'a>> {
        let (stretch, value) = (known.stretch, known.stretch.value(number));
        let op = &stretch.program().ops[number];
        if value.kind() != Kind::Float {
            return None;
        }
        let ours = value.read_f64().ok()?;
        Some(Guesses { known, number, op, inputs: stretch.inputs(number), ours, shape: value.shape()[1..].to_vec() })
    }

    /// The first guess that turns ours into theirs.
    fn first(&self) -> Option<String> {
        if let Some(relation) = self.weights_there() {
            return Some(relation);
        }
        let others = variants(&self.op.kernel).into_iter().map(|(kernel, words)| (self.left_as(&kernel), words));
        if let Some(words) = self.known.best(others) {
            return Some(words);
        }
        let special = match &self.op.kernel {
            Kernel::Rotate { rope } => self.of_rotation(*rope),
            Kernel::Scores { scale, softcap, reach } => self.of_scores(*scale, *softcap, *reach),
            Kernel::PositionEmbed => self.of_positions(),
            Kernel::Mix => self.of_keys(),
            Kernel::Embed { .. } => self.of_embedding(),
            Kernel::Unembed { .. } => self.of_head(),
            Kernel::HeadNorm { .. } | Kernel::Gain { .. } | Kernel::LayerNormNormalized | Kernel::RmsNormalized => {
                self.of_norm()
            }
            Kernel::Add => self.of_sum(),
            Kernel::Gated(_) => {
                let swapped: Vec<Value> = self.inputs.iter().rev().cloned().collect();
                let guess = self.run(self.op, &swapped);
                guess.filter(|guess| self.explains(guess)).map(|_| "gate and up are swapped".to_string())
            }
            _ => None,
        };
        let heads = if self.op.heads > 1 { self.op.heads } else { 1 };
        special
            .or_else(|| self.of_projection())
            .or_else(|| {
                let theirs = self.theirs().filter(|_| !self.known.faint)?;
                of_numbers(&self.ours, theirs, &self.shape, heads, &|guess| self.explains(guess))
            })
            .or_else(|| self.other_kernel_there())
    }

    /// What the other side has of this op; none if it stands inside of the stretch.
    pub(super) fn theirs(&self) -> Option<&[f64]> {
        (self.number == self.known.stretch.last()).then_some(self.known.theirs)
    }

    pub(super) fn device(&self) -> Device {
        self.known.stretch.value(self.number).device()
    }

    /// Whether the other side's value comes out if this op gives something else.
    pub(super) fn explains(&self, guess: &[f64]) -> bool {
        self.explain_together(&[(self.number, guess.to_vec())])
    }

    /// The same for several ops of the stretch.
    pub(super) fn explain_together(&self, guesses: &[(usize, Vec<f64>)]) -> bool {
        if let [(number, guess)] = guesses
            && *number == self.known.stretch.last()
        {
            return self.known.is_theirs(guess);
        }
        let given = |number: usize| guesses.iter().find(|(of, _)| *of == number).map(|(_, guess)| guess);
        self.known.explains(&|number| given(number).is_some(), &|number, op, _| {
            let (data, own) = (given(number)?, self.known.stretch.value(number));
            let data: Vec<f32> = data.iter().map(|x| *x as f32).collect();
            (data.len() == own.count()).then(|| Value::from_f32(data, own.shape(), &own.device()).with_axes(&op.axes))
        })
    }

    /// What an op gives for other inputs; none if these do not fit it.
    pub(super) fn run(&self, op: &Op, inputs: &[Value]) -> Option<Vec<f64>> {
        self.run_in(op, inputs, self.known.context)
    }

    pub(super) fn run_in(&self, op: &Op, inputs: &[Value], context: &Context) -> Option<Vec<f64>> {
        execute(op, inputs, self.known.weights, context).and_then(|value| value.read_f64()).ok()
    }

    /// Whether the other side's value comes out if all ops of this kind in the stretch compute something else.
    pub(super) fn alike(&self, compute: &dyn Fn(&Op, &[Value]) -> Option<Value>) -> bool {
        let alike = |number: usize| self.known.stretch.program().ops[number].kernel == self.op.kernel;
        self.known.explains(&alike, &|_, op, inputs| compute(op, inputs))
    }

    /// The same if the whole stretch is run in another context.
    pub(super) fn in_context(&self, context: &Context) -> bool {
        self.known.explains(&|_| true, &|_, op, inputs| execute(op, inputs, self.known.weights, context).ok())
    }

    /// How far from the other side's value the stretch then is.
    pub(super) fn left_in_context(&self, context: &Context) -> f64 {
        self.known.left(&|_| true, &|_, op, inputs| execute(op, inputs, self.known.weights, context).ok())
    }

    pub(super) fn as_kernel(&self, kernel: &Kernel) -> bool {
        self.known.explains_by(self.left_as(kernel))
    }

    /// How far from the other side's value the stretch is if all ops of this kind are another one.
    fn left_as(&self, kernel: &Kernel) -> f64 {
        let ops = &self.known.stretch.program().ops;
        let alike = |number: usize| ops[number].kernel == self.op.kernel;
        self.known.left(&alike, &|_, op, inputs| {
            let op = Op { kernel: kernel.clone(), ..op.clone() };
            execute(&op, inputs, self.known.weights, self.known.context).ok()
        })
    }

    /// Whether the op with one weight changed gives theirs.
    pub(super) fn with_weight(&self, id: WeightId, change: &dyn Fn(&[f32], &[usize]) -> Option<Vec<f32>>) -> bool {
        let Some(whole) = self.known.weights.get(id).and_then(|weight| weight.whole().ok()) else { return false };
        let Ok(data) = whole.read_f32() else { return false };
        let Some(changed) = change(&data, whole.shape()) else { return false };
        let value = Value::from_f32(changed, whole.shape(), &self.device());
        let weights = self.known.weights.standing_in(id, &value);
        let guess = execute(self.op, &self.inputs, &weights, self.known.context);
        guess.and_then(|guess| guess.read_f64()).is_ok_and(|guess| self.explains(&guess))
    }

    /// Of a token table: a factor that architectures have.
    fn of_embedding(&self) -> Option<String> {
        let Kernel::Embed { scale } = self.op.kernel else { return None };
        let root = (self.known.spec.d_model as f64).sqrt();
        if scale != 1.0 && self.as_kernel(&Kernel::Embed { scale: 1.0 }) {
            return Some("embeddings are not scaled there".into());
        }
        (scale != root && self.as_kernel(&Kernel::Embed { scale: root }))
            .then(|| "embeddings are multiplied by the root of the model's width there".into())
    }

    /// Of an unembedding: its factor, cap, bias, and whether it is the token table.
    fn of_head(&self) -> Option<String> {
        let Kernel::Unembed { project, scale, softcap } = self.op.kernel else { return None };
        if scale != 1.0 && self.as_kernel(&Kernel::Unembed { project, scale: 1.0, softcap }) {
            return Some("logits are not scaled there".into());
        }
        for cap in [20.0, 30.0, 50.0] {
            if softcap != Some(cap) && self.as_kernel(&Kernel::Unembed { project, scale, softcap: Some(cap) }) {
                return Some(format!("logits are capped at {cap} there"));
            }
        }
        let mut op = self.op.clone();
        op.weights.retain(|id| id.role != Role::b_U);
        if op.weights.len() < self.op.weights.len()
            && self.run(&op, &self.inputs).is_some_and(|guess| self.explains(&guess))
        {
            return Some("the other side adds no bias".into());
        }
        let table = WeightId::global(Role::W_E);
        let same = self.known.weights.get(table).map(|weight| weight.shape())
            == self.known.weights.get(self.op.weights[0]).map(|weight| weight.shape());
        if !self.known.weights.tied() && same {
            op.clone_from(self.op);
            op.weights[0] = table;
            if self.run(&op, &self.inputs).is_some_and(|guess| self.explains(&guess)) {
                return Some("the head is tied there: logits are made with the token table".into());
            }
        }
        None
    }

    /// Of norms: a step that is left out, or in a longer stretch the other kind of norm, which is two ops.
    fn of_norm(&self) -> Option<String> {
        if self.theirs().is_none() {
            let other = |kernel: &Kernel| match *kernel {
                Kernel::LayerNormScale { eps } => Some(Kernel::RmsScale { eps }),
                Kernel::RmsScale { eps } => Some(Kernel::LayerNormScale { eps }),
                Kernel::LayerNormNormalized => Some(Kernel::RmsNormalized),
                Kernel::RmsNormalized => Some(Kernel::LayerNormNormalized),
                _ => None,
            };
            let ops = &self.known.stretch.program().ops;
            let tried = self.known.explains(&|number| other(&ops[number].kernel).is_some(), &|_, op, inputs| {
                let op = Op { kernel: other(&op.kernel)?, ..op.clone() };
                execute(&op, inputs, self.known.weights, self.known.context).ok()
            });
            if tried {
                return Some(match self.op.kernel {
                    Kernel::RmsNormalized => "the norm takes the mean off there".into(),
                    _ => "the norm is RMS there, without a mean".into(),
                });
            }
        }
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
        let name =
            |i: usize| self.op.inputs.get(i).map_or("", |&input| self.known.stretch.program().ops[input].site.as_str());
        for (left_out, term) in terms.iter().enumerate() {
            let rest: Vec<f64> = self.ours.iter().zip(term).map(|(sum, x)| sum - x).collect();
            if self.explains(&rest) {
                return Some(format!("{} is not added there", name(left_out)));
            }
            let Some(theirs) = self.theirs().filter(|_| !self.known.faint) else { continue };
            let wanted = theirs.iter().zip(&rest).map(|(y, x)| y - x);
            let (product, square) = wanted.zip(term).fold((0.0, 0.0), |(p, s), (y, x)| (p + y * x, s + x * x));
            let factor = product / square;
            let guess: Vec<f64> = rest.iter().zip(term).map(|(rest, x)| rest + factor * x).collect();
            if factor.is_finite() && self.explains(&guess) {
                return Some(format!("{} is added {factor:.6} times there", name(left_out)));
            }
        }
        None
    }

    /// Where the other side runs here: the weight of its op that is another one, if its arithmetic is ours.
    fn weights_there(&self) -> Option<String> {
        let live = self.known.live?;
        self.theirs()?;
        let other = &live.program.ops[live.program.op_of(&self.op.site)?];
        if other.kernel != self.op.kernel || other.weights.len() != self.op.weights.len() {
            return None;
        }
        let mut told = Vec::new();
        for (ours, theirs) in self.op.weights.iter().zip(&other.weights) {
            let (a, b) = (self.known.weights.get(*ours)?, live.weights.get(*theirs)?);
            let heads = match ours.role {
                Role::W_K | Role::W_V | Role::b_K | Role::b_V => self.known.spec.n_kv_heads,
                _ => self.known.spec.n_heads,
            };
            let (x, y) = (a.whole().ok()?.read_f32().ok()?, b.whole().ok()?.read_f32().ok()?);
            if a.shape() != b.shape() {
                return Some(format!("{ours} has shape {:?} here, {:?} there", a.shape(), b.shape()));
            }
            if x != y {
                let relation = crate::comparing::weight_difference::related(*ours, (x, y), a.shape(), heads);
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
        let live = self.known.live?;
        self.theirs()?;
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
