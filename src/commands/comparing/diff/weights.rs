//! `diff weights`: which weights of two models differ, and what makes one of the other.

use super::USAGE;
use crate::answer::Table;
use crate::commands::comparing::reasons::related;
use crate::commands::comparing::shared::{ALIKE, in_any_block, in_blocks};
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
        let all = given.has("-all") || given.has("-sort");
        let rows: Vec<Row> = if all { found.iter().map(Row::of).collect() } else { alike(&found) };
        let count = rows.len();
        let cells = rows.into_iter().map(|row| {
            let found = row.worst.difference.as_ref();
            let relative = found.map(|_| row.worst.relative);
            let numbers = (found.map(|d| d.max), found.map(|d| d.cosine));
            (row.name, relative, numbers.0, numbers.1, row.changed, row.relation)
        });
        let table = Table::new(["Weight", "Relative", "Max abs", "Cosine", "Changed", "Relation"]);
        let table = table.title(title).rows(cells).listing((0..count).collect(), LISTED);
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

/// A row: a weight, or the same weight of several blocks that are related alike.
struct Row<'a> {
    name: String,
    /// Of several, the most changed.
    worst: &'a WeightDifference,
    changed: Option<usize>,
    relation: String,
}

impl Row<'_> {
    fn of(one: &WeightDifference) -> Row<'_> {
        let relation = one.relation.as_ref().map(related).unwrap_or_default();
        Row { name: one.id.to_string(), worst: one, changed: one.difference.as_ref().map(|d| d.beyond), relation }
    }
}

/// One row for the same weight of several blocks where one relation holds, in the order of the most changed of each.
fn alike(found: &[WeightDifference]) -> Vec<Row<'_>> {
    let mut groups: Vec<(String, String, Vec<&WeightDifference>)> = Vec::new();
    for one in found {
        let name = in_any_block(&one.id.to_string());
        let relation = one.relation.as_ref().map(related).unwrap_or_default();
        match groups.iter_mut().find(|(of, by, _)| *of == name && *by == relation) {
            Some((_, _, all)) => all.push(one),
            None => groups.push((name, relation, vec![one])),
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    for (name, relation, all) in groups {
        if all.len() < ALIKE {
            rows.extend(all.into_iter().map(Row::of));
            continue;
        }
        let names: Vec<String> = all.iter().map(|one| one.id.to_string()).collect();
        let changed = all.iter().map(|one| one.difference.as_ref().map_or(0, |d| d.beyond)).sum();
        let name = in_blocks(&name, names.iter().map(String::as_str));
        rows.push(Row { name, worst: all[0], changed: Some(changed), relation });
    }
    rows.sort_by(|a, b| b.worst.relative.total_cmp(&a.worst.relative));
    rows
}
