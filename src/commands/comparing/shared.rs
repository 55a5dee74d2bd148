//! What several comparisons do with their words and with what they found.

use std::fmt::Display;

/// Rows listed unless all are asked for: with the lines above them they fit a screen of 24.
const LISTED: usize = 12;

/// Rows listed if nothing differs.
const LARGEST: usize = 5;

/// The rows to list: all, or the first that differ, or, if none does, those with the largest differences.
pub fn shown<T>(rows: &[T], all: bool, differs: impl Fn(&T) -> bool, relative: impl Fn(&T) -> f64) -> Vec<&T> {
    if all {
        return rows.iter().collect();
    }
    let differing: Vec<&T> = rows.iter().filter(|row| differs(row)).take(LISTED).collect();
    if !differing.is_empty() {
        return differing;
    }
    let mut largest: Vec<&T> = rows.iter().collect();
    largest.sort_by(|a, b| relative(b).total_cmp(&relative(a)));
    largest.truncate(LARGEST);
    largest
}

/// The first `count` of some things: `a, b, c, ...`.
pub fn few(all: &[impl Display], count: usize) -> String {
    let some: Vec<String> = all.iter().take(count).map(ToString::to_string).collect();
    some.join(", ") + if all.len() > count { ", ..." } else { "" }
}
