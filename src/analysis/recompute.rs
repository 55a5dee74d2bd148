//! Does generation with a key/value cache compute what one pass over the whole text would?

use std::ops::Range;

use crate::debugger::{Mark, Run, RunError, Target};
use crate::program::{Context, Op, execute};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Value, unravel};

/// How far a site of one pass is from the same columns of one pass over the whole text.
#[derive(Clone, Debug, PartialEq)]
pub struct Recomputed {
    /// The site.
    pub site: String,
    /// The pass.
    pub pass: usize,
    /// The largest `|a - b| / (1 + |b|)`; infinite where only one side is finite, or both are infinite or NaN in other ways.
    pub difference: f64,
    /// Where that is in the value of the pass, the row first.
    pub at: Vec<usize>,
}

/// Computes the text up to the end of the last complete pass in one pass, and compares every site of every pass. Results come in
/// program order, pass by pass.
///
/// # Errors
/// A sentence if there is nothing to compare, or edits of values are in force, which one pass cannot repeat; or what failed on
/// the device.
pub fn recompute(run: &mut Run, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<Vec<Recomputed>, String> {
    let text = |error: RunError| error.to_string();
    let passes = run.pass + usize::from(run.at_end());
    if passes < 2 {
        return Err("there are no two passes to compare yet; \"generate 5\" runs more".into());
    }
    let of_value = |target: &Target| matches!(target, Target::Op(_) | Target::Cache(_));
    if let Some(edit) = run.branch().edits.iter().find(|edit| of_value(&edit.target)) {
        return Err(format!(
            "the edit \"{}\" is in force, which one pass over the whole text cannot repeat",
            edit.text
        ));
    }
    let end = run.branch().span(passes - 1).end;
    let input = run.branch().text().columns(end);
    let context = Context::new(&run.model.spec, &input, 0..end, run.device());
    let weights = run.branch().weights().clone();
    let program = run.program.clone();
    let spans: Vec<Range<usize>> = (0..passes).map(|pass| run.branch().span(pass)).collect();
    let mut values: Vec<Option<Value>> = vec![None; program.ops.len()];
    let mut found = Vec::new();
    for (number, op) in program.ops.iter().enumerate() {
        progress(&op.site, number as u64, program.ops.len() as u64);
        let inputs: Option<Vec<Value>> = op.inputs.iter().map(|&input| values[input].clone()).collect();
        let inputs = inputs.expect("inputs stand before their readers");
        let whole = execute(op, &inputs, &weights, &context).map_err(|error| error.to_string())?;
        for (pass, span) in spans.iter().enumerate() {
            let cached = run.value_at(Mark { pass, op: number }).map_err(text)?;
            let part = columns(&whole, op, span.clone()).map_err(|error| error.to_string())?;
            let (difference, at) = difference(&cached, &part).map_err(|error| error.to_string())?;
            found.push(Recomputed { site: op.site.clone(), pass, difference, at });
        }
        values[number] = Some(whole);
        // What nobody reads any more is let go.
        for &input in &op.inputs {
            if program.readers(input).iter().all(|&reader| reader <= number) {
                values[input] = None;
            }
        }
    }
    Ok(found)
}

/// The part of a value over the whole text that a pass computes.
fn columns(whole: &Value, op: &Op, span: Range<usize>) -> Result<Value, crate::tensor::TensorError> {
    let slices: Vec<Slice> = op
        .axes
        .iter()
        .map(|axis| match axis {
            Axis::Pos | Axis::Q => Slice::Range { start: span.start, end: span.end, step: 1 },
            Axis::K => Slice::Range { start: 0, end: span.end, step: 1 },
            _ => Slice::All,
        })
        .collect();
    whole.slice(&slices)
}

pub(super) fn difference(a: &Value, b: &Value) -> Result<(f64, Vec<usize>), crate::tensor::TensorError> {
    let (left, right) = (a.read_f64()?, b.read_f64()?);
    let mut worst = (0.0, 0);
    for (i, (x, y)) in left.iter().zip(&right).enumerate() {
        let distance = match x == y || x.is_nan() && y.is_nan() {
            true => 0.0,
            false if x.is_finite() && y.is_finite() => (x - y).abs() / (1.0 + y.abs()),
            false => f64::INFINITY,
        };
        if distance > worst.0 {
            worst = (distance, i);
        }
    }
    Ok((worst.0, unravel(worst.1, a.shape())))
}
