//! `selftest`: the device next to the CPU in 64 bits, op by op.

use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::frame::{Done, number};
use crate::commands::state::{Call, Console};
use crate::comparing::selftest::{Tested, allowed, leaves_out_edits, selftest};
use crate::lang::LangError;
use crate::lang::words::words;

/// `selftest [TOLERANCE]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let given = words(call.args.rest, call.args.offset)?;
    let precision = console.session.run.model.weights.precision();
    let allowed = match given.as_slice() {
        [] => allowed(precision),
        [word] => number(word, |x| *x > 0.0, "tolerance: a number above 0")?,
        [_, extra, ..] => return Err(LangError::new("unexpected word", extra.span).into()),
    };
    let found = selftest(&mut console.session)?;
    let ops: usize = found.iter().map(|one| one.ops).sum();
    let device = console.session.run.device().name().to_string();
    let limit = significant(allowed, 2);
    let edits = if leaves_out_edits(&console.session) { ", without the edits of values" } else { "" };
    let worst = significant(found.first().map_or(0.0, |one| one.relative), 3);
    let wrong: Vec<&Tested> = found.iter().filter(|one| one.relative.is_nan() || one.relative > allowed).collect();
    if let [Tested { kind, site, relative, .. }, rest @ ..] = wrong.as_slice() {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more kinds of op", rest.len()) };
        let by = format!("{site} is off by {} of its size{edits}, {limit} is allowed", significant(*relative, 3));
        return Err(format!("{device} does not compute {kind}{more} as it should: {by}").into());
    }
    let title = format!(
        "{ops} ops on {device} in {precision} compared with the CPU in f64, each on the same values{edits}: all within {limit}, \
         the worst {worst}"
    );
    let rows = found.into_iter().map(|one| (one.kind, one.ops, one.site, one.relative, one.max));
    Ok(Table::new(["Op", "Ops", "Worst at", "Relative", "Max abs"]).title(title).rows(rows).into())
}
