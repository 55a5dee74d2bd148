//! `attr ig,saliency`, or several `-target`: attributions next to each other.

use super::given::Given;
use super::methods::Run;
use crate::answer::{Answer, Cell, Table};
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, NOT_COMPLETE};
use crate::lang::LangError;

/// Each method for each target, a column each.
pub fn compared(console: &mut Console, all: &[Given], call: Call<'_>) -> Done {
    let refused = |message: String| Err(LangError::new(message, call.span()).into());
    let own = |given: &&Given| matches!(given.method.run, Run::Own(_));
    if let Some(given) = all.iter().find(own) {
        let name = given.method.name;
        return refused(format!("{name} gives no number for each position, and cannot be compared with others"));
    }
    let mut titles = Vec::new();
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for given in all {
        let Answer::Table(table) = super::one(console, given, call)? else { continue };
        if !["Pos", "Tokens"].contains(&table.columns[0].as_str()) {
            return refused("attributions are compared by position, and this site has no positions".into());
        }
        if columns.is_empty() {
            columns.extend_from_slice(&table.columns[..2]);
        }
        // Targets are numbered in the order in which they are given.
        let same = all.iter().filter(|other| other.method.name == given.method.name);
        let targets = same.clone().count();
        let number = 1 + same.take_while(|other| !std::ptr::eq(*other, given)).count();
        let method = given.method.name;
        let name = if targets > 1 { format!("{method} {number}") } else { method.to_string() };
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
    Ok(Table::new(columns).title(titles.join("\n")).rows(rows).into())
}
