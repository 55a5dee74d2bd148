//! Watching an expression.
//!
//! A watch belongs to places, not to directions: at each place where the expression can have changed, what it is there
//! is compared with what it was at the one before, whichever way the cursor came.

use super::{Condition, Crossing};
use crate::debugger::gradient::uses_cursor;
use crate::debugger::{Mark, Result, RunScope, Session};
use crate::lang::eval::{self, Datum, sites_used};
use crate::lang::{Expr, explained};
use crate::tensor::{TensorError, same_bits};

/// What a watched expression was and is, where it changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// Before; void where it could not be computed yet.
    pub old: Datum,
    pub new: Datum,
}

impl Session {
    /// Where an expression can change: after the ops that it depends on, in whichever block bare names are looked up.
    pub fn watched_places(&self, expr: &Expr) -> Vec<Crossing> {
        let program = &self.run.program;
        let mut ops: Vec<usize> = Vec::new();
        for block in (0..program.n_layers()).map(Some).chain([None]) {
            let sites = sites_used(expr, &*self.run.names, block);
            ops.extend(sites.iter().filter_map(|site| program.source_of(site)));
        }
        if uses_cursor(expr) {
            ops = (0..program.ops.len()).collect();
        }
        ops.sort_unstable();
        ops.dedup();
        ops.into_iter().map(Crossing::after).collect()
    }

    /// Whether a watched expression is different here from what it was at the crossing before.
    ///
    /// # Errors
    /// In the words of the line that set it, with a caret, if it cannot be evaluated here.
    pub(in crate::debugger) fn changed(&mut self, expr: &Condition, crossings: &[Crossing]) -> Result<Option<Change>> {
        let here = self.run.mark();
        let new = self.watched(expr, here)?;
        let old = match before(crossings, here) {
            Some(before) => self.at_place(before, |session| session.watched(expr, before))?,
            None => Datum::Void,
        };
        let same = same(&old, &new)?;
        Ok((!same).then_some(Change { old, new }))
    }

    /// The expression at a place. What has not been computed in this pass is what it was in the pass before; without
    /// one it is void.
    fn watched(&mut self, expr: &Condition, at: Mark) -> Result<Datum> {
        let mut scope = RunScope::new(self).latest();
        match eval::evaluate(&expr.expr, &mut scope) {
            Ok(datum) => Ok(datum),
            Err(_) if scope.missed() || at.op == 0 => Ok(Datum::Void),
            Err(error) => Err(explained(&expr.text, &error).into()),
        }
    }

    /// An expression as it was at another stop.
    ///
    /// # Errors
    /// If the branch or the pass is gone, or the expression cannot be evaluated there.
    pub fn at_visited(&mut self, (branch, at): (usize, Mark), expr: &Expr) -> Result<Datum> {
        let known = self.run.branches.get(branch).is_some_and(|branch| at.pass < branch.passes());
        if !known {
            return Err("the pass of the last stop is no longer there".into());
        }
        let mut session = self.in_branch(branch);
        Ok(session.at_place(at, |session| eval::evaluate(expr, &mut RunScope::new(session)))?)
    }

    /// Asks something with the cursor at another place, at which its values are known.
    fn at_place<T>(&mut self, at: Mark, ask: impl FnOnce(&mut Session) -> T) -> T {
        let here = (self.run.pass, self.run.cursor);
        (self.run.pass, self.run.cursor) = (at.pass, at.op);
        let answer = ask(self);
        (self.run.pass, self.run.cursor) = here;
        answer
    }
}

/// The last crossing before a place, in its pass or the one before.
fn before(crossings: &[Crossing], here: Mark) -> Option<Mark> {
    let earlier = crossings.iter().rev().map(|crossing| crossing.position).find(|position| *position < here.op);
    match (earlier, here.pass.checked_sub(1), crossings.last()) {
        (Some(op), ..) => Some(Mark { op, ..here }),
        (None, Some(pass), Some(last)) => Some(Mark { pass, op: last.position }),
        _ => None,
    }
}

/// Whether two values are the same, bit for bit.
fn same(a: &Datum, b: &Datum) -> Result<bool, TensorError> {
    Ok(match (a, b) {
        (Datum::Tensor(a), Datum::Tensor(b)) => same_bits(a, b)?,
        (Datum::Num(a), Datum::Num(b)) => a.to_bits() == b.to_bits(),
        (Datum::Bool(a), Datum::Bool(b)) => a == b,
        (Datum::Str(a), Datum::Str(b)) => a == b,
        (Datum::Void, Datum::Void) => true,
        _ => false,
    })
}
