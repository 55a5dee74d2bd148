//! `attr METHOD -generated`: each token that was generated, explained by the tokens of the prompt. What is explained is its
//! log-probability, given the prompt and what was generated before it; what was generated is never hidden (Captum's
//! `LLMAttribution` and `LLMGradientAttribution`).

use super::given::Given;
use super::methods::{METHODS, Run, Work};
use super::table;
use crate::analysis::attribution::{Attribution, Probe};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{MapView, Scale};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, NOT_COMPLETE};
use crate::debugger::{Error, Result};
use crate::lang::eval::Datum;
use crate::lang::{Expr, LangError, parse_expr};
use crate::model::text::listed;
use crate::tensor::{Axis, step};

/// Tokens named in a warning.
const LISTED: usize = 5;

/// The row of the map below those of the tokens.
const SUM: &str = "sum";

pub fn explained(console: &mut Console, given: &Given, call: Call<'_>) -> Done {
    let refused = |message: String| Err(LangError::new(message, call.span()).into());
    if given.has_target() {
        return refused(
            "-generated explains the log-probability of each token that was generated; leave -target out".into(),
        );
    }
    if given.curves || given.quality {
        return refused("-generated does not go with -curves and -quality, which are about one number".into());
    }
    if !matches!(given.method.run, Run::Elements(_) | Run::Hiding(_)) {
        let can = METHODS.iter().filter(|method| matches!(method.run, Run::Elements(_) | Run::Hiding(_)));
        let can: Vec<&str> = can.map(|method| method.name).collect();
        return refused(format!(
            "{} does not explain generated tokens; choose from {}",
            given.method.name,
            can.join(", ")
        ));
    }
    let branch = console.session.run.branch();
    let (last, prompt) = (branch.passes() - 1, branch.span(0).end);
    if last == 0 {
        return Err(Error::refused("nothing has been generated yet; \"generate 10\" does"));
    }
    let end = console.session.run.end_of(last);
    matrix(&mut *console.in_one_pass(end)?, given, prompt)
}

/// In one pass over the prompt, which ends at a column, and what was generated after it.
fn matrix(console: &mut Console, given: &Given, prompt: usize) -> Done {
    let (exprs, names) = generated(console, prompt)?;
    let site = super::site_of(console, given)?;
    super::begins_with_positions(console, site, "-generated")?;
    let hides = matches!(given.method.run, Run::Hiding(_));
    let baselines = console.baselines(given, &exprs[0], site, hides, prompt)?;
    let positions = console.session.row_length();
    let segments = console.segments(given, prompt, positions)?;
    let work = Work { given, site, baselines: &baselines, players: &segments.players };
    let mut probe = Probe::of_several(&mut console.session, &exprs, site)?;
    let found = attributions(&work, &mut probe, exprs.len())?;
    let (rows, width) = (found.rows.len(), segments.players.count);
    let (exact, grouped) = (work.is_exact(), given.segments.is_some());
    let all: Vec<f64> = found.rows.concat();
    let axis = if grouped { Axis::None } else { Axis::Pos };
    let value = console.value_of(&all, &[rows, width], &[Axis::None, axis]).whole();
    let number = console.session.remember(Datum::Tensor(value));
    let warning = warning(given, &found, &names);
    let mut lines = Vec::new();
    let units = if grouped { "segments" } else { "tokens" };
    lines.push(format!(
        "{} of the log-probabilities of {rows} generated tokens by {width} {units} of the prompt: ${number}",
        given.method.name
    ));
    lines.push(table::how(given, &found.last, exact));
    lines.push(format!("the row {SUM} explains the log-probability of the whole, {}", significant(found.at_input, 6)));
    let title = warning.iter().cloned().chain([lines.join("; ")]).collect::<Vec<_>>().join(" ");
    let shares = segments.names.iter().map(|(_, text)| text.clone()).zip(found.sum.iter().copied()).collect();
    let lines: Vec<String> = warning.into_iter().chain(lines).collect();
    console.memory.attributed = Some((lines.join("\n"), shares));
    let rows = names.into_iter().chain([SUM.to_string()]).collect();
    let columns = segments.names.into_iter().map(|(_, text)| text).collect();
    let column_axis = if grouped { "segment" } else { Axis::Pos.name() };
    let data = all.into_iter().chain(found.sum).collect();
    let map = MapView::grid(title, ("generated", rows), (column_axis, columns), data);
    Ok(map.scale(Scale::Diverging).into())
}

/// The log-probability of each generated token, and the tokens.
fn generated(console: &Console, prompt: usize) -> Result<(Vec<Expr>, Vec<String>)> {
    let row = console.session.focused_row().ok_or("there is no text")?;
    let real = |columns: std::ops::Range<usize>| columns.filter(|&column| row.mask[column]);
    let written: Vec<usize> = real(prompt..row.ids.len()).collect();
    if written.is_empty() {
        return Err(Error::refused("nothing has been generated in this row"));
    }
    let expr = |&column: &usize| {
        let before = real(0..column).next_back().ok_or("there is no text before what was generated")?;
        Ok(parse_expr(&format!("log_softmax(logits[pos={before}])[{}]", row.ids[column]), 0)?)
    };
    let exprs = written.iter().map(expr).collect::<Result<_>>()?;
    Ok((exprs, written.iter().map(|&column| console.name_of(Axis::Pos, column)).collect()))
}

/// What was found for all numbers.
struct Found {
    /// The attribution of each to each player.
    rows: Vec<Vec<f64>>,
    /// That of their sum.
    sum: Vec<f64>,
    /// The sum.
    at_input: f64,
    /// For each, whether its attributions should sum to a difference and do not.
    incomplete: Vec<bool>,
    /// The attribution of the last one, as an example of how they were had.
    last: Attribution,
}

fn attributions(work: &Work<'_>, probe: &mut Probe<'_>, count: usize) -> Result<Found> {
    let (each, sum) = if let Run::Hiding(hides) = work.given.method.run {
        let (each, sum) = hides(work, &probe.here()?)?.of_each(probe, work.baseline(), work.players)?;
        (each, Some(sum.values))
    } else {
        let mut each = Vec::with_capacity(count);
        for number in 0..count {
            step("generated tokens", number as u64, count as u64)?;
            probe.ask(number);
            each.push(work.carried_out(probe)?);
        }
        (each, None)
    };
    let of_players = |found: &Attribution| match sum {
        Some(_) => found.values.clone(),
        None => work.players.sums(&found.values),
    };
    let rows: Vec<Vec<f64>> = each.iter().map(of_players).collect();
    let column = |player: usize| rows.iter().map(|row| row[player]).sum();
    Ok(Found {
        sum: sum.unwrap_or_else(|| (0..work.players.count).map(column).collect()),
        at_input: each.iter().map(|found| found.at_input).sum(),
        incomplete: each.iter().map(Attribution::is_incomplete).collect(),
        last: each.into_iter().next_back().ok_or("nothing has been generated")?,
        rows,
    })
}

/// What is shown first where attributions do not sum to what they should explain.
fn warning(given: &Given, found: &Found, names: &[String]) -> Option<String> {
    let wrong = found.incomplete.iter().zip(names).filter(|(incomplete, _)| **incomplete);
    let wrong: Vec<String> = wrong.map(|(_, name)| quoted(name)).collect();
    (!wrong.is_empty()).then(|| {
        format!(
            "{NOT_COMPLETE}: for {} the attributions do not sum to the difference that they should explain, and are not shares of it. \
             {}",
            listed(&wrong, LISTED),
            table::what_helps(given, found.last.steps)
        )
    })
}
