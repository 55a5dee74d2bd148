//! `diff weights`: which weights of two models differ, and what makes one of the other.

use super::USAGE;
use crate::analysis::{WeightDifference, weight_differences};
use crate::answer::{Answer, Cell, Table};
use crate::commands::Console;
use crate::commands::console::Done;
use crate::debugger::peers::{Peer, Side};
use crate::debugger::{Error, Result};
use crate::lang::LangError;
use crate::lang::words::Word;
use crate::model::Weights;

/// Weights listed unless all are asked for.
const LISTED: usize = 16;

impl Console {
    pub(super) fn diff_weights(&mut self, first: &Word, rest: &[Word], all: bool, fail: bool) -> Done {
        let (a, b) = match rest {
            [] => (Side::Branch(self.session.run.current), self.side(first, "")?),
            [second] => (self.side(first, "")?, self.side(second, "")?),
            [_, extra, ..] => return Err(Error::At(LangError::new("unexpected word", extra.span).help(USAGE))),
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
                let why = if first.relation.is_empty() { String::new() } else { format!(": {}", first.relation) };
                format!("{left} against {right}: {differing} of {count} weights differ, the most {}{why}", first.id)
            }
        };
        if fail && differing > 0 {
            return Err(Error::refused(title));
        }
        let shown = found.into_iter().take(if all { usize::MAX } else { LISTED });
        let rows = shown.map(|WeightDifference { id, relative, difference, relation }| {
            let mut row = vec![Cell::Text(id.to_string())];
            row.push(if difference.is_some() { Cell::Num(relative) } else { Cell::Empty });
            row.push(difference.as_ref().map_or(Cell::Empty, |found| Cell::Num(found.max)));
            row.push(difference.as_ref().map_or(Cell::Empty, |found| Cell::Num(found.cosine)));
            row.push(difference.as_ref().map_or(Cell::Empty, |found| Cell::Int(found.beyond as i64)));
            row.push(Cell::Text(relation));
            row
        });
        let columns = ["Weight", "Relative", "Max abs", "Cosine", "Changed", "Relation"].map(String::from).to_vec();
        Ok(Answer::Table(Table { title, columns, rows: rows.collect() }))
    }

    /// The weights of a side, edits included.
    fn weights_of(&self, side: &Side) -> Result<Weights> {
        let dump = |name: &str| Err(Error::refused(format!("{name} is a dump: it has values, and no weights")));
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
