//! Two sides in step: the other one follows every motion, and each value is compared with its counterpart.

use std::collections::HashMap;

use super::{Has, Peer, Side, SideValue, level};
use crate::debugger::{Mark, Result, RunError, Session};
use crate::tensor::{Difference, Tolerance, Verdict};

/// How far the value just computed is from that of the other side.
#[derive(Clone, Debug, PartialEq)]
pub struct SideDifference {
    pub name: String,
    /// Ours first.
    pub difference: Difference,
}

/// Differences beyond a tolerance that were found since something was last changed.
#[derive(Default)]
pub struct Differences {
    /// The revision of the run, and the bits of the tolerance.
    of: (u64, u64),
    /// By branch and place; `None` within the tolerance.
    known: HashMap<(usize, Mark), Option<SideDifference>>,
}

impl Session {
    pub fn follower(&self) -> Option<Side> {
        self.side_named(self.compare.as_deref()?)
    }

    /// The only other side; `None` if there are several, or none.
    pub fn only_other(&self) -> Option<String> {
        let here = &self.run.branch().name;
        let names: Vec<String> = self.side_names().into_iter().filter(|name| name != here).collect();
        // Models and dumps are what one compares with; branches come and go.
        match (self.peers.as_slice(), names.as_slice()) {
            ([(only, _)], _) | ([], [only]) => Some(only.clone()),
            _ => None,
        }
    }

    /// Moves the cursor of the following model to where the current one is: after the op of the same site.
    pub fn follow(&mut self) -> Result<(), RunError> {
        let Some(Side::Peer(peer)) = self.follower() else { return Ok(()) };
        let (pass, computed) = (self.run.pass, self.run.cursor.checked_sub(1));
        let site = computed.map(|op| self.run.program.ops[op].site.clone());
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

    /// What the other side has of a site, and how far the value here is from it; `None` if it has nothing of that
    /// shape.
    pub fn compare_at(&mut self, at: Mark, tolerance: Tolerance) -> Result<Option<(SideDifference, SideValue)>> {
        let Some(side) = self.follower() else { return Ok(None) };
        self.follow()?;
        let (name, site) = (self.side_name(&side), self.run.program.ops[at.op].site.clone());
        if let Side::Peer(peer) = &side
            && let Peer::Model(other) = &mut self.peers[*peer].1
            && let Some(op) = other.run.program.op_of(&site)
        {
            // A cursor that is earlier, as in a model whose ops come in a different order.
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
        Ok(Some((SideDifference { name, difference }, theirs)))
    }

    /// How a value is beyond a tolerance of its counterpart, remembered until something is changed; `None` if it is
    /// not, or has no counterpart.
    pub(in crate::debugger) fn diverges(&mut self, at: Mark, tolerance: f64) -> Result<Option<SideDifference>> {
        let of = (self.run.revision(), tolerance.to_bits());
        if self.differences.of != of {
            self.differences = Differences { of, known: HashMap::new() };
        }
        let key = (self.run.current, at);
        if let Some(known) = self.differences.known.get(&key) {
            return Ok(known.clone());
        }
        let found = self.compare_at(at, Tolerance::of(tolerance))?.map(|(found, _)| found);
        let found = found.filter(|found| found.difference.verdict() == Verdict::Different);
        self.differences.known.insert(key, found.clone());
        Ok(found)
    }
}
