//! Motions through the backward pass.

use crate::answer::numbers::significant;
use crate::answer::{self, Answer, StopView};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, headline, summary_line, verdict};
use crate::debugger::{Error, Reason, Stop, Walk};
use crate::tensor::ops::{Reduction, Slice};

/// The motion of a command while the backward pass is stepped through; `None` if it is not.
pub fn motion(console: &mut Console, call: &Call<'_>) -> Option<Done> {
    console.session.walking()?;
    Some(go(console, call))
}

fn go(console: &mut Console, call: &Call<'_>) -> Done {
    let walk = match (call.command.name, call.count()?) {
        ("step", n) => Walk::Step(n.unwrap_or(1)),
        ("next", n) => Walk::Next(n.unwrap_or(1)),
        ("finish", None) => Walk::Finish,
        ("continue", None) => Walk::Continue,
        (name @ ("finish" | "continue"), Some(_)) => {
            return Err(Error::refused(format!("{name} takes no number in the backward pass")));
        }
        (name, _) => {
            return Err(Error::refused(format!(
                "{name} is not a motion of the backward pass, which goes one way: \"backward -leave\" goes back to the forward pass, \
                 \"backward -step EXPR\" starts again"
            )));
        }
    };
    let stop = console.session.walk(walk)?;
    arrived(console, stop)
}

/// What is shown where the walk has come to.
pub fn arrived(console: &mut Console, stop: Stop) -> Done {
    let gradients = console.session.gradients()?;
    let (op, target, number) = (gradients.at(), gradients.target.clone(), gradients.value);
    let program = console.session.run.program.clone();
    let site = program.ops[op].site.clone();
    let module = program.modules[program.module_at(op)].path.clone();
    let what = match console.session.gradient(op) {
        Ok(gradient) => {
            let gradient = gradient.slice(&[Slice::At(console.session.focus.row)])?;
            let norm = gradient.reduce(Reduction::Norm)?;
            let line = summary_line(&gradient)?;
            let verdict = Some(verdict(norm)).filter(|word| !word.is_empty()).map(|word| format!(", {word}"));
            format!("grad({site}) {line}  norm {}{}", significant(norm, 4), verdict.unwrap_or_default())
        }
        // The token ids, where the pass ends.
        Err(_) => format!("{site}, which holds whole numbers"),
    };
    let mut lines = Vec::new();
    match stop.reason {
        Reason::Stopped => {
            lines.push(format!("{}, {what}", headline(&stop)));
            lines.extend(stop.findings.iter().flat_map(|finding| finding.lines.iter().cloned()));
        }
        Reason::Interrupt => lines.push(format!("Interrupted, {what}")),
        Reason::End => lines.push(format!("Backward pass of {target} = {} finished", significant(number, 6))),
        _ => lines.push(what),
    }
    for (number, error) in &stop.errors {
        lines.push(format!("Error in testing the condition of breakpoint {number}:"));
        lines.extend(error.lines().map(String::from));
    }
    if stop.reason != Reason::End {
        let within = if module.is_empty() { String::new() } else { format!(" in {module}") };
        lines
            .push(format!("backward from {target}, at op {op} of {}{within}; next through: {site}", program.ops.len()));
    }
    let reason = match stop.reason {
        Reason::Stopped if stop.findings.iter().any(|finding| finding.kind == "catchpoint") => {
            answer::Reason::Catchpoint
        }
        Reason::Stopped => answer::Reason::Breakpoint,
        Reason::End => answer::Reason::End,
        Reason::Interrupt => answer::Reason::Interrupt,
        _ => answer::Reason::Step,
    };
    let (ids, pass) = (stop.ids.clone(), stop.at.pass as u32);
    let errors = stop.errors.iter().map(|(_, error)| error.clone()).collect();
    let displays = console.displays();
    console.session.last_stop = Some(stop);
    Ok(Answer::Stop(StopView { reason, ids, site, module, op, pass, lines, errors, value: None, displays }))
}
