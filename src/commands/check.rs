//! `check`: does the program compute what it should? A check that fails is a failed command.

use super::console::{Console, Done};
use super::fail::Fail;
use super::table::Call;
use crate::analysis::{Recomputed, again, alone, looked_at, recompute};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::lang::command::Vocabulary;
use crate::lang::words::words;
use crate::lang::{LangError, Span};
use crate::tensor::Precision;

/// What two ways to compute the same in 32 bits may differ by, beside 1 + |value|: TransformerLens names 5e-5 for one forward
/// pass.
const FLOOR: f64 = 5e-5;

/// The same of values held in 16 bits: what is 5e-5 apart may be rounded to neighbours, which are 1e-3 apart, and the
/// difference grows with the ops behind it.
const FLOOR_OF_HALVES: f64 = 1e-2;

/// Sites listed.
const LISTED: usize = 10;

const SUBJECTS: [&str; 4] = ["batch", "cache", "determinism", "inert"];

/// `check batch`, `check cache`, `check determinism`, `check inert`, with a tolerance where there is one.
pub fn check(console: &mut Console, call: Call<'_, '_>) -> Done {
    let given = words(call.args.rest, call.args.offset)?;
    let Some(what) = given.first() else {
        let error = LangError::new("expected what to check", Span::at(call.args.offset));
        return Err(Fail::At(error.help("check cache, check batch, check determinism, check inert")));
    };
    let subject = Vocabulary { of: "check", names: &SUBJECTS, short: &[] }.resolve(&what.text, what.span)?;
    let floor = match &given[1..] {
        [] if console.session.run.model.weights.precision() == Precision::F16 => FLOOR_OF_HALVES,
        [] => FLOOR,
        [word] if matches!(subject, "batch" | "cache") => {
            word.text.parse::<f64>().ok().filter(|x| *x > 0.0).ok_or_else(|| {
                Fail::At(LangError::new(format!("{} is no tolerance: a number above 0", word.text), word.span))
            })?
        }
        [extra, ..] => return Err(Fail::At(LangError::new("unexpected word", extra.span))),
    };
    let run = &mut console.session.run;
    let (found, floor, agree, differ, what) = match subject {
        "cache" => {
            let found = recompute(run, call.progress).map_err(Fail::because)?;
            let passes = found.iter().map(|site| site.pass).max().unwrap_or(0) + 1;
            let what = format!("values of {passes} passes beside one pass over the whole text");
            (found, floor, "Cached and recomputed values agree", "cached and recomputed values differ", what)
        }
        "batch" => {
            let found = alone(run, call.progress).map_err(Fail::because)?;
            let what = "values of rows in the batch beside each row alone".to_string();
            (found, floor, "Rows compute what they do alone", "a row does not compute what it does alone", what)
        }
        "inert" => {
            let found = looked_at(run, call.progress).map_err(Fail::because)?;
            let what = "values of the pass, looked at on the way, beside the pass as it is recorded".to_string();
            (found, 0.0, "Looking changes no bit", "looking at values changes what is computed", what)
        }
        _ => {
            let found = again(run, call.progress).map_err(Fail::because)?;
            let what = "values of the pass beside the same pass computed anew".to_string();
            (found, 0.0, "The same bits again", "the pass gives other bits when it is computed anew", what)
        }
    };
    told(found, floor, agree, differ, &what)
}

/// What was found, the largest first; a failure if one is beyond the tolerance.
fn told(mut found: Vec<Recomputed>, floor: f64, agree: &str, differ: &str, what: &str) -> Done {
    let compared = found.len();
    found.sort_by(|a, b| b.difference.total_cmp(&a.difference));
    let summary = format!("{compared} {what}, |a - b| / (1 + |b|) against {}", significant(floor, 2));
    if let Some(worst) = found.first().filter(|site| site.difference > floor) {
        let Recomputed { site, pass, difference, at } = worst;
        return Err(Fail::because(format!(
            "{differ}: {site}#{pass} by {} at {at:?} (row first); {summary}",
            significant(*difference, 3)
        )));
    }
    let rows = found.into_iter().take(LISTED).map(|site| {
        vec![
            Cell::Text(format!("{}#{}", site.site, site.pass)),
            Cell::Num(site.difference),
            Cell::Text(format!("{:?}", site.at)),
        ]
    });
    let columns = ["Site", "Difference", "At"].map(String::from).to_vec();
    let title = format!("{agree}: {summary}; the largest are");
    Ok(Answer::Table(Table { title, columns, rows: rows.collect() }))
}
