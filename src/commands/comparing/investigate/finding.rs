//! What an investigation has found.

use crate::answer::numbers::significant;

/// What is known of a suspicion. Only an experiment confirms or refutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The symptom was there, and was gone when this was changed and nothing else.
    Confirmed,
    /// It was less when this was changed, or what was measured speaks for it.
    Evidence,
    /// Suspected, and no experiment could be made.
    Hypothesis,
    /// The symptom was the same when this was changed.
    Refuted,
    /// Looked at, and found in order.
    Cleared,
    /// The command of the step could not be carried out here.
    NotRun,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Confirmed => "confirmed",
            State::Evidence => "evidence",
            State::Hypothesis => "hypothesis",
            State::Refuted => "refuted",
            State::Cleared => "cleared",
            State::NotRun => "not run",
        }
    }
}

/// One row of the argument.
#[derive(Clone, Debug)]
pub struct Finding {
    pub step: String,
    /// The suspicion, or what was found in order.
    pub what: String,
    pub state: State,
    pub tried: Option<Tried>,
}

/// An experiment, and what it measured.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    pub changes: String,
    /// What was measured, in words.
    pub what: String,
    pub before: Option<f64>,
    pub after: Option<f64>,
    pub commands: Vec<String>,
    /// Why it could not be made, or not be measured.
    pub failed: Option<String>,
}

impl Tried {
    /// What was changed, and what came of it.
    pub fn sentence(&self) -> String {
        let Tried { changes, what, .. } = self;
        match (&self.failed, self.before, self.after) {
            (Some(failed), ..) => format!("{changes}: cannot be tried: {failed}"),
            (None, Some(before), Some(after)) => {
                format!("{changes}, {what} goes from {} to {}", number(before), number(after))
            }
            (None, None, Some(after)) => {
                format!("{changes}: {what} {} after; before, it could not be measured", number(after))
            }
            _ => changes.clone(),
        }
    }
}

pub fn number(x: f64) -> String {
    match x {
        x if x.is_nan() => "NaN".into(),
        x if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.into(),
        x => significant(x, 4),
    }
}
