//! Which op introduces a difference, and why?
//!
//! Each op that the other side has a value of is run with the *other side's* inputs: what differs then was introduced here, what does
//! not was inherited. Where the other side lacks an input it is computed from those that it has, so a difference is charged to
//! the stretch of ops between two values that it has.
//!
//! What looks like a culprit is repeated in 64 bits: a difference that vanishes there is rounding. Guesses at the reason are tried:
//! a guess is told only if the op, run as guessed, gives the other side's value.

mod double;
mod guesses;
mod halving;
mod heads;
mod masks;
mod numbers;
mod outer;
mod projections;
mod stretch;

use std::sync::Arc;

use crate::debugger::{Mark, Result, Run, Session};
use crate::model::spec::ModelSpec;
use crate::model::weights::Weights;
use crate::program::{Context, Program, execute};
use crate::tensor::ops::Slice;
use crate::tensor::{Difference, Kind, Tolerance, Value, difference, proceed, relative_rms, step};
pub use double::Double;
use guesses::Known;
pub use halving::{first_apart, marks};
use stretch::Stretch;

/// Relative errors below this are rounding, whatever the others are: sums of some hundred products in f32.
const FLOOR: f64 = 3e-6;

/// An op that errs so many times more than the usual one is no rounding: weights in f16 make all of them err alike.
const ABOVE_USUAL: f64 = 20.0;

/// No number format that is computed with rounds as coarsely as this.
const COARSE: f64 = 1e-2;

/// A guess is right if what it leaves is so much smaller than what was.
const EXPLAINS: f64 = 0.02;

/// And what is usual leaves so many times itself, where values are stored in few bits: far below what makes an op suspect.
const NOISE: f64 = 2.0;

/// Where ops are usually off by more than this, values or weights were stored in few bits.
const FEW_BITS: f64 = 1e-4;

/// There, an op that errs so many times more than is usual may have a reason, if that takes as much of it away.
const FAINT: f64 = 3.0;

/// A difference that two sides have in 32 bits and that is so much smaller in 64 is rounding.
const SHRINKS: f64 = 1e-3;

/// A value that is not so many times further from the exact one than ours is, is rounded as ours is.
const AS_FAR: f64 = 10.0;

/// Stretches of several ops whose reason is looked for: each guess runs them again, and a wrong constant is wrong in all blocks.
const REASONED: usize = 8;

/// What one op introduces.
#[derive(Clone, Debug, PartialEq)]
pub struct Introduced {
    /// The site.
    pub site: String,
    /// Its op.
    pub op: usize,
    /// Root of the mean square of the difference beside that of the other side's value.
    pub relative: f64,
    /// The whole of it.
    pub difference: Difference,
    /// The sites of the other side that it was computed from.
    pub from: Vec<String>,
    /// Whether it is beyond rounding.
    pub culprit: bool,
    /// What explains it, if a guess does.
    pub reason: Option<String>,
    /// What is left of it in 64 bits: where both sides can be run the difference of their ops, else how far the other side's value
    /// is from the exact one. None where it was not repeated.
    pub in_double: Option<f64>,
}

/// The other side of a bisection.
pub struct Other<'a> {
    /// Its value of an op for the focused row, without the row axis; none if it has none.
    pub values: Values<'a>,
    /// What it runs, if it runs here.
    pub live: Option<Live>,
}

/// What computes the other side.
pub struct Live {
    /// Its program.
    pub program: Arc<Program>,
    /// Its weights, edits included.
    pub weights: Weights,
    /// Its architecture.
    pub spec: ModelSpec,
}

/// Values of the other side by the number of the op, and what that gives here, `[1, ...]`: its shape is wanted, and some sides lack a
/// part of it, which is then taken from here.
pub type Values<'a> = &'a mut dyn FnMut(usize, &Value) -> Result<Option<Vec<f64>>>;

/// Which ops are run, and what those before them gave.
#[derive(Default)]
pub struct Start {
    /// Values of ops before the first one that is run: the other side's where it has them.
    pub before: Vec<Option<Value>>,
    /// One past the last op that is run; all of them without.
    pub end: Option<usize>,
}

/// Runs ops of the current pass with the other side's inputs. Results come in program order.
///
/// # Errors
/// In a sentence, if nothing can be compared, the user interrupts or the device fails.
pub fn bisect(session: &Session, other: &mut Other<'_>, start: Start) -> Result<Vec<Introduced>> {
    let run = &session.run;
    if run.pass > 0 {
        return Err("bisect works in the pass of the prompt: go back with \"goto #0\"".into());
    }
    let program = run.program.clone();
    let row = session.focus.row;
    let prompt = run.branch().prompt();
    let alone = prompt.rows.get(row).cloned().ok_or("there is no such row")?;
    let input = prompt.with_rows(&run.model, vec![alone])?;
    let context = Context::new(&run.model.spec, &input, 0..input.length(), run.device());
    let weights = run.branch().weights();
    let first = start.before.len();
    let mut values = start.before;
    values.resize(program.ops.len(), None);
    // Whose value is taken as it is: the other side's, what stands before the first op, and what was edited here by hand.
    let mut given: Vec<bool> = (0..program.ops.len()).map(|op| op < first).collect();
    let mut origins: Vec<Vec<usize>> = (0..first).map(|op| vec![op]).collect();
    origins.resize(program.ops.len(), Vec::new());
    let mut found: Vec<Introduced> = Vec::new();
    let mut suspects: Vec<Suspect> = Vec::new();
    let end = start.end.unwrap_or(program.ops.len());
    for (number, op) in program.ops.iter().enumerate().take(end).skip(first) {
        step(&op.site, number as u64, end as u64)?;
        let inputs: Vec<Value> = op
            .inputs
            .iter()
            .map(|&input| values[input].clone().ok_or("an input is missing"))
            .collect::<Result<_, _>>()?;
        let own = execute(op, &inputs, weights, &context)?;
        // Edits in force are part of what this side computes.
        let (own, edited) = edited(run, number, own, row)?;
        let shape = own.shape()[1..].to_vec();
        let mut from: Vec<usize> = op.inputs.iter().flat_map(|&input| origins[input].clone()).collect();
        from.sort_unstable();
        from.dedup();
        // Token ids and chosen experts are no numbers to be near to: they are computed, from the other side's values.
        let theirs = if own.kind() == Kind::Float { (other.values)(number, &own)? } else { None };
        let Some(theirs) = theirs else {
            values[number] = Some(own);
            given[number] = edited;
            origins[number] = from;
            continue;
        };
        let ours = own.read_f64()?;
        let relative = relative_rms(&ours, &theirs);
        // Inputs are kept by reference: what may be a culprit is looked at again when all are known.
        found.push(Introduced {
            site: op.site.clone(),
            op: number,
            relative,
            difference: difference(&ours, &theirs, &shape, Tolerance::default()),
            from: from.iter().map(|&op| program.ops[op].site.clone()).collect(),
            culprit: false,
            reason: None,
            in_double: None,
        });
        let mut whole = vec![1];
        whole.extend(&shape);
        let data = theirs.iter().map(|x| *x as f32).collect();
        values[number] = Some(Value::from_f32(data, &whole, run.device()).with_axes(own.axes()));
        given[number] = true;
        origins[number] = vec![number];
        if relative.is_nan() || relative > FLOOR {
            suspects.push(Suspect { found: found.len() - 1, own, ours, theirs, edited });
        }
    }
    if found.is_empty() {
        return Err("the other side has no value of the shape that a site has here; diff says what it has".into());
    }
    // Weights that are stored in fewer bits make every op that reads some err alike.
    let reads_weights = |one: &&Introduced| !program.ops[one.op].weights.is_empty();
    let mut usual: Vec<f64> = found.iter().filter(reads_weights).map(|one| one.relative).collect();
    usual.sort_by(f64::total_cmp);
    let usual = usual.get(usual.len() / 2).copied().unwrap_or(0.0);
    // Where most ops are wrong the usual one says nothing.
    let usual = if usual > COARSE { 0.0 } else { usual };
    let double = Double::new(&run.model.spec, weights, &input);
    let at_hand = suspects.len() as u64;
    let mut long = 0;
    for (number, suspect) in suspects.into_iter().enumerate() {
        let one = &mut found[suspect.found];
        let faint = one.relative <= ABOVE_USUAL * usual;
        if faint && (suspect.edited || usual < FEW_BITS || one.relative <= FAINT * usual) {
            continue;
        }
        step(&format!("{} once more", one.site), number as u64, at_hand)?;
        let stretch = Stretch::ending_in(one.op, suspect.own, &program, (&values, &given));
        one.culprit = true;
        if !suspect.edited {
            let theirs = other.live.as_ref().and_then(|live| double.of_other(live, &stretch));
            let exact = double.of_stretch(&stretch)?;
            one.in_double = Some(match &theirs {
                Some(theirs) => relative_rms(&exact, theirs),
                None => relative_rms(&suspect.theirs, &exact),
            });
            let own = relative_rms(&suspect.ours, &exact);
            one.culprit = match (one.in_double, &theirs) {
                (Some(left), Some(_)) => left.is_nan() || left >= SHRINKS * one.relative,
                (Some(left), None) => left.is_nan() || left > AS_FAR * own || own >= COARSE,
                (None, _) => true,
            };
        }
        if faint {
            // Nothing but a reason tells it from rounding.
            one.culprit = true;
        }
        let several = stretch.ops().count() > 1;
        long += usize::from(one.culprit && several);
        if one.culprit && (!several || long <= REASONED) {
            let known = Known {
                stretch: &stretch,
                weights,
                context: &context,
                spec: &run.model.spec,
                input: &input,
                ours: &suspect.ours,
                theirs: &suspect.theirs,
                usual,
                faint,
                live: other.live.as_ref(),
            };
            one.reason = known.reason();
        }
        if faint {
            one.culprit = one.reason.is_some();
        }
        // A reason that is not found may be one that was not looked for to the end.
        proceed()?;
    }
    Ok(found)
}

/// What edits by hand make of the value of an op for one row, and whether there are any. Those of a batch are made for all of its rows.
fn edited(run: &Run, op: usize, mut own: Value, row: usize) -> Result<(Value, bool)> {
    let count = run.branch().prompt().rows.len();
    let mut any = false;
    for edit in run.branch().edits.iter().filter(|edit| edit.applies_to(Mark { pass: 0, op })) {
        any = true;
        let rows = vec![own; count];
        let axes = rows[0].axes().to_vec();
        let all = if count == 1 { rows[0].clone() } else { Value::concat(&rows, 0)?.with_axes(&axes) };
        let edited = edit.change.apply(&all)?;
        own = edited.slice(&[Slice::Range { start: row, end: row + 1, step: 1 }])?;
    }
    Ok((own, any))
}

/// An op that may be a culprit, and what it gives.
struct Suspect {
    found: usize,
    own: Value,
    ours: Vec<f64>,
    theirs: Vec<f64>,
    edited: bool,
}

impl Introduced {
    /// The value of the focused row that an op is compared at.
    pub fn of_row(value: &Value, row: usize) -> Result<Vec<f64>> {
        Ok(value.slice(&[Slice::At(row)])?.read_f64()?)
    }
}
