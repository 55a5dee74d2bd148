//! Values of sites: of this run, its branches, and what it is compared with.

use super::RunScope;
use crate::debugger::{Mark, params};
use crate::lang::{SiteRef, Unavailable};
use crate::program::Part;
use crate::tensor::Value;

impl RunScope<'_> {
    /// The other model or dump that a site is of, if it is of one.
    pub(super) fn peer(&self, site: &SiteRef) -> Result<Option<usize>, Unavailable> {
        let Some(name) = site.run.as_deref().filter(|name| self.session.run.branch_named(name).is_none()) else {
            return Ok(None);
        };
        let peer = self.session.peer_named(name);
        if peer.is_none() {
            return Err(format!("no run or branch {name}; choose from {}", self.session.side_names().join(", ")).into());
        }
        match site.pass {
            Some(pass) if pass as usize != self.session.run.pass => {
                Err("of another side there is the pass of the cursor".into())
            }
            _ => Ok(peer),
        }
    }

    /// A site's value for all rows, from the run or a branch of it.
    pub(super) fn whole(&mut self, site: &SiteRef) -> Result<Value, Unavailable> {
        let run = &mut self.session.run;
        let branch = match &site.run {
            Some(name) => run.branch_named(name).ok_or_else(|| {
                let names: Vec<&str> = run.branches.iter().map(|branch| branch.name.as_str()).collect();
                format!("no run or branch {name}; choose from {}", names.join(", "))
            })?,
            None => run.current,
        };
        let pass = match site.pass {
            Some(pass) => pass as usize,
            // Another branch may have ended earlier.
            None if branch != run.current => run.pass.min(run.branches[branch].passes() - 1),
            None => run.pass,
        };
        if let Some((layer, Part::Result)) = Part::parse(&site.text) {
            let op = run.program.source_of(&site.text).ok_or_else(|| format!("layer {layer} has no attention"))?;
            let z = self.of_branch(branch, Mark { pass, op })?;
            return Ok(params::head_results(&z, self.session.run.branches[branch].weights(), layer)?);
        }
        let op = run.program.op_of(&site.text).ok_or_else(|| format!("no site {}", site.text))?;
        self.of_branch(branch, Mark { pass, op })
    }

    fn of_branch(&mut self, branch: usize, at: Mark) -> Result<Value, Unavailable> {
        match branch == self.session.run.current {
            true => self.value_at(at),
            false => Ok(self.session.run.value_in(branch, at)?),
        }
    }
}
