//! What a run is compared with: other models in the same session, and runs that were written elsewhere.

mod dump;
mod footing;
mod layout;
mod paths;
mod processed;
mod tensors;
mod texts;
mod together;

pub use dump::{Dump, Reading};
pub use footing::level;
pub use layout::Change;
pub(super) use paths::reader;
pub use processed::Processed;
pub use tensors::Tensors;
pub use texts::OtherText;
pub use together::Apart;

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::edit::Target;
use super::mark::Mark;
use super::session::Session;
use crate::debugger::error::{Error, Result};
use crate::lang::SiteTable;
use crate::model::spec::ModelSpec;
use crate::model::weights::Weights;
use crate::program::{Kernel, Op, Program, shape_of};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Difference, HostF32, Tolerance, Value, difference, step};

/// Something beside the run under control.
pub enum Peer {
    /// Another model, with a run of its own.
    Model(Box<Session>),
    /// A run that was written elsewhere.
    Dump(Box<Dump>),
}

/// One of two that are compared.
pub enum Side {
    /// A branch of the run under control.
    Branch(usize),
    /// Another model, or a dump, by its number in [`Session::peers`].
    Peer(usize),
    /// A file that has no name in the session.
    File(Box<Dump>),
}

/// The value of a site on one side, for the focused row.
#[derive(Clone)]
pub struct SideValue {
    /// Its shape, without a row axis.
    pub shape: Vec<usize>,
    /// The axes of that shape.
    pub axes: Vec<Axis>,
    /// Its elements.
    pub elements: Elements,
    /// How a value of a file was laid as it is here.
    pub changes: Vec<Change>,
    /// Whether the mean over the last axis is missing in it: see [`Processed`].
    pub lacks_mean: bool,
    /// What its elements are.
    pub meaning: Meaning,
}

/// What the elements of a value are, as far as it matters when they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Numbers, which may be off by rounding.
    Numbers,
    /// Scores of attention: numbers, of which very low ones stand for a mask.
    Scores,
    /// Names of something, tokens or experts: those that are not the same are different.
    Ids,
}

impl SideValue {
    /// When its elements agree with others, where numbers may be so far apart.
    pub fn tolerance(&self, of_numbers: Tolerance) -> Tolerance {
        if self.meaning == Meaning::Ids { Tolerance::of(0.0) } else { of_numbers }
    }
}

/// Elements in row-major order.
#[derive(Clone)]
pub enum Elements {
    /// As they lie in memory.
    Single(Arc<HostF32>),
    /// As they were read.
    Double(Vec<f64>),
}

impl Elements {
    /// How far they are from others of the same shape.
    pub fn difference(&self, other: &Elements, shape: &[usize], tolerance: Tolerance) -> Difference {
        match (self, other) {
            (Elements::Single(a), Elements::Single(b)) => difference(a.as_slice(), b.as_slice(), shape, tolerance),
            (a, b) => difference(&a.double(), &b.double(), shape, tolerance),
        }
    }

    /// In 64 bits.
    pub fn double(&self) -> Cow<'_, [f64]> {
        match self {
            Elements::Single(host) => Cow::Owned(host.as_slice().iter().map(|x| f64::from(*x)).collect()),
            Elements::Double(data) => Cow::Borrowed(data),
        }
    }
}

/// What a side has of a site.
pub enum Has {
    /// A value.
    Value(SideValue),
    /// A value that does not lie as the site does: why.
    Other(String),
    /// Nothing.
    Nothing,
}

impl Session {
    /// The branch, the model or the dump of that name.
    pub fn side_named(&self, name: &str) -> Option<Side> {
        let branch = self.run.branch_named(name).map(Side::Branch);
        branch.or_else(|| self.peer_named(name).map(Side::Peer))
    }

    /// The model or dump of that name beside the run under control.
    pub fn peer_named(&self, name: &str) -> Option<usize> {
        self.peers.iter().position(|(known, _)| known == name)
    }

    /// Every name that a side can be called by.
    pub fn side_names(&self) -> Vec<String> {
        let branches = self.run.branches.iter().map(|branch| branch.name.clone());
        branches.chain(self.peers.iter().map(|(name, _)| name.clone())).collect()
    }

    /// What a side is called.
    pub fn side_name(&self, side: &Side) -> String {
        match side {
            Side::Branch(branch) => self.run.branches[*branch].name.clone(),
            Side::Peer(peer) => self.peers[*peer].0.clone(),
            Side::File(dump) => dump.path().to_string(),
        }
    }

    /// Opens a file of values for this model.
    ///
    /// # Errors
    /// In words.
    pub fn open_dump(&self, path: &Path, reading: &Reading<'_>) -> Result<Dump> {
        let run = &self.run;
        Dump::open(path, reading, (&run.program, &run.names, &run.model.weights, &run.model.spec.family))
    }

    /// The sites of a side that the program of the current model has not, in the order of that side.
    pub fn sites_beside(&self, side: &Side) -> Vec<String> {
        let missing = |site: &str| self.run.program.op_of(site).is_none();
        match side {
            Side::Peer(peer) => match &self.peers[*peer].1 {
                Peer::Model(other) => other.run.names.names().iter().filter(|site| missing(site)).cloned().collect(),
                Peer::Dump(_) => Vec::new(),
            },
            Side::Branch(_) | Side::File(_) => Vec::new(),
        }
    }

    /// The dump that a side is; none if it is computed here.
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

    /// The sites that a dump has values of; none of what is computed here.
    pub fn sites_of_dump(&self, side: &Side) -> Option<HashSet<String>> {
        self.dump_of(side).map(|dump| dump.sites().map(str::to_string).collect())
    }

    /// What is missing in the values of a side, in a sentence; none if nothing is.
    pub fn missing_in(&self, side: &Side) -> Option<String> {
        let processed = self.dump_of(side)?.processed();
        processed.any().then(|| processed.words(&self.side_name(side)))
    }

    /// Computes what is missing of a side, so that it can be compared with the current pass.
    ///
    /// # Errors
    /// In words: what failed, or that it was interrupted.
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
                "this is pass {pass}, and {name} has come to pass {last}: go back with \"goto #{last}\", or let {name} generate as many tokens"
            )));
        }
        let Side::Peer(peer) = side else { return Ok(()) };
        let (name, Peer::Model(other)) = &mut self.peers[*peer] else { return Ok(()) };
        let run = &mut other.run;
        if !run.live {
            run.restart();
        }
        let ops = run.program.ops.len();
        let behind = |run: &super::Run| run.branch().frontier(pass) < ops;
        while behind(run) && !run.at_end() {
            let site = run.program.ops[run.cursor].site.clone();
            step(&format!("{name}: {site}"), run.cursor as u64, ops as u64)?;
            run.advance()?;
        }
        Ok(())
    }

    /// What a side has of a site in the current pass, to be compared with it: features that are divided into other heads there stand
    /// as they do here, and what TransformerLens has taken out is put back as far as the weights here say what it is.
    ///
    /// # Errors
    /// In words: what failed on a device, or is wrong with a file.
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
        match side {
            Side::Branch(branch) => {
                let Some(op) = self.run.program.op_of(site) else { return Ok(Has::Nothing) };
                let pass = self.run.pass;
                match self.run.value_in(*branch, Mark { pass, op }) {
                    Ok(value) => of_row(&value, row).map(Has::Value),
                    Err(_) => Ok(Has::Nothing),
                }
            }
            Side::Peer(peer) => {
                let pass = self.run.pass;
                match &mut self.peers[*peer].1 {
                    Peer::Model(other) => {
                        let Some(op) = other.run.program.op_of(site) else { return Ok(Has::Nothing) };
                        let branch = other.run.current;
                        if op >= other.run.branch().frontier(pass) {
                            return Ok(Has::Nothing);
                        }
                        let value = other.run.value_in_any(branch, Mark { pass, op })?;
                        of_row(&value, row.min(value.shape()[0] - 1)).map(Has::Value)
                    }
                    Peer::Dump(dump) => of_dump(dump, site, &self.run, row),
                }
            }
            Side::File(dump) => of_dump(dump, site, &self.run, row),
        }
    }

    /// What a side runs here: its program, its weights with their edits, its architecture. None of a dump, and of a branch whose
    /// values were edited by hand.
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
    /// In words.
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
            Has::Other(why) => Err(Error::refused(format!("{site} of {name} lies in another way: {why}"))),
            Has::Nothing => Err(Error::refused(format!("{name} has no {site}"))),
        }
    }
}

/// A shape whose features are divided into heads as they are here, if they are divided in another way.
pub(super) fn divided(shape: &[usize], axes: &[Axis], here: [usize; 2]) -> Option<Vec<usize>> {
    let (before, heads) = shape.split_at_checked(axes.len().checked_sub(2)?)?;
    let of_heads = axes.ends_with(&[Axis::Head, Axis::Dim]) && shape.len() == axes.len();
    let other = of_heads && heads != here && heads.iter().product::<usize>() == here.iter().product::<usize>();
    other.then(|| [before, &here].concat())
}

fn meaning(op: &Op) -> Meaning {
    match op.kernel {
        Kernel::Tokens | Kernel::TopExperts { .. } => Meaning::Ids,
        Kernel::Scores { .. } => Meaning::Scores,
        _ => Meaning::Numbers,
    }
}

fn of_row(value: &Value, row: usize) -> Result<SideValue> {
    let value = value.slice(&[Slice::At(row)])?;
    Ok(SideValue {
        shape: value.shape().to_vec(),
        axes: value.axes().to_vec(),
        elements: match value.host_f32() {
            Some(host) => Elements::Single(Arc::new(host)),
            None => Elements::Double(value.read_f64()?),
        },
        changes: Vec::new(),
        lacks_mean: false,
        meaning: Meaning::Numbers,
    })
}

fn of_dump(dump: &Dump, site: &str, run: &super::Run, row: usize) -> Result<Has> {
    let Some(op) = run.program.op_of(site) else { return Ok(Has::Nothing) };
    let op: &Op = &run.program.ops[op];
    let wanted = shape_of(op, 1, run.branch().span(run.pass));
    Ok(match dump.value(op, &wanted[1..], row)? {
        None => Has::Nothing,
        Some(Err(why)) => Has::Other(why),
        Some(Ok((found, changes))) => {
            let elements = Elements::Double(found.data);
            let axes = op.axes[1..].to_vec();
            Has::Value(SideValue {
                shape: found.shape,
                axes,
                elements,
                changes,
                lacks_mean: false,
                meaning: meaning(op),
            })
        }
    })
}
