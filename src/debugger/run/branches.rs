//! Branches as a whole: named, copied, made anew of other edits; and going to any place of any of them.

use super::{Applied, Run, RunError, Step};
use crate::debugger::branch::Affected;
use crate::debugger::renumber::Renumbering;
use crate::debugger::{Branch, Edit, Mark, Target};
use crate::model::{Input, Weights};
use crate::program::Program;

/// A place in time that can be returned to, whatever is done to its branch later.
#[derive(Clone)]
pub struct Checkpoint {
    pub name: Option<String>,
    pub branch: usize,
    pub at: Mark,
    /// The branch as it was: its edits and how its tokens are chosen, without values.
    state: Branch,
}

impl Checkpoint {
    pub fn edits(&self) -> &[Edit] {
        &self.state.edits
    }

    pub(in crate::debugger) fn renumber(&mut self, by: &Renumbering, program: &Program, weights: &Weights) {
        self.state.renumber(by, program, weights);
    }
}

impl Run {
    /// Goes to a place of a branch without stopping on the way: computed values are taken as they are, others are
    /// computed. Where the branch's text ends earlier, to its end.
    pub fn jump(&mut self, branch: usize, to: Mark) -> Result<(), RunError> {
        let mut next = self.branches[branch].clone();
        let reached = self.catch_up(&mut next, None, to)?.reached;
        self.branches[branch] = next;
        self.current = branch;
        self.goal = 0;
        self.live = true;
        self.move_to(reached);
        self.shrink();
        Ok(())
    }

    /// Ends the run: nothing is computed any more. Edits stay.
    pub fn kill(&mut self) {
        self.restart();
        self.live = false;
    }

    pub fn checkpoint(&self, name: Option<String>) -> Checkpoint {
        let mut state = self.branch().clone();
        state.begin_with(state.prompt(), state.context(0).clone());
        Checkpoint { name, branch: self.current, at: self.mark(), state }
    }

    /// Goes back to a checkpoint: in its branch if that is still what it was, else in a new one. Returns the name of a
    /// new branch.
    pub fn return_to(&mut self, checkpoint: &Checkpoint) -> Result<Option<String>, RunError> {
        let branch = &self.branches[checkpoint.branch];
        let passes = checkpoint.at.pass;
        let as_chosen = branch.settings.iter().take(passes).eq(checkpoint.state.settings.iter().take(passes));
        let same = branch.edits.len() == checkpoint.state.edits.len()
            && branch.edits.iter().zip(&checkpoint.state.edits).all(|(a, b)| a.same(b));
        if same && as_chosen {
            self.jump(checkpoint.branch, checkpoint.at)?;
            return Ok(None);
        }
        let mut next = checkpoint.state.clone();
        next.name = self.free_name();
        next.parent = Some((checkpoint.branch, Mark::START));
        let name = next.name.clone();
        self.add(next, None, checkpoint.at)?;
        Ok(Some(name))
    }

    /// Opens a branch with some of the edits of this one, and goes to the same place of it.
    ///
    /// # Errors
    /// If what remains does not fit the prompt that remains, or the device fails; nothing is changed then.
    pub fn keep_edits(&mut self, keep: &dyn Fn(usize) -> bool) -> Result<Applied, RunError> {
        let prompt = self.first_prompt.clone();
        let context = self.context_of(&prompt);
        let weights = self.model.weights.clone();
        let mut next = Branch::new(&self.free_name(), prompt, context, weights, self.program.ops.len());
        next.settings = self.branch().settings.clone();
        next.parent = Some((self.current, Mark::START));
        for (_, edit) in self.branch().edits.iter().enumerate().filter(|(number, _)| keep(*number)) {
            self.place(&mut next, edit.clone())?;
        }
        self.check_fits(&next, &next.prompt())?;
        let name = next.name.clone();
        let replayed = self.add(next, None, self.mark())?;
        Ok(Applied { branch: Some(name), replayed, unchanged: None })
    }

    /// Opens a branch with more edits than this one, and goes to the same place of it. Its name is `name`, or that with
    /// a number.
    ///
    /// # Errors
    /// If an edit does not fit, or the device fails; nothing is changed then.
    pub fn open_branch(&mut self, name: &str, edits: Vec<Edit>) -> Result<Applied, RunError> {
        self.check_once(&edits)?;
        let mut next = self.branch().clone();
        let names = std::iter::once(name.to_string()).chain((2..).map(|n| format!("{name}{n}")));
        next.name = names.into_iter().find(|name| self.branch_named(name).is_none()).unwrap_or_default();
        let changed = edits.iter().flat_map(|edit| next.first_changed(&self.program, edit)).min();
        next.parent = Some((self.current, changed.unwrap_or_default()));
        let mut affected: Affected = vec![vec![false; self.program.ops.len()].into(); next.passes()];
        for edit in edits {
            for (all, by_this) in affected.iter_mut().zip(self.place(&mut next, edit)?) {
                *all = all.iter().zip(by_this.iter()).map(|(all, by_this)| all | by_this).collect();
            }
        }
        let (name, live) = (next.name.clone(), self.live);
        let replayed = self.add(next, Some(&affected), self.mark())?;
        self.live = live;
        Ok(Applied { branch: Some(name), replayed, unchanged: None })
    }

    /// Adds a branch and goes to a place of it; this can be undone. Returns how many ops that computed.
    fn add(&mut self, mut next: Branch, affected: Option<&Affected>, to: Mark) -> Result<usize, RunError> {
        let done = self.catch_up(&mut next, affected, to)?;
        self.enter(next);
        self.live = true;
        self.goal = 0;
        self.move_to(done.reached);
        self.revision += 1;
        self.shrink();
        Ok(done.replayed)
    }

    /// Adds a branch and makes it the current one; this can be undone.
    pub(super) fn enter(&mut self, next: Branch) {
        self.branches.push(next);
        let from = std::mem::replace(&mut self.current, self.branches.len() - 1);
        self.done.push(Step::Branched(from, self.current));
        self.undone.clear();
    }

    /// A branch of that name with the edits and values of this one. The cursor stays where it is.
    pub fn copy_branch(&mut self, name: &str) -> Result<(), RunError> {
        self.check_name(name)?;
        let mut next = self.branch().clone();
        next.name = name.to_string();
        next.parent = Some((self.current, self.mark()));
        self.branches.push(next);
        Ok(())
    }

    /// A run of the same model on other prompts, each in a separate branch, with the edits of weights that the current
    /// branch has, and `with_values` those of values too. Nothing is computed yet.
    pub fn with_prompts(&self, prompts: &[Input], with_values: bool) -> Result<Run, RunError> {
        let first = prompts.first().cloned().unwrap_or_else(|| self.branch().prompt());
        let (model, program, names) = (self.model.clone(), self.program.clone(), self.names.clone());
        let mut run = Run::new(model, program, names, first, self.budget);
        run.dictionaries = self.dictionaries.clone();
        run.branches.clear();
        let lasts = |edit: &&Edit| match edit.target {
            Target::Weight(_) => edit.from.pass == 0,
            Target::Op(_) => with_values && edit.from.pass == 0,
            _ => false,
        };
        for (number, prompt) in prompts.iter().enumerate() {
            let weights = self.branch().weights.clone();
            let name = format!("prompt{number}");
            let mut branch =
                Branch::new(&name, prompt.clone(), self.context_of(prompt), weights, self.program.ops.len());
            branch.edits = self.branch().edits.iter().filter(lasts).cloned().collect();
            self.check_fits(&branch, prompt)?;
            run.branches.push(branch);
        }
        run.live = true;
        Ok(run)
    }

    pub fn rename_branch(&mut self, branch: usize, name: &str) -> Result<(), RunError> {
        self.check_name(name)?;
        self.branches[branch].name = name.to_string();
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), RunError> {
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(RunError::NoName(name.to_string()));
        }
        match self.branch_named(name) {
            Some(_) => Err(RunError::Taken(name.to_string())),
            None => Ok(()),
        }
    }
}
