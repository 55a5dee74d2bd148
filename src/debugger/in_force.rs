//! Edits in force, made again in passes that are not recorded: for copies of the focused row, and on other texts.

use super::{Ablation, Change, Edit, Error, Mark, Result, Session, Target, edit};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, TensorError, Value};

/// The edits of values of these ops in the pass of the prompt, as they are for a batch of copies of the focused row.
///
/// # Errors
/// If an edit cannot be made so; the sentence names it.
pub fn in_force(session: &Session, of: &dyn Fn(usize) -> bool) -> Result<Vec<Edit>> {
    let row = session.focus.row;
    let rows = session.run.branch().text().rows.len();
    let mut kept = Vec::new();
    for edit in &session.run.branch().edits {
        let Target::Op(op) = edit.target else { continue };
        if !of(op) || !edit.applies_to(Mark { pass: 0, op }) {
            continue;
        }
        let cannot = || Error::refused(format!("the edit \"{}\" cannot be made in every evaluation", edit.text));
        let change = match &edit.change {
            Change::Assign { slices, op, patch } => match slices.first() {
                Some(Slice::At(at)) if *at != row => continue,
                Some(Slice::At(_)) => {
                    let mut slices = slices.clone();
                    slices[0] = Slice::All;
                    Change::Assign { slices, op: *op, patch: patch.clone() }
                }
                _ if rows == 1 => edit.change.clone(),
                _ => return Err(cannot()),
            },
            Change::Ablate { by: Ablation::Resample, .. } => return Err(cannot()),
            other => other.clone(),
        };
        kept.push(Edit { change, ..edit.clone() });
    }
    Ok(kept)
}

/// The same edits for a text of any length, which has nothing in common with the positions of the present one.
///
/// # Errors
/// If an edit changes single positions of the present text; the sentence names it.
pub fn in_force_on_any_text(session: &Session, of: &dyn Fn(usize) -> bool) -> Result<Vec<Edit>> {
    let length = session.run.branch().prompt().length();
    let on_any = |edit: Edit| -> Result<Edit> {
        let Target::Op(op) = edit.target else { return Ok(edit) };
        let axes = &session.run.program.ops[op].axes;
        let change = on_any_text(&edit.change, axes, length);
        let cannot = || {
            Error::refused(format!(
                "the edit \"{}\" changes positions of the current text, and cannot be made on another text; \
                 undo it, or ablate whole heads",
                edit.text
            ))
        };
        Ok(Edit { change: change.ok_or_else(cannot)?, ..edit.clone() })
    };
    in_force(session, of)?.into_iter().map(on_any).collect()
}

/// A change for positions of any number; `None` if it changes only some of the `length` positions, or each to a
/// different number.
fn on_any_text(change: &Change, axes: &[Axis], length: usize) -> Option<Change> {
    let all = |slices: &[Slice], axes: &[Axis]| -> Option<Vec<Slice>> {
        let one = |(slice, axis): (&Slice, &Axis)| match *slice {
            other if !axis.is_position() => Some(other),
            Slice::All => Some(Slice::All),
            Slice::Range { start: 0, end, step: 1 } if end == length && !axis.is_source() => Some(Slice::All),
            _ => None,
        };
        slices.iter().zip(axes).map(one).collect()
    };
    match change {
        Change::Assign { slices, op, patch } => {
            // The patch has the last axes of the place that it goes to: those that are not taken at one index.
            let taken = |at: &usize| !matches!(slices.get(*at), Some(Slice::At(_)));
            let place = (0..axes.len()).filter(taken).map(|at| axes[at]);
            let lengths = patch.shape().iter().rev().zip(place.rev());
            let varies = lengths.into_iter().any(|(length, axis)| axis.is_position() && *length > 1);
            let slices = all(slices, axes).filter(|_| !varies)?;
            Some(Change::Assign { slices, op: *op, patch: patch.clone() })
        }
        Change::Ablate { slices, by } => Some(Change::Ablate { slices: all(slices, &axes[1..])?, by: *by }),
        other => Some(other.clone()),
    }
}

/// A value in the pass of the prompt with the edits of its op.
pub fn edited(edits: &[Edit], op: usize, value: Value) -> Result<Value, TensorError> {
    edit::edited(edits, Mark { pass: 0, op }, value)
}
