//! One model, one input, its branches and its cursor.

mod undo;

use std::sync::Arc;

use super::branch::Branch;
use super::edit::{Change, Edit, Target};
use super::names::Names;
use crate::model::Model;
use crate::model::input::Input;
use crate::model::role::WeightId;
use crate::model::weights::Weights;
use crate::program::{Context, Program, shape_of};
use crate::tensor::{Device, TensorError, Value};

/// What can go wrong with a run, beyond the device.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// The value does not exist yet.
    #[error(
        "{site} has not been computed: the cursor is at op {cursor} of {ops}, {site} is op {op}; use \"until {site}\" or \"continue\""
    )]
    NotComputed {
        /// The site asked for.
        site: String,
        /// Its op.
        op: usize,
        /// Where the cursor stands.
        cursor: usize,
        /// How many ops there are.
        ops: usize,
    },
    /// No pass has been started.
    #[error("no pass has been started; use \"run\" or \"start\"")]
    NotRunning,
    /// The cursor is at the end already.
    #[error("the pass is at its end; \"run\" starts it again, \"reverse-continue\" goes back")]
    AtEnd,
    /// An edit made earlier names positions that the new input lacks.
    #[error("the edit \"{edit}\" does not fit an input of {length} tokens; take it back with \"undo\" first")]
    EditDoesNotFit {
        /// The command that made it.
        edit: String,
        /// Tokens of the new input.
        length: usize,
    },
    /// There is nothing to take back or to make again.
    #[error("nothing to {0}")]
    NoHistory(&'static str),
    /// The tensors did not fit or the device failed.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// What an edit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The branch that the edit opened, if it changed something that had been used already.
    pub branch: Option<String>,
    /// Ops computed again up to the cursor.
    pub replayed: usize,
    /// Whether the new value has the same bits as the old one; unknown where nothing was computed yet.
    pub unchanged: Option<bool>,
}

/// Takes an edit back, or makes it again.
#[derive(Clone)]
enum Step {
    /// So many edits stood in place, in this branch.
    InPlace(usize, usize),
    /// Edits opened a branch: from, to.
    Branched(usize, usize),
}

/// One model, one input, its branches, its cursor.
///
/// The cursor stands between ops: everything before it has its value, the op at the cursor has not run. Values at a place
/// of a branch are a function of the model, the input and the branch's edits, however one got there.
pub struct Run {
    /// The model.
    pub model: Arc<Model>,
    /// Its program.
    pub program: Arc<Program>,
    /// The names of its sites.
    pub names: Arc<Names>,
    /// Branches; the first is where the run began.
    pub branches: Vec<Branch>,
    /// The branch that the cursor is in.
    pub current: usize,
    /// Index of the op that runs next.
    pub cursor: usize,
    /// Whether `run` or `start` was given.
    pub live: bool,
    first_input: Input,
    device: Device,
    budget: u64,
    done: Vec<Step>,
    undone: Vec<Step>,
}

impl Run {
    /// A run that has not started.
    pub fn new(
        model: Arc<Model>,
        program: Arc<Program>,
        names: Arc<Names>,
        input: Input,
        device: Device,
        budget: u64,
    ) -> Run {
        let context = Context::new(&model.spec, &input, 0..input.length(), &device);
        let branch = Branch::new("main", input.clone(), context, model.weights.clone(), program.ops.len());
        Run {
            model,
            program,
            names,
            branches: vec![branch],
            current: 0,
            cursor: 0,
            live: false,
            first_input: input,
            device,
            budget,
            done: Vec::new(),
            undone: Vec::new(),
        }
    }

    /// The branch that the cursor is in.
    pub fn branch(&self) -> &Branch {
        &self.branches[self.current]
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The byte budget of the recording.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Changes the byte budget; what no longer fits is dropped.
    pub fn set_budget(&mut self, budget: u64) {
        self.budget = budget;
        self.shrink();
    }

    /// Goes back to the beginning and forgets the values of this branch; edits stay.
    pub fn restart(&mut self) {
        self.branches[self.current].restart();
        self.cursor = 0;
        self.live = true;
    }

    /// Runs the op at the cursor, or takes its recorded value, and moves on.
    ///
    /// # Errors
    /// If the device fails.
    pub fn advance(&mut self) -> Result<(), RunError> {
        let op = self.cursor;
        if op < self.program.ops.len() {
            self.branches[self.current].compute(&self.program, op)?;
            self.cursor += 1;
            self.shrink();
        }
        Ok(())
    }

    fn shrink(&mut self) {
        let total: u64 = self.branches.iter().map(|branch| branch.status().bytes).sum();
        if total <= self.budget {
            return;
        }
        let mut left = self.budget;
        for i in (0..self.branches.len()).filter(|&i| i != self.current) {
            // Other branches go first: their values can all be computed again.
            let cursor = self.program.ops.len();
            self.branches[i].shrink(&self.program, 0, cursor);
            left = left.saturating_sub(self.branches[i].status().bytes);
        }
        self.branches[self.current].shrink(&self.program, left, self.cursor);
    }

    /// The value of an op before the cursor, for all rows: recorded, or computed again with the same bits.
    ///
    /// # Errors
    /// If the cursor has not passed it, or the device fails.
    pub fn value(&mut self, op: usize) -> Result<Value, RunError> {
        if op >= self.cursor {
            let site = self.program.ops[op].site.clone();
            return Err(RunError::NotComputed { site, op, cursor: self.cursor, ops: self.program.ops.len() });
        }
        Ok(self.branches[self.current].value(&self.program, op)?)
    }

    /// The value that an op has or will have as the edits stand, wherever the cursor is.
    ///
    /// # Errors
    /// If the device fails.
    pub fn peek(&mut self, op: usize) -> Result<Value, RunError> {
        Ok(self.branches[self.current].value(&self.program, op)?)
    }

    /// The same in another branch, wherever its cursor would be.
    ///
    /// # Errors
    /// If that branch has not reached the op, or the device fails.
    pub fn value_in(&mut self, branch: usize, op: usize) -> Result<Value, RunError> {
        if branch == self.current {
            return self.value(op);
        }
        let reached = self.branches[branch].frontier;
        if op >= reached {
            let site = self.program.ops[op].site.clone();
            return Err(RunError::NotComputed { site, op, cursor: reached, ops: self.program.ops.len() });
        }
        Ok(self.branches[branch].value(&self.program, op)?)
    }

    /// The branch of that name.
    pub fn branch_named(&self, name: &str) -> Option<usize> {
        self.branches.iter().position(|branch| branch.name == name)
    }

    /// Makes the edits of one command. If nothing recorded depends on what they change, or they change only the value at the
    /// cursor, which nobody has read yet, they stand in this branch; otherwise a branch is opened, and what depends on
    /// them is computed again up to the cursor.
    ///
    /// # Errors
    /// If a change does not fit; nothing is changed then.
    pub fn edit(&mut self, edits: Vec<Edit>) -> Result<Applied, RunError> {
        let program = self.program.clone();
        let branch = &self.branches[self.current];
        let at_cursor = |edit: &Edit| self.is_at_cursor(branch, &edit.target);
        let stands = edits.iter().all(|edit| at_cursor(edit) || !branch.depends_on(&program, &edit.target));
        let mut next = branch.clone();
        if !stands {
            let changed = edits.iter().flat_map(|edit| Branch::first_changed(&program, &edit.target)).min();
            next.name = self.free_name();
            next.parent = Some((self.current, changed.unwrap_or(0)));
        }
        let count = edits.len();
        let mut replayed = 0;
        let mut unchanged = Some(true);
        for edit in edits {
            let before = self.probe(&mut next, &edit)?;
            let target = edit.target.clone();
            replayed += self.make(&mut next, edit)?;
            let same = match before {
                Some(before) => Some(before == self.probed(&mut next, &target)?),
                None => None,
            };
            unchanged = unchanged.and_then(|all| Some(all && same?));
        }
        let step = if stands {
            self.branches[self.current] = next;
            Step::InPlace(self.current, count)
        } else {
            self.branches.push(next);
            let from = std::mem::replace(&mut self.current, self.branches.len() - 1);
            Step::Branched(from, self.current)
        };
        self.done.push(step);
        self.undone.clear();
        let branch = (!stands).then(|| self.branch().name.clone());
        Ok(Applied { branch, replayed, unchanged })
    }

    /// Whether the target is the value at the cursor, which nobody has read yet.
    fn is_at_cursor(&self, branch: &Branch, target: &Target) -> bool {
        *target == Target::Op(self.cursor.wrapping_sub(1)) && branch.frontier == self.cursor
    }

    /// What shows whether an edit changes anything, where that is known before the op has run.
    fn probe(&self, branch: &mut Branch, edit: &Edit) -> Result<Option<Vec<u64>>, RunError> {
        match edit.target {
            Target::Op(op) if op >= self.cursor => Ok(None),
            _ => self.probed(branch, &edit.target).map(Some),
        }
    }

    /// The bits of what a target stands for.
    fn probed(&self, branch: &mut Branch, target: &Target) -> Result<Vec<u64>, RunError> {
        let bits = match target {
            Target::Op(op) => crate::tensor::bits(&branch.value(&self.program, *op)?)?.into_owned(),
            Target::Weight(id) => match branch.weights.get(*id) {
                Some(weight) => crate::tensor::bits(&weight.whole()?)?.into_owned(),
                None => Vec::new(),
            },
            Target::Input => {
                let rows = branch.input.rows.iter();
                rows.flat_map(|row| {
                    let tokens = row.ids.iter().zip(&row.mask).zip(&row.type_ids);
                    tokens.flat_map(|((id, real), kind)| [u64::from(*id), u64::from(*real), u64::from(*kind)])
                })
                .collect()
            }
        };
        Ok(bits)
    }

    /// Applies an edit to a branch and computes again what depends on it, up to the cursor.
    fn make(&self, branch: &mut Branch, edit: Edit) -> Result<usize, RunError> {
        let changed = Branch::first_changed(&self.program, &edit.target);
        if let (Target::Weight(id), change) = (&edit.target, &edit.change) {
            branch.weights = changed_weights(&branch.weights, *id, change)?;
        }
        if let Some(input) = Branch::change_of_input(&edit.change) {
            self.check_fits(branch, input)?;
            branch.context = Context::new(&self.model.spec, input, 0..input.length(), &self.device);
            branch.input = input.clone();
        }
        branch.undone.clear();
        let at_cursor = self.is_at_cursor(branch, &edit.target);
        if let (Target::Op(op), true) = (&edit.target, at_cursor) {
            // Nobody has read the value at the cursor yet: changing it is all there is to do. Values after it may have
            // been kept from before the cursor went back.
            let value = edit.change.apply(&branch.value(&self.program, *op)?)?;
            branch.forget(&self.program, &changed);
            branch.put(&self.program, *op, value);
            branch.edits.push(edit);
            return Ok(0);
        }
        branch.edits.push(edit);
        branch.forget(&self.program, &changed);
        self.catch_up(branch, &changed)
    }

    /// Edits of values must still find their place when the input becomes another one.
    fn check_fits(&self, branch: &Branch, input: &Input) -> Result<(), RunError> {
        let (rows, length) = (input.rows.len(), input.length());
        for edit in &branch.edits {
            if let Target::Op(op) = edit.target {
                let shape = shape_of(&self.program.ops[op], &self.model.spec, rows, 0..length);
                if !edit.change.fits(&shape) {
                    return Err(RunError::EditDoesNotFit { edit: edit.text.clone(), length });
                }
            }
        }
        Ok(())
    }

    /// Computes again, up to the cursor, what depends on `changed` and what the branch has not reached yet.
    fn catch_up(&self, branch: &mut Branch, changed: &[usize]) -> Result<usize, RunError> {
        let affected = self.program.affected_by(changed);
        let reached = std::mem::replace(&mut branch.frontier, self.cursor);
        let mut replayed = 0;
        for (op, affected) in affected.into_iter().enumerate().take(self.cursor) {
            if affected || op >= reached {
                branch.compute(&self.program, op)?;
                replayed += 1;
                branch.shrink(&self.program, self.budget, op + 1);
            }
        }
        Ok(replayed)
    }

    /// Moves to another branch, at the same place of the pass.
    ///
    /// # Errors
    /// If the device fails.
    pub fn checkout(&mut self, branch: usize) -> Result<(), RunError> {
        let mut next = self.branches[branch].clone();
        let frontier = next.frontier.max(self.cursor);
        self.catch_up(&mut next, &[])?;
        next.frontier = frontier;
        self.branches[branch] = next;
        self.current = branch;
        Ok(())
    }

    fn free_name(&self) -> String {
        let taken = |name: &String| self.branches.iter().any(|branch| branch.name == *name);
        (1..).map(|n| format!("edit{n}")).find(|name| !taken(name)).expect("there are numbers enough")
    }
}

/// The weights with one of them changed.
fn changed_weights(weights: &Weights, id: WeightId, change: &Change) -> Result<Weights, TensorError> {
    let Some(weight) = weights.get(id) else { return Err(TensorError::Empty { op: id.to_string() }) };
    let changed = change.apply(&weight.whole()?)?;
    let mut weights = weights.clone();
    weights.replace(id, changed)?;
    Ok(weights)
}
