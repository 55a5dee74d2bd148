//! The answer of `diff`: lines that say what was found and what to type next, and a table of sites.

use super::Comparison;
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::commands::comparing::shared::{few, listing, shown};
use crate::commands::state::Console;
use crate::comparing::{Lack, Note, SiteDifferences};
use crate::debugger::sides::Side;
use crate::dumps::Dump;
use crate::tensor::{Axis, Difference, Tolerance, Verdict};

impl Console {
    /// The table, and one line if something is beyond the tolerance.
    pub(super) fn report(&self, a: &Side, b: &Side, comparison: &Comparison, all: bool) -> (Table, Option<String>) {
        let Comparison { how, before, found } = comparison;
        let (left, right) = (self.session.side_name(a), self.session.side_name(b));
        let is = |verdict: Verdict| found.sites.iter().filter(move |(_, d)| d.verdict() == verdict);
        let beyond: Vec<&(String, Difference)> = is(Verdict::Different).collect();
        let (near, same) = (is(Verdict::Rounding).count(), is(Verdict::Same).count());
        let limit = limit(how.tolerance);
        let mut lines = vec![format!("{left} against {right}: {}", counted(found.sites.len()))];
        lines.extend(before.iter().cloned());
        let first = beyond.first().map(|(site, difference)| {
            let Difference { beyond, count, pair, .. } = difference;
            let (place, [x, y]) = (self.place(site, difference), [pair.0, pair.1].map(|x| significant(x, 6)));
            format!(
                "first beyond {limit} at {site}: {beyond} of {count} elements, the furthest at {place}: {x} against {y}"
            )
        });
        lines.push(match &first {
            Some(first) if beyond.len() == 1 => format!("1 site differs, {first}"),
            Some(first) => format!("{} sites differ, {first}", beyond.len()),
            None => format!("all agree within {limit}"),
        });
        // Within the usual tolerance, what is not the same is what rounding does.
        let is_rounding = how.tolerance == Tolerance::default();
        lines.push(match (near, same) {
            (0, same) => format!("{} the same", are(same)),
            (near, same) if is_rounding => format!("{} off by rounding, {same} the same", are(near)),
            (near, same) => format!("{} within the tolerance, {same} the same", are(near)),
        });
        lines.extend(found.notes.iter().map(|note| self.note(note)));
        lines.extend(found.changes.iter().map(|change| change.words().to_string()));
        lines.extend(self.not_compared(found, b, (&left, &right)));
        if let (Some((site, _)), Side::Branch(current)) = (beyond.first(), a)
            && *current == self.session.run.current
        {
            let program = &self.session.run.program;
            let heads = program.op_of(site).is_some_and(|op| program.ops[op].axes.contains(&Axis::Head));
            let by = if heads { "head" } else { "pos" };
            let next = format!("bisect {right} says which op introduces it; diff {right} {site} -by {by} where in it");
            lines.push(format!("next: {next}"));
        }
        let rows = if how.parts.is_some() { &found.parts } else { &found.sites };
        let differs = |(_, d): &(String, Difference)| d.verdict() == Verdict::Different;
        let (rows, rest) = shown(rows, all, differs, |(_, d)| d.relative);
        let rows =
            rows.into_iter().map(|(site, d)| (site, d.max, d.relative, d.rms, d.nmse, d.cosine, d.ulp, d.beyond));
        let table = Table::new(["Site", "Max abs", "Max rel", "RMS", "NMSE", "Cosine", "ULP", "Beyond"]);
        let table = listing(table.title(lines.join("\n")).rows(rows), rest);
        let message = first.map(|first| format!("{left} and {right} differ: {first}"));
        (table, message)
    }

    fn note(&self, note: &Note) -> String {
        match note {
            Note::Cut { axis, lengths: [ours, theirs] } => {
                let what = if *axis == Axis::Vocab { "tokens of the vocabulary" } else { "positions" };
                let first = ours.min(theirs);
                format!("compared over the first {first} {what}: one side has {ours}, the other {theirs}")
            }
            Note::Parting { count, positions, first, best } => {
                let labels = !self.session.run.model.spec.labels().is_empty();
                let axis = if labels { Axis::Label } else { Axis::Vocab };
                let [ours, theirs] = best.map(|index| quoted(&self.name_of(axis, index)));
                let places = format!("{count} of {positions} positions, first at pos {first}");
                format!("the most likely tokens part at {places}: {ours} against {theirs}")
            }
        }
    }

    /// `head 2, q 3, k 1`: where the largest difference of a site is.
    fn place(&self, site: &str, difference: &Difference) -> String {
        let program = &self.session.run.program;
        let axes = program.op_of(site).map_or(&[][..], |op| &program.ops[op].axes[1..]);
        let named = difference.at.iter().copied().zip(axes.iter().copied().chain(std::iter::repeat(Axis::None)));
        let part = |(i, axis): (usize, Axis)| if axis == Axis::None { i.to_string() } else { format!("{axis} {i}") };
        named.map(part).collect::<Vec<_>>().join(", ")
    }

    /// Sites that only one side has, together; those of other shapes each with both; tensors that are no site's.
    fn not_compared(&self, found: &SiteDifferences, b: &Side, (left, right): (&str, &str)) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, lack) in [(left, Lack::Left), (right, Lack::Right)] {
            let sites: Vec<&str> =
                found.apart.iter().filter(|(_, why)| *why == lack).map(|(site, _)| site.as_str()).collect();
            if !sites.is_empty() {
                lines.push(format!("not compared, not in {name}: {} ({})", counted(sites.len()), few(&sites, 3)));
            }
        }
        let sentence = |(site, lack): &(String, Lack)| match lack {
            Lack::Other(why) => Some(format!("{site} ({why})")),
            Lack::Left | Lack::Right => None,
        };
        let other: Vec<String> = found.apart.iter().filter_map(sentence).collect();
        if !other.is_empty() {
            lines.push(format!("not compared, of other shapes: {}", few(&other, 3)));
        }
        let unknown = self.session.dump_of(b).map_or(&[][..], Dump::unknown);
        if !unknown.is_empty() {
            let noun = if unknown.len() == 1 { "tensor" } else { "tensors" };
            lines.push(format!("{} {noun} in {right} named as no site: {}", unknown.len(), few(unknown, 2)));
        }
        lines
    }
}

/// What a tolerance allows, in words: `2e-4 of the size`.
pub fn limit(tolerance: Tolerance) -> String {
    let relative = format!("{} of the size", significant(tolerance.relative, 2));
    match tolerance {
        Tolerance { absolute: 0.0, .. } => relative,
        Tolerance { absolute, relative: 0.0 } => significant(absolute, 2),
        Tolerance { absolute, .. } => format!("{} + {relative}", significant(absolute, 2)),
    }
}

fn are(sites: usize) -> String {
    if sites == 1 { "1 site is".into() } else { format!("{sites} sites are") }
}

fn counted(sites: usize) -> String {
    if sites == 1 { "1 site".into() } else { format!("{sites} sites") }
}
