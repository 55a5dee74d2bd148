//! `attr`: how much each token, or each element of a site, counts for a number.

mod given;
mod heads;
mod neuron;
mod neurons;
mod side_by_side;
pub(super) mod table;

use std::path::Path;

use super::console::{Console, Done};
use super::table::Call;
use crate::analysis::attribution::{
    Attribution, Noise, Probe, Quality, ablation, conductance, gradient_shap, influence, integrated, kernel_shap,
    lime_subsets, lime_with, noise, occlusion, plain, quality, relevance, shapley_exact, shapley_sampled,
};
use crate::debugger::peers::Tensors;
use crate::debugger::{Error, Result};
use crate::lang::eval::Datum;
use crate::lang::{LangError, Span};
use crate::program::Kernel;
use crate::tensor::ops::Reduction;
use crate::tensor::{Axis, Value};
use given::{Baseline, Given, Steps};

/// The values of a site in a file, of one row.
fn of_file(file: &str, site: &str, len: usize, span: Span) -> Result<Vec<f32>> {
    let at = |message: String| Error::At(LangError::new(message, span));
    let dump = Tensors::open(Path::new(file)).map_err(at)?;
    if !dump.names().iter().any(|name| name == site) {
        let some: Vec<&str> = dump.names().iter().take(3).map(String::as_str).collect();
        return Err(at(format!("{file} has no {site}: it has {} ...", some.join(", "))));
    }
    let found = dump.read(site).map_err(at)?;
    match found.data.len() == len {
        true => Ok(found.data.into_iter().map(|x| x as f32).collect()),
        false => Err(at(format!("{site} in {file} has shape {:?}, which is not {len} elements as here", found.shape))),
    }
}

/// The methods, by the names that they have in Captum.
pub const METHODS: [&str; 19] = [
    "saliency",
    "inputxgradient",
    "ig",
    "gradientshap",
    "smoothgrad",
    "vargrad",
    "conductance",
    "neuron",
    "neurons",
    "influence",
    "featureablation",
    "occlusion",
    "shapley",
    "kernelshap",
    "lime",
    "lrp",
    "heads",
    "rollout",
    "attnxgradient",
];

/// Shapley values of so many positions are computed over all subsets, where no number of samples is given.
const EXACT_UP_TO: usize = 10;

/// Subsets that kernel SHAP and LIME draw where no number is given; Captum's 25 and 50 are too few for most texts.
const SUBSETS: usize = 200;

/// The sum of `-steps auto` is within this share of `F(x) - F(x')`.
const AUTO_SHARE: f64 = 1e-3;

/// `attr METHOD [OPTIONS]`.
pub fn attr(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = side_by_side::several(console, &mut call) {
        return done;
    }
    let given = Given::read(call.args.rest, call.args.offset)?;
    one(console, &given, call)
}

/// One method for one target.
fn one(console: &mut Console, given: &Given, call: Call<'_>) -> Done {
    if matches!(given.method, "rollout" | "attnxgradient") {
        return heads::flow(console, given);
    }
    if given.method == "heads" {
        return heads::importance(console, given);
    }
    if given.method == "neurons" {
        return neurons::ranked(console, given);
    }
    let (expr, target) = given.target(console)?;
    let site = match &given.site {
        Some((text, span)) => console.op_named(text, *span)?,
        None => console.op_named("embed", Span::at(call.args.offset))?,
    };
    // The layer forms follow a path at the embedding and look at a later site.
    let layer_form = matches!(given.method, "conductance" | "influence");
    if layer_form && given.site.is_none() {
        let error = LangError::new(format!("{} needs a site", given.method), Span::at(call.args.offset));
        return Err(Error::At(error.help("attr conductance -at L1.resid_post")));
    }
    let at = if layer_form { console.op_named("embed", Span::at(call.args.offset))? } else { site };
    let perturbs = matches!(given.method, "featureablation" | "occlusion" | "shapley" | "kernelshap" | "lime");
    let axes = console.session.run.program.ops[site].axes[1..].to_vec();
    if perturbs && axes.first() != Some(&Axis::Pos) {
        let site = &console.session.run.program.ops[site].site;
        return Err(Error::refused(format!("{} hides positions, and {site} does not begin with them", given.method)));
    }
    if given.method == "neuron" {
        let baseline = console.baselines(given, &expr, at, false)?.remove(0);
        return neuron::conductance(console, given, (&expr, &target), at, &baseline);
    }
    let baselines = console.baselines(given, &expr, at, perturbs)?;
    if given.quality && (perturbs || layer_form) {
        let message =
            format!("-quality is for methods that attribute to their own site by gradients, not {}", given.method);
        return Err(Error::refused(message));
    }
    let mut probe = Probe::new(&mut console.session, &expr, at)?;
    let shape = probe.base(site)?.shape()[1..].to_vec();
    let positions = shape.first().copied().unwrap_or(1);
    let work = Work { given, site, baselines: &baselines, positions };
    let found = work.run(&mut probe)?;
    let quality = match given.quality {
        true => Some(work.quality(&mut probe, &found)?),
        false => None,
    };
    let (shape, axes) = if perturbs { (vec![positions], vec![Axis::Pos]) } else { (shape, axes) };
    let data: Vec<f32> = found.values.iter().map(|x| *x as f32).collect();
    let value = Value::from_f32(data, &shape, console.session.run.device()).with_axes(&axes).whole();
    let number = console.session.remember(Datum::Tensor(value.clone()));
    let mut lines = table::title(console, given, &target, site, &found, work.is_exact(), number);
    lines.extend(quality.map(table::quality));
    table::answer(console, lines, &value, &found)
}

/// One attribution.
struct Work<'a> {
    given: &'a Given,
    site: usize,
    baselines: &'a [Vec<f32>],
    positions: usize,
}

impl Work<'_> {
    /// Whether Shapley values are computed over all subsets.
    fn is_exact(&self) -> bool {
        matches!(self.given.method, "shapley" | "kernelshap")
            && self.given.samples.is_none()
            && self.positions <= EXACT_UP_TO
    }

    fn noise(&self, samples: usize, stdev: f64) -> Noise {
        let given = self.given;
        Noise { samples: given.samples.unwrap_or(samples), stdev: given.stdev.unwrap_or(stdev), seed: given.seed }
    }

    fn run(&self, probe: &mut Probe<'_>) -> Result<Attribution> {
        let Work { given, site, baselines, positions } = *self;
        let baseline = &baselines[0];
        let (rule, steps) = (given.rule, given.steps_or(50));
        match given.method {
            "saliency" | "inputxgradient" => {
                let point = plain(probe, site)?;
                let values = point.gradient.iter().zip(&point.value).map(|(g, x)| match given.method {
                    "saliency" if given.signed => f64::from(*g),
                    "saliency" => f64::from(g.abs()),
                    _ => f64::from(*g) * f64::from(*x),
                });
                let (values, at_input) = (values.collect(), point.number);
                Ok(Attribution { values, delta: None, at_input, at_baseline: None, error: None, steps: 1 })
            }
            "ig" => {
                let exactly = if given.steps == Some(Steps::Auto) { None } else { Some(steps) };
                let here = probe.here()?;
                let ends = probe.numbers(&[here, baseline.clone()])?;
                integrated(probe, baseline, rule, exactly, AUTO_SHARE * (ends[0] - ends[1]).abs())
            }
            "lrp" => relevance(probe),
            "gradientshap" => gradient_shap(probe, baselines, self.noise(5, 0.0)),
            "smoothgrad" => noise(probe, self.noise(5, 1.0), false),
            "vargrad" => noise(probe, self.noise(5, 1.0), true),
            "conductance" => conductance(probe, site, baseline, rule, steps),
            "influence" => influence(probe, site, baseline, rule, steps),
            "featureablation" => ablation(probe, baseline, positions),
            "occlusion" => occlusion(probe, baseline, positions, given.window),
            "lime" => {
                let shown = lime_subsets(positions, given.samples.unwrap_or(SUBSETS), given.seed);
                lime_with(probe, baseline, &shown, given.alpha)
            }
            "kernelshap" => {
                let samples = if self.is_exact() { None } else { Some(given.samples.unwrap_or(SUBSETS)) };
                kernel_shap(probe, baseline, positions, samples, given.seed)
            }
            _ if self.is_exact() => shapley_exact(probe, baseline, positions),
            _ => shapley_sampled(probe, baseline, positions, given.samples.unwrap_or(25), given.seed),
        }
    }

    fn quality(&self, probe: &mut Probe<'_>, found: &Attribution) -> Result<Quality> {
        let here = probe.here()?;
        let scale: Option<Vec<f64>> = match self.given.method {
            "inputxgradient" => Some(here.iter().map(|x| f64::from(*x)).collect()),
            "ig" | "gradientshap" => {
                let count = self.baselines.len() as f64;
                let mean = |i: usize| self.baselines.iter().map(|b| f64::from(b[i])).sum::<f64>() / count;
                Some(here.iter().enumerate().map(|(i, x)| f64::from(*x) - mean(i)).collect())
            }
            _ => None,
        };
        let mut again = |probe: &mut Probe<'_>| self.run(probe).map(|found| found.values);
        quality(probe, found, scale.as_deref(), self.given.seed, &mut again)
    }
}

impl Console {
    /// The op of a site by any of its names.
    fn op_named(&self, text: &str, span: Span) -> Result<usize> {
        let site = crate::lang::SiteRef { text: text.to_string(), run: None, pass: None, span };
        let names = &*self.session.run.names;
        let resolved = crate::lang::site::resolve(&site, names, self.session.block())?;
        let op = self.session.run.program.op_of(&resolved.name);
        op.ok_or_else(|| {
            Error::At(LangError::new(format!("{} has no value of its own to attribute to", resolved.name), span))
        })
    }

    /// The elements of each baseline at a site.
    fn baselines(
        &mut self,
        given: &Given,
        expr: &crate::lang::Expr,
        at: usize,
        perturbs: bool,
    ) -> Result<Vec<Vec<f32>>> {
        let mut found = Vec::new();
        for (baseline, span) in &given.baselines {
            let ids = self.ids_of(baseline, *span, perturbs)?;
            let site = self.session.run.program.ops[at].site.clone();
            let mean = if *baseline == Baseline::Mean { Some(self.mean_embedding(&site, *span)?) } else { None };
            let mut probe = Probe::new(&mut self.session, expr, at)?;
            let len = probe.here()?.len();
            if let Baseline::File(file) = baseline {
                found.push(of_file(file, &site, len, *span)?);
                continue;
            }
            found.push(match (ids, mean) {
                (Some(ids), _) => probe.of_tokens(&ids)?,
                (None, Some(mean)) => mean.iter().copied().cycle().take(len).collect(),
                (None, None) => vec![0.0; len],
            });
        }
        Ok(found)
    }

    /// The tokens that a baseline means; none if it is not made of tokens.
    fn ids_of(&self, baseline: &Baseline, span: Span, whole: bool) -> Result<Option<Vec<u32>>> {
        let run = &self.session.run;
        let special = &run.model.special;
        let row = self.session.focused_row().ok_or_else(|| Error::refused("there is no text"))?;
        let ids = &row.ids[..self.session.row_length()];
        let filled = |filler: u32| {
            let keeps = |id: u32| {
                !whole && ([special.bos, special.cls, special.sep].contains(&Some(id)) && Some(id) != special.pad)
            };
            // Where the token that fills rows up also begins or ends texts, it makes no difference.
            Some(ids.iter().map(|&id| if keeps(id) { id } else { filler }).collect())
        };
        Ok(match baseline {
            Baseline::Zero | Baseline::Mean | Baseline::File(_) => None,
            Baseline::Pad => filled(special.filler(run.model.spec.vocab)),
            Baseline::Mask => match special.mask {
                Some(mask) => filled(mask),
                None => return Err(Error::At(LangError::new("the model has no mask token", span))),
            },
            Baseline::Text(text) => {
                let tokenizer = run.model.tokenizer.as_ref();
                let tokenizer =
                    tokenizer.ok_or_else(|| Error::At(LangError::new("the model has no tokenizer", span)))?;
                let whole = if self.chat { text.into() } else { run.model.with_prompt(text) };
                let tokens = tokenizer.encode(&whole, !self.chat)?;
                if tokens.len() != ids.len() {
                    let message = format!("that is {} tokens, and the text has {}", tokens.len(), ids.len());
                    return Err(Error::At(LangError::new(message, span)));
                }
                Some(tokens.iter().map(|token| token.id).collect())
            }
        })
    }

    /// The mean of all token embeddings, as the model scales them.
    fn mean_embedding(&mut self, site: &str, span: Span) -> Result<Vec<f32>> {
        let run = &self.session.run;
        if site != "embed" {
            let message = format!("the mean is that of the token embeddings, which {site} is none of");
            return Err(Error::At(LangError::new(message, span)));
        }
        let op = run.program.op_of("embed").map(|op| &run.program.ops[op]);
        let scale = match op.map(|op| &op.kernel) {
            Some(Kernel::Embed { scale }) => *scale,
            _ => 1.0,
        };
        let Datum::Tensor(table) = self.evaluate(&crate::lang::parse_expr("param(\"W_E\")", 0)?)? else {
            return Err(Error::refused("the model has no token embeddings"));
        };
        let mean = table.reduce_axis(Reduction::Mean, 0)?.read_f64()?;
        Ok(mean.into_iter().map(|x| (x * scale) as f32).collect())
    }
}
