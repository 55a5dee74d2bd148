//! Does the device compute what it should? Every op of a pass, run on its device on the values that it read there,
//! compared with the same op in 64 bits on the CPU.

use super::anew::compute_anew;
use super::bisect::Double;
use crate::debugger::{Mark, Result, Session, Target};
use crate::tensor::{Kind, Precision, Value, bits, distance, relative_rms};

/// What one kind of op does, over all ops of that kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// The kind: `Linear`, `Scores`.
    pub kind: String,
    pub ops: usize,
    /// The one that is furthest from what it should be.
    pub site: String,
    /// Root mean square of its difference, as a part of that of the exact value.
    pub relative: f64,
    /// The largest difference of an element of it.
    pub max: f64,
}

/// What an op may be off by, relative: sums of thousands of products in 32 bits, and functions that a device
/// approximates; a value held in 16 bits is rounded once more.
pub fn allowed(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 2e-5,
        Precision::F16 => 1e-3,
    }
}

/// Whether edits of values are in force, which [`selftest`] leaves out: each op is tested by itself.
pub fn leaves_out_edits(session: &Session) -> bool {
    session.run.branch().edits.iter().any(|edit| matches!(edit.target, Target::Op(_)))
}

/// Runs every op of the pass of the prompt again without edits of values, and returns what was found by kind, the worst
/// first.
///
/// # Errors
/// If a device fails, or the pass gives other bits than those recorded.
pub fn selftest(session: &mut Session) -> Result<Vec<Tested>> {
    let run = &mut session.run;
    let (program, branch) = (run.program.clone(), run.current);
    let input = run.branch().prompt();
    let weights = run.branch().weights().clone();
    let model = run.model.clone();
    let double = Double::new(&model.spec, &weights, &input);
    let mut found: Vec<Tested> = Vec::new();
    let mut last: Option<Value> = None;
    compute_anew(run, &input, &[], true, &mut |_, ours| {
        let op = &program.ops[ours.op];
        let exact = double.of(op, ours.inputs)?;
        let data = ours.value.read_f64()?;
        let relative = match ours.value.kind() {
            Kind::Float => relative_rms(&data, &exact),
            // Ids and numbers of experts are right or wrong.
            _ if data == exact => 0.0,
            _ => f64::INFINITY,
        };
        let max = data.iter().zip(&exact).map(|(x, y)| distance(*x, *y)).fold(0.0, f64::max);
        let kind: String = format!("{:?}", op.kernel).chars().take_while(|c| c.is_alphanumeric()).collect();
        let one = Tested { kind, ops: 1, site: op.site.clone(), relative, max };
        match found.iter_mut().find(|known| known.kind == one.kind) {
            Some(known) => {
                let ops = known.ops + 1;
                if one.relative.is_nan() || one.relative > known.relative {
                    *known = one;
                }
                known.ops = ops;
            }
            None => found.push(one),
        }
        last = Some(ours.value.clone());
        Ok(())
    })?;
    // The recorded pass is what was run: the last value of both must be the same bits, or the test was of something
    // else.
    let end = Mark { pass: 0, op: program.ops.len() - 1 };
    let is_recorded = run.branches[branch].edits.is_empty() && run.branch().frontier(0) == program.ops.len();
    if let Some(last) = last.filter(|_| is_recorded)
        && bits(&run.value_in_any(branch, end)?)? != bits(&last)?
    {
        return Err("the pass gives other bits when it is computed again: see check determinism".into());
    }
    found.sort_by(|a, b| b.relative.total_cmp(&a.relative));
    Ok(found)
}
