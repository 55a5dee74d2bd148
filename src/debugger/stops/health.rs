//! Whether values are as values should be, remembered until something is changed.

use std::collections::HashMap;

use crate::debugger::{Mark, Result, Session};
use crate::program::Kernel;
use crate::tensor::Kind;

/// What is wrong with a value, as far as catches care.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    pub nan: u64,
    /// Infinite elements that no mask explains.
    pub inf: u64,
    pub absmax: f64,
    pub zero: bool,
}

/// What is known of values, by branch and mark. The caller gives the revision of the run; what was known at a different
/// one is forgotten.
#[derive(Default)]
pub struct Healths {
    revision: u64,
    of: HashMap<(usize, Mark), Health>,
    nonfinite: HashMap<(usize, Mark), bool>,
}

impl Healths {
    fn at(&mut self, revision: u64) -> &Healths {
        if self.revision != revision {
            *self = Healths { revision, ..Healths::default() };
        }
        self
    }
}

impl Session {
    /// Whether a value of the current branch that is kept holds NaN or infinities that no mask explains; false of one
    /// that is not kept, for which nothing is computed. Remembered until something is changed.
    pub fn holds_nonfinite(&mut self, at: Mark) -> Result<bool> {
        let key = (self.run.current, at);
        if let Some(&nonfinite) = self.healths.at(self.run.revision()).nonfinite.get(&key) {
            return Ok(nonfinite);
        }
        let Some(value) = self.run.branch().kept(at).filter(|value| value.kind() == Kind::Float) else {
            return Ok(false);
        };
        let masks = matches!(self.run.program.ops[at.op].kernel, Kernel::Scores { .. });
        let sound = match value.host_f32() {
            Some(data) => data.as_slice().iter().all(|x| x.is_finite() || masks && *x == f32::NEG_INFINITY),
            None => {
                let summary = value.summary()?;
                summary.nan + summary.pos_inf + if masks { 0 } else { summary.neg_inf } == 0
            }
        };
        self.healths.nonfinite.insert(key, !sound);
        Ok(!sound)
    }

    /// What is wrong with a value; remembered until something is changed.
    pub(super) fn health(&mut self, at: Mark) -> Result<Health> {
        let key = (self.run.current, at);
        if let Some(health) = self.healths.at(self.run.revision()).of.get(&key) {
            return Ok(*health);
        }
        let summary = self.run.value_at(at)?.summary()?;
        let masks = matches!(self.run.program.ops[at.op].kernel, Kernel::Scores { .. });
        let inf = summary.pos_inf + if masks { 0 } else { summary.neg_inf };
        let health = Health { nan: summary.nan, inf, absmax: summary.absmax, zero: summary.zeros == summary.count };
        self.healths.of.insert(key, health);
        Ok(health)
    }
}
