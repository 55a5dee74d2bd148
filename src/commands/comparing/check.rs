//! `check`: does the program compute what it should? A check that fails is a failed command.

use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::comparing::core_file;
use crate::commands::comparing::diff::limit;
use crate::commands::frame::{Done, mistake, number};
use crate::commands::state::{Call, Console};
use crate::comparing::{Recomputed, again, alone, looked_at, recompute};
use crate::lang::command::Vocabulary;
use crate::lang::words::words;
use crate::lang::{LangError, Span};
use crate::tensor::{Precision, Tolerance};

/// What two ways to compute the same may differ by where values are held in 16 bits, as a part of the size: what is 2e-4 apart may be
/// rounded to neighbours, which are 1e-3 apart, and the difference grows with the ops after it.
const FLOOR_OF_HALVES: f64 = 1e-2;

const LISTED: usize = 10;

const SUBJECTS: [&str; 5] = ["batch", "cache", "core", "determinism", "inert"];

/// `check batch`, `check cache`, `check determinism`, `check inert`, with a tolerance where there is one.
pub fn check(console: &mut Console, call: Call<'_>) -> Done {
    let given = words(call.args.rest, call.args.offset)?;
    let Some(what) = given.first() else {
        let help = "check cache, check batch, check determinism, check inert, check core FILE";
        return Err(mistake("expected what to check", Span::at(call.args.offset), help));
    };
    let subject = Vocabulary { of: "check", names: &SUBJECTS, short: &[] }.resolve(&what.text, what.span)?;
    if subject == "core" {
        return match &given[1..] {
            [file] => core_file::check(console, file),
            [_, extra, ..] => Err(LangError::new("unexpected word", extra.span).into()),
            [] => Err(mistake("expected a file", call.end(), "check core FILE")),
        };
    }
    let floor = match &given[1..] {
        [] if console.session.run.model.weights.precision() == Precision::F16 => FLOOR_OF_HALVES,
        [] => Tolerance::default().relative,
        [word] if matches!(subject, "batch" | "cache") => number(word, |x| *x > 0.0, "tolerance: a number above 0")?,
        [extra, ..] => return Err(LangError::new("unexpected word", extra.span).into()),
    };
    let run = &mut console.session.run;
    let (found, floor, agree, differ, what) = match subject {
        "cache" => {
            let found = recompute(run)?;
            let passes = found.iter().map(|site| site.pass).max().unwrap_or(0) + 1;
            let what = format!("values of {passes} passes compared with one pass over the whole text");
            (found, Some(floor), "Cached and recomputed values agree", "cached and recomputed values differ", what)
        }
        "batch" => {
            let found = alone(run)?;
            let what = "values of rows in the batch compared with each row by itself".to_string();
            (found, Some(floor), "Rows compute what they do alone", "a row does not compute what it does alone", what)
        }
        "inert" => {
            let found = looked_at(run)?;
            let what = "values of the pass, read on the way, compared with the recorded pass".to_string();
            (found, None, "Looking changes no bit", "looking at values changes what is computed", what)
        }
        _ => {
            let found = again(run)?;
            let what = "values of the pass compared with the same pass computed again".to_string();
            (found, None, "The same bits again", "the pass gives different bits when it is computed again", what)
        }
    };
    report(found, floor, agree, differ, &what)
}

/// What was found, the largest first; a failure if one is beyond the tolerance, or without one if a bit differs.
fn report(mut found: Vec<Recomputed>, floor: Option<f64>, agree: &str, differ: &str, what: &str) -> Done {
    let compared = found.len();
    let measure = |one: &Recomputed| match floor {
        Some(_) => one.difference.relative,
        None => one.bits as f64,
    };
    found.sort_by(|a, b| measure(b).total_cmp(&measure(a)));
    let summary = match floor {
        Some(floor) => format!("{compared} {what}, |a - b| against {}", limit(Tolerance::of(floor))),
        None => format!("{compared} {what}, bit by bit"),
    };
    if let Some(worst) = found.first().filter(|one| measure(one) > floor.unwrap_or(0.0)) {
        let Recomputed { site, pass, difference, bits } = worst;
        let (relative, max) = (significant(difference.relative, 3), significant(difference.max, 3));
        let by = match floor {
            Some(_) => format!("{relative} of the size at {:?} (row first)", difference.at),
            None => format!("{bits} of {} elements, by {max} at most", difference.count),
        };
        return Err(format!("{differ}: {site}#{pass} by {by}; {summary}").into());
    }
    let rows = found.into_iter().take(LISTED).map(|Recomputed { site, pass, difference, .. }| {
        (format!("{site}#{pass}"), difference.relative, format!("{:?}", difference.at))
    });
    let title = format!("{agree}: {summary}; the largest are");
    Ok(Table::new(["Site", "Difference", "At"]).title(title).rows(rows).into())
}
