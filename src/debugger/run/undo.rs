//! Taking edits back and making them again.

use super::edit::changed_weights;
use super::{Run, RunError, Step};
use crate::debugger::edit::{Edit, Target};
use crate::model::weights::Weights;

impl Run {
    /// Takes the last edit back. Returns the command that had made it.
    ///
    /// # Errors
    /// If there is none, or the device fails.
    pub fn undo(&mut self) -> Result<String, RunError> {
        let step = self.done.last().cloned().ok_or(RunError::NoHistory("undo"))?;
        let text = self.unless_it_fails(|run| run.taken_back(&step))?;
        self.done.pop();
        self.undone.push(step);
        self.revision += 1;
        Ok(text)
    }

    /// Stays in the branch where it was if a change fails.
    fn unless_it_fails<T>(&mut self, change: impl FnOnce(&mut Run) -> Result<T, RunError>) -> Result<T, RunError> {
        let here = self.current;
        change(self).inspect_err(|_| self.current = here)
    }

    fn taken_back(&mut self, step: &Step) -> Result<String, RunError> {
        Ok(match step {
            Step::InPlace(branch, count) => {
                self.current = *branch;
                let mut next = self.branches[*branch].clone();
                let taken = next.edits.split_off(next.edits.len().saturating_sub(*count));
                let text = taken.last().map(|edit| edit.text.clone()).ok_or(RunError::NoHistory("undo"))?;
                let mut changed = Vec::new();
                for edit in &taken {
                    changed.extend(next.first_changed(&self.program, edit));
                }
                if taken.iter().any(|edit| matches!(edit.target, Target::Weight(_))) {
                    next.weights = self.weights_of(&next.edits)?;
                }
                let affected = next.affected(&self.program, &changed);
                for edit in &taken {
                    self.invalidate(&mut next, &edit.target, edit.from, &affected);
                }
                next.undone.push(taken);
                let reached = self.catch_up(&mut next, Some(&affected), self.mark())?.reached;
                self.branches[*branch] = next;
                self.move_to(reached);
                text
            }
            Step::Branched(from, to) => {
                let text = self.branches[*to].edits.last().map(|edit| edit.text.clone()).unwrap_or_default();
                self.checkout(*from)?;
                text
            }
        })
    }

    /// Makes the edit again that was taken back last. Returns its command.
    ///
    /// # Errors
    /// If there is none, or the device fails.
    pub fn redo(&mut self) -> Result<String, RunError> {
        let step = self.undone.last().cloned().ok_or(RunError::NoHistory("redo"))?;
        let text = self.unless_it_fails(|run| run.made_again(&step))?;
        self.undone.pop();
        self.done.push(step);
        self.revision += 1;
        Ok(text)
    }

    fn made_again(&mut self, step: &Step) -> Result<String, RunError> {
        Ok(match step {
            Step::InPlace(branch, _) => {
                self.current = *branch;
                let mut next = self.branches[*branch].clone();
                let edits = next.undone.pop().ok_or(RunError::NoHistory("redo"))?;
                let rest = next.undone.clone();
                let text = edits.last().map(|edit| edit.text.clone()).unwrap_or_default();
                let mut reached = self.mark();
                for edit in edits {
                    reached = self.make(&mut next, edit)?.reached;
                }
                next.undone = rest;
                self.branches[*branch] = next;
                self.move_to(reached);
                text
            }
            Step::Branched(_, to) => {
                self.checkout(*to)?;
                self.branch().edits.last().map(|edit| edit.text.clone()).unwrap_or_default()
            }
        })
    }

    /// The loaded weights, changed by edits.
    fn weights_of(&self, edits: &[Edit]) -> Result<Weights, RunError> {
        let mut weights = self.model.weights.clone();
        for edit in edits {
            if let Target::Weight(id) = edit.target {
                weights = changed_weights(&weights, id, &edit.change)?;
            }
        }
        Ok(weights)
    }
}
