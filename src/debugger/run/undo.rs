//! Taking edits back and making them again.

use super::{Run, RunError, Step, changed_weights};
use crate::debugger::branch::Branch;
use crate::debugger::edit::{Edit, Target};
use crate::program::Context;

impl Run {
    /// Takes the last edit back. Returns the command that had made it.
    ///
    /// # Errors
    /// If there is none, or the device fails.
    pub fn undo(&mut self) -> Result<String, RunError> {
        let step = self.done.pop().ok_or(RunError::NoHistory("undo"))?;
        let text = match &step {
            Step::InPlace(branch, count) => {
                self.current = *branch;
                let mut kept = self.branches[*branch].edits.clone();
                let taken = kept.split_off(kept.len().saturating_sub(*count));
                let text = taken.last().map(|edit| edit.text.clone()).ok_or(RunError::NoHistory("undo"))?;
                let changed = taken.iter().flat_map(|edit| Branch::first_changed(&self.program, &edit.target));
                let changed: Vec<usize> = changed.collect();
                let mut rebuilt = self.rebuilt(*branch, kept, &taken, &changed)?;
                rebuilt.undone.push(taken);
                self.catch_up(&mut rebuilt, &changed)?;
                self.branches[*branch] = rebuilt;
                text
            }
            Step::Branched(from, to) => {
                let text = self.branches[*to].edits.last().map(|edit| edit.text.clone()).unwrap_or_default();
                self.checkout(*from)?;
                text
            }
        };
        self.undone.push(step);
        Ok(text)
    }

    /// Makes the edit again that was taken back last. Returns its command.
    ///
    /// # Errors
    /// If there is none, or the device fails.
    pub fn redo(&mut self) -> Result<String, RunError> {
        let step = self.undone.pop().ok_or(RunError::NoHistory("redo"))?;
        let text = match &step {
            Step::InPlace(branch, _) => {
                self.current = *branch;
                let mut next = self.branches[*branch].clone();
                let edits = next.undone.pop().ok_or(RunError::NoHistory("redo"))?;
                let rest = next.undone.clone();
                let text = edits.last().map(|edit| edit.text.clone()).unwrap_or_default();
                for edit in edits {
                    self.make(&mut next, edit)?;
                }
                next.undone = rest;
                self.branches[*branch] = next;
                text
            }
            Step::Branched(_, to) => {
                self.checkout(*to)?;
                self.branch().edits.last().map(|edit| edit.text.clone()).unwrap_or_default()
            }
        };
        self.done.push(step);
        Ok(text)
    }

    /// The branch with the `kept` edits only, without the values that those `taken` back had changed.
    fn rebuilt(&self, branch: usize, kept: Vec<Edit>, taken: &[Edit], changed: &[usize]) -> Result<Branch, RunError> {
        let mut next = self.branches[branch].clone();
        next.forget(&self.program, changed);
        if taken.iter().any(|edit| matches!(edit.target, Target::Weight(_))) {
            next.weights = self.model.weights.clone();
            for edit in &kept {
                if let Target::Weight(id) = edit.target {
                    next.weights = changed_weights(&next.weights, id, &edit.change)?;
                }
            }
        }
        if taken.iter().any(|edit| edit.target == Target::Input) {
            let last = kept.iter().rev().find_map(|edit| Branch::change_of_input(&edit.change));
            next.input = last.unwrap_or(&self.first_input).clone();
            next.context = Context::new(&self.model.spec, &next.input, 0..next.input.length(), &self.device);
        }
        next.edits = kept;
        Ok(next)
    }
}
