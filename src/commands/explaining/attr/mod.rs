//! `attr`: how much each token, or each element of a site, counts for a number.

mod curves;
mod generated;
mod given;
mod heads;
mod methods;
mod neuron;
mod neurons;
mod segments;
mod side_by_side;
mod table;

use std::path::Path;

use self::given::{Baseline, Given};
use self::methods::{Factor, Run, Work};
use crate::analysis::attribution::{Attribution, Probe, Quality, quality};
use crate::answer::{Answer, Table};
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console, NOT_COMPLETE};
use crate::debugger::Result;
use crate::dumps::Tensors;
use crate::lang::eval::Datum;
use crate::lang::{Expr, LangError, SiteRef, Span, parse_expr};
use crate::model::role::WeightId;
use crate::program::{Along, Kernel};
use crate::tensor::Axis;
use crate::tensor::ops::Reduction;

pub use given::OPTIONS;
pub use methods::NAMES;

/// The values of a site in a file, of one row.
fn of_file(file: &str, site: &str, len: usize, span: Span) -> Result<Vec<f32>> {
    let at = |message: String| LangError::new(message, span);
    let dump = Tensors::open(Path::new(file)).map_err(|error| at(error.to_string()))?;
    if !dump.names().iter().any(|name| name == site) {
        let some: Vec<&str> = dump.names().iter().take(3).map(String::as_str).collect();
        return Err(at(format!("{file} has no {site}: it has {} ...", some.join(", "))).into());
    }
    let found = dump.read(site).map_err(|error| at(error.to_string()))?;
    match found.data.len() == len {
        true => Ok(found.data.into_iter().map(|x| x as f32).collect()),
        false => {
            Err(at(format!("{site} in {file} has shape {:?}, which is not {len} elements as here", found.shape)).into())
        }
    }
}

/// `attr METHOD [OPTIONS]`. In a later pass the prompt and what was generated are read in one.
pub fn attr(console: &mut Console, call: Call<'_>) -> Done {
    let all = Given::read(call.args.rest, call.args.offset)?;
    if let Some(given) = all.iter().find(|given| given.generated) {
        return match all.len() {
            1 => generated::explained(console, given, call),
            _ => Err(LangError::new("-generated takes one method, and no target", call.span()).into()),
        };
    }
    let here = console.session.run.mark();
    if here.pass == 0 {
        return answered(console, &all, call);
    }
    let generated = here.pass;
    let mut answer = answered(&mut *console.in_one_pass(here)?, &all, call)?;
    if let Answer::Table(table) = &mut answer {
        let tokens = if generated == 1 { "generated token" } else { "generated tokens" };
        table.title += &format!("\nover the prompt and {generated} {tokens}, read in one pass");
    }
    Ok(answer)
}

fn answered(console: &mut Console, all: &[Given], call: Call<'_>) -> Done {
    match all {
        all if all.iter().any(|given| given.curves) => curves::compared(console, all, call),
        [given] => one(console, given, call),
        all => side_by_side::compared(console, all, call),
    }
}

/// The op that is attributed to.
fn site_of(console: &Console, given: &Given) -> Result<usize> {
    let (text, span) = given.site.as_ref().map_or((embedding(console), Span::at(0)), |(text, span)| (text, *span));
    console.op_named(text, span)
}

/// The token embedding of the prompt: where there is an encoder besides a decoder, what the encoder reads.
fn embedding(console: &Console) -> &'static str {
    const OF_SOURCE: &str = "encoder.embed";
    if console.session.run.program.op_of(OF_SOURCE).is_some() { OF_SOURCE } else { "embed" }
}

/// An error unless a site begins with positions, which `what` needs.
fn begins_with_positions(console: &Console, site: usize, what: &str) -> Result<()> {
    let op = &console.session.run.program.ops[site];
    match op.axes.get(1) {
        Some(Axis::Pos) => Ok(()),
        Some(Axis::SourcePos) => {
            let site = &op.site;
            Err(format!(
                "{what} is for positions that the decoder reads, and {site} has those of the source: give -at embed"
            )
            .into())
        }
        _ => Err(format!("{what} needs positions, and {} does not begin with them", op.site).into()),
    }
}

/// One method for one target.
fn one(console: &mut Console, given: &Given, call: Call<'_>) -> Done {
    let method = given.method;
    if let Run::Own(run) = method.run {
        return run(console, given);
    }
    let (expr, target) = given.target(console)?;
    let start = Span::at(call.args.offset);
    let site = site_of(console, given)?;
    let later = matches!(method.run, Run::Later(_));
    if later && given.site.is_none() {
        let message = format!("{} needs a site", method.name);
        return Err(mistake(message, start, "attr conductance -at L1.resid_post"));
    }
    let at = if later { console.op_named(embedding(console), start)? } else { site };
    let hides = matches!(method.run, Run::Hiding(_));
    if hides || given.segments.is_some() {
        begins_with_positions(console, site, if hides { method.name } else { "-segments" })?;
    }
    let baselines = console.baselines(given, &expr, at, hides, usize::MAX)?;
    if let Run::Neuron = method.run {
        return neuron::conductance(console, given, (&expr, &target), at, &baselines[0]);
    }
    if given.quality && (hides || later) {
        let name = method.name;
        let message = format!("-quality is for methods that attribute to their own site by gradients, not {name}");
        return Err(message.into());
    }
    let axes = console.session.run.program.ops[site].axes[1..].to_vec();
    let length = console.session.row_length();
    let segments = console.segments(given, length, length)?;
    let mut probe = Probe::new(&mut console.session, &expr, at)?;
    let shape = probe.base(site)?.shape()[1..].to_vec();
    let work = Work { given, site, baselines: &baselines, players: &segments.players };
    let mut found = work.carried_out(&mut probe)?;
    let quality = given.quality.then(|| quality_of(&work, &mut probe, &found)).transpose()?;
    let exact = work.is_exact();
    let grouped = given.segments.is_some();
    let incomplete = found.is_incomplete();
    if grouped && !hides {
        found.values = segments.players.sums(&found.values);
    }
    let (shape, axes) = match (grouped, hides) {
        (true, _) => (vec![segments.players.count], vec![Axis::None]),
        (false, true) => {
            found.values = segments.players.of.iter().map(|player| player.map_or(0.0, |p| found.values[p])).collect();
            (vec![length], vec![Axis::Pos])
        }
        (false, false) => (shape, axes),
    };
    let value = console.value_of(&found.values, &shape, &axes).whole();
    let number = console.session.remember(Datum::Tensor(value.clone()));
    let mut lines = table::title(console, given, &target, site, &found, exact, number);
    lines.extend(quality.map(table::quality));
    match grouped {
        true => Ok(table::of_segments(console, lines, segments.names, &found.values, !incomplete).into()),
        false => table::answer(console, lines, &value, &found),
    }
}

/// How far an attribution can be trusted.
fn quality_of(work: &Work<'_>, probe: &mut Probe<'_>, found: &Attribution) -> Result<Quality> {
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
    let mut again = |probe: &mut Probe<'_>| work.carried_out(probe).map(|found| found.values);
    quality(probe, found, factor.as_deref(), work.given.seed, &mut again)
}

impl Console {
    /// The op of a site by any of its names.
    fn op_named(&self, text: &str, span: Span) -> Result<usize> {
        let site = SiteRef { text: text.to_string(), run: None, pass: None, span };
        let names = &*self.session.run.names;
        let resolved = crate::lang::site::resolve(&site, names, self.session.block())?;
        let op = self.session.run.program.op_of(&resolved.name);
        let none = || format!("{} has no value to attribute to", resolved.name);
        op.ok_or_else(|| LangError::new(none(), span).into())
    }

    /// The elements of each baseline at a site. What comes after the column `end` stays as it is.
    fn baselines(
        &mut self,
        given: &Given,
        expr: &Expr,
        at: usize,
        perturbs: bool,
        end: usize,
    ) -> Result<Vec<Vec<f32>>> {
        let length = self.session.row_length();
        let of = |(baseline, span): &(Baseline, Span)| {
            let op = &self.session.run.program.ops[at];
            let (site, along) = (op.site.clone(), op.along);
            let ids = self.ids_of(baseline, *span, (perturbs, along), end)?;
            let mean = if *baseline == Baseline::Mean { Some(self.mean_embedding(&site, *span)?) } else { None };
            let mut probe = Probe::new(&mut self.session, expr, at)?;
            let here = probe.here()?;
            let len = here.len();
            let mut found = match (baseline, ids, mean) {
                (_, Some(ids), _) => return probe.of_tokens(&ids),
                (Baseline::File(file), ..) => of_file(file, &site, len, *span)?,
                (_, None, Some(mean)) => mean.into_iter().cycle().take(len).collect(),
                (_, None, None) => vec![0.0; len],
            };
            if let Some(kept) = length.checked_sub(end) {
                let from = len - kept * (len / length.max(1));
                found[from..].copy_from_slice(&here[from..]);
            }
            Ok(found)
        };
        given.baselines.iter().map(of).collect()
    }

    /// The tokens that a baseline means, of which those after the column `end` are those of the text; none if it is not made
    /// of tokens.
    fn ids_of(
        &self,
        baseline: &Baseline,
        span: Span,
        (whole, along): (bool, Along),
        end: usize,
    ) -> Result<Option<Vec<u32>>> {
        let run = &self.session.run;
        let special = &run.model.special;
        let row = self.session.focused_row().ok_or("there is no text")?;
        let all = match (along, &row.source) {
            (Along::Source, Some(source)) => &source.ids[..],
            _ => &row.ids[..self.session.row_length()],
        };
        let (ids, after) = all.split_at(end.min(all.len()));
        let filled = |filler: u32| {
            let keeps = |id: u32| {
                !whole && ([special.bos, special.cls, special.sep].contains(&Some(id)) && Some(id) != special.pad)
            };
            // Where the token that fills rows up also begins or ends texts, it makes no difference.
            ids.iter().map(|&id| if keeps(id) { id } else { filler }).collect::<Vec<u32>>()
        };
        let found = match baseline {
            Baseline::Zero | Baseline::Mean | Baseline::File(_) => return Ok(None),
            Baseline::Pad => filled(special.filler(run.model.spec.vocab)),
            Baseline::Mask => match special.mask {
                Some(mask) => filled(mask),
                None => return Err(LangError::new("the model has no mask token", span).into()),
            },
            Baseline::Text(text) => {
                let tokenizer = run.model.tokenizer.as_ref();
                let tokenizer = tokenizer.ok_or_else(|| LangError::new("the model has no tokenizer", span))?;
                let text = if self.chat { text.into() } else { run.model.with_prompt(text) };
                let tokens = tokenizer.encode(&text, !self.chat)?;
                if tokens.len() != ids.len() {
                    let message = format!("that is {} tokens, and the text has {}", tokens.len(), ids.len());
                    return Err(LangError::new(message, span).into());
                }
                tokens.iter().map(|token| token.id).collect()
            }
        };
        Ok(Some([&found, after].concat()))
    }

    /// The mean of all token embeddings, as the model scales them.
    fn mean_embedding(&mut self, site: &str, span: Span) -> Result<Vec<f32>> {
        let run = &self.session.run;
        if !matches!(site, "embed" | "encoder.embed") {
            let message = format!("the mean is that of the token embeddings, which {site} is none of");
            return Err(LangError::new(message, span).into());
        }
        let op = run.program.op_of(site).map(|op| &run.program.ops[op]);
        let table = op.and_then(|op| op.weights.first()).map_or("W_E".into(), WeightId::to_string);
        let scale = match op.map(|op| &op.kernel) {
            Some(Kernel::Embed { scale, masks }) => scale * masks.map_or(1.0, |masks| 1.0 - masks.trained),
            _ => 1.0,
        };
        let Datum::Tensor(table) = self.evaluate(&parse_expr(&format!("param(\"{table}\")"), 0)?)? else {
            return Err("the model has no token embeddings".into());
        };
        let mean = table.reduce_axis(Reduction::Mean, 0)?.read_f64()?;
        Ok(mean.into_iter().map(|x| (x * scale) as f32).collect())
    }
}

/// The last attribution to positions.
pub fn last(console: &Console) -> Done {
    let attributed = console.memory.attributed.as_ref();
    let (title, parts) = attributed.ok_or("nothing has been attributed yet; \"attr ig\" does")?;
    let complete = !title.starts_with(NOT_COMPLETE);
    let bars = Bars::of(parts.iter().map(|(_, share)| *share).filter(|_| complete));
    let rows = parts.iter().enumerate().map(|(pos, (token, share))| (pos, token, *share, bars.bar(*share)));
    Ok(Table::new(["Pos", "Token", "Value", ""]).title(title.clone()).rows(rows).into())
}
