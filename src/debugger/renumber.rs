//! The same run with another program of the same model: ops keep their values, edits and stop points under new numbers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::pass::Pass;
use super::{Branch, Crossing, Edit, Kind, Mark, Names, Run, Session, StopPoint, StopPoints, Target};
use crate::model::{Model, Weights};
use crate::program::Program;

/// Where the ops of a program are in another, by their sites.
pub(super) struct Renumbering {
    /// None for an op that the other program does not have.
    ops: Vec<Option<usize>>,
    /// How many ops that has.
    count: usize,
}

impl Renumbering {
    pub fn between(old: &Program, new: &Program) -> Renumbering {
        Renumbering { ops: old.sites().iter().map(|site| new.op_of(site)).collect(), count: new.ops.len() }
    }

    pub fn op(&self, op: usize) -> Option<usize> {
        self.ops.get(op).copied().flatten()
    }

    /// A place between ops: behind the same op, or the last one before it that is still there. The end stays the end.
    pub fn position(&self, position: usize) -> usize {
        if position >= self.ops.len() {
            return self.count;
        }
        (0..position).rev().find_map(|op| self.op(op)).map_or(0, |op| op + 1)
    }

    pub fn mark(&self, at: Mark) -> Mark {
        Mark { op: self.position(at.op), ..at }
    }

    /// The mark of an op and not of a place.
    fn of_op(&self, at: Mark) -> Option<Mark> {
        Some(Mark { op: self.op(at.op)?, ..at })
    }

    /// None if its op is gone.
    fn edit(&self, edit: &Edit) -> Option<Edit> {
        let (target, from) = match edit.target {
            Target::Op(op) => (Target::Op(self.op(op)?), Mark { op: self.op(op)?, ..edit.from }),
            Target::Cache(op) => (Target::Cache(self.op(op)?), self.mark(edit.from)),
            ref other => (other.clone(), self.mark(edit.from)),
        };
        Some(Edit { target, from, ..edit.clone() })
    }

    fn crossing(&self, crossing: &Crossing) -> Option<Crossing> {
        let op = self.op(crossing.op)?;
        // Behind the op, or before it.
        let position = if crossing.position > crossing.op { op + 1 } else { op };
        Some(Crossing { op, position, ..crossing.clone() })
    }
}

impl Branch {
    pub(super) fn renumber(&mut self, by: &Renumbering, program: &Program, weights: &Weights) {
        self.weights = self.weights.loaded_as(weights);
        self.parent = self.parent.map(|(parent, at)| (parent, by.mark(at)));
        self.edits = self.edits.iter().filter_map(|edit| by.edit(edit)).collect();
        let all = |edits: &Vec<Edit>| edits.iter().map(|edit| by.edit(edit)).collect::<Option<Vec<Edit>>>();
        self.undone = self.undone.iter().filter_map(all).collect();
        self.passes = self.passes.iter().map(|pass| Arc::new(renumbered(pass, by))).collect();
        self.recount(program);
    }
}

/// A pass whose values are at other ops. Those that are new are computed when they are asked for.
fn renumbered(pass: &Pass, by: &Renumbering) -> Pass {
    let mut values = vec![None; by.count];
    for (op, value) in pass.values.iter().enumerate() {
        if let Some(to) = by.op(op) {
            values[to].clone_from(value);
        }
    }
    let (frontier, first) = (by.position(pass.frontier), by.position(pass.first));
    Pass { values, frontier, first, ..pass.clone() }
}

impl Run {
    /// Goes on with another program of the same model, whose weights are those of `model`.
    pub(super) fn renumber(&mut self, model: Model, program: Program) -> Renumbering {
        let by = Renumbering::between(&self.program, &program);
        for branch in &mut self.branches {
            branch.renumber(&by, &program, &model.weights);
        }
        self.cursor = by.position(self.cursor);
        self.program = Arc::new(program);
        self.names = Arc::new(Names::new(&self.program, &model.weights));
        self.model = Arc::new(model);
        self.values_may_differ();
        by
    }
}

impl StopPoints {
    /// Under the numbers of another program; the numbers of those whose places are all gone.
    fn renumber(&mut self, by: &Renumbering) -> Vec<usize> {
        let mut gone = Vec::new();
        let numbers: Vec<usize> = self.iter().map(|point| point.number).collect();
        for number in numbers {
            let Some(point) = self.get_mut(number) else { continue };
            let had = point.crossings.len();
            point.crossings = point.crossings.iter().filter_map(|crossing| by.crossing(crossing)).collect();
            point.hit_at = point.hit_at.iter().filter_map(|op| by.op(*op)).collect::<BTreeSet<usize>>();
            if !kind(point, by) || had > 0 && point.crossings.is_empty() {
                gone.push(number);
            }
        }
        gone.iter().for_each(|number| _ = self.remove(*number));
        gone
    }
}

/// Whether what a point stops on is still there.
fn kind(point: &mut StopPoint, by: &Renumbering) -> bool {
    match &mut point.kind {
        Kind::Access { op, .. } => match by.op(*op) {
            Some(to) => *op = to,
            None => return false,
        },
        Kind::Trace(trace) => {
            let seen = std::mem::take(&mut trace.seen).into_iter();
            trace.seen = seen.map(|((branch, at), tally)| ((branch, by.mark(at)), tally)).collect::<BTreeMap<_, _>>();
        }
        _ => {}
    }
    true
}

impl Session {
    /// Goes on with another program of the same model. What was computed stays; stop points and places that belong to ops
    /// that are gone are forgotten. Returns the numbers of such stop points.
    pub(super) fn change_program(&mut self, model: Model, program: Program) -> Vec<usize> {
        let by = self.run.renumber(model, program);
        let gone = self.stops.renumber(&by);
        self.halt = self.halt.map(|at| by.mark(at));
        if let Some(stop) = &mut self.last_stop {
            stop.at = by.mark(stop.at);
        }
        self.trail.renumber(|at| by.mark(at));
        for checkpoint in self.checkpoints.values_mut() {
            checkpoint.at = by.mark(checkpoint.at);
            checkpoint.renumber(&by, &self.run.program, &self.run.model.weights);
        }
        let passed = std::mem::take(&mut self.passed_on).into_iter();
        self.passed_on =
            passed.filter_map(|(branch, at)| Some((branch, by.of_op(at)?))).collect::<HashSet<(usize, Mark)>>();
        self.gradients = None;
        gone
    }
}
