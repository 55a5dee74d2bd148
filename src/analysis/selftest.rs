//! Does the device compute what it should? Every op of a pass, run on its device on the values that it read there, beside the same
//! op in 64 bits on the CPU.

use super::bisect::Double;
use crate::debugger::{Mark, Result, Session};
use crate::model::Input;
use crate::program::{Context, execute};
use crate::tensor::{Kind, Precision, Value, apart, relative_rms, step};

/// What one kind of op does, over all ops of that kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// The kind: `Linear`, `Scores`.
    pub kind: String,
    /// How many there are.
    pub ops: usize,
    /// The one that is furthest from what it should be.
    pub site: String,
    /// Root mean square of its difference, beside that of the exact value.
    pub relative: f64,
    /// The largest difference of an element of it.
    pub max: f64,
}

/// What an op may be off by, relative: sums of thousands of products in 32 bits, and functions that a device approximates; a value
/// held in 16 bits is rounded once more.
pub fn allowed(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 2e-5,
        Precision::F16 => 1e-3,
    }
}

/// Runs every op of the pass of the prompt again, by kind, the worst first. Edits of values stay out: each op is run on its own.
///
/// # Errors
/// In words, if a device fails.
pub fn selftest(session: &mut Session) -> Result<Vec<Tested>> {
    let run = &mut session.run;
    let (program, branch) = (run.program.clone(), run.current);
    let input: Input = run.branch().prompt();
    let weights = run.branch().weights().clone();
    let device = run.device().clone();
    let context = Context::new(&run.model.spec, &input, 0..input.length(), &device);
    let model = run.model.clone();
    let double = Double::new(&model.spec, &weights, &input);
    let mut found: Vec<Tested> = Vec::new();
    let mut values: Vec<Value> = Vec::with_capacity(program.ops.len());
    for (number, op) in program.ops.iter().enumerate() {
        step(&op.site, number as u64, program.ops.len() as u64)?;
        let inputs: Vec<Value> = op.inputs.iter().map(|&input| values[input].clone()).collect();
        let ours = execute(op, &inputs, &weights, &context)?;
        let exact = double.of(op, &inputs)?;
        let data = ours.read_f64()?;
        let relative = match ours.kind() {
            Kind::Float => relative_rms(&data, &exact),
            // Ids and numbers of experts are right or wrong.
            _ if data == exact => 0.0,
            _ => f64::INFINITY,
        };
        let max = data.iter().zip(&exact).map(|(x, y)| apart(*x, *y)).fold(0.0, f64::max);
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
        values.push(ours);
    }
    // The recorded pass is what was run: the last value of both must be the same bits, or the test was of something else.
    let end = Mark { pass: 0, op: program.ops.len() - 1 };
    if run.branches[branch].edits.is_empty() && run.branch().frontier(0) == program.ops.len() {
        let recorded = run.value_in_any(branch, end)?;
        let same = recorded.read_f64()?;
        let again = values[end.op].read_f64()?;
        if same.iter().zip(&again).any(|(x, y)| x.to_bits() != y.to_bits()) {
            return Err("the pass gives other bits when it is computed again: see check determinism".into());
        }
    }
    found.sort_by(|a, b| b.relative.total_cmp(&a.relative));
    Ok(found)
}
