//! Which op introduces a difference, and why?
//!
//! Each op that the other side has a value of is run with the *other side's* inputs: what differs then was introduced
//! here, what does not was inherited. Where the other side lacks an input it is computed from those that it has, so a
//! difference is charged to the stretch of ops between two values that it has.
//!
//! What looks like a culprit is repeated in 64 bits: a difference that vanishes there is rounding. Guesses at the
//! reason are tried: a guess is a reason only if the op, run as guessed, gives the other side's value.

mod double;
mod guesses;
mod halving;
mod heads;
mod kinds;
mod known;
mod masks;
mod numbers;
mod projections;
mod reason;
mod rotation;
mod scores;
mod stretch;
mod variants;
mod walk;

use std::sync::Arc;

use known::Known;
use stretch::Stretch;
use walk::Walk;

use crate::debugger::{Result, Session};
use crate::model::Weights;
use crate::model::spec::ModelSpec;
use crate::program::{Keep, Program, Replay, Values};
use crate::tensor::{Difference, Value, proceed, relative_rms, step};

pub use double::Double;
pub use halving::{first_difference, marks};
pub use masks::Seen;
pub use reason::{FeatureOrder, Reason, ScoreScale};

/// Relative errors below this are rounding, whatever the others are: sums of some hundred products in f32.
const FLOOR: f64 = 3e-6;

/// An op that errs so many times more than the usual one is not rounding: weights in f16 make all of them err alike.
const ABOVE_USUAL: f64 = 20.0;

/// No number format that is computed with rounds as coarsely as this.
const COARSE: f64 = 1e-2;

/// A guess is right if what it leaves is so much smaller than what was.
const EXPLAINS: f64 = 0.02;

/// And what is usual leaves so many times itself, where values are stored in few bits: far below what makes an op
/// suspect.
const NOISE: f64 = 2.0;

/// Where ops are usually off by more than this, values or weights were stored in few bits.
const FEW_BITS: f64 = 1e-4;

/// There, an op that errs so many times more than is usual may have a reason, if that takes as much of it away.
const FAINT: f64 = 3.0;

/// A difference that two sides have in 32 bits and that is so much smaller in 64 is rounding.
const SHRINKS: f64 = 1e-3;

/// A value that is not so many times further from the exact one than ours is, is rounded as ours is.
const AS_FAR: f64 = 10.0;

/// Stretches of several ops whose reason is looked for: each guess runs them again, and a wrong constant is wrong in
/// all blocks.
const REASONED: usize = 8;

#[derive(Clone, Debug, PartialEq)]
pub struct Introduced {
    pub site: String,
    pub op: usize,
    /// Root mean square of the difference as a part of that of the other side's value.
    pub relative: f64,
    pub difference: Difference,
    /// The sites of the other side that it was computed from.
    pub from: Vec<String>,
    /// Whether it is beyond rounding.
    pub culprit: bool,
    pub reason: Option<Reason>,
    /// Whether no reason was looked for, because it was in many ops before.
    pub untried: bool,
    /// What is left of it in 64 bits: where both sides can be run the difference of their ops, else how far the other
    /// side's value is from the exact one. `None` if it was not repeated.
    pub in_double: Option<f64>,
}

pub struct Other<'a> {
    /// Its value of an op for the focused row, without the row axis; `None` if it has none.
    pub values: TheirValues<'a>,
    /// What it runs, if it runs here.
    pub live: Option<Live>,
}

/// What computes the other side.
pub struct Live {
    pub program: Arc<Program>,
    /// Its weights, edits included.
    pub weights: Weights,
    pub spec: ModelSpec,
}

/// Values of the other side by the number of the op, and what that gives here, `[1, ...]`: its shape is wanted, and
/// some sides lack a part of it, which is then taken from here.
pub type TheirValues<'a> = &'a mut dyn FnMut(usize, &Value) -> Result<Option<Vec<f64>>>;

/// Which ops are run, and what those before them gave.
#[derive(Default)]
pub struct Start {
    /// Values of ops before the first one that is run: the other side's where it has them.
    pub before: Vec<Option<Value>>,
    /// One past the last op that is run; all of them without.
    pub end: Option<usize>,
}

/// Runs ops of the current pass, edits in force included, with the other side's inputs. Results come in program order.
pub fn bisect(session: &Session, other: &mut Other<'_>, start: Start) -> Result<Vec<Introduced>> {
    let (run, program) = (&session.run, session.run.program.clone());
    let input = session.prompt_pass()?.input(run, 1)?;
    let context = run.context_of(&input);
    let weights = run.branch().weights();
    let (first, end) = (start.before.len(), start.end.unwrap_or(program.ops.len()));
    let before = start.before.into_iter().enumerate();
    let before: Values = before.filter_map(|(op, value)| Some((op, value?))).collect();
    let mut walk = Walk::new(session, &mut *other.values, first, end);
    let replay = Replay { program: &program, weights, context: &context };
    let values = replay.run(first..end, before, Keep::All, &mut walk)?;
    let Walk { mut found, suspects, given, .. } = walk;
    if found.is_empty() {
        return Err("the other side has no value of the shape that a site has here; diff says what it has".into());
    }
    let usual = usual_error(&found, &program);
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
            let left = match &theirs {
                Some(theirs) => relative_rms(&exact, theirs),
                None => relative_rms(&suspect.theirs, &exact),
            };
            one.in_double = Some(left);
            let own = relative_rms(&suspect.ours, &exact);
            one.culprit = match theirs {
                Some(_) => left.is_nan() || left >= SHRINKS * one.relative,
                None => left.is_nan() || left > AS_FAR * own || own >= COARSE,
            };
        }
        if faint {
            // Nothing but a reason tells it from rounding.
            one.culprit = true;
        }
        let several = stretch.ops().count() > 1;
        long += usize::from(one.culprit && several);
        one.untried = one.culprit && several && long > REASONED;
        if one.culprit && !one.untried {
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
            one.untried &= one.culprit;
        }
        // A reason that is not found may be one that was not looked for to the end.
        proceed()?;
    }
    Ok(found)
}

/// What an op that reads weights is usually off by: weights that are stored in fewer bits make all of these err alike.
fn usual_error(found: &[Introduced], program: &Program) -> f64 {
    let reads_weights = |one: &&Introduced| !program.ops[one.op].weights.is_empty();
    let mut errors: Vec<f64> = found.iter().filter(reads_weights).map(|one| one.relative).collect();
    errors.sort_by(f64::total_cmp);
    let middle = errors.get(errors.len() / 2).copied().unwrap_or(0.0);
    // Where most ops are wrong the usual one means nothing.
    if middle > COARSE { 0.0 } else { middle }
}
