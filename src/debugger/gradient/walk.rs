//! The backward pass step by step: a separate cursor, which goes through the ops in the order in which gradients become
//! whole.
//!
//! It is at an op when all readers of the op have been pulled back, so that the gradient there is whole, and before it
//! is pulled back itself. Stop points are those of the forward pass: on a site when its gradient is whole, on a module
//! when that of its output is.

use super::{Gradients, pull_one};
use crate::debugger::{Catch, Crossing, Error, Kind, Mark, Reason, Result, Session, Stop};
use crate::lang::Expr;
use crate::program::Program;
use crate::tensor::ops::{Reduction, Slice};
use crate::tensor::{Value, step, undisturbed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// So many ops that have a gradient.
    Step(u64),
    /// The same, a module whose output is here being one step.
    Next(u64),
    /// To the gradient of what the present module read.
    Finish,
    Continue,
}

impl Session {
    /// Begins to walk: at the last op that the expression reads.
    pub fn walk_backward(&mut self, expr: &Expr, text: &str) -> Result<Stop> {
        let mut found = self.begin_backward(expr, text)?;
        found.walked = true;
        self.gradients = Some(found);
        Ok(self.walk_stop().unwrap_or_else(|| self.walked(Reason::Step)))
    }

    /// The backward pass that is being walked through, if there is one and what it is of has not changed.
    pub fn walking(&self) -> Option<&Gradients> {
        self.gradients().ok().filter(|gradients| gradients.walked)
    }

    /// Leaves it where it is: motions are those of the forward pass again.
    pub fn leave_walk(&mut self) {
        if let Some(gradients) = &mut self.gradients {
            gradients.walked = false;
        }
    }

    pub fn walk(&mut self, walk: Walk) -> Result<Stop> {
        let stop = undisturbed(|| self.go_back(walk));
        if matches!(&stop, Ok(stop) if stop.reason == Reason::End) {
            self.leave_walk();
        }
        stop
    }

    /// The gradients stay in the session, where conditions and commands look at them, and are pulled back there.
    fn go_back(&mut self, walk: Walk) -> Result<Stop> {
        let program = self.run.program.clone();
        let none = || Error::refused("there is no backward pass");
        let from = self.gradients.as_ref().ok_or_else(none)?.reached;
        let times = match walk {
            Walk::Step(n) | Walk::Next(n) => n.max(1),
            _ => 1,
        };
        for _ in 0..times {
            let reached = |session: &Session| session.gradients.as_ref().map_or(0, |found| found.reached);
            let below = target(&program, walk, reached(self));
            loop {
                let at = reached(self);
                if self.pauses(Mark { pass: self.run.pass, op: at }) {
                    return Ok(self.walked(Reason::Interrupt));
                }
                if at == 0 {
                    return Ok(self.walked(Reason::End));
                }
                step(&program.ops[at].site, (from - at) as u64, from as u64)?;
                let found = self.gradients.as_mut().ok_or_else(none)?;
                pull_one(&mut self.run, found)?;
                let at = found.reached;
                if found.values.get(at).is_none() {
                    continue;
                }
                if let Some(stop) = self.walk_stop() {
                    return Ok(stop);
                }
                if below.is_some_and(|below| at < below) {
                    break;
                }
            }
        }
        Ok(self.walked(Reason::Step))
    }

    /// The stop at the present op, if a stop point fires there.
    fn walk_stop(&mut self) -> Option<Stop> {
        let at = self.gradients.as_ref()?.reached;
        let program = self.run.program.clone();
        let mut stop = self.walked(Reason::Stopped);
        let numbers: Vec<usize> = self.stops.iter().filter(|point| point.enabled).map(|point| point.number).collect();
        for number in numbers {
            let Some(point) = self.stops.get(number) else { continue };
            let crossing = point.crossings.iter().find(|crossing| meets(&program, crossing, at));
            let Some(crossing) = crossing.cloned() else { continue };
            let found = match &point.kind {
                Kind::Break => Ok(Some(Vec::new())),
                Kind::Catch(catch) => self.caught_backward(&catch.clone(), at),
                // Values do not change on the way back.
                Kind::Watch(_) | Kind::Access { .. } | Kind::Trace(_) | Kind::Print(_) => continue,
            };
            let found = match found {
                Ok(Some(lines)) => self.finding(number, &crossing, lines, None),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match found {
                Ok(Some(finding)) if self.hits(number, crossing.op, &mut stop) => stop.findings.push(finding),
                Ok(_) => continue,
                Err(error) => stop.errors.push((number, error.to_string())),
            }
            stop.ids.push(number);
        }
        (!stop.ids.is_empty()).then_some(stop)
    }

    /// What a catch finds in the gradient at an op; nothing where it was passed on by an op that reads this one.
    fn caught_backward(&mut self, catch: &Catch, at: usize) -> Result<Option<Vec<String>>> {
        let bad = |value: &Value| -> Result<Option<String>> {
            let norm = || value.reduce(Reduction::Norm);
            let summary = value.summary()?;
            let infinite = summary.pos_inf + summary.neg_inf;
            Ok(match catch {
                Catch::Nan if summary.nan > 0 => Some(format!("{} of {} elements are NaN", summary.nan, summary.count)),
                Catch::Inf if infinite > 0 => Some(format!("{infinite} of {} elements are infinite", summary.count)),
                Catch::Overflow(limit) if infinite > 0 && summary.absmax < *limit => {
                    Some(format!("{infinite} of {} elements are infinite", summary.count))
                }
                Catch::Overflow(limit) if summary.absmax >= *limit => {
                    let more = if infinite > 0 { format!("; {infinite} elements are infinite") } else { String::new() };
                    Some(format!("the largest finite magnitude is {:.4e}{more}", summary.absmax))
                }
                Catch::Vanish(limit) => {
                    Some(norm()?).filter(|x| x < limit).map(|x| format!("the norm is {x:.4e}, below {limit:e}"))
                }
                Catch::Explode(limit) => {
                    Some(norm()?).filter(|x| x > limit).map(|x| format!("the norm is {x:.4e}, above {limit:e}"))
                }
                _ => None,
            })
        };
        let Some(found) = bad(&self.gradient(at)?)? else { return Ok(None) };
        let program = self.run.program.clone();
        let gradients = self.gradients()?;
        let mut readers = Vec::new();
        // Norms are compared along the residual stream, elements with those of what was pulled back.
        let stream = matches!(catch, Catch::Vanish(_) | Catch::Explode(_));
        let later =
            (at + 1..program.ops.len()).find(|&op| program.ops[op].is_stream() && gradients.values.get(op).is_some());
        let before: Vec<usize> = if stream { later.into_iter().collect() } else { program.readers(at).to_vec() };
        for reader in before {
            let Some(gradient) = gradients.values.get(reader) else { continue };
            if bad(gradient)?.is_some() {
                return Ok(None);
            }
            readers.push(program.ops[reader].site.clone());
        }
        let site = &program.ops[at].site;
        let from = match readers.as_slice() {
            [] if stream => "the first of the residual stream".to_string(),
            [] => "which the number reads".to_string(),
            readers if stream => format!("after {}", readers.join(", ")),
            readers => format!("pulled back through {}", readers.join(", ")),
        };
        Ok(Some(vec![format!("grad({site}), {from}: {found}")]))
    }

    fn walked(&self, reason: Reason) -> Stop {
        let stop = self.stop_here(reason);
        let at = self.gradients.as_ref().map(|found| Mark { pass: found.pass, op: found.reached + 1 });
        Stop { at: at.unwrap_or(stop.at), ..stop }
    }

    /// The gradient where the walk is, of one row; `None` if there is no walk.
    pub(in crate::debugger) fn walked_gradient(&mut self, row: usize) -> Option<Result<Value>> {
        let at = self.walking()?.reached;
        let gradient = self.gradient(at);
        Some(gradient.and_then(|gradient| Ok(gradient.slice(&[Slice::At(row)])?)))
    }
}

/// Whether a crossing of the forward pass is met at an op: that of a value at the value, that of a module at its
/// output.
fn meets(program: &Program, crossing: &Crossing, at: usize) -> bool {
    if crossing.position == crossing.op + 1 {
        return crossing.op == at;
    }
    let whole = program.modules.iter().skip(1).find(|module| module.start == crossing.position);
    whole.is_some_and(|module| module.end == at + 1)
}

/// The walk ends at the first gradient before this op; none means at a stop or the end.
fn target(program: &Program, walk: Walk, at: usize) -> Option<usize> {
    match walk {
        Walk::Continue => None,
        Walk::Step(_) => Some(at),
        Walk::Next(_) => {
            // The outermost module whose output is here is one step.
            let whole = program.modules.iter().skip(1).find(|module| module.end == at + 1);
            Some(whole.map_or(at, |module| module.start))
        }
        Walk::Finish => Some(program.modules[program.module_at(at)].start),
    }
}
