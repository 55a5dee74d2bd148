//! What `attr` prints: what was explained, how well the sum fits, and the parts with signed bars.

use super::given::{Given, Steps};
use super::methods::Kind;
use crate::analysis::attribution::{Attribution, Quality};
use crate::answer::numbers::significant;
use crate::answer::{Cell, Table};
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::Done;
use crate::commands::state::{Console, NOT_COMPLETE};
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
    let sum = significant(found.values.iter().sum(), 6);
    let at_input = significant(found.at_input, 6);
    let mut lines: Vec<String> = warning(given, found).into_iter().collect();
    lines.push(format!("{} of {target} = {at_input} at {site}: ${number}", given.method.name));
    lines.push(how(given, found, exact));
    lines.extend(found.delta.map(|delta| match found.at_baseline {
        None => {
            let kept = significant(-delta, 3);
            format!("sum {sum} of {at_input}: biases, softmax and other constants keep {kept}")
        }
        Some(baseline) => {
            let (baseline, delta) = (significant(baseline, 6), significant(delta, 3));
            format!("sum {sum} of {at_input} - {baseline} (baseline); delta {delta}")
        }
    }));
    lines
}

/// How the numbers were had, in a line.
pub fn how(given: &Given, found: &Attribution, exact: bool) -> String {
    let kind = match given.method.kind {
        Kind::Measured => "measured".to_string(),
        Kind::Path => format!("approximated by {} points, {}", found.steps, given.rule.name()),
        Kind::Subsets(_) if exact => "measured over all subsets".to_string(),
        Kind::Sampled(_) | Kind::Subsets(_) => {
            // Permutations of Shapley values take several evaluations each.
            let samples = if given.method.name == "shapley" { given.samples() } else { found.steps };
            format!("sampled, {samples} samples, seed {}", given.seed)
        }
        Kind::Rules => "derived by the rules of AttnLRP".to_string(),
    };
    let error = found.error.map(|error| format!(", standard error {}", significant(error, 3))).unwrap_or_default();
    kind + &error
}

/// What is shown before all else where the attributions do not sum to what they should explain.
fn warning(given: &Given, found: &Attribution) -> Option<String> {
    let baseline = found.at_baseline.filter(|_| found.is_incomplete())?;
    let sum: f64 = found.values.iter().sum();
    Some(format!(
        "{NOT_COMPLETE}: the attributions sum to {}, and the difference they should explain is {}. They are not shares of it, and \
         are shown without bars. {}",
        significant(sum, 6),
        significant(found.at_input - baseline, 6),
        what_helps(given, found.steps)
    ))
}

/// What to do about attributions that have not converged.
pub fn what_helps(given: &Given, steps: usize) -> String {
    let more = match given.method.kind {
        Kind::Sampled(_) => format!("Try more -samples than {steps}, or another"),
        _ if given.steps == Some(Steps::Auto) => format!("-steps auto gave up at {steps} points. Try another"),
        _ => format!("Try more -steps than {steps}, or another"),
    };
    format!("{more} -baseline (pad or mean).")
}

/// How far it can be trusted, in a line.
pub fn quality(quality: Quality) -> String {
    let [infidelity, normalized, sensitivity] =
        [quality.infidelity, quality.normalized, quality.sensitivity].map(|x| significant(x, 4));
    format!(
        "infidelity {infidelity} (normalized {normalized}) under noise of 0.1, sensitivity {sensitivity} within 0.02; 10 samples each"
    )
}

/// The table: a row for each position, else for each entry of the first axis, largest first, and at most twenty.
pub fn answer(console: &mut Console, lines: Vec<String>, value: &Value, found: &Attribution) -> Done {
    let axis = value.axes().first().copied().unwrap_or(Axis::None);
    let entries = value.shape().first().copied().unwrap_or(1);
    let width = found.values.len() / entries.max(1);
    let sums: Vec<f64> =
        (0..entries).map(|entry| found.values[entry * width..(entry + 1) * width].iter().sum()).collect();
    let bars = Bars::of(sums.iter().copied().filter(|_| !found.is_incomplete()));
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
        let mut row: Vec<Cell> = vec![entry.into()];
        row.extend(named.then(|| console.name_of(axis, entry).into()));
        row.extend([sums[entry].into(), bars.bar(sums[entry]).into()]);
        row
    });
    let name = if axis == Axis::None { "Entry".to_string() } else { capital(axis.name()) };
    let columns = [name].into_iter().chain(named.then(|| "Token".into())).chain(["Value".into(), String::new()]);
    Ok(Table::new(columns).title(lines.join("\n")).rows(rows).into())
}

/// The table of groups of tokens: where each is, its text and its number.
pub fn of_segments(
    console: &mut Console,
    lines: Vec<String>,
    names: Vec<(String, String)>,
    values: &[f64],
    complete: bool,
) -> Table {
    let bars = Bars::of(values.iter().copied().filter(|_| complete));
    let title = lines.join("\n");
    let shares = names.iter().map(|(_, text)| text.clone()).zip(values.iter().copied()).collect();
    console.memory.attributed = Some((title.clone(), shares));
    let rows = names.into_iter().zip(values).map(|((places, text), x)| (places, text, *x, bars.bar(*x)));
    Table::new(["Tokens", "Text", "Value", ""]).title(title).rows(rows)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
