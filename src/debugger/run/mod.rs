//! One model, one prompt, its branches and its cursor.

mod branches;
mod edit;
mod generate;
mod one_pass;
#[cfg(test)]
mod tests;
mod undo;

use std::sync::Arc;

use super::{Branch, Dictionaries, Mark, Names, Sampling};
use crate::model::{Input, InputError, Model, memory_check};
use crate::program::{Context, Program};
use crate::tensor::{Device, FOR_AN_OP, TensorError, Value, give_back};

pub use branches::Checkpoint;
pub use edit::Applied;

/// Tokens of a pass whose ops take so long that what each leaves behind can be looked at.
const LONG: usize = 1024;

/// What can go wrong with a run, beyond the device.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    #[error(
        "{site} has not been computed: the cursor is at op {cursor} of {ops}, {site} is op {op}; \
         use \"until {site}\" or \"continue\""
    )]
    NotComputed { site: String, op: usize, cursor: usize, ops: usize },
    #[error("there is no pass {pass}: this branch has {}; use \"token\" or \"generate N\"", passes(*.last))]
    NoPass { pass: usize, last: usize },
    #[error(
        "{site} follows from the source alone, so only the pass of the prompt computes it: go back with \"goto #0\""
    )]
    OnlyFirst { site: String },
    #[error("no pass has been started; use \"run\" or \"start\"")]
    NotRunning,
    #[error(
        "the pass is at its end; \"run\" starts it again, \"reverse-continue\" goes back{}",
        if *.more { ", \"token\" computes the next token" } else { "" }
    )]
    AtEnd { more: bool },
    #[error("{family} predicts no next token: only a causal language model can go on")]
    NoNextToken { family: String },
    #[error("the text has ended; \"set generation stop off\" goes on after a token that ends a text")]
    Ended,
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the edit \"{edit}\" does not fit an input of {length} tokens; take it back with \"undo\" first")]
    EditDoesNotFit { edit: String, length: usize },
    #[error("nothing to {0}")]
    NoHistory(&'static str),
    #[error("{0:?} is not a name for a branch: use letters, digits and _, a letter first")]
    NoName(String),
    #[error("branch {0} exists already")]
    Taken(String),
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

fn passes(last: usize) -> String {
    match last {
        0 => "pass 0 only".into(),
        last => format!("passes 0..{last}"),
    }
}

/// Takes an edit back, or makes it again.
#[derive(Clone)]
enum Step {
    /// So many edits were made in place, in this branch.
    InPlace(usize, usize),
    /// Edits opened a branch: from, to.
    Branched(usize, usize),
}

/// One model, one prompt, its branches, its cursor.
///
/// The cursor is between ops: everything before it has its value, the op at the cursor has not run. Values at a place
/// of a branch are a function of the model, the prompt and the branch's edits, however one got there. A clone shares the
/// values, and goes on by itself.
#[derive(Clone)]
pub struct Run {
    pub model: Arc<Model>,
    pub program: Arc<Program>,
    pub names: Arc<Names>,
    /// Dictionaries of features that are ops of the program.
    pub dictionaries: Dictionaries,
    /// Branches; the first is where the run began.
    pub branches: Vec<Branch>,
    pub current: usize,
    pub pass: usize,
    /// Index of the op that runs next; the number of ops at the end of the pass.
    pub cursor: usize,
    /// The last pass that is to be run: `continue` goes to its end.
    pub goal: usize,
    /// How tokens are chosen from now on.
    pub sampling: Sampling,
    /// Whether `run` or `start` was given.
    pub live: bool,
    first_prompt: Input,
    revision: u64,
    budget: u64,
    done: Vec<Step>,
    undone: Vec<Step>,
}

impl Run {
    /// A run that has not started.
    pub fn new(model: Arc<Model>, program: Arc<Program>, names: Arc<Names>, prompt: Input, budget: u64) -> Run {
        let context = Context::new(&model.spec, &prompt, 0..prompt.length(), &model.placement);
        let branch = Branch::new("main", prompt.clone(), context, model.weights.clone(), program.ops.len());
        Run {
            model,
            program,
            names,
            dictionaries: Dictionaries::default(),
            branches: vec![branch],
            current: 0,
            pass: 0,
            cursor: 0,
            goal: 0,
            sampling: Sampling::default(),
            live: false,
            first_prompt: prompt,
            revision: 0,
            budget,
            done: Vec::new(),
            undone: Vec::new(),
        }
    }

    pub fn branch(&self) -> &Branch {
        &self.branches[self.current]
    }

    /// A number that grows whenever recorded values may have become others.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// That recorded values may have become others.
    pub(in crate::debugger) fn values_may_differ(&mut self) {
        self.revision += 1;
    }

    pub fn mark(&self) -> Mark {
        Mark { pass: self.pass, op: self.cursor }
    }

    pub fn end_of(&self, pass: usize) -> Mark {
        Mark { pass, op: self.program.ops.len() }
    }

    /// The op that runs next, the number of ops at the end of the pass. A later pass begins with the op of its tokens, whatever
    /// comes before that in the pass of the prompt.
    pub fn next_op(&self) -> usize {
        if self.cursor == 0 { self.program.first_of(self.pass) } else { self.cursor }
    }

    pub fn at_end(&self) -> bool {
        self.cursor == self.program.ops.len()
    }

    /// The device of values that belong to no op: the first one.
    pub fn device(&self) -> &Device {
        self.model.placement.first()
    }

    /// The device that computes an op, and has its value.
    pub fn device_of(&self, op: usize) -> &Device {
        self.program.ops[op].device(&self.model.placement)
    }

    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Changes the byte budget; what no longer fits is dropped.
    pub fn set_budget(&mut self, budget: u64) {
        self.budget = budget;
        self.shrink();
    }

    /// Goes back to the beginning and forgets the values of this branch and the tokens chosen in it; edits stay.
    pub fn restart(&mut self) {
        self.branches[self.current].restart();
        self.revision += 1;
        (self.pass, self.cursor, self.goal) = (0, 0, 0);
        self.live = true;
    }

    /// Forgets every value of every branch, and every weight in memory: after a failure of the device, which of them
    /// are sound is not known. The cursor stays; what is asked for is computed and read again, with the same bits.
    pub(in crate::debugger) fn forget_values(&mut self) {
        for branch in &mut self.branches {
            branch.forget_values(&self.model.spec, &self.model.placement);
        }
        self.model.weights.store().cache().clear();
    }

    /// Runs the op at the cursor, or takes its recorded value, and moves on; at the end of a pass, goes to the
    /// beginning of the next one, for which a token is chosen.
    pub fn advance(&mut self) -> Result<(), RunError> {
        if self.at_end() {
            self.open_pass(self.pass + 1)?;
            (self.pass, self.cursor) = (self.pass + 1, 0);
            return Ok(());
        }
        let at = self.mark();
        if at == Mark::new(0, 0) {
            let prompt = self.branch().prompt();
            memory_check::check_pass(&self.model, prompt.rows.len(), prompt.length(), self.budget)?;
        }
        let at = Mark { op: self.next_op(), ..at };
        self.branches[self.current].compute(&self.program, at)?;
        self.cursor = at.op + 1;
        self.shrink();
        if self.branch().span(self.pass).len() >= LONG {
            give_back(self.recorded(), FOR_AN_OP);
        }
        Ok(())
    }

    /// Goes back over one op, or from the beginning of a pass to the end of the one before. False at the beginning of
    /// the run.
    pub fn retreat(&mut self) -> bool {
        match (self.pass, self.cursor) {
            (0, 0) => return false,
            (pass, 0) => (self.pass, self.cursor) = (pass - 1, self.program.ops.len()),
            (pass, op) if op == self.program.first_of(pass) + 1 => self.cursor = 0,
            (_, op) => self.cursor = op - 1,
        }
        true
    }

    /// Bytes that the recordings of all branches hold; what branches share counts for each.
    pub fn recorded(&self) -> u64 {
        self.branches.iter().map(Branch::bytes).sum()
    }

    fn shrink(&mut self) {
        let total = self.recorded();
        if total <= self.budget {
            return;
        }
        let mut left = self.budget;
        for i in (0..self.branches.len()).filter(|&i| i != self.current) {
            // Other branches go first: their values can all be computed again.
            let end = Mark { pass: self.branches[i].passes() - 1, op: self.program.ops.len() };
            self.branches[i].shrink(&self.program, 0, end);
            left = left.saturating_sub(self.branches[i].bytes());
        }
        let cursor = self.mark();
        self.branches[self.current].shrink(&self.program, left, cursor);
    }

    /// The value of an op of the current pass before the cursor, for all rows: recorded, or computed again with the
    /// same bits.
    pub fn value(&mut self, op: usize) -> Result<Value, RunError> {
        self.value_at(Mark { pass: self.pass, op })
    }

    /// The same in any pass that the cursor has reached.
    pub fn value_at(&mut self, at: Mark) -> Result<Value, RunError> {
        if at.pass > self.pass {
            return Err(RunError::NoPass { pass: at.pass, last: self.pass });
        }
        if at >= self.mark() && at.op >= self.program.first_of(at.pass) {
            return Err(self.not_computed(at.op, self.cursor));
        }
        Ok(self.branches[self.current].value(&self.program, at)?)
    }

    /// What an op that the cursor has passed has read: keys and values of all passes so far among it.
    pub fn inputs_at(&mut self, at: Mark) -> Result<Vec<Value>, RunError> {
        self.value_at(at)?;
        Ok(self.branches[self.current].inputs(&self.program, at)?)
    }

    /// The value of an op; `None` if the cursor has not passed it.
    pub fn value_if_reached(&mut self, at: Mark) -> Result<Option<Value>, RunError> {
        match self.value_at(at) {
            Err(RunError::NotComputed { .. }) => Ok(None),
            value => value.map(Some),
        }
    }

    fn not_computed(&self, op: usize, cursor: usize) -> RunError {
        let site = self.program.ops[op].site.clone();
        RunError::NotComputed { site, op, cursor, ops: self.program.ops.len() }
    }

    /// The value that an op of the current pass has or will have with the edits made so far, wherever the cursor is.
    pub fn peek(&mut self, op: usize) -> Result<Value, TensorError> {
        self.branches[self.current].value(&self.program, Mark { pass: self.pass, op })
    }

    /// The value of an op in another branch, wherever its cursor would be.
    pub fn value_in(&mut self, branch: usize, at: Mark) -> Result<Value, RunError> {
        if branch == self.current {
            return self.value_at(at);
        }
        let last = self.branches[branch].passes() - 1;
        if at.pass > last {
            return Err(RunError::NoPass { pass: at.pass, last });
        }
        let reached = self.branches[branch].frontier(at.pass);
        if at.op >= reached.max(self.program.first_of(at.pass)) {
            return Err(self.not_computed(at.op, reached));
        }
        Ok(self.branches[branch].value(&self.program, at)?)
    }

    /// The value of an op in any pass that a branch has come to, wherever the cursor is.
    pub fn value_in_any(&mut self, branch: usize, at: Mark) -> Result<Value, TensorError> {
        self.branches[branch].value(&self.program, at)
    }

    /// The key/value cache of an op as the current pass finds it (at the end of a pass, as the next one will), for all
    /// rows: `[B, S, K, h]`. None where nothing is cached.
    pub fn cached(&mut self, op: usize) -> Result<Option<Value>, TensorError> {
        let program = self.program.clone();
        let branch = &mut self.branches[self.current];
        if self.cursor < program.ops.len() || self.pass + 1 < branch.passes() {
            let pass = self.pass + usize::from(self.cursor == program.ops.len());
            return branch.cached(&program, op, pass);
        }
        let last = branch.value(&program, Mark { pass: self.pass, op })?;
        Ok(Some(match branch.cached(&program, op, self.pass)? {
            Some(before) => {
                let axes = before.axes().to_vec();
                Value::concat(&[before, last], 1)?.with_axes(&axes)
            }
            None => last,
        }))
    }

    pub fn branch_named(&self, name: &str) -> Option<usize> {
        self.branches.iter().position(|branch| branch.name == name)
    }

    /// Moves to another branch, at the same place of the run, or to the end of that branch if it has fewer passes.
    pub fn checkout(&mut self, branch: usize) -> Result<(), RunError> {
        let last = self.branches[branch].passes() - 1;
        // A run that has not begun, or is over, stays so.
        let live = self.live;
        self.jump(branch, self.mark().min(self.end_of(last)))?;
        self.live = live;
        Ok(())
    }

    fn move_to(&mut self, at: Mark) {
        (self.pass, self.cursor) = (at.pass, at.op);
        self.goal = self.goal.max(at.pass);
    }
}
