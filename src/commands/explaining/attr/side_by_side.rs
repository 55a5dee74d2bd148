//! `attr ig,saliency`, or several `-target`: attributions next to each other.

use super::given::{Given, targets};
use super::methods::{METHODS, Run};
use crate::answer::{Answer, Cell, Table};
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console, NOT_COMPLETE};
use crate::lang::{LangError, Span};

/// Each method for each target, a column each; none if there is one of each.
pub fn several(console: &mut Console, call: Call<'_>) -> Option<Done> {
    let text = call.args.rest;
    let methods = text.split_whitespace().next().unwrap_or_default();
    let targets = targets(text);
    (methods.contains(',') || targets > 1).then(|| compared(console, call, methods, targets.max(1)))
}

fn compared(console: &mut Console, call: Call<'_>, methods: &str, targets: usize) -> Done {
    let (text, offset) = (call.args.rest, call.args.offset);
    let options = &text[methods.len()..];
    let span = Span::new(offset, offset + methods.len());
    let mut titles = Vec::new();
    let mut columns = vec!["Pos".to_string(), "Token".to_string()];
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for method in methods.split(',') {
        if method.is_empty() {
            return Err(mistake("a method is missing before or after a comma", span, "attr ig,saliency"));
        }
        if METHODS.iter().any(|known| known.name == method && matches!(known.run, Run::Own(_))) {
            let message = format!("{method} gives no number for each position, and cannot be compared with others");
            return Err(LangError::new(message, span).into());
        }
        for target in 0..targets {
            let given = Given::read_for(method, span, (options, offset + methods.len()), target)?;
            let Answer::Table(table) = super::one(console, &given, call)? else { continue };
            if table.columns.first().is_none_or(|column| column != "Pos") {
                let message = "attributions are compared by position, and this site has no positions";
                return Err(LangError::new(message, span).into());
            }
            let name = if targets > 1 { format!("{method} {}", target + 1) } else { method.to_string() };
            let complete = !table.title.starts_with(NOT_COMPLETE);
            // The warning is before the line that says what this is.
            titles.extend(table.title.lines().take(if complete { 1 } else { 2 }).map(String::from));
            columns.extend([name, String::new()]);
            let number = |row: &Vec<Cell>| if let Cell::Num(x) = row[2] { x } else { f64::NAN };
            let values: Vec<f64> = table.rows.iter().map(number).collect();
            let bars = Bars::of(values.iter().copied().filter(|_| complete));
            for (at, (row, value)) in table.rows.into_iter().zip(values).enumerate() {
                if rows.len() <= at {
                    rows.push(row[..2].to_vec());
                }
                // Half as long as those of one attribution.
                let long = bars.bar(value);
                rows[at].extend([value.into(), long[..long.len().div_ceil(2)].into()]);
            }
        }
    }
    Ok(Table::new(columns).title(titles.join("\n")).rows(rows).into())
}
