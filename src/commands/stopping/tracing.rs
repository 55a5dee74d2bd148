//! Commands that look without stopping: `trace` and `dprintf`.

use std::collections::BTreeMap;

use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, places};
use crate::commands::stopping::breakpoints::{check_at, many_places, named, numbers, set_point};
use crate::debugger::{Error, Keep, Kind, Print, StopPoint, Tally, Trace};
use crate::lang::location::parse_location_prefix;
use crate::lang::{LangError, Span, parse_expr, parse_list, parse_trace};

const TRACE_USAGE: &str = "trace LOC [/EXPR/] [count|EXPR|hist EXPR]";

pub fn trace(console: &mut Console, call: Call<'_>) -> Done {
    let (name, rest, offset) = named(console, &call)?;
    if rest.is_empty() {
        return Err(LangError::new("expected where to trace", Span::at(offset)).help(TRACE_USAGE).into());
    }
    let given = parse_trace(rest, offset)?;
    let crossings = places::crossings(&console.session, &given.location)?;
    let stat = given.stat.value.as_str();
    let keep = match stat.split_once(char::is_whitespace) {
        _ if stat.is_empty() || stat == "count" => Keep::Count,
        Some(("hist", expr)) => {
            let at = given.stat.span.end - expr.len();
            Keep::Histogram(parse_expr(expr, at)?)
        }
        _ if stat == "hist" => {
            return Err(LangError::new("expected of what", given.stat.span).help("trace L*.mlp.post hist $").into());
        }
        _ => Keep::Number(parse_expr(stat, given.stat.span.start)?),
    };
    if let Keep::Number(expr) | Keep::Histogram(expr) = &keep {
        check_at(&console.session, &crossings, expr)?;
    }
    let filter = given.filter.as_ref().map(|filter| format!(" /{filter}/")).unwrap_or_default();
    let stat = if stat.is_empty() { String::new() } else { format!(" {stat}") };
    let text = format!("{}{filter}{stat}", given.location);
    let many = many_places(&crossings);
    let trace = Trace { keep, text: call.line.to_string(), seen: BTreeMap::new() };
    let point = StopPoint { name, ..StopPoint::new(Kind::Trace(trace), text.clone(), crossings) };
    let number = set_point(console, &call, point, given.filter)?;
    Ok(Answer::Text(format!("Trace {number} at {text}{many}")))
}

pub fn dprintf(console: &mut Console, call: Call<'_>) -> Done {
    const USAGE: &str = "dprintf L*.mlp.post,\"%f\\n\",max($)";
    let (name, rest, offset) = named(console, &call)?;
    if rest.is_empty() {
        return Err(LangError::new("expected where to print, and what", Span::at(offset)).help(USAGE).into());
    }
    let (location, end) = parse_location_prefix(rest, offset)?;
    let after = rest[end - offset..].trim_start();
    let at = offset + rest.len() - after.len();
    let Some(format) = after.strip_prefix(',') else {
        return Err(LangError::new("expected a comma and a format", Span::at(at)).help(USAGE).into());
    };
    let args = parse_list(format, at + 1)?;
    let crossings = places::crossings(&console.session, &location)?;
    args.iter().try_for_each(|expr| check_at(&console.session, &crossings, expr))?;
    let text = format!("{location},{}", format.trim());
    let print = Print { args, text: call.line.to_string() };
    let point = StopPoint { name, ..StopPoint::new(Kind::Print(print), text.clone(), crossings) };
    let number = console.session.stops.add(point);
    Ok(Answer::Text(format!("Dprintf {number} at {text}")))
}

/// `info trace [N...]`: what traces have kept in the current branch; site by site, or for those named place by place.
pub fn info(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    let wanted = numbers(console, rest, offset)?;
    let each = !rest.trim().is_empty();
    let program = &console.session.run.program;
    let columns = if each { ["Site", "Pass", "What", "Count"] } else { ["Num", "Site", "Count", "What"] };
    let mut table = Table::new(columns);
    for point in console.session.stops.iter().filter(|point| wanted.contains(&point.number)) {
        let number = point.number;
        let Kind::Trace(trace) = &point.kind else {
            if each {
                return Err(Error::refused(format!("{} {number} keeps nothing: it is not a trace", point.kind.word())));
            }
            continue;
        };
        let mut sites: BTreeMap<usize, Vec<(usize, &Tally)>> = BTreeMap::new();
        for ((_, at), tally) in trace.seen.iter().filter(|((branch, _), _)| *branch == console.session.run.current) {
            sites.entry(at.op.saturating_sub(1)).or_default().push((at.pass, tally));
        }
        if sites.is_empty() && !each {
            table.push((number, "(nothing yet)", 0, ""));
        }
        for (op, tallies) in sites {
            let site = program.ops.get(op).map_or("", |op| op.site.as_str());
            if each {
                for (pass, tally) in tallies {
                    details(tally).into_iter().for_each(|(what, count)| table.push((site, pass, what, count)));
                }
            } else {
                let kept: Vec<&Tally> = tallies.iter().map(|(_, tally)| *tally).collect();
                table.push((number, site, kept.len(), summary(&kept)));
            }
        }
    }
    if table.rows.is_empty() {
        return Ok(Answer::Text(if each { "Nothing yet." } else { "No traces." }.into()));
    }
    Ok(table.into())
}

/// What was kept at one place, with counts: a number, or the bins that are not empty.
fn details(tally: &Tally) -> Vec<(Cell, u64)> {
    match tally {
        Tally::Crossed => vec![("crossed".into(), 1)],
        Tally::Number(x) => vec![((*x).into(), 1)],
        Tally::Bins(counts, nan) => {
            let filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let bins = filled.map(|(bin, count)| (range(bin).into(), *count));
            bins.chain((*nan > 0).then(|| ("NaN".into(), *nan))).collect()
        }
    }
}

fn range(bin: usize) -> String {
    let (from, to) = Tally::range(bin);
    if from == to { "0".into() } else { format!("{} to {}", significant(from, 3), significant(to, 3)) }
}

fn summary(tallies: &[&Tally]) -> String {
    let numbers: Vec<f64> =
        tallies.iter().filter_map(|t| if let Tally::Number(x) = t { Some(*x) } else { None }).collect();
    if !numbers.is_empty() {
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let text = |x: f64| significant(x, 4);
        return format!("min {}  mean {}  max {}", text(min), text(mean), text(max));
    }
    let mut bins = vec![0; Tally::BINS];
    let mut nan = 0;
    for tally in tallies {
        if let Tally::Bins(counts, nans) = tally {
            bins.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            nan += nans;
        }
    }
    let filled = || bins.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bin, _)| bin);
    let (Some(first), Some(last)) = (filled().next(), filled().next_back()) else {
        return if nan > 0 { format!("{nan} NaN") } else { String::new() };
    };
    let all = bins.iter().sum::<u64>();
    let share = |bins: &[u64]| format!("{:.1}%", 100.0 * bins.iter().sum::<u64>() as f64 / all as f64);
    let zero = Tally::bin(0.0);
    let text = |x: f64| significant(x, 3);
    let mut parts = vec![format!("{all} between {} and {}", text(Tally::range(first).0), text(Tally::range(last).1))];
    parts.push(format!("{} below zero", share(&bins[..zero])));
    parts.push(format!("{} zero", share(&bins[zero..=zero])));
    parts.push(format!("{} above", share(&bins[zero + 1..])));
    parts.extend((nan > 0).then(|| format!("{nan} NaN")));
    parts.join(", ")
}
