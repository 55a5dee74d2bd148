//! The prompt and what was generated after it, read in one pass: for what works in the pass of the prompt and in no other.

use std::ops::Range;

use super::Run;
use crate::debugger::{Ablation, Change, Edit, Error, Mark, Result, Target};
use crate::tensor::Axis;
use crate::tensor::ops::{BinaryOp, Slice};

impl Run {
    /// A run of the same model on the text of the current branch up to the end of the pass of `to`, as if all of it had been
    /// the prompt. Edits in force are made at the positions that they change. The cursor is at the op of `to`, what is
    /// before it has been computed.
    ///
    /// # Errors
    /// If an edit cannot be made so; the sentence names it.
    pub fn as_one_pass(&self, to: Mark) -> Result<Run> {
        let (branch, last) = (self.branch(), to.pass);
        let end = branch.span(last).end;
        let mut one = self.with_prompts(&[branch.text().columns(end)], false)?;
        for edit in branch.edits.iter().filter(|edit| edit.from.pass <= last) {
            let cannot = || {
                Error::refused(format!(
                    "the edit \"{}\" cannot be made in one pass over the prompt and what was generated; undo it, or go back to \
                     the prompt with \"goto #0\"",
                    edit.text
                ))
            };
            let op = match edit.target {
                // One pass has no state in its middle.
                Target::Op(op) if self.program.is_carried(op) && edit.from.pass < last => return Err(cannot()),
                Target::Op(op) => op,
                Target::Cache(_) => return Err(cannot()),
                // They are in the weights and the text.
                Target::Weight(_) | Target::Input | Target::Token => continue,
            };
            let until = if edit.lasting { last } else { edit.from.pass };
            let place = Place { first: branch.span(edit.from.pass), end: branch.span(until).end };
            let change = place.moved(&edit.change, &self.program.ops[op].axes).ok_or_else(cannot)?;
            one.branches[0].edits.push(Edit { from: Mark::new(0, op), change, lasting: false, ..edit.clone() });
        }
        one.jump(0, Mark::new(0, to.op))?;
        Ok(one)
    }
}

/// The columns of the text that an edit changes: those of its first pass, and where those of the last one end.
struct Place {
    first: Range<usize>,
    end: usize,
}

impl Place {
    /// Whether more than one pass computes them, each with its own value.
    fn is_several(&self) -> bool {
        self.end > self.first.end
    }

    /// The same change of these columns within a value for all of them; none if there is no such.
    fn moved(&self, change: &Change, axes: &[Axis]) -> Option<Change> {
        match change {
            Change::Assign { slices, op, patch } => {
                let keys = axes.contains(&Axis::K);
                // Of later keys a query has no value to replace, but one that is scaled stays what it is.
                let scales = matches!(op, Some(BinaryOp::Mul | BinaryOp::Div));
                let taken = |at: &usize| !matches!(slices.get(*at), Some(Slice::At(_)));
                let place = (0..axes.len()).filter(taken).map(|at| axes[at]);
                let mut lengths = patch.shape().iter().rev().zip(place.rev());
                let varies = lengths.any(|(length, axis)| axis.is_position() && *length > 1);
                if self.is_several() && (varies || keys && !scales) {
                    return None;
                }
                let slices = self.slices(slices, axes)?;
                Some(Change::Assign { slices, op: *op, patch: patch.clone() })
            }
            // A mean is that of one pass.
            Change::Ablate { by: Ablation::Mean, .. } if self.is_several() => None,
            Change::Ablate { slices, by } => Some(Change::Ablate { slices: self.slices(slices, &axes[1..])?, by: *by }),
            other => Some(other.clone()),
        }
    }

    /// The parts of all axes; those that are not named are whole.
    fn slices(&self, slices: &[Slice], axes: &[Axis]) -> Option<Vec<Slice>> {
        let part = |(i, axis): (usize, &Axis)| {
            let slice = slices.get(i).copied().unwrap_or(Slice::All);
            if !axis.is_position() {
                return Some(slice);
            }
            // Keys are counted from the beginning of the text.
            if axis.is_source() {
                return Some(slice);
            }
            let start = if *axis == Axis::K { 0 } else { self.first.start };
            Some(match slice {
                Slice::All => Slice::Range { start, end: self.end, step: 1 },
                Slice::Range { start: 0, end, step: 1 } if start + end == self.first.end => {
                    Slice::Range { start, end: self.end, step: 1 }
                }
                _ if self.is_several() => return None,
                Slice::At(at) => Slice::At(start + at),
                Slice::Range { start: from, end, step } => Slice::Range { start: start + from, end: start + end, step },
            })
        };
        axes.iter().enumerate().map(part).collect()
    }
}
