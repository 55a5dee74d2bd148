//! `attr`: how much each token, or each element of a site, counts for a number.

mod given;
mod heads;
mod methods;
mod neuron;
mod neurons;
mod side_by_side;
mod table;

use std::path::Path;

use self::given::{Baseline, Given};
use self::methods::{Factor, Run, Work};
use crate::analysis::attribution::{Attribution, Probe, Quality, quality};
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, NOT_COMPLETE, bar};
use crate::debugger::{Error, Result};
use crate::dumps::Tensors;
use crate::lang::eval::Datum;
use crate::lang::{LangError, Span};
use crate::program::Kernel;
use crate::tensor::ops::Reduction;
use crate::tensor::{Axis, Value};

pub use given::OPTIONS;
pub use methods::NAMES;

/// The values of a site in a file, of one row.
fn of_file(file: &str, site: &str, len: usize, span: Span) -> Result<Vec<f32>> {
    let at = |message: String| Error::At(LangError::new(message, span));
    let dump = Tensors::open(Path::new(file)).map_err(|error| at(error.to_string()))?;
    if !dump.names().iter().any(|name| name == site) {
        let some: Vec<&str> = dump.names().iter().take(3).map(String::as_str).collect();
        return Err(at(format!("{file} has no {site}: it has {} ...", some.join(", "))));
    }
    let found = dump.read(site).map_err(|error| at(error.to_string()))?;
    match found.data.len() == len {
        true => Ok(found.data.into_iter().map(|x| x as f32).collect()),
        false => Err(at(format!("{site} in {file} has shape {:?}, which is not {len} elements as here", found.shape))),
    }
}

/// `attr METHOD [OPTIONS]`.
pub fn attr(console: &mut Console, call: Call<'_>) -> Done {
    if let Some(done) = side_by_side::several(console, call) {
        return done;
    }
    let given = Given::read(call.args.rest, call.args.offset)?;
    one(console, &given, call)
}

/// One method for one target.
fn one(console: &mut Console, given: &Given, call: Call<'_>) -> Done {
    let method = given.method;
    if let Run::Own(run) = method.run {
        return run(console, given);
    }
    let (expr, target) = given.target(console)?;
    let site = match &given.site {
        Some((text, span)) => console.op_named(text, *span)?,
        None => console.op_named("embed", Span::at(call.args.offset))?,
    };
    let later = matches!(method.run, Run::Later(_));
    if later && given.site.is_none() {
        let error = LangError::new(format!("{} needs a site", method.name), Span::at(call.args.offset));
        return Err(Error::At(error.help("attr conductance -at L1.resid_post")));
    }
    let at = if later { console.op_named("embed", Span::at(call.args.offset))? } else { site };
    let hides = matches!(method.run, Run::Hiding(_));
    let axes = console.session.run.program.ops[site].axes[1..].to_vec();
    if hides && axes.first() != Some(&Axis::Pos) {
        let site = &console.session.run.program.ops[site].site;
        return Err(Error::refused(format!("{} hides positions, and {site} does not begin with them", method.name)));
    }
    let baselines = console.baselines(given, &expr, at, hides)?;
    let run = match method.run {
        Run::Elements(run) | Run::Later(run) | Run::Hiding(run) => run,
        Run::Neuron | Run::Own(_) => {
            return neuron::conductance(console, given, (&expr, &target), at, &baselines[0]);
        }
    };
    if given.quality && (hides || later) {
        let message =
            format!("-quality is for methods that attribute to their own site by gradients, not {}", method.name);
        return Err(Error::refused(message));
    }
    let mut probe = Probe::new(&mut console.session, &expr, at)?;
    let shape = probe.base(site)?.shape()[1..].to_vec();
    let positions = shape.first().copied().unwrap_or(1);
    let work = Work { given, site, baselines: &baselines, positions };
    let found = run(&work, &mut probe)?;
    let quality = match given.quality {
        true => Some(quality_of(&work, run, &mut probe, &found)?),
        false => None,
    };
    let (shape, axes) = if hides { (vec![positions], vec![Axis::Pos]) } else { (shape, axes) };
    let data: Vec<f32> = found.values.iter().map(|x| *x as f32).collect();
    let value = Value::from_f32(data, &shape, console.session.run.device()).with_axes(&axes).whole();
    let number = console.session.remember(Datum::Tensor(value.clone()));
    let mut lines = table::title(console, given, &target, site, &found, work.is_exact(), number);
    lines.extend(quality.map(table::quality));
    table::answer(console, lines, &value, &found)
}

/// How far an attribution can be trusted; `run` is what has made it.
fn quality_of(
    work: &Work<'_>,
    run: fn(&Work<'_>, &mut Probe<'_>) -> Result<Attribution>,
    probe: &mut Probe<'_>,
    found: &Attribution,
) -> Result<Quality> {
    let here = probe.here()?;
    let factor: Option<Vec<f64>> = match work.given.method.factor {
        Factor::One => None,
        Factor::Input => Some(here.iter().map(|x| f64::from(*x)).collect()),
        Factor::Change => {
            let count = work.baselines.len() as f64;
            let mean = |i: usize| work.baselines.iter().map(|b| f64::from(b[i])).sum::<f64>() / count;
            Some(here.iter().enumerate().map(|(i, x)| f64::from(*x) - mean(i)).collect())
        }
    };
    let mut again = |probe: &mut Probe<'_>| run(work, probe).map(|found| found.values);
    quality(probe, found, factor.as_deref(), work.given.seed, &mut again)
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

/// The last attribution to positions.
pub fn last(console: &Console) -> Done {
    let Some((title, parts)) = &console.memory.attributed else {
        return Err(Error::refused("nothing has been attributed yet; \"attr ig\" does"));
    };
    let largest = parts.iter().fold(0.0f64, |largest, (_, share)| largest.max(share.abs()));
    let complete = !title.starts_with(NOT_COMPLETE);
    let rows = parts.iter().enumerate().map(|(pos, (token, share))| {
        let bar = if complete { bar(*share, largest) } else { String::new() };
        vec![Cell::Int(pos as i64), Cell::Text(token.clone()), Cell::Num(*share), Cell::Text(bar)]
    });
    let columns = ["Pos", "Token", "Value", ""].map(String::from).to_vec();
    Ok(Answer::Table(Table { title: title.clone(), columns, rows: rows.collect() }))
}
