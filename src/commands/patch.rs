//! `patch`: what of another branch, put into this one, brings a number back?

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::console::{Console, Done};
use super::fail::Fail;
use super::table::Call;
use crate::analysis::patching::{Part, Source, Sweep, sweep};
use crate::analysis::replacing::{circuit, paths};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, MapView, Scale, Table};
use crate::debugger::{Progress, RunScope};
use crate::lang::eval::{Datum, number};
use crate::lang::words::{Given, OptionSpec, Word, take_options, words};
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::{Axis, Summary, Value};

const OPTIONS: [OptionSpec; 6] = [
    OptionSpec { name: "-to", takes_value: true },
    OptionSpec { name: "-minimal", takes_value: false },
    OptionSpec { name: "-faithful", takes_value: true },
    OptionSpec { name: "-metric", takes_value: true },
    OptionSpec { name: "-site", takes_value: true },
    OptionSpec { name: "-approx", takes_value: false },
];

/// What a circuit must keep of a number, unless another share is asked for.
const FAITHFUL: f64 = 0.9;

/// Sites that can be put in, and whether they are cut by head.
const SITES: [(&str, Part); 9] = [
    ("resid_pre", Part::Position),
    ("resid_mid", Part::Position),
    ("resid_post", Part::Position),
    ("attn_out", Part::Position),
    ("mlp_out", Part::Position),
    ("attn.z", Part::Head),
    ("attn.q", Part::Head),
    ("attn.k", Part::Head),
    ("attn.v", Part::Head),
];

/// `patch BRANCH -metric EXPR [-site SITE] [-approx]`.
pub fn patch(console: &mut Console, call: Call<'_, '_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let value = |name: &str| given.iter().find(|option| option.name == name).and_then(|option| option.value.clone());
    let [word] = left.as_slice() else {
        let at = left.get(1).map_or(Span::at(call.args.offset), |extra| extra.span);
        let error = LangError::new("expected the branch whose values are put in", at);
        return Err(Fail::At(error.help("patch main -metric \"logit(...) - logit(...)\" -site resid_pre")));
    };
    let has = |name: &str| given.iter().any(|option| option.name == name);
    let forms = usize::from(has("-to")) + usize::from(has("-minimal"));
    if let Some(option) = given.iter().find(|option| ["-site", "-approx"].contains(&option.name) && forms > 0) {
        let error = LangError::new(format!("{} does not go with -to and -minimal", option.name), option.span);
        return Err(Fail::At(
            error.help("-to patches paths to one head, -minimal takes out heads and MLPs; both are measured"),
        ));
    }
    if forms > 1 || has("-faithful") && !has("-minimal") {
        let error = LangError::new(
            "-to and -minimal are two questions, and -faithful is of the second",
            Span::at(call.args.offset),
        );
        return Err(Fail::At(error.help("one of them at a time")));
    }
    let run = &console.session.run;
    let source = match (run.branch_named(&word.text), word.text.as_str()) {
        (Some(from), _) => Source::Branch(from),
        (None, "zero") => Source::Zero,
        (None, "mean") => Source::Mean,
        (None, other) => {
            let names: Vec<&str> = run.branches.iter().map(|branch| branch.name.as_str()).collect();
            let error = LangError::new(format!("no branch {other}"), word.span);
            return Err(Fail::At(error.help(format!("there is {}", names.join(", ")))));
        }
    };
    if source == Source::Branch(run.current) {
        return Err(Fail::At(LangError::new("that is the current branch: its values are there already", word.span)));
    }
    let Some(metric) = value("-metric") else {
        let error = LangError::new("expected the number that is watched", Span::at(call.args.offset));
        return Err(Fail::At(error.help("-metric \"logit(...) - logit(...)\", in quotes if it has spaces")));
    };
    let expr = parse_expr(&metric.text, metric.span.start)?;
    let Source::Branch(from) = source else {
        return match forms {
            0 => swept(console, &expr, &metric.text, source, &word.text, &given, call.progress),
            _ => {
                let error = LangError::new("what is put in, or taken out, is as in a branch", word.span);
                Err(Fail::At(error.help("patch BRANCH -metric EXPR -minimal")))
            }
        };
    };
    if let Some(word) = value("-to") {
        return to_head(console, &expr, from, &word, call.progress);
    }
    if has("-minimal") {
        let wanted = value("-faithful").map(|word| {
            word.text.parse().ok().filter(|x: &f64| (0.0..1.0).contains(x)).ok_or_else(|| {
                Fail::At(LangError::new(format!("{} is no share: a number from 0 to 1", word.text), word.span))
            })
        });
        return minimal(console, &expr, from, wanted.transpose()?.unwrap_or(FAITHFUL), call.progress);
    }
    swept(console, &expr, &metric.text, source, &word.text, &given, call.progress)
}

/// One place after the other: of a branch the share that comes back, of an ablation what the number gains.
fn swept(
    console: &mut Console,
    expr: &crate::lang::Expr,
    metric: &str,
    source: Source,
    name: &str,
    given: &[Given],
    told: Progress<'_>,
) -> Done {
    let usual = if matches!(source, Source::Branch(_)) { "resid_pre" } else { "attn.z" };
    let site = given.iter().find(|option| option.name == "-site").and_then(|option| option.value.as_ref());
    let site = site.map_or(usual, |word| word.text.as_str());
    let Some((_, part)) = SITES.iter().find(|(known, _)| *known == site) else {
        let names: Vec<&str> = SITES.iter().map(|(name, _)| *name).collect();
        return Err(Fail::because(format!("{site} cannot be put in: one of {}", names.join(", "))));
    };
    let approximate = given.iter().any(|option| option.name == "-approx");
    let kind = if approximate { "approximate, by gradients" } else { "measured" };
    let clean = match source {
        Source::Branch(from) => Some(console.number_in(from, expr)?),
        Source::Zero | Source::Mean => None,
    };
    let found = sweep(&mut console.session, expr, site, source, *part, approximate, &mut |done, total| {
        told("patching", done, total);
    })?;
    let here = significant(found.here, 5);
    let (whole, title) = match clean {
        Some(clean) if (clean - found.here).abs() < 1e-9 => {
            return Err(Fail::because(format!(
                "{metric} is the same in both branches: there is nothing to bring back"
            )));
        }
        Some(clean) => {
            let numbers = format!("{metric} is {here} here and {} in {name}", significant(clean, 5));
            (clean, format!("{site} of {name} put in, {kind}: share of what is lost that comes back; {numbers}"))
        }
        None => {
            let what = if source == Source::Zero { "zero" } else { "its mean over positions" };
            // A share of one is the gain itself.
            (found.here + 1.0, format!("{site} {what}, {kind}: what {metric} gains; it is {here}"))
        }
    };
    map(console, &found, whole, *part, title)
}

/// `patch BRANCH -metric EXPR -to L3H2.q`: direct paths from earlier heads to one head.
fn to_head(console: &mut Console, expr: &crate::lang::Expr, from: usize, word: &Word, told: Progress<'_>) -> Done {
    let wrong = || {
        let error = LangError::new(format!("{} is no input of a head", word.text), word.span);
        Fail::At(error.help("-to L3H2.q, L3H2.k or L3H2.v"))
    };
    let (name, part) =
        word.text.split_once('.').filter(|(_, part)| ["q", "k", "v"].contains(part)).ok_or_else(wrong)?;
    let (layer, head) = name.strip_prefix('L').and_then(|rest| rest.split_once('H')).ok_or_else(wrong)?;
    let (layer, head): (usize, usize) = (layer.parse().map_err(|_| wrong())?, head.parse().map_err(|_| wrong())?);
    let spec = &console.session.run.model.spec;
    if layer >= spec.n_layers || head >= spec.n_heads {
        return Err(Fail::At(LangError::new(format!("there is no head {name}"), word.span)));
    }
    if layer == 0 {
        return Err(Fail::At(LangError::new("no head stands in front of block 0", word.span)));
    }
    let width = spec.n_heads;
    let clean = console.number_in(from, expr)?;
    let (numbers, here) =
        paths(&mut console.session, expr, from, (layer, head, part), &mut |done, total| told("paths", done, total))?;
    let found = Sweep { layers: (0..layer).collect(), width, numbers, here };
    let branch = console.session.run.branches[from].name.clone();
    let title = format!(
        "heads of {branch} put into {} of {name} alone, the rest as it is (path patching, measured): share of what is lost that comes back; \
         {} here, {} in {branch}",
        word.text.rsplit('.').next().unwrap_or_default(),
        significant(here, 5),
        significant(clean, 5)
    );
    map(console, &found, clean, Part::Head, title)
}

/// `patch BRANCH -metric EXPR -minimal`: the heads and MLPs that a number needs.
fn minimal(console: &mut Console, expr: &crate::lang::Expr, from: usize, wanted: f64, told: Progress<'_>) -> Done {
    let found = circuit(&mut console.session, expr, from, wanted, &mut |done, total| told("taking out", done, total))?;
    let branch = console.session.run.branches[from].name.clone();
    let [here, none, kept] = found.numbers.map(|x| significant(x, 5));
    let title = format!(
        "{} of {} heads and MLPs keep {} of the number (faithfulness), by greedy ablation: {here} with all, {none} with all as in {branch}, {kept} \
         with these alone; measured, and not the only circuit there may be",
        found.kept.len(),
        found.all,
        significant(found.faithfulness, 4)
    );
    let rows = found.kept.into_iter().map(|(one, loss)| vec![Cell::Text(one.name()), Cell::Num(loss)]).collect();
    let columns = ["Component", "Lost without it alone"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title, columns, rows }))
}

/// The shares as a heat map, and as `$N` by layer and part.
fn map(console: &mut Console, found: &Sweep, clean: f64, part: Part, title: String) -> Done {
    let shares: Vec<f64> = found.numbers.iter().map(|x| (x - found.here) / (clean - found.here)).collect();
    let (rows, columns) = (found.layers.len(), found.width);
    let axis = if part == Part::Head { Axis::Head } else { Axis::Pos };
    let value =
        Value::from_f32(shares.iter().map(|x| *x as f32).collect(), &[rows, columns], console.session.run.device());
    let number = console.session.remember(Datum::Tensor(value.with_axes(&[Axis::None, axis])));
    Ok(Answer::Map(MapView {
        title: format!("${number} = {title}"),
        rows,
        columns,
        summary: Summary::of_host(shares.iter().copied(), &[rows, columns]),
        shape: vec![rows, columns],
        data: shares,
        row_labels: found.layers.iter().map(|layer| format!("L{layer}")).collect(),
        column_labels: (0..columns).map(|i| console.name_of(axis, i)).collect(),
        pool: [1, 1],
        axes: ["layer".into(), axis.to_string()],
        scale: Scale::Diverging,
    }))
}

impl Console {
    /// A number over the pass of another branch.
    fn number_in(&mut self, branch: usize, expr: &crate::lang::Expr) -> Result<f64, Fail> {
        // Only where names are looked up changes, and only for the time of this.
        let here = std::mem::replace(&mut self.session.run.current, branch);
        let session = &mut self.session;
        let found = catch_unwind(AssertUnwindSafe(|| number(expr, &mut RunScope::new(session))));
        self.session.run.current = here;
        // The engine answers for panics; the session must be on its own branch then.
        Ok(found.unwrap_or_else(|panic| resume_unwind(panic))?)
    }
}
