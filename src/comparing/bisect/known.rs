//! What is known of a difference, and when a guess at its reason is right.

use super::guesses::Guesses;
use super::{EXPLAINS, FAINT, FLOOR, Live, NOISE, Reason, Stretch};
use crate::model::spec::ModelSpec;
use crate::model::{Input, Weights};
use crate::program::{Context, Op};
use crate::tensor::{Value, relative_rms};

#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The ops that it arises in.
    pub stretch: &'a Stretch<'a>,
    pub weights: &'a Weights,
    pub context: &'a Context,
    pub spec: &'a ModelSpec,
    pub input: &'a Input,
    /// What the last of them gives here.
    pub ours: &'a [f64],
    /// What the other side has.
    pub theirs: &'a [f64],
    /// What an op is usually off by: the rounding of values that were stored in few bits.
    pub usual: f64,
    /// Whether the difference may be that too: then only a guess without free numbers, that takes most of it away,
    /// shows that it is not.
    pub faint: bool,
    pub live: Option<&'a Live>,
}

impl Known<'_> {
    /// The first guess, at one op after the other, that turns ours into theirs.
    pub fn reason(&self) -> Option<Reason> {
        let last = self.stretch.last();
        let one = |(number, op): (usize, &Op)| {
            let reason = Guesses::of(self, number)?.first()?;
            let earlier = |reason| Reason::At { site: op.site.clone(), reason: Box::new(reason) };
            Some(if number == last { reason } else { earlier(reason) })
        };
        self.stretch.ops().find_map(one).or_else(|| self.other_heads())
    }

    /// Whether a value of the last op is theirs, but for a small part of what ours is off by.
    pub(super) fn is_theirs(&self, guess: &[f64]) -> bool {
        guess.len() == self.theirs.len() && relative_rms(guess, self.theirs) <= self.allowed()
    }

    /// What a right guess may be off by.
    fn allowed(&self) -> f64 {
        let was = relative_rms(self.ours, self.theirs);
        if self.faint {
            return (was / FAINT).min(FAINT * self.usual);
        }
        // Infinite where masks differ: then a guess must have the right mask, and the right numbers.
        let share = if was.is_finite() { was * EXPLAINS } else { 0.0 };
        share.max(FLOOR).max(NOISE * self.usual)
    }

    /// Whether so little is left that a guess is right.
    pub(super) fn explains_by(&self, left: f64) -> bool {
        left <= self.allowed()
    }

    /// The guess that leaves least, if it is right. After rounding several may be near enough.
    pub(super) fn best(&self, guesses: impl Iterator<Item = (f64, Reason)>) -> Option<Reason> {
        let least = guesses.min_by(|a, b| a.0.total_cmp(&b.0))?;
        self.explains_by(least.0).then_some(least.1)
    }

    /// Whether the other side's value comes out if some ops compute something else, and the others what they do.
    pub(super) fn explains(
        &self,
        changed: &dyn Fn(usize) -> bool,
        compute: &dyn Fn(usize, &Op, &[Value]) -> Option<Value>,
    ) -> bool {
        self.explains_by(self.left(changed, compute))
    }

    /// How far the last op is from the other side's value then; infinite if nothing comes out.
    pub(super) fn left(
        &self,
        changed: &dyn Fn(usize) -> bool,
        compute: &dyn Fn(usize, &Op, &[Value]) -> Option<Value>,
    ) -> f64 {
        let unchanged = (self.weights, self.context);
        let again = self.stretch.again(unchanged, changed, &mut |number, op, inputs| compute(number, op, inputs));
        let guess = again.and_then(|value| value.read_f64().ok()).filter(|guess| guess.len() == self.theirs.len());
        guess.map(|guess| relative_rms(&guess, self.theirs)).filter(|left| !left.is_nan()).unwrap_or(f64::INFINITY)
    }
}
