//! The pass with the other side's inputs: what each op makes of them, compared with what the other side has.

use super::{FLOOR, Introduced, TheirValues};
use crate::debugger::{Branch, Error, Mark, Result, Session};
use crate::model::Placement;
use crate::program::{Program, Visitor};
use crate::tensor::{Kind, Tolerance, Value, difference, relative_rms, step};

/// An op that may be a culprit, and what it gives.
pub struct Suspect {
    pub found: usize,
    pub own: Value,
    pub ours: Vec<f64>,
    pub theirs: Vec<f64>,
    pub edited: bool,
}

/// What is known so far.
pub struct Walk<'a> {
    program: &'a Program,
    placement: &'a Placement,
    /// Its edits are those in force.
    branch: &'a Branch,
    row: usize,
    theirs: TheirValues<'a>,
    end: usize,
    /// Whether the value of an op is taken as it is: the other side's, what comes before the first op, and what was
    /// edited here.
    pub given: Vec<bool>,
    /// The given ops that the value of an op was computed from.
    origins: Vec<Vec<usize>>,
    pub found: Vec<Introduced>,
    pub suspects: Vec<Suspect>,
}

impl<'a> Walk<'a> {
    /// Over ops `first..end` of the current branch.
    pub fn new(session: &'a Session, theirs: TheirValues<'a>, first: usize, end: usize) -> Walk<'a> {
        let run = &session.run;
        let ops = run.program.ops.len();
        let mut origins: Vec<Vec<usize>> = (0..first).map(|op| vec![op]).collect();
        origins.resize(ops, Vec::new());
        Walk {
            program: &run.program,
            placement: &run.model.placement,
            branch: run.branch(),
            row: session.focus.row,
            theirs,
            end,
            given: (0..ops).map(|op| op < first).collect(),
            origins,
            found: Vec::new(),
            suspects: Vec::new(),
        }
    }
}

impl Visitor for Walk<'_> {
    type Error = Error;

    fn outside(&mut self, _: usize) -> Result<Value> {
        Err("an input is missing".into())
    }

    fn instead(&mut self, op: usize, _: &[Value]) -> Result<Option<Value>> {
        step(&self.program.ops[op].site, op as u64, self.end as u64)?;
        Ok(None)
    }

    /// The other side's value if it has one; else what the op makes of those that it has.
    fn made(&mut self, number: usize, own: Value) -> Result<Value> {
        let op = &self.program.ops[number];
        let at = Mark { pass: 0, op: number };
        let edited = self.branch.is_edited(at);
        let own = self.branch.edited_row(at, self.row, own)?;
        let mut from: Vec<usize> = op.inputs.iter().flat_map(|&input| self.origins[input].clone()).collect();
        from.sort_unstable();
        from.dedup();
        // Token ids and chosen experts are not numbers to be near to: they are computed, from the other side's values.
        let theirs = if own.kind() == Kind::Float { (self.theirs)(number, &own)? } else { None };
        let Some(theirs) = theirs else {
            self.given[number] = edited;
            self.origins[number] = from;
            return Ok(own);
        };
        let ours = own.read_f64()?;
        let relative = relative_rms(&ours, &theirs);
        // Inputs are kept by reference: what may be a culprit is looked at again when all are known.
        self.found.push(Introduced {
            site: op.site.clone(),
            op: number,
            relative,
            difference: difference(&ours, &theirs, &own.shape()[1..], Tolerance::default()),
            from: from.iter().map(|&op| self.program.ops[op].site.clone()).collect(),
            culprit: false,
            reason: None,
            untried: false,
            in_double: None,
        });
        let data = theirs.iter().map(|x| *x as f32).collect();
        let value = Value::from_f32(data, own.shape(), op.device(self.placement)).with_axes(own.axes());
        self.given[number] = true;
        self.origins[number] = vec![number];
        if relative.is_nan() || relative > FLOOR {
            self.suspects.push(Suspect { found: self.found.len() - 1, own, ours, theirs, edited });
        }
        Ok(value)
    }
}
