//! An investigation as a table that reads as an argument: the verdict, what was found on the way, and what to type next.

use super::finding::{Finding, State};
use super::walk::{THE_SYMPTOM, Walk};
use crate::answer::{Cell, Layout, Table, text};
use crate::commands::state::Investigation;

/// Columns of the argument as it is shown: where there is more room, longer lines are no easier to read.
const WIDTH: usize = 80;

/// Verdicts above the table.
const VERDICTS: usize = 3;

/// Commands that are shown of an experiment.
const SHOWN: usize = 4;

pub fn investigation(walk: &Walk<'_>, line: &str) -> Investigation {
    let mut found: Vec<&Finding> = walk.findings.iter().collect();
    found.sort_by_key(|finding| finding.state);
    let mut table =
        Table::new(["Step", "Found", "State", "Before", "After", "Experiment", "Commands"]).title(title(&found));
    for finding in &found {
        table.push(row(finding));
    }
    let mut words = argument(&found);
    for next in next(&found) {
        words.push(format!("next: {next}"));
        table.push(("next", next, "", Cell::Empty, Cell::Empty, "", ""));
    }
    table.layout = Layout::Prose(words.join("\n"));
    let head = format!("# {}: repeats what it found, in the session as it was then", line.trim());
    let script = std::iter::once(head).chain(walk.scratch.script.iter().cloned());
    Investigation { line: line.trim().into(), table, steps: walk.scratch.steps.clone(), script: script.collect() }
}

/// The table of what was found, as lines. What the verdict says of an experiment is not repeated.
fn argument(found: &[&Finding]) -> Vec<String> {
    let row = |(at, finding): (usize, &&Finding)| {
        let plain = finding.tried.is_none() || finding.state == State::Confirmed && at < VERDICTS;
        let what = if plain { finding.what.clone() } else { claim(finding) };
        (finding.step.clone(), finding.state.word(), what)
    };
    // The longest is last: it takes what width is left.
    let short = Table::new(["Step", "State", "Found"]).rows(found.iter().enumerate().map(row));
    match found {
        [only] if only.step == THE_SYMPTOM => Vec::new(),
        _ => text::lines(&short.into(), Some(WIDTH)),
    }
}

fn row(finding: &Finding) -> Vec<Cell> {
    let tried = finding.tried.as_ref();
    let what = if tried.is_some() { claim(finding) } else { finding.what.clone() };
    vec![
        finding.step.as_str().into(),
        what.into(),
        finding.state.word().into(),
        tried.and_then(|tried| tried.before).into(),
        tried.and_then(|tried| tried.after).into(),
        tried.map_or("", |tried| tried.changes.as_str()).into(),
        tried.map_or(String::new(), |tried| tried.commands.join("\n")).into(),
    ]
}

/// The verdict: what is confirmed, each with its experiment; else what is suspected.
fn title(found: &[&Finding]) -> String {
    let of = |state: State| found.iter().filter(move |finding| finding.state == state).copied();
    let mut confirmed: Vec<String> =
        of(State::Confirmed).take(VERDICTS).map(|finding| format!("Confirmed: {}", claim(finding))).collect();
    let more = of(State::Confirmed).count() - confirmed.len();
    if !confirmed.is_empty() {
        confirmed.extend((more > 0).then(|| format!("and {more} more, in the table")));
        return confirmed.join("\n");
    }
    if let [Finding { state: State::Cleared, what, step, .. }] = found
        && step == THE_SYMPTOM
    {
        return format!("Nothing to investigate: {what}");
    }
    let names = |state: State| of(state).map(|finding| finding.what.clone()).collect::<Vec<_>>();
    let mut lines = vec!["Nothing is confirmed.".to_string()];
    for (state, words) in
        [(State::Evidence, "There is evidence for"), (State::Hypothesis, "Not decided by an experiment")]
    {
        let names = names(state);
        if !names.is_empty() {
            lines.push(format!("{words}: {}", names.join("; ")));
        }
    }
    lines.join("\n")
}

fn claim(finding: &Finding) -> String {
    let experiment = finding.tried.as_ref().map(|tried| format!(" {}.", capital(&tried.sentence())));
    format!("{}.{}", finding.what, experiment.unwrap_or_default())
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

/// What to type next: the commands of the first confirmed experiment, and how the investigation is kept.
fn next(found: &[&Finding]) -> Vec<String> {
    let mut next = Vec::new();
    let first = found.iter().find(|finding| finding.state <= State::Evidence);
    if let Some(tried) = first.and_then(|finding| finding.tried.as_ref()) {
        let count = tried.commands.len();
        next.extend(tried.commands.iter().take(SHOWN).cloned());
        if count > SHOWN {
            next.push(format!("and {} more commands, which save investigation writes", count - SHOWN));
        }
    } else if found.iter().any(|finding| finding.state == State::Hypothesis) {
        next.push("load MODEL as NAME, a model that is sound, and investigate again".into());
    }
    next.push("save investigation FILE.html, or FILE.ldb for a script that repeats it".into());
    next
}
