//! Which words move a number? Each prompt next to itself without the word.

use std::collections::BTreeMap;

use super::Probed;
use crate::analysis::samples::mean;
use crate::answer::Table;
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::tensor::step;

const LISTED: usize = 15;

/// Prompts that a word must stand in.
const LEAST: usize = 2;

/// A word without what is around it, in small letters.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// The words of the prompts by what the number loses without them.
pub fn report(console: &mut Console, found: &[Probed], metric: &str, lines: &[String], seed: u64) -> Done {
    let mut moved: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (done, one) in found.iter().enumerate() {
        step("leaving words out", done as u64, found.len() as u64)?;
        let parts: Vec<&str> = one.case.prompt.split(' ').collect();
        for (at, part) in parts.iter().enumerate().filter(|(_, part)| !bare(part).is_empty()) {
            let rest = [&parts[..at], &parts[at + 1..]].concat();
            if rest.is_empty() {
                continue;
            }
            if let Ok((without, ..)) = console.number_on(&one.case, &rest.join(" "), metric)? {
                moved.entry(bare(part)).or_default().push(one.value - without);
            }
        }
    }
    let mut all: Vec<(String, Vec<f64>)> = moved.into_iter().filter(|(_, changes)| changes.len() >= LEAST).collect();
    let size = |changes: &[f64]| mean(changes, seed).mean.abs();
    all.sort_by(|a, b| size(&b.1).total_cmp(&size(&a.1)));
    let rows = all.into_iter().take(LISTED).map(|(word, changes)| {
        let of = mean(&changes, seed);
        let (low, high) = of.interval.unzip();
        (word, of.count, of.mean, low, high)
    });
    let mut title = vec![format!(
        "what a word adds to {metric}: each prompt compared with itself without it, measured; words in {LEAST} prompts or more"
    )];
    title.extend(lines.iter().cloned());
    Ok(Table::new(["Word", "N", "Adds", "Low", "High"]).title(title.join("\n")).rows(rows).into())
}
