//! `diff weights`: which weights of two models differ, and what makes one of the other.

use super::USAGE;
use crate::answer::Table;
use crate::commands::comparing::reasons::related;
use crate::commands::frame::{Done, Options, mistake};
use crate::commands::state::Console;
use crate::comparing::{WeightDifference, weight_differences};
use crate::debugger::Result;
use crate::debugger::sides::{Peer, Side};
use crate::lang::words::Word;
use crate::model::Weights;

/// Weights listed unless all are asked for.
const LISTED: usize = 16;

impl Console {
    pub(crate) fn diff_weights(&mut self, first: &Word, rest: &[Word], given: &Options) -> Done {
        let (a, b) = match rest {
            [] => (Side::Branch(self.session.run.current), self.side(first, "")?),
            [second] => (self.side(first, "")?, self.side(second, "")?),
            [_, extra, ..] => return Err(mistake("unexpected word", extra.span, USAGE)),
        };
        let (left, right) = (self.session.side_name(&a), self.session.side_name(&b));
        let spec = &self.session.run.model.spec;
        let heads = (spec.n_heads, spec.n_kv_heads);
        let (ours, theirs) = (self.weights_of(&a)?, self.weights_of(&b)?);
        let (found, count) = weight_differences(&ours, &theirs, heads)?;
        let differing = found.len();
        let title = match found.first() {
            None => format!("{left} against {right}: all {count} weights are the same"),
            Some(first) => {
                let why = first.relation.as_ref().map(|relation| format!(": {}", related(relation)));
                let why = why.unwrap_or_default();
                format!("{left} against {right}: {differing} of {count} weights differ, the most {}{why}", first.id)
            }
        };
        if given.has("-fail") && differing > 0 {
            return Err(title.into());
        }
        let rows = found.into_iter().map(|WeightDifference { id, relative, difference, relation }| {
            let found = difference.as_ref();
            let numbers =
                (found.map(|_| relative), found.map(|d| d.max), found.map(|d| d.cosine), found.map(|d| d.beyond));
            let relation = relation.as_ref().map(related).unwrap_or_default();
            (id.to_string(), numbers.0, numbers.1, numbers.2, numbers.3, relation)
        });
        let table = Table::new(["Weight", "Relative", "Max abs", "Cosine", "Changed", "Relation"]);
        let table = table.title(title).rows(rows).listing((0..differing).collect(), LISTED);
        Ok(given.rows(table)?.into())
    }

    /// The weights of a side, edits included.
    fn weights_of(&self, side: &Side) -> Result<Weights> {
        let dump = |name: &str| Err(format!("{name} is a dump: it has values, and no weights").into());
        match side {
            Side::Branch(branch) => Ok(self.session.run.branches[*branch].weights().clone()),
            Side::Peer(peer) => match &self.session.peers[*peer] {
                (_, Peer::Model(other)) => Ok(other.run.branch().weights().clone()),
                (name, Peer::Dump(_)) => dump(name),
            },
            Side::File(file) => dump(file.path()),
        }
    }
}
