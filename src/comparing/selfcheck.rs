//! Does the same pass give the same bits again, and does a row of a batch compute what it does alone?

use super::Recomputed;
use super::anew::{compute_anew, part_of};
use crate::debugger::{Error, Mark, Result, Run, Target};
use crate::model::Input;
use crate::tensor::ops::{Reduction, Slice};
use crate::tensor::{Axis, Kind, TensorError, Value, step};

/// The pass of the prompt computed anew, its edits included, compared with what is recorded: the bits should be the
/// same.
pub fn again(run: &mut Run) -> Result<Vec<Recomputed>> {
    computed(run, &|_| Ok(()))
}

/// The same where everything is looked at on the way, as stops, conditions and panes do: statistics, reductions,
/// slices, transfers.
pub fn looked_at(run: &mut Run) -> Result<Vec<Recomputed>> {
    computed(run, &|value| {
        value.summary()?;
        if value.kind() == Kind::Float {
            value.reduce_axis(Reduction::Norm, value.shape().len() - 1)?.read_f64()?;
        }
        value.slice(&[Slice::At(0)])?.read_f64().map(|_| ())
    })
}

fn computed(run: &mut Run, look: &dyn Fn(&Value) -> Result<(), TensorError>) -> Result<Vec<Recomputed>> {
    complete(run)?;
    let program = run.program.clone();
    let (input, edits) = (run.branch().prompt(), run.branch().edits.clone());
    let mut found = Vec::new();
    compute_anew(run, &input, &edits, true, &mut |run, anew| {
        look(anew.value)?;
        let recorded = run.value_at(Mark { pass: 0, op: anew.op })?;
        found.push(Recomputed::of(&program.ops[anew.op].site, 0, anew.value, &recorded)?);
        Ok(())
    })?;
    Ok(found)
}

/// Each row of the batch computed alone, without its padding, compared with its columns in the batch.
///
/// # Errors
/// If there is one row, the pass is not complete, or edits of values are in force; if the device fails.
pub fn alone(run: &mut Run) -> Result<Vec<Recomputed>> {
    complete(run)?;
    let prompt = run.branch().prompt();
    if prompt.rows.len() < 2 && !prompt.is_padded() {
        return Err("there is one row without padding, which is alone already; give -p twice, or --pad-to".into());
    }
    if let Some(edit) = run.branch().edits.iter().find(|edit| matches!(edit.target, Target::Op(_))) {
        return Err(Error::refused(format!("the edit \"{}\" is in force, which a row alone cannot repeat", edit.text)));
    }
    let program = run.program.clone();
    let mut found = Vec::new();
    let rows = prompt.texts();
    for (row, text) in rows.iter().enumerate() {
        step(&format!("row {row}"), row as u64, rows.len() as u64)?;
        let first = prompt.rows[row].mask.iter().position(|real| *real).unwrap_or(0);
        let columns = first..first + text.ids.len();
        let of_source = prompt.rows[row].source.as_ref().zip(text.source.as_ref()).map(|(padded, alone)| {
            let first = padded.mask.iter().position(|real| *real).unwrap_or(0);
            first..first + alone.ids.len()
        });
        let input = Input::from_rows(&run.model, vec![text.clone()])?;
        compute_anew(run, &input, &[], false, &mut |run, alone| {
            let op = &program.ops[alone.op];
            let recorded = run.value_at(Mark { pass: 0, op: alone.op })?;
            let recorded = part_of(&recorded, op, |axis| match axis {
                Axis::Row => Some(row..row + 1),
                axis if axis.is_source() => of_source.clone(),
                axis => axis.is_position().then(|| columns.clone()),
            })?;
            let mut one = Recomputed::of(&op.site, 0, &recorded, alone.value)?;
            if let Some(at) = one.difference.at.first_mut() {
                *at = row;
            }
            found.push(one);
            Ok(())
        })?;
    }
    Ok(found)
}

fn complete(run: &Run) -> Result<()> {
    let whole = run.live && (run.pass > 0 || run.at_end());
    if whole { Ok(()) } else { Err("the pass of the prompt is not complete; \"run\" or \"continue\"".into()) }
}
