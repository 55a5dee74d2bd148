//! Making edits: in place, or in a new branch.

use std::sync::Arc;

use super::{Run, RunError, Step};
use crate::debugger::branch::Affected;
use crate::debugger::{Branch, Change, Edit, Mark, Target};
use crate::model::role::WeightId;
use crate::model::{Input, Weights};
use crate::program::{Context, shape_of};
use crate::tensor::{TensorError, Value, awake, same_bits};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The branch that the edit opened, if it changed something that had been used already.
    pub branch: Option<String>,
    /// Ops computed again up to the cursor.
    pub replayed: usize,
    /// Whether the new value has the same bits as the old one; unknown where nothing was computed yet.
    pub unchanged: Option<bool>,
}

/// What an edit may change, as it was before or after.
enum Probe {
    Value(Option<Value>),
    Numbers(Vec<u64>),
    Weight(WeightId, Weights),
}

impl Probe {
    /// Whether both have the same bits.
    fn same(&self, other: &Probe) -> Result<bool, TensorError> {
        Ok(match (self, other) {
            (Probe::Value(Some(a)), Probe::Value(Some(b))) => same_bits(a, b)?,
            (Probe::Value(None), Probe::Value(None)) => true,
            (Probe::Numbers(a), Probe::Numbers(b)) => a == b,
            (Probe::Weight(id, a), Probe::Weight(_, b)) => {
                for piece in 0..a.pieces(*id) {
                    if !same_bits(&a.piece(*id, piece)?.value(), &b.piece(*id, piece)?.value())? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => false,
        })
    }
}

pub(super) struct CaughtUp {
    pub replayed: usize,
    /// Where that ended: at the cursor, or before it if the branch's text ends earlier.
    pub reached: Mark,
}

impl Run {
    /// Makes the edits of one command. If nothing recorded depends on what they change, or they change only the value
    /// at the cursor, which nobody has read yet, they are made in this branch; otherwise a branch is opened, and what
    /// depends on them is computed again up to the cursor.
    ///
    /// # Errors
    /// If a change does not fit; nothing is changed then.
    pub fn edit(&mut self, edits: Vec<Edit>) -> Result<Applied, RunError> {
        let program = self.program.clone();
        self.check_once(&edits)?;
        let branch = &self.branches[self.current];
        let in_place = edits.iter().all(|edit| self.is_at_cursor(branch, edit) || !branch.depends_on(&program, edit));
        let mut next = branch.clone();
        if !in_place {
            let changed = edits.iter().flat_map(|edit| branch.first_changed(&program, edit)).min();
            next.name = self.free_name();
            next.parent = Some((self.current, changed.unwrap_or_default()));
        }
        let count = edits.len();
        let mut replayed = 0;
        let mut unchanged = Some(true);
        let mut reached = self.mark();
        for edit in edits {
            let before = self.probe(&mut next, &edit)?;
            let again = edit.clone();
            let made = self.make(&mut next, edit)?;
            (replayed, reached) = (replayed + made.replayed, made.reached);
            let same = match before {
                Some(before) => Some(before.same(&self.probed(&mut next, &again)?)?),
                None => None,
            };
            unchanged = unchanged.and_then(|all| Some(all && same?));
        }
        if in_place {
            self.branches[self.current] = next;
            self.done.push(Step::InPlace(self.current, count));
            self.undone.clear();
        } else {
            self.enter(next);
        }
        self.move_to(reached);
        self.revision += 1;
        let branch = (!in_place).then(|| self.branch().name.clone());
        Ok(Applied { branch, replayed, unchanged })
    }

    /// Refuses edits in later passes of what only the pass of the prompt computes.
    pub(super) fn check_once(&self, edits: &[Edit]) -> Result<(), RunError> {
        for edit in edits {
            if let Target::Op(op) = edit.target
                && op < self.program.first_of(edit.from.pass)
            {
                return Err(RunError::OnlyFirst { site: self.program.ops[op].site.clone() });
            }
        }
        Ok(())
    }

    /// Whether an edit changes the value at the cursor, which nobody has read yet, and nothing else that has been
    /// computed.
    fn is_at_cursor(&self, branch: &Branch, edit: &Edit) -> bool {
        let at = self.cursor.checked_sub(1).map(|op| Mark { pass: self.pass, op });
        let last = branch.passes() == self.pass + 1 && branch.frontier(self.pass) == self.cursor;
        matches!(edit.target, Target::Op(op) if at == Some(Mark { op, ..edit.from })) && last
    }

    /// What shows whether an edit changes anything, where that is known before the op has run.
    fn probe(&self, branch: &mut Branch, edit: &Edit) -> Result<Option<Probe>, TensorError> {
        match edit.target {
            Target::Op(op) if Mark { op, ..edit.from } >= self.mark() => Ok(None),
            _ => self.probed(branch, edit).map(Some),
        }
    }

    fn probed(&self, branch: &mut Branch, edit: &Edit) -> Result<Probe, TensorError> {
        let known = edit.from.pass < branch.passes();
        Ok(match &edit.target {
            Target::Op(op) if known => Probe::Value(Some(branch.value(&self.program, Mark { op: *op, ..edit.from })?)),
            Target::Op(_) => Probe::Value(None),
            Target::Cache(op) if known => Probe::Value(branch.cached(&self.program, *op, edit.from.pass)?),
            // A pass that has not begun: whether this changes it shows later.
            Target::Cache(_) => Probe::Numbers(vec![branch.edits.len() as u64]),
            Target::Weight(id) => Probe::Weight(*id, branch.weights.clone()),
            Target::Input => Probe::Numbers(tokens(&branch.prompt())),
            Target::Token if known => Probe::Numbers(tokens(&branch.text.columns(branch.span(edit.from.pass).end))),
            Target::Token => Probe::Numbers(Vec::new()),
        })
    }

    /// Applies an edit to a branch and computes again what depends on it, up to the cursor.
    pub(super) fn make(&self, branch: &mut Branch, edit: Edit) -> Result<CaughtUp, RunError> {
        if let (Target::Op(op), true) = (&edit.target, self.is_at_cursor(branch, &edit)) {
            // Nobody has read the value at the cursor yet: changing it is all there is to do.
            let at = Mark { op: *op, ..edit.from };
            let first = branch.first_changed(&self.program, &edit);
            let affected = branch.affected(&self.program, &first);
            let value = edit.change.apply(&branch.value(&self.program, at)?)?;
            branch.undone.clear();
            branch.forget(&self.program, &affected);
            branch.set(&self.program, at, Some(value));
            branch.edits.push(edit);
            return Ok(CaughtUp { replayed: 0, reached: self.mark() });
        }
        let affected = self.place(branch, edit)?;
        self.catch_up(branch, Some(&affected), self.mark())
    }

    /// Adds an edit to a branch and forgets what depends on it.
    pub(super) fn place(&self, branch: &mut Branch, edit: Edit) -> Result<Affected, RunError> {
        if let Target::Weight(id) = edit.target {
            branch.weights = changed_weights(&branch.weights, id, &edit.change)?;
        }
        if let Change::Input(prompt) = &edit.change {
            self.check_fits(branch, prompt)?;
        }
        branch.undone.clear();
        let first = branch.first_changed(&self.program, &edit);
        let affected = branch.affected(&self.program, &first);
        let (target, from) = (edit.target.clone(), edit.from);
        branch.edits.push(edit);
        self.invalidate(branch, &target, from, &affected);
        Ok(affected)
    }

    /// Forgets what an edit of a target makes wrong, whether it was just made or just taken away.
    pub(super) fn invalidate(&self, branch: &mut Branch, target: &Target, from: Mark, affected: &Affected) {
        branch.forget(&self.program, affected);
        match target {
            Target::Input => {
                let prompt = branch.edits.iter().rev().find_map(|edit| match &edit.change {
                    Change::Input(prompt) => Some(prompt),
                    _ => None,
                });
                let prompt = prompt.unwrap_or(&self.first_prompt).clone();
                branch.begin_with(prompt.clone(), self.context_of(&prompt));
            }
            Target::Token if from.pass < branch.passes() => branch.end_before(&self.program, from.pass),
            Target::Cache(op) => branch.forget_cache_since(*op, from.pass),
            _ => {}
        }
    }

    /// For each op of the current pass, whether its value depends on an edit.
    pub fn affected_by_edits(&self) -> Vec<bool> {
        let branch = self.branch();
        if branch.edits.is_empty() {
            return vec![false; self.program.ops.len()];
        }
        let changed: Vec<Mark> =
            branch.edits.iter().flat_map(|edit| branch.first_changed(&self.program, edit)).collect();
        branch.affected(&self.program, &changed)[self.pass].to_vec()
    }

    /// How many ops of the current pass have a value that depends on an edit.
    pub fn affected_by(&self, edit: &Edit) -> usize {
        let branch = self.branch();
        let changed = branch.first_changed(&self.program, edit);
        branch.affected(&self.program, &changed)[self.pass].iter().filter(|affected| **affected).count()
    }

    /// What the ops of a pass over the whole of an input read besides values and weights.
    pub fn context_of(&self, prompt: &Input) -> Context {
        Context::new(&self.model.spec, prompt, 0..prompt.length(), &self.model.placement)
    }

    /// Edits of values must still find their place when the input changes.
    pub(super) fn check_fits(&self, branch: &Branch, prompt: &Input) -> Result<(), RunError> {
        let (rows, length, source) = (prompt.rows.len(), prompt.length(), prompt.source_length());
        for edit in branch.edits.iter().filter(|edit| edit.from.pass == 0) {
            if let Target::Op(op) = edit.target
                && !edit.change.fits(&shape_of(&self.program.ops[op], rows, 0..length, source))
            {
                return Err(RunError::EditDoesNotFit { edit: edit.text.clone(), length });
            }
        }
        Ok(())
    }

    /// Computes again, up to a place, what depends on a change and what the branch has not reached yet. Tokens are
    /// chosen where the branch has fewer passes.
    pub(super) fn catch_up(
        &self,
        branch: &mut Branch,
        affected: Option<&Affected>,
        goal: Mark,
    ) -> Result<CaughtUp, RunError> {
        awake(|| {
            let mut replayed = 0;
            for pass in 0..=goal.pass {
                if pass >= branch.passes() {
                    match self.open_next(branch) {
                        Ok(()) => {}
                        // The branch's text is shorter.
                        Err(RunError::Ended) => return Ok(CaughtUp { replayed, reached: self.end_of(pass - 1) }),
                        Err(error) => return Err(error),
                    }
                }
                let end = if pass == goal.pass { goal.op } else { self.program.ops.len() };
                let reached = branch.frontier(pass);
                // Without a change, what the pass has reached stays as it is.
                let first = if affected.is_none() { reached.min(end) } else { 0 };
                for op in first.max(self.program.first_of(pass))..end {
                    let again = affected.is_some_and(|affected| affected.get(pass).is_some_and(|ops| ops[op]));
                    if again || op >= reached {
                        branch.compute(&self.program, Mark { pass, op })?;
                        replayed += 1;
                        branch.shrink(&self.program, self.budget, Mark { pass, op: op + 1 });
                    }
                }
                if affected.is_some() && pass == goal.pass {
                    branch.limit(pass, end);
                }
            }
            Ok(CaughtUp { replayed, reached: goal })
        })
    }

    pub(super) fn free_name(&self) -> String {
        let taken = |name: &String| self.branches.iter().any(|branch| branch.name == *name);
        (1..).map(|n| format!("edit{n}")).find(|name| !taken(name)).expect("there are numbers enough")
    }
}

fn tokens(text: &Input) -> Vec<u64> {
    let rows = text.rows.iter();
    rows.flat_map(|row| {
        let tokens = row.ids.iter().zip(&row.mask).zip(&row.type_ids);
        let source = row.source.iter().flat_map(|source| source.ids.iter().zip(&source.mask));
        let of_source = source.flat_map(|(id, real)| [u64::from(*id), u64::from(*real)]);
        tokens.flat_map(|((id, real), kind)| [u64::from(*id), u64::from(*real), u64::from(*kind)]).chain(of_source)
    })
    .collect()
}

/// The weights with one of them changed.
pub(super) fn changed_weights(weights: &Weights, id: WeightId, change: &Change) -> Result<Weights, TensorError> {
    let mut changed = weights.clone();
    changed.change(id, Arc::new(change.clone()))?;
    match change {
        // Added to every weight of a model: only when it is used.
        Change::LowRank { .. } if weights.shape(id).is_some_and(|shape| change.fits(shape)) => {}
        _ => _ = changed.get(id)?,
    }
    Ok(changed)
}
