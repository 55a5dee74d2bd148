//! The methods of `attr`: a row for each, from which parsing, help and the answer's words come.

use super::given::{Given, Steps};
use super::{heads, neurons};
use crate::analysis::attribution::{
    Attribution, Hiding, Noise, Players, Probe, ablation, conductance, gradient_shap, influence, integrated,
    kernel_shap, lime, lime_subsets, noise, occlusion, plain, relevance, shapley_exact, shapley_sampled,
};
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::debugger::Result;

pub struct Method {
    /// The name that it has in Captum.
    pub name: &'static str,
    pub run: Run,
    /// How its numbers are had: said in the answer.
    pub kind: Kind,
    /// What infidelity takes its attributions to be products with.
    pub factor: Factor,
}

pub type By = fn(&Work<'_>, &mut Probe<'_>) -> Result<Attribution>;

/// What is hidden, of a site with these elements.
pub type Hides = fn(&Work<'_>, &[f32]) -> Result<Hiding>;

/// How a method is carried out.
#[derive(Clone, Copy)]
pub enum Run {
    /// It gives a number for each element of the site.
    Elements(By),
    /// It follows a path at the embedding, and gives a number for each element of a later site.
    Later(By),
    /// It hides players, and gives a number for each of them.
    Hiding(Hides),
    /// It gives a number for each element of the site, through one neuron.
    Neuron,
    /// It has an answer of another form.
    Own(fn(&mut Console, &Given) -> Done),
}

/// How the numbers of a method are had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By the pass as it is, or with parts of it hidden.
    Measured,
    /// By this many points of a path.
    Path,
    /// By random samples, of which so many are drawn where no number is given.
    Sampled(usize),
    /// The same; over all subsets of a few positions.
    Subsets(usize),
    /// By rules that are not the gradient.
    Rules,
}

/// What attributions are products with.
#[derive(Clone, Copy)]
pub enum Factor {
    /// Nothing: they are per unit already.
    One,
    Input,
    /// The input less the baseline.
    Change,
}

/// Shapley values of so many positions are computed over all subsets, where no number of samples is given.
const EXACT_UP_TO: usize = 10;

/// Subsets that kernel SHAP and LIME draw where no number is given; Captum's 25 and 50 are too few for most texts.
const SUBSETS: usize = 200;

/// The sum of `-steps auto` is within this share of `F(x) - F(x')`.
const AUTO_SHARE: f64 = 1e-3;

const fn row(name: &'static str, kind: Kind, run: Run) -> Method {
    Method { name, run, kind, factor: Factor::One }
}

const fn elements(name: &'static str, factor: Factor, kind: Kind, run: By) -> Method {
    Method { name, run: Run::Elements(run), kind, factor }
}

pub static METHODS: [Method; 19] = [
    elements("saliency", Factor::One, Kind::Measured, |work, probe| {
        work.local(probe, |given, g, _| if given.signed { g } else { g.abs() })
    }),
    elements("inputxgradient", Factor::Input, Kind::Measured, |work, probe| work.local(probe, |_, g, x| g * x)),
    elements("ig", Factor::Change, Kind::Path, |work, probe| work.integrated(probe)),
    elements("gradientshap", Factor::Change, Kind::Sampled(5), |work, probe| {
        gradient_shap(probe, work.baselines, work.noise(0.0))
    }),
    elements("smoothgrad", Factor::One, Kind::Sampled(5), |work, probe| noise(probe, work.noise(1.0), false)),
    elements("vargrad", Factor::One, Kind::Sampled(5), |work, probe| noise(probe, work.noise(1.0), true)),
    row(
        "conductance",
        Kind::Path,
        Run::Later(|work, probe| conductance(probe, work.site, work.baseline(), work.given.rule, work.given.steps())),
    ),
    row("neuron", Kind::Path, Run::Neuron),
    row("neurons", Kind::Rules, Run::Own(neurons::ranked)),
    row(
        "influence",
        Kind::Path,
        Run::Later(|work, probe| influence(probe, work.site, work.baseline(), work.given.rule, work.given.steps())),
    ),
    row("featureablation", Kind::Measured, Run::Hiding(|work, _| Ok(ablation(work.players.count)))),
    row("occlusion", Kind::Measured, Run::Hiding(|work, _| Ok(occlusion(work.players.count, work.given.window)))),
    row("shapley", Kind::Subsets(25), Run::Hiding(|work, _| work.shapley())),
    row("kernelshap", Kind::Subsets(SUBSETS), Run::Hiding(|work, _| work.kernel_shap())),
    row("lime", Kind::Sampled(SUBSETS), Run::Hiding(|work, here| Ok(work.lime(here)))),
    elements("lrp", Factor::One, Kind::Rules, |_, probe| relevance(probe)),
    row("heads", Kind::Measured, Run::Own(heads::importance)),
    row("rollout", Kind::Rules, Run::Own(heads::rollout_of)),
    row("attnxgradient", Kind::Rules, Run::Own(heads::weighted_rollout)),
];

pub const NAMES: [&str; METHODS.len()] = {
    let mut names = [""; METHODS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = METHODS[at].name;
        at += 1;
    }
    names
};

pub struct Work<'a> {
    pub given: &'a Given,
    /// The op that is attributed to.
    pub site: usize,
    pub baselines: &'a [Vec<f32>],
    /// What is hidden together, and summed up.
    pub players: &'a Players,
}

impl Work<'_> {
    /// Whether all subsets of the players are evaluated.
    pub fn is_exact(&self) -> bool {
        let subsets = matches!(self.given.method.kind, Kind::Subsets(_));
        subsets && self.given.samples.is_none() && self.players.count <= EXACT_UP_TO
    }

    pub fn baseline(&self) -> &[f32] {
        &self.baselines[0]
    }

    fn noise(&self, stdev: f64) -> Noise {
        Noise { samples: self.given.samples(), stdev: self.given.stdev.unwrap_or(stdev), seed: self.given.seed }
    }

    /// A function of the gradient and the value of each element, at the input alone.
    fn local(&self, probe: &mut Probe<'_>, of: fn(&Given, f64, f64) -> f64) -> Result<Attribution> {
        let point = plain(probe, self.site)?;
        let parts = point.gradient.iter().zip(&point.value);
        let values = parts.map(|(g, x)| of(self.given, f64::from(*g), f64::from(*x))).collect();
        Ok(Attribution { values, delta: None, at_input: point.number, at_baseline: None, error: None, steps: 1 })
    }

    fn integrated(&self, probe: &mut Probe<'_>) -> Result<Attribution> {
        let exactly = if self.given.steps == Some(Steps::Auto) { None } else { Some(self.given.steps()) };
        let here = probe.here()?;
        let ends = probe.numbers(&[here, self.baseline().to_vec()])?;
        integrated(probe, self.baseline(), self.given.rule, exactly, AUTO_SHARE * (ends[0] - ends[1]).abs())
    }

    fn shapley(&self) -> Result<Hiding> {
        match self.is_exact() {
            true => shapley_exact(self.players.count),
            false => Ok(shapley_sampled(self.players.count, self.given.samples(), self.given.seed)),
        }
    }

    fn kernel_shap(&self) -> Result<Hiding> {
        let samples = if self.is_exact() { None } else { Some(self.given.samples()) };
        kernel_shap(self.players.count, samples, self.given.seed)
    }

    fn lime(&self, here: &[f32]) -> Hiding {
        let shown = lime_subsets(self.players.count, self.given.samples(), self.given.seed);
        lime(shown, (here, self.baseline()), self.players, self.given.alpha)
    }

    /// The attribution to each player by a method that hides them, to each element by others.
    pub fn carried_out(&self, probe: &mut Probe<'_>) -> Result<Attribution> {
        match self.given.method.run {
            Run::Elements(run) | Run::Later(run) => run(self, probe),
            Run::Hiding(hides) => hides(self, &probe.here()?)?.of(probe, self.baseline(), self.players),
            Run::Neuron | Run::Own(_) => Err("it has an answer of another form".into()),
        }
    }
}
