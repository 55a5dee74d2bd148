//! `backward`, `info gradients` and `save gradients`.

use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Answer, Table};
use crate::commands::frame::{Done, mistake};
use crate::commands::moving::walking;
use crate::commands::state::{Call, Console, verdict};
use crate::debugger::Result;
use crate::lang::{Span, parse_expr};
use crate::tensor::ops::{Reduction, Slice};
use crate::tensor::{Kind, Value, unravel};

/// `backward [-step|-all-at-once] EXPR`, `backward -leave`.
pub fn backward(console: &mut Console, call: Call<'_>) -> Done {
    let (how, text, offset) = way(call.args.rest, call.args.offset);
    if how == Way::Leave {
        if console.session.walking().is_none() {
            return Err("no backward pass is being stepped through".into());
        }
        console.session.leave_walk();
        return Ok(Answer::Text("Motions are those of the forward pass again; the gradients so far stay.".into()));
    }
    if text.is_empty() {
        let help = "backward logit(\" Mary\") - logit(\" John\"), backward -step loss";
        return Err(mistake("expected a number to take the gradient of", Span::at(offset), help));
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
        let cut = "Gradients end at the key/value cache of earlier passes: what those passes add is not in them.";
        lines.push(cut.into());
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

/// How, and the expression with the byte that it begins at. A minus before an expression is not an option.
fn way(text: &str, offset: usize) -> (Way, &str, usize) {
    let ways = [("-step", Way::Step), ("-all-at-once", Way::AtOnce), ("-leave", Way::Leave), ("--", Way::BySegments)];
    let first = text.split(char::is_whitespace).next().unwrap_or_default();
    let Some((_, way)) = ways.into_iter().find(|(name, _)| *name == first) else {
        return (Way::BySegments, text, offset);
    };
    let rest = text[first.len()..].trim_start();
    (way, rest, offset + text.len() - rest.len())
}

/// The answer of `info gradients`: what the stream carries back at each block.
pub(crate) fn table(console: &mut Console) -> Done {
    let gradients = console.session.gradients()?;
    let title = format!("Gradient of {} = {}", gradients.target, significant(gradients.value, 6));
    let program = console.session.run.program.clone();
    let row = console.session.focus.row;
    let mut table = Table::new(["Site", "Norm", "Largest", "At", ""]).title(title);
    for (op, site) in program.sites().iter().enumerate().filter(|(op, _)| program.ops[*op].is_stream()) {
        let Ok(gradient) = console.session.gradient(op) else { continue };
        let gradient = gradient.slice(&[Slice::At(row)])?;
        let norm = gradient.reduce(Reduction::Norm)?;
        let most = gradient.reduce(Reduction::AbsMax)?;
        table.push((site, norm, most, largest(console, &gradient)?, verdict(norm)));
    }
    Ok(table.into())
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
    Ok(format!("pos {pos} {}", quoted(&console.name_of(*axis, pos))))
}

/// The gradients of sites under their names, of the focused row or of all, and those of sites that have none left out.
pub(crate) fn values(console: &mut Console, sites: &[String], all_rows: bool) -> Result<Vec<(String, Value)>> {
    console.session.gradients()?;
    let program = console.session.run.program.clone();
    let row = console.session.focus.row;
    let mut found = Vec::new();
    for site in sites {
        let op = program.op_of(site).ok_or_else(|| format!("{site} is computed on request, and has no gradient"))?;
        if console.session.run.peek(op)?.kind() != Kind::Float {
            continue;
        }
        let gradient = console.session.gradient(op)?;
        found.push((site.clone(), if all_rows { gradient } else { gradient.slice(&[Slice::At(row)])? }));
    }
    Ok(found)
}
