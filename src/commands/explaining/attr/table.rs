//! What `attr` prints: what was explained, how well the sum fits, and the parts with signed bars.

use super::given::{Given, Steps};
use super::methods::Kind;
use crate::analysis::attribution::{Attribution, Quality};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Console, NOT_COMPLETE, bar};
use crate::tensor::{Axis, Value};

/// Rows listed where the first axis counts no positions.
const LISTED: usize = 20;

/// The lines above the table.
pub fn title(
    console: &Console,
    given: &Given,
    target: &str,
    site: usize,
    found: &Attribution,
    exact: bool,
    number: usize,
) -> Vec<String> {
    let site = &console.session.run.program.ops[site].site;
    let number_of = |x: f64| significant(x, 6);
    let mut lines: Vec<String> = warning(given, found).into_iter().collect();
    lines.push(format!("{} of {target} = {} at {site}: ${number}", given.method.name, number_of(found.at_input)));
    let kind = match given.method.kind {
        Kind::Measured => "measured".to_string(),
        Kind::Path => format!("approximated by {} points, {}", found.steps, given.rule.name()),
        Kind::Subsets(_) if exact => "measured over all subsets".to_string(),
        Kind::Sampled(_) | Kind::Subsets(_) => {
            format!("sampled, {} samples, seed {}", samples_of(given, found), given.seed)
        }
        Kind::Rules => "derived by the rules of AttnLRP".to_string(),
    };
    let error = found.error.map(|error| format!(", standard error {}", significant(error, 3))).unwrap_or_default();
    lines.push(format!("{kind}{error}"));
    if let (Some(delta), None) = (found.delta, found.at_baseline) {
        let sum: f64 = found.values.iter().sum();
        let kept = significant(-delta, 3);
        lines.push(format!(
            "sum {} of {}: biases, softmax and other constants keep {kept}",
            number_of(sum),
            number_of(found.at_input)
        ));
    }
    if let (Some(delta), Some(baseline)) = (found.delta, found.at_baseline) {
        let sum: f64 = found.values.iter().sum();
        lines.push(format!(
            "sum {} of {} - {} (baseline); delta {}",
            number_of(sum),
            number_of(found.at_input),
            number_of(baseline),
            significant(delta, 3)
        ));
    }
    lines
}

/// Samples that were drawn. Permutations of Shapley values take several evaluations each.
fn samples_of(given: &Given, found: &Attribution) -> usize {
    match given.method.name {
        "shapley" => given.samples(),
        _ => found.steps,
    }
}

/// What is said before all else where the attributions do not sum to what they should explain.
fn warning(given: &Given, found: &Attribution) -> Option<String> {
    let baseline = found.at_baseline.filter(|_| found.is_incomplete())?;
    let sum: f64 = found.values.iter().sum();
    let what_helps = match given.method.kind {
        Kind::Sampled(_) => format!("Try more -samples than {}, or another -baseline (pad or mean)", found.steps),
        _ if given.steps == Some(Steps::Auto) => {
            format!("-steps auto gave up at {} points. Try another -baseline (pad or mean)", found.steps)
        }
        _ => format!("Try more -steps than {}, or another -baseline (pad or mean)", found.steps),
    };
    Some(format!(
        "{NOT_COMPLETE}: the attributions sum to {}, and the difference they should explain is {}. They are not shares of it, and \
         are shown without bars. {what_helps}.",
        significant(sum, 6),
        significant(found.at_input - baseline, 6)
    ))
}

/// How far it can be trusted, in a line.
pub fn quality(quality: Quality) -> String {
    let Quality { infidelity, normalized, sensitivity } = quality;
    format!(
        "infidelity {} (normalized {}) under noise of 0.1, sensitivity {} within 0.02; 10 samples each",
        significant(infidelity, 4),
        significant(normalized, 4),
        significant(sensitivity, 4)
    )
}

/// The table: a row for each position, else for each entry of the first axis, largest first, and at most twenty.
pub fn answer(console: &mut Console, lines: Vec<String>, value: &Value, found: &Attribution) -> Done {
    let axis = value.axes().first().copied().unwrap_or(Axis::None);
    let entries = value.shape().first().copied().unwrap_or(1);
    let width = found.values.len() / entries.max(1);
    let sums: Vec<f64> =
        (0..entries).map(|entry| found.values[entry * width..(entry + 1) * width].iter().sum()).collect();
    let bars = !found.is_incomplete();
    let largest = sums.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    if axis.is_position() {
        let tokens = sums.iter().enumerate().map(|(entry, sum)| (console.name_of(axis, entry), *sum)).collect();
        console.memory.attributed = Some((lines.join("\n"), tokens));
    }
    let mut order: Vec<usize> = (0..entries).collect();
    if !axis.is_position() {
        order.sort_by(|a, b| sums[*b].abs().total_cmp(&sums[*a].abs()));
        order.truncate(LISTED);
    }
    let named = axis.is_position() || matches!(axis, Axis::Vocab | Axis::Label);
    let rows = order.into_iter().map(|entry| {
        let mut row = vec![Cell::Int(entry as i64)];
        row.extend(named.then(|| Cell::Text(console.name_of(axis, entry))));
        row.extend([Cell::Num(sums[entry]), Cell::Text(if bars { bar(sums[entry], largest) } else { String::new() })]);
        row
    });
    let name = if axis == Axis::None { "Entry".to_string() } else { capital(axis.name()) };
    let mut columns = vec![name];
    columns.extend(named.then(|| "Token".to_string()));
    columns.extend(["Value".to_string(), String::new()]);
    Ok(Answer::Table(Table { title: lines.join("\n"), columns, rows: rows.collect() }))
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
