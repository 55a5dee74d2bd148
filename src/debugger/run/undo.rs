//! Taking edits back and making them again.

use super::edit::changed_weights;
use super::{Run, RunError, Step};
use crate::debugger::{Edit, Mark, Target};
use crate::model::Weights;
use crate::tensor::TensorError;

impl Run {
    /// Takes the last edit back. Returns the command that had made it.
    ///
    /// # Errors
    /// If there is none, the device fails or the user interrupts; nothing is changed then.
    pub fn undo(&mut self) -> Result<String, RunError> {
        let step = self.done.last().cloned().ok_or(RunError::NoHistory("undo"))?;
        let text = match &step {
            Step::InPlace(branch, count) => {
                let mut next = self.branches[*branch].clone();
                let taken = next.edits.split_off(next.edits.len().saturating_sub(*count));
                let text = taken.last().map(|edit| edit.text.clone()).ok_or(RunError::NoHistory("undo"))?;
                let changed: Vec<Mark> =
                    taken.iter().flat_map(|edit| next.first_changed(&self.program, edit)).collect();
                if taken.iter().any(|edit| matches!(edit.target, Target::Weight(_))) {
                    next.weights = self.weights_of(&next.edits)?;
                }
                let affected = next.affected(&self.program, &changed);
                for edit in &taken {
                    self.invalidate(&mut next, &edit.target, edit.from, &affected);
                }
                next.undone.push(taken);
                let reached = self.catch_up(&mut next, Some(&affected), self.mark())?.reached;
                self.current = *branch;
                self.branches[*branch] = next;
                self.move_to(reached);
                text
            }
            Step::Branched(from, to) => {
                let text = self.branches[*to].edits.last().map(|edit| edit.text.clone()).unwrap_or_default();
                self.checkout(*from)?;
                text
            }
        };
        self.undone.extend(self.done.pop());
        self.revision += 1;
        Ok(text)
    }

    /// Makes the edit again that was taken back last. Returns its command.
    ///
    /// # Errors
    /// If there is none, the device fails or the user interrupts; nothing is changed then.
    pub fn redo(&mut self) -> Result<String, RunError> {
        let step = self.undone.last().cloned().ok_or(RunError::NoHistory("redo"))?;
        let text = match &step {
            Step::InPlace(branch, _) => {
                let mut next = self.branches[*branch].clone();
                let edits = next.undone.pop().ok_or(RunError::NoHistory("redo"))?;
                let rest = next.undone.clone();
                let text = edits.last().map(|edit| edit.text.clone()).unwrap_or_default();
                let mut reached = self.mark();
                for edit in edits {
                    reached = self.make(&mut next, edit)?.reached;
                }
                next.undone = rest;
                self.current = *branch;
                self.branches[*branch] = next;
                self.move_to(reached);
                text
            }
            Step::Branched(_, to) => {
                self.checkout(*to)?;
                self.branch().edits.last().map(|edit| edit.text.clone()).unwrap_or_default()
            }
        };
        self.done.extend(self.undone.pop());
        self.revision += 1;
        Ok(text)
    }

    /// The loaded weights, changed by edits.
    fn weights_of(&self, edits: &[Edit]) -> Result<Weights, TensorError> {
        let mut weights = self.model.weights.clone();
        for edit in edits {
            if let Target::Weight(id) = edit.target {
                weights = changed_weights(&weights, id, &edit.change)?;
            }
        }
        Ok(weights)
    }
}
