//! Two sides in step: the other one follows every motion, and each value is seen beside its counterpart.

use super::super::mark::Mark;
use super::super::run::RunError;
use super::super::session::Session;
use super::{Has, Peer, Side, SideValue, level};
use crate::debugger::error::Result;
use crate::tensor::{Difference, Tolerance, Value, Verdict};

/// How far the value just computed is from that of the other side.
#[derive(Clone, Debug, PartialEq)]
pub struct Apart {
    /// What the other side is called.
    pub name: String,
    /// The difference, ours first.
    pub difference: Difference,
}

impl Session {
    /// The side that follows, if there is one.
    pub fn follower(&self) -> Option<Side> {
        self.side_named(self.compare.as_deref()?)
    }

    /// The only other side there is; none if there are several, or none.
    pub fn only_other(&self) -> Option<String> {
        let here = &self.run.branch().name;
        let names: Vec<String> = self.side_names().into_iter().filter(|name| name != here).collect();
        // Models and dumps are what one compares with; branches come and go.
        match (self.peers.as_slice(), names.as_slice()) {
            ([(only, _)], _) | ([], [only]) => Some(only.clone()),
            _ => None,
        }
    }

    /// Moves the cursor of the following model to where the current one stands: behind the op of the same site.
    ///
    /// # Errors
    /// If its device fails.
    pub fn follow(&mut self) -> Result<(), RunError> {
        let Some(Side::Peer(peer)) = self.follower() else { return Ok(()) };
        let (pass, site) = (self.run.pass, self.just_computed_site());
        let Peer::Model(other) = &mut self.peers[peer].1 else { return Ok(()) };
        let run = &mut other.run;
        if !run.live {
            run.restart();
        }
        let Some(op) = site.map_or(Some(None), |site| run.program.op_of(&site).map(Some)) else { return Ok(()) };
        let wanted = Mark { pass, op: op.map_or(0, |op| op + 1) };
        while run.mark() < wanted && (run.pass < pass || !run.at_end()) {
            run.advance()?;
        }
        while run.mark() > wanted && run.retreat() {}
        Ok(())
    }

    fn just_computed_site(&self) -> Option<String> {
        self.run.cursor.checked_sub(1).map(|op| self.run.program.ops[op].site.clone())
    }

    /// What the other side has of a site, and how far the value here is from it; none where it has nothing like it.
    ///
    /// # Errors
    /// In words.
    pub fn beside(&mut self, at: Mark, tolerance: Tolerance) -> Result<Option<(Apart, SideValue)>> {
        let Some(side) = self.follower() else { return Ok(None) };
        self.follow()?;
        let (name, site) = (self.side_name(&side), self.run.program.ops[at.op].site.clone());
        if let Side::Peer(peer) = &side
            && let Peer::Model(other) = &mut self.peers[*peer].1
            && let Some(op) = other.run.program.op_of(&site)
        {
            // A cursor that stands earlier, as in a model whose ops come in another order.
            while other.run.pass == at.pass && other.run.cursor <= op && !other.run.at_end() {
                other.run.advance()?;
            }
        }
        let Has::Value(theirs) = self.value_of_side(&side, &site)? else { return Ok(None) };
        let Has::Value(ours) = self.value_of_side(&Side::Branch(self.run.current), &site)? else { return Ok(None) };
        if ours.shape != theirs.shape {
            return Ok(None);
        }
        let (ours, theirs) = level(ours, theirs);
        let difference = ours.elements.difference(&theirs.elements, &ours.shape, ours.tolerance(tolerance));
        Ok(Some((Apart { name, difference }, theirs)))
    }

    /// Whether a value is beyond a tolerance of its counterpart, remembered until something is changed; none without a counterpart.
    pub(in crate::debugger) fn diverges(&mut self, at: Mark, tolerance: f64) -> Result<Option<Apart>> {
        let revision = self.run.revision();
        if self.apart_of != (revision, tolerance.to_bits()) {
            self.apart.clear();
            self.apart_of = (revision, tolerance.to_bits());
        }
        let key = (self.run.current, at);
        if let Some(known) = self.apart.get(&key) {
            return Ok(known.clone());
        }
        let found = self.beside(at, Tolerance::of(tolerance))?.map(|(apart, _)| apart);
        let found = found.filter(|apart| apart.difference.verdict() == Verdict::Different);
        self.apart.insert(key, found.clone());
        Ok(found)
    }
}

impl SideValue {
    /// As a value on the CPU, with its axes.
    pub fn value(&self) -> Value {
        let data = self.elements.double().iter().map(|x| *x as f32).collect();
        Value::from_f32(data, &self.shape, &crate::tensor::Device::cpu()).with_axes(&self.axes)
    }
}
