//! Does generation with a key/value cache compute what one pass over the whole text would?

use std::ops::Range;

use super::anew::{compute_anew, part_of};
use crate::debugger::{Error, Mark, Result, Run, Target};
use crate::tensor::{Axis, Difference, TensorError, Tolerance, Value, bits, difference};

/// How far a site of one pass is from the same columns of one pass over the whole text.
#[derive(Clone, Debug, PartialEq)]
pub struct Recomputed {
    pub site: String,
    pub pass: usize,
    /// `relative` is what is judged; `at` has the row first.
    pub difference: Difference,
    /// Elements whose bits are not the same: zeros of two signs and NaN of two kinds among them.
    pub bits: usize,
}

impl Recomputed {
    pub(super) fn of(site: &str, pass: usize, value: &Value, wanted: &Value) -> Result<Recomputed, TensorError> {
        let bits = bits(value)?.iter().zip(bits(wanted)?.iter()).filter(|(x, y)| x != y).count();
        let (a, b) = (value.read_f64()?, wanted.read_f64()?);
        let difference = difference(&a, &b, wanted.shape(), Tolerance::default());
        Ok(Recomputed { site: site.to_string(), pass, difference, bits })
    }
}

/// Computes the text up to the end of the last complete pass in one pass, and compares every site of every pass.
/// Results come in program order, pass by pass.
///
/// # Errors
/// If there is nothing to compare; if edits of values are in force, which one pass cannot repeat; if the device fails.
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
    let spans: Vec<Range<usize>> = (0..passes).map(|pass| run.branch().span(pass)).collect();
    let input = run.branch().text().columns(spans[passes - 1].end);
    let program = run.program.clone();
    let mut found = Vec::new();
    compute_anew(run, &input, &[], true, &mut |run, whole| {
        let op = &program.ops[whole.op];
        for (pass, span) in spans.iter().enumerate() {
            // A value without positions, such as a state or a score of the text, is that after its pass: of those before the
            // last, one pass over the text has none.
            if !op.axes.iter().any(|axis| axis.is_position()) && pass + 1 < passes {
                continue;
            }
            let cached = run.value_at(Mark { pass, op: whole.op })?;
            // What a pass computes of the whole text; it attends to all keys so far.
            let part = part_of(whole.value, op, |axis| match axis {
                Axis::Pos | Axis::Q => Some(span.clone()),
                Axis::K => Some(0..span.end),
                _ => None,
            })?;
            found.push(Recomputed::of(&op.site, pass, &cached, &part)?);
        }
        Ok(())
    })?;
    Ok(found)
}
