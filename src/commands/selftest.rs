//! `selftest`: the device beside the CPU in 64 bits, op by op.

use super::console::{Console, Done};
use super::table::Call;
use crate::analysis::selftest::{Tested, allowed, selftest};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::Error;
use crate::lang::LangError;
use crate::lang::words::words;

/// `selftest [TOLERANCE]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let given = words(call.args.rest, call.args.offset)?;
    let precision = console.session.run.model.weights.precision();
    let allowed = match given.as_slice() {
        [] => allowed(precision),
        [word] => word.text.parse().ok().filter(|x: &f64| *x > 0.0).ok_or_else(|| {
            Error::At(LangError::new(format!("{} is no tolerance: a number above 0", word.text), word.span))
        })?,
        [_, extra, ..] => return Err(Error::At(LangError::new("unexpected word", extra.span))),
    };
    let found = selftest(&mut console.session)?;
    let ops: usize = found.iter().map(|one| one.ops).sum();
    let device = console.session.run.device().name().to_string();
    let limit = significant(allowed, 2);
    let worst = found.first().map_or(0.0, |one| one.relative);
    let wrong: Vec<&Tested> = found.iter().filter(|one| one.relative.is_nan() || one.relative > allowed).collect();
    if let Some(first) = wrong.first() {
        let more = if wrong.len() > 1 { format!(" and {} more kinds of op", wrong.len() - 1) } else { String::new() };
        return Err(Error::refused(format!(
            "{device} does not compute {}{more} as it should: {} is off by {} of its size, {limit} is allowed",
            first.kind,
            first.site,
            significant(first.relative, 3)
        )));
    }
    let title = format!(
        "{ops} ops on {device} in {precision} beside the CPU in f64, each on the same values: all within {limit}, the worst {}",
        significant(worst, 3)
    );
    let rows = found.into_iter().map(|one| {
        vec![
            Cell::Text(one.kind),
            Cell::Int(one.ops as i64),
            Cell::Text(one.site),
            Cell::Num(one.relative),
            Cell::Num(one.max),
        ]
    });
    let columns = ["Op", "Ops", "Worst at", "Relative", "Max abs"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title, columns, rows: rows.collect() }))
}
