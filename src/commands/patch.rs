//! `patch`: what of another branch, put into this one, brings a number back?

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::console::{Console, Done};
use super::fail::Fail;
use super::table::Call;
use crate::analysis::patching::{Part, Sweep, sweep};
use crate::answer::numbers::significant;
use crate::answer::{Answer, MapView, Scale};
use crate::debugger::RunScope;
use crate::lang::eval::{Datum, number};
use crate::lang::words::{OptionSpec, take_options, words};
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::{Axis, Summary, Value};

const OPTIONS: [OptionSpec; 3] = [
    OptionSpec { name: "-metric", takes_value: true },
    OptionSpec { name: "-site", takes_value: true },
    OptionSpec { name: "-approx", takes_value: false },
];

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
    let run = &console.session.run;
    let from = run.branch_named(&word.text).ok_or_else(|| {
        let names: Vec<&str> = run.branches.iter().map(|branch| branch.name.as_str()).collect();
        let error = LangError::new(format!("no branch {}", word.text), word.span);
        Fail::At(error.help(format!("there is {}", names.join(", "))))
    })?;
    if from == run.current {
        return Err(Fail::At(LangError::new("that is the current branch: its values are there already", word.span)));
    }
    let Some(metric) = value("-metric") else {
        let error = LangError::new("expected the number to bring back", Span::at(call.args.offset));
        return Err(Fail::At(error.help("-metric \"logit(...) - logit(...)\", in quotes if it has spaces")));
    };
    let expr = parse_expr(&metric.text, metric.span.start)?;
    let site = value("-site").map_or_else(|| "resid_pre".to_string(), |word| word.text);
    let Some((_, part)) = SITES.iter().find(|(known, _)| *known == site) else {
        let names: Vec<&str> = SITES.iter().map(|(name, _)| *name).collect();
        return Err(Fail::because(format!("{site} cannot be put in: one of {}", names.join(", "))));
    };
    let approximate = given.iter().any(|option| option.name == "-approx");
    let clean = console.number_in(from, &expr)?;
    let told = call.progress;
    let found = sweep(&mut console.session, &expr, &site, from, *part, approximate, &mut |done, total| {
        told("patching", done, total);
    })?;
    if (clean - found.here).abs() < 1e-9 {
        return Err(Fail::because(format!(
            "{} is the same in both branches: there is nothing to bring back",
            metric.text
        )));
    }
    let kind = if approximate { "approximate, by gradients" } else { "measured" };
    let numbers = format!(
        "{} is {} here and {} in {}",
        metric.text,
        significant(found.here, 5),
        significant(clean, 5),
        word.text
    );
    map(
        console,
        &found,
        clean,
        *part,
        format!("{site} of {} put in, {kind}: share of what is lost that comes back; {numbers}", word.text),
    )
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
