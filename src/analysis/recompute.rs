//! Does generation with a key/value cache compute what one pass over the whole text would?

use std::ops::Range;

use crate::debugger::{Error, Mark, Result, Run, Target};
use crate::program::{Context, Op, execute};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Difference, TensorError, Tolerance, Value, bits, difference, step};

/// How far a site of one pass is from the same columns of one pass over the whole text.
#[derive(Clone, Debug, PartialEq)]
pub struct Recomputed {
    /// The site.
    pub site: String,
    /// The pass.
    pub pass: usize,
    /// The difference: `relative` is what is judged, `at` has the row first.
    pub difference: Difference,
    /// Elements whose bits are not the same: zeros of two signs and NaN of two kinds among them.
    pub bits: usize,
}

impl Recomputed {
    /// Compares a value with what it should be.
    pub(super) fn of(site: &str, pass: usize, value: &Value, wanted: &Value) -> Result<Recomputed, TensorError> {
        let (a, b) = (bits(value)?, bits(wanted)?);
        let changed = a.iter().zip(b.iter()).filter(|(x, y)| x != y).count();
        let tolerance = Tolerance::default();
        let difference = difference(&value.read_f64()?, &wanted.read_f64()?, wanted.shape(), tolerance);
        Ok(Recomputed { site: site.to_string(), pass, difference, bits: changed })
    }
}

/// Computes the text up to the end of the last complete pass in one pass, and compares every site of every pass. Results come in
/// program order, pass by pass.
///
/// # Errors
/// A sentence if there is nothing to compare, or edits of values are in force, which one pass cannot repeat; or what failed on
/// the device.
pub fn recompute(run: &mut Run) -> Result<Vec<Recomputed>> {
    let passes = run.pass + usize::from(run.at_end());
    if passes < 2 {
        return Err("there are no two passes to compare yet; \"generate 5\" runs more".into());
    }
    let of_value = |target: &Target| matches!(target, Target::Op(_) | Target::Cache(_));
    if let Some(edit) = run.branch().edits.iter().find(|edit| of_value(&edit.target)) {
        return Err(Error::refused(format!(
            "the edit \"{}\" is in force, which one pass over the whole text cannot repeat",
            edit.text
        )));
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
        step(&op.site, number as u64, program.ops.len() as u64)?;
        let inputs: Option<Vec<Value>> = op.inputs.iter().map(|&input| values[input].clone()).collect();
        let inputs = inputs.expect("inputs stand before their readers");
        let whole = execute(op, &inputs, &weights, &context)?;
        for (pass, span) in spans.iter().enumerate() {
            let cached = run.value_at(Mark { pass, op: number })?;
            let part = columns(&whole, op, span.clone())?;
            found.push(Recomputed::of(&op.site, pass, &cached, &part)?);
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
fn columns(whole: &Value, op: &Op, span: Range<usize>) -> Result<Value, TensorError> {
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
