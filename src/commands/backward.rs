//! `backward`, `info gradients` and `save gradients`.

pub(super) mod walking;

use super::console::{Console, Done};
use super::table::Call;
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::is_stream;
use crate::debugger::{Error, Result};
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::ops::{Reduction, Slice};
use crate::tensor::{Kind, Value, unravel};

/// Norms beyond these are marked: the thresholds of torchlens.
pub(super) const VANISHING: f64 = 1e-7;
pub(super) const EXPLODING: f64 = 1e4;

/// `backward [-step|-all-at-once] EXPR`, `backward -leave`.
pub fn backward(console: &mut Console, call: Call<'_>) -> Done {
    let (how, text, offset) = way(call.args.rest, call.args.offset);
    if how == Way::Leave {
        if console.session.walking().is_none() {
            return Err(Error::refused("no backward pass is being stepped through"));
        }
        console.session.leave_walk();
        return Ok(Answer::Text("Motions are those of the forward pass again; the gradients so far stay.".into()));
    }
    if text.is_empty() {
        let error = LangError::new("expected a number to take the gradient of", Span::at(offset));
        return Err(Error::At(error.help("backward logit(\" Mary\") - logit(\" John\"), backward -step loss")));
    }
    let expr = parse_expr(text, offset)?;
    let found = match how {
        Way::Step => {
            let stop = console.session.walk_backward(&expr, text)?;
            return walking::arrived(console, stop);
        }
        Way::AtOnce => console.session.backward_at_once(&expr, text)?,
        _ => console.session.backward(&expr, text)?,
    };
    let mut lines = vec![format!("{} = {}", found.target, significant(found.value, 6))];
    if found.cut {
        lines.push(
            "Gradients end at the key/value cache of earlier passes: what those passes add is not in them.".into(),
        );
    }
    lines.push("grad(SITE) is its gradient at a site, info gradients the norm at each block.".into());
    Ok(Answer::Text(lines.join("\n")))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    BySegments,
    AtOnce,
    Step,
    Leave,
}

/// How, and the expression with the byte that it begins at. A minus in front of an expression is no option.
fn way(text: &str, offset: usize) -> (Way, &str, usize) {
    for (name, way) in
        [("-step", Way::Step), ("-all-at-once", Way::AtOnce), ("-leave", Way::Leave), ("--", Way::BySegments)]
    {
        let Some(rest) =
            text.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        else {
            continue;
        };
        let rest = rest.trim_start();
        return (way, rest, offset + text.len() - rest.len());
    }
    (Way::BySegments, text, offset)
}

/// The answer of `info gradients`: what the stream carries back at each block.
pub(super) fn table(console: &mut Console) -> Done {
    let gradients = console.session.gradients()?;
    let title = format!("Gradient of {} = {}", gradients.target, significant(gradients.value, 6));
    let program = console.session.run.program.clone();
    let row = console.session.focus.row;
    let mut rows = Vec::new();
    for (op, site) in program.sites().iter().enumerate().filter(|(_, site)| is_stream(site)) {
        let Ok(gradient) = console.session.gradient(op) else { continue };
        let gradient = gradient.slice(&[Slice::At(row)])?;
        let norm = gradient.reduce(Reduction::Norm)?;
        rows.push(vec![
            Cell::Text(site.clone()),
            Cell::Num(norm),
            Cell::Num(gradient.reduce(Reduction::AbsMax)?),
            Cell::Text(largest(console, &gradient)?),
            Cell::Text(verdict(norm).into()),
        ]);
    }
    let columns = ["Site", "Norm", "Largest", "At", ""].map(String::from).to_vec();
    Ok(Answer::Table(Table { title, columns, rows }))
}

/// What a norm says of the flow of the gradient.
fn verdict(norm: f64) -> &'static str {
    match norm {
        x if x.is_nan() => "NaN",
        0.0 => "zero",
        x if x < VANISHING => "vanishing (below 1e-7)",
        x if x > EXPLODING => "exploding (above 1e4)",
        _ => "",
    }
}

/// The position with the largest element.
fn largest(console: &Console, gradient: &Value) -> Result<String> {
    let data = gradient.read_f32()?;
    let best = (0..data.len()).max_by(|a, b| data[*a].abs().total_cmp(&data[*b].abs()));
    let (Some(best), Some(axis)) = (best, gradient.axes().first().filter(|axis| axis.is_position())) else {
        return Ok(String::new());
    };
    let first = gradient.origin().map_or(0, |origin| origin[0]);
    let pos = first + unravel(best, gradient.shape())[0];
    Ok(format!("pos {pos} {}", crate::answer::text::quoted(&console.name_of(*axis, pos))))
}

/// The gradients of sites under their names, of the focused row or of all, and those of sites that have none left out.
pub(super) fn values(console: &mut Console, sites: &[String], all_rows: bool) -> Result<Vec<(String, Value)>> {
    console.session.gradients()?;
    let program = console.session.run.program.clone();
    let row = console.session.focus.row;
    let mut found = Vec::new();
    for site in sites {
        let op = program.op_of(site);
        let op = op.ok_or_else(|| Error::refused(format!("{site} is computed on request, and has no gradient")))?;
        if console.session.run.peek(op)?.kind() != Kind::Float {
            continue;
        }
        let gradient = console.session.gradient(op)?;
        found.push((site.clone(), if all_rows { gradient } else { gradient.slice(&[Slice::At(row)])? }));
    }
    Ok(found)
}
