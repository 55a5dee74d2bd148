//! `attr ig,saliency`, or several `-target`: attributions beside each other.

use super::super::console::{Console, Done};
use super::super::table::Call;
use super::given::{Given, targets};
use super::table::{NOT_COMPLETE, bar};
use crate::answer::{Answer, Cell, Table};
use crate::debugger::Error;
use crate::lang::{LangError, Span};

/// Each method for each target, a column each; none if there is one of each.
pub fn several(console: &mut Console, call: &mut Call<'_>) -> Option<Done> {
    let text = call.args.rest;
    let methods = text.split_whitespace().next().unwrap_or_default();
    let targets = targets(text);
    (methods.contains(',') || targets > 1).then(|| beside(console, call, methods, targets.max(1)))
}

fn beside(console: &mut Console, call: &mut Call<'_>, methods: &str, targets: usize) -> Done {
    let (text, offset) = (call.args.rest, call.args.offset);
    let options = &text[methods.len()..];
    let span = Span::new(offset, offset + methods.len());
    let mut titles = Vec::new();
    let mut columns = vec!["Pos".to_string(), "Token".to_string()];
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for method in methods.split(',') {
        if method.is_empty() {
            let error = LangError::new("a method is missing beside a comma", span);
            return Err(Error::At(error.help("attr ig,saliency")));
        }
        if matches!(method, "heads" | "neurons" | "rollout" | "attnxgradient") {
            let error =
                LangError::new(format!("{method} gives no number for each position to put beside others"), span);
            return Err(Error::At(error));
        }
        for target in 0..targets {
            let given = Given::read_for(method, span, (options, offset + methods.len()), target)?;
            let Answer::Table(table) = super::one(console, &given, *call)? else { continue };
            if table.columns.first().is_none_or(|column| column != "Pos") {
                let error = LangError::new(
                    "attributions are put beside each other by position, which this site has none of",
                    span,
                );
                return Err(Error::At(error));
            }
            let name = if targets > 1 { format!("{method} {}", target + 1) } else { method.to_string() };
            let complete = !table.title.starts_with(NOT_COMPLETE);
            // The warning stands before the line that says what this is.
            titles.extend(table.title.lines().take(if complete { 1 } else { 2 }).map(String::from));
            columns.extend([name, String::new()]);
            let values: Vec<f64> = table.rows.iter().map(|row| number(&row[2])).collect();
            let largest = values.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            for (at, (row, value)) in table.rows.into_iter().zip(values).enumerate() {
                if rows.len() <= at {
                    rows.push(row[..2].to_vec());
                }
                // Half as long as those of one attribution.
                let long = if complete { bar(value, largest) } else { String::new() };
                rows[at].extend([Cell::Num(value), Cell::Text(long[..long.len().div_ceil(2)].to_string())]);
            }
        }
    }
    Ok(Answer::Table(Table { title: titles.join("\n"), columns, rows }))
}

fn number(cell: &Cell) -> f64 {
    match cell {
        Cell::Num(x) => *x,
        Cell::Int(x) => *x as f64,
        _ => f64::NAN,
    }
}
