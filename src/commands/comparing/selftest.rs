//! `selftest`: the device next to the CPU in 64 bits, op by op, and on numbers that drivers get wrong.

use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::frame::{Done, number};
use crate::commands::state::{Call, Console};
use crate::comparing::probes::{Probed, probe};
use crate::comparing::selftest::{Tested, allowed, leaves_out_edits, selftest};
use crate::lang::LangError;

/// `selftest [TOLERANCE] [-full]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let precision = console.session.run.model.weights.precision();
    let allowed = match left.as_slice() {
        [] => allowed(precision),
        [word] => number(word, |x| *x > 0.0, "tolerance: a number above 0")?,
        [_, extra, ..] => return Err(LangError::new("unexpected word", extra.span).into()),
    };
    let found = selftest(&mut console.session)?;
    let ops: usize = found.iter().map(|one| one.ops).sum();
    let placement = console.session.run.model.placement.clone();
    let names = placement.names();
    let limit = significant(allowed, 2);
    let edits = if leaves_out_edits(&console.session) { ", without the edits of values" } else { "" };
    let worst = significant(found.first().map_or(0.0, |one| one.relative), 3);
    let wrong: Vec<&Tested> = found.iter().filter(|one| one.relative.is_nan() || one.relative > allowed).collect();
    if let [Tested { kind, site, relative, .. }, rest @ ..] = wrong.as_slice() {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more kinds of op", rest.len()) };
        let by = format!("{site} is off by {} of its size{edits}, {limit} is allowed", significant(*relative, 3));
        return Err(format!("{names} does not compute {kind}{more} as it should: {by}").into());
    }
    let (mut probed, mut mistakes) = (Vec::new(), Vec::new());
    for device in placement.devices() {
        let found = probe(device, given.has("-full"))?;
        mistakes.extend(found.iter().filter(|one| !one.is_right()).map(|one| mistaken(device.name(), one)));
        probed.extend(found);
    }
    if !mistakes.is_empty() {
        return Err(mistakes.join("\n").into());
    }
    let title = format!(
        "{ops} ops on {names} in {precision} compared with the CPU in f64, each on the same values{edits}: all within {limit}, \
         the worst {worst}; {} tests of what drivers get wrong find nothing",
        probed.len()
    );
    let rows = found.into_iter().map(|one| (one.kind, one.ops, one.site, one.relative, one.max));
    let tests = probed.into_iter().map(|one| {
        let off = one.worst.found - one.worst.wanted;
        let max = if one.worst.off == 0.0 { 0.0 } else { off.abs() };
        (one.name.to_string(), one.cases, one.worst.what, one.worst.off, max)
    });
    Ok(Table::new(["Op", "Ops", "Worst at", "Relative", "Max abs"]).title(title).rows(rows.chain(tests)).into())
}

/// What a probe has found, as the error of the command.
fn mistaken(device: &str, Probed { name, worst, .. }: &Probed) -> String {
    format!(
        "{device} fails the test of {name}: {} gives {:e}, and {:e} is right",
        worst.what, worst.found, worst.wanted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparing::probes::Case;

    #[test]
    fn a_wrong_number_is_reported_with_the_right_one() {
        let worst = Case { what: "(-2) ** 3".into(), found: f64::NAN, wanted: -8.0, off: f64::INFINITY };
        let probed = Probed { name: "powers of negative numbers", cases: 2, worst, allowed: 1e-5 };
        assert!(!probed.is_right());
        let message = "card fails the test of powers of negative numbers: (-2) ** 3 gives NaN, and -8e0 is right";
        assert_eq!(mistaken("card", &probed), message);
    }
}
