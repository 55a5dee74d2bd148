//! What a run is compared with: other models in the same session, and runs that were written elsewhere.

mod footing;
mod texts;
mod together;
mod value;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use value::{meaning, of_dump, of_row};

use super::{Error, Mark, Result, Session, Target};
use crate::dumps::{Change, Dump, DumpError, Reading, divided};
use crate::lang::SiteTable;
use crate::model::Weights;
use crate::model::spec::ModelSpec;
use crate::program::Program;
use crate::tensor::{Value, step};

pub use footing::level;
pub use texts::OtherText;
pub use together::{Differences, SideDifference};
pub use value::{Elements, Has, Meaning, SideValue};

impl From<DumpError> for Error {
    fn from(error: DumpError) -> Error {
        match error {
            DumpError::Unusable(message) => Error::Refused(message),
            DumpError::Tensor(error) => Error::Tensor(error),
        }
    }
}

/// What a session has besides the run under control.
pub enum Peer {
    Model(Box<Session>),
    Dump(Box<Dump>),
}

/// One of two that are compared.
pub enum Side {
    Branch(usize),
    /// Another model, or a dump, by its number in [`Session::peers`].
    Peer(usize),
    /// A file that has no name in the session.
    File(Box<Dump>),
}

impl Session {
    /// The branch, the model or the dump of that name.
    pub fn side_named(&self, name: &str) -> Option<Side> {
        let branch = self.run.branch_named(name).map(Side::Branch);
        branch.or_else(|| self.peer_named(name).map(Side::Peer))
    }

    pub fn peer_named(&self, name: &str) -> Option<usize> {
        self.peers.iter().position(|(known, _)| known == name)
    }

    /// Every name that a side can be called by.
    pub fn side_names(&self) -> Vec<String> {
        let branches = self.run.branches.iter().map(|branch| branch.name.clone());
        branches.chain(self.peers.iter().map(|(name, _)| name.clone())).collect()
    }

    pub fn side_name(&self, side: &Side) -> String {
        match side {
            Side::Branch(branch) => self.run.branches[*branch].name.clone(),
            Side::Peer(peer) => self.peers[*peer].0.clone(),
            Side::File(dump) => dump.path().to_string(),
        }
    }

    /// Opens a file of values for this model.
    pub fn open_dump(&self, path: &Path, reading: &Reading<'_>) -> Result<Dump> {
        let run = &self.run;
        Ok(Dump::open(path, reading, (&run.program, &*run.names, &run.model.weights, &run.model.spec.family))?)
    }

    /// The sites of a side that the program of the current model does not have, in the order of that side.
    pub fn sites_missing_here(&self, side: &Side) -> Vec<String> {
        let Side::Peer(peer) = side else { return Vec::new() };
        let Peer::Model(other) = &self.peers[*peer].1 else { return Vec::new() };
        let missing = |site: &&String| self.run.program.op_of(site).is_none();
        other.run.names.names().iter().filter(missing).cloned().collect()
    }

    /// The dump that a side is; `None` if it is computed here.
    pub fn dump_of<'a>(&'a self, side: &'a Side) -> Option<&'a Dump> {
        match side {
            Side::Peer(peer) => match &self.peers[*peer].1 {
                Peer::Dump(dump) => Some(dump),
                Peer::Model(_) => None,
            },
            Side::File(dump) => Some(dump),
            Side::Branch(_) => None,
        }
    }

    /// The sites that a dump has values of; `None` if the side is computed here.
    pub fn sites_of_dump(&self, side: &Side) -> Option<HashSet<String>> {
        self.dump_of(side).map(|dump| dump.sites().map(str::to_string).collect())
    }

    /// What is missing in the values of a side, in a sentence; `None` if nothing is.
    pub fn missing_in(&self, side: &Side) -> Option<String> {
        let processed = self.dump_of(side)?.processed();
        processed.any().then(|| processed.words(&self.side_name(side)))
    }

    /// Computes what is missing of a side, so that it can be compared with the current pass.
    pub fn bring(&mut self, side: &Side) -> Result<()> {
        let pass = self.run.pass;
        let passes = match side {
            Side::Branch(branch) => self.run.branches[*branch].passes(),
            Side::Peer(peer) => match &self.peers[*peer].1 {
                Peer::Model(other) => other.run.branch().passes(),
                Peer::Dump(_) => pass + 1,
            },
            Side::File(_) => pass + 1,
        };
        if pass >= passes {
            let (name, last) = (self.side_name(side), passes - 1);
            return Err(Error::refused(format!(
                "this is pass {pass}, and {name} has come to pass {last}: go back with \"goto #{last}\", or let \
                 {name} generate as many tokens"
            )));
        }
        let Side::Peer(peer) = side else { return Ok(()) };
        let (name, Peer::Model(other)) = &mut self.peers[*peer] else { return Ok(()) };
        let run = &mut other.run;
        if !run.live {
            run.restart();
        }
        let ops = run.program.ops.len();
        while run.branch().frontier(pass) < ops && !run.at_end() {
            let site = run.program.ops[run.cursor].site.clone();
            step(&format!("{name}: {site}"), run.cursor as u64, ops as u64)?;
            run.advance()?;
        }
        Ok(())
    }

    /// What a side has of a site in the current pass, to be compared with it: features that are divided into other
    /// heads there are divided as here, and what TransformerLens has taken out is put back as far as the weights here
    /// say what it is.
    pub fn value_of_side(&mut self, side: &Side, site: &str) -> Result<Has> {
        let mut has = self.held_by_side(side, site)?;
        if let (Has::Value(value), Some(op)) = (&mut has, self.run.program.op_of(site)) {
            let program = &self.run.program;
            let op = &program.ops[op];
            value.meaning = meaning(op);
            if let Some(processed) = self.dump_of(side).map(Dump::processed).filter(|processed| processed.any()) {
                let mut data = value.elements.double().into_owned();
                value.lacks_mean = processed.undone(&mut data, op, program, &self.run.model.weights)?;
                value.elements = Elements::Double(data);
            }
            if let Some(shape) = divided(&value.shape, &op.axes[1..], [op.heads, op.width]) {
                value.shape = shape;
                value.changes.push(Change::Divided);
            }
        }
        Ok(has)
    }

    fn held_by_side(&mut self, side: &Side, site: &str) -> Result<Has> {
        let row = self.focus.row;
        let pass = self.run.pass;
        match side {
            Side::Branch(branch) => {
                let Some(op) = self.run.program.op_of(site) else { return Ok(Has::Nothing) };
                match self.run.value_in(*branch, Mark { pass, op }) {
                    Ok(value) => of_row(&value, row).map(Has::Value),
                    Err(_) => Ok(Has::Nothing),
                }
            }
            Side::Peer(peer) => match &mut self.peers[*peer].1 {
                Peer::Model(other) => {
                    let reached = other.run.branch().frontier(pass);
                    let op = other.run.program.op_of(site).filter(|op| *op < reached);
                    let Some(op) = op else { return Ok(Has::Nothing) };
                    let value = other.run.value_in_any(other.run.current, Mark { pass, op })?;
                    of_row(&value, row.min(value.shape()[0] - 1)).map(Has::Value)
                }
                Peer::Dump(dump) => of_dump(dump, site, &self.run, row),
            },
            Side::File(dump) => of_dump(dump, site, &self.run, row),
        }
    }

    /// What a side runs here: its program, its weights with their edits, its architecture. `None` for a dump, and for a
    /// branch whose values were edited by hand.
    pub fn live(&self, side: &Side) -> Option<(Arc<Program>, Weights, ModelSpec)> {
        let (run, branch) = match side {
            Side::Branch(branch) => (&self.run, *branch),
            Side::Peer(peer) => match &self.peers[*peer].1 {
                Peer::Model(other) => (&other.run, other.run.current),
                Peer::Dump(_) => return None,
            },
            Side::File(_) => return None,
        };
        let branch = &run.branches[branch];
        let by_hand = branch.edits.iter().any(|edit| matches!(edit.target, Target::Op(_) | Target::Cache(_)));
        (!by_hand).then(|| (run.program.clone(), branch.weights().clone(), run.model.spec.clone()))
    }

    /// A value of a peer for expressions, without a row axis, on the device of the current run.
    ///
    /// # Errors
    /// If the peer has no such value, or none that is laid out as it is here; if a device fails.
    pub fn value_of_peer(&mut self, peer: usize, site: &str) -> Result<Value> {
        let side = Side::Peer(peer);
        self.bring(&side)?;
        let name = self.side_name(&side);
        match self.held_by_side(&side, site)? {
            Has::Value(value) => {
                let device = self.run.device();
                device.check(site, &value.shape, &value.axes)?;
                let data = value.elements.double();
                let made = match site {
                    "tokens" => Value::from_i64(data.iter().map(|x| *x as i64).collect(), &value.shape, device),
                    _ => Value::from_f32(data.iter().map(|x| *x as f32).collect(), &value.shape, device),
                };
                Ok(made.with_axes(&value.axes))
            }
            Has::Other(why) => Err(Error::refused(format!("{site} of {name} is laid out differently: {why}"))),
            Has::Nothing => Err(Error::refused(format!("{name} has no {site}"))),
        }
    }
}
