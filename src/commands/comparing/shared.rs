//! What several comparisons do with their words and with what they found.

use std::fmt::Display;

use crate::answer::{More, Table};
use crate::model::site_name::{BLOCKS, InBlock};

/// Rows listed unless all are asked for: with the lines above them they fit a screen of 24.
const LISTED: usize = 12;

/// So many blocks that differ alike are one row.
pub const ALIKE: usize = 3;

/// Rows listed if nothing differs.
const LARGEST: usize = 5;

/// The rows of an answer: all, or those that differ, or, if none does, those with the largest differences; and how many it leaves out.
pub fn shown<T>(rows: &[T], all: bool, differs: impl Fn(&T) -> bool, relative: impl Fn(&T) -> f64) -> (Vec<&T>, usize) {
    if all {
        return (rows.iter().collect(), 0);
    }
    let differing: Vec<&T> = rows.iter().filter(|row| differs(row)).collect();
    if !differing.is_empty() {
        return (differing, 0);
    }
    let mut largest: Vec<&T> = rows.iter().collect();
    largest.sort_by(|a, b| relative(b).total_cmp(&relative(a)));
    largest.truncate(LARGEST);
    (largest, rows.len().saturating_sub(LARGEST))
}

/// A table of rows of which so many more were left out; it lists the first of them.
pub fn listing(table: Table, left: usize) -> Table {
    let count = table.rows.len();
    let more = (left > 0).then_some(More { rows: left, sum: None, listable: true });
    Table { more, ..table.listing((0..count).collect(), LISTED) }
}

/// The first `count` of some things: `a, b, c, ...`.
pub fn few(all: &[impl Display], count: usize) -> String {
    let some: Vec<String> = all.iter().take(count).map(ToString::to_string).collect();
    some.join(", ") + if all.len() > count { ", ..." } else { "" }
}

/// `blocks.*.attn.z` for `blocks.3.attn.z`.
pub fn in_any_block(text: &str) -> String {
    let mut parts = text.split(BLOCKS);
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = if rest.len() < part.len() { "*" } else { "" };
        text + BLOCKS + number + rest
    })
}

/// What names of several blocks have in common, and which blocks they are: `blocks.*.attn.z (30 blocks: 0 to 29)`.
pub fn in_blocks<'a>(common: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut numbers: Vec<usize> = names.filter_map(|name| Some(InBlock::parse(name)?.layer)).collect();
    numbers.sort_unstable();
    let listed = match numbers.as_slice() {
        [first, .., last] if last - first + 1 == numbers.len() => format!("{first} to {last}"),
        _ => few(&numbers, 6),
    };
    format!("{common} ({} blocks: {listed})", numbers.len())
}
