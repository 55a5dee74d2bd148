//! Commands about breakpoints.

use super::console::{Console, Done};
use super::fail::Fail;
use super::places;
use super::table::Call;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Condition, Crossing, Disposition, Session, StopPoint};
use crate::lang::eval::check;
use crate::lang::words::{parse_count, parse_numbers, words};
use crate::lang::{Expr, LangError, Span, parse_break, parse_expr};

pub fn set(console: &mut Console, call: Call<'_, '_>) -> Done {
    add(console, &call, Disposition::Keep)
}

pub fn set_temporary(console: &mut Console, call: Call<'_, '_>) -> Done {
    add(console, &call, Disposition::Delete)
}

fn add(console: &mut Console, call: &Call<'_, '_>, disposition: Disposition) -> Done {
    let (location, condition) = parse_break(call.args.rest, call.args.offset)?;
    let session = &mut console.session;
    let (text, crossings) = match &location {
        Some(location) => (location.to_string(), places::crossings(session, location)?),
        None => {
            // Without a location: where the cursor stands.
            let position = session.run.cursor;
            let op = session.run.program.ops.get(position);
            let site = op.map_or("the end of the pass".to_string(), |op| format!("-before {}", op.site));
            (site, vec![Crossing { pass: None, position, op: position, head: None, pos: None, row: None }])
        }
    };
    if let Some(expr) = &condition {
        check_at(session, &crossings, expr)?;
    }
    let condition = condition.map(|expr| Condition { text: call.line.to_string(), expr });
    let places = crossings.len();
    let number = session.stops.add(text.clone(), crossings, condition, disposition);
    let kind = if disposition == Disposition::Delete { "Temporary breakpoint" } else { "Breakpoint" };
    let many = if places > 1 { format!(" ({places} places)") } else { String::new() };
    Ok(Answer::Text(format!("{kind} {number} at {text}{many}")))
}

/// Checks the names in a condition where it will be evaluated: a bare site means the block of the breakpoint.
fn check_at(session: &Session, crossings: &[Crossing], expr: &Expr) -> Result<(), Fail> {
    for crossing in crossings {
        check(expr, &*session.run.names, session.block_at(crossing.position))?;
    }
    Ok(())
}

pub fn delete(console: &mut Console, call: Call<'_, '_>) -> Done {
    let numbers = numbers(console, &call, call.args.rest, call.args.offset)?;
    let count = numbers.len();
    for number in numbers {
        console.session.stops.remove(number);
    }
    Ok(Answer::Text(format!("Deleted {count} breakpoint{}", if count == 1 { "" } else { "s" })))
}

pub fn enable(console: &mut Console, call: Call<'_, '_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    let first = words(rest, offset)?;
    let (disposition, left, at) = match first.first().map(|word| word.text.as_str()) {
        Some("once") => (Some(Disposition::Disable), None, 1),
        Some("delete") => (Some(Disposition::Delete), None, 1),
        Some("count") => {
            let Some(count) = first.get(1) else {
                return Err(Fail::because("enable count needs a number: enable count 2 1"));
            };
            (Some(Disposition::Disable), Some(parse_count(count)?), 2)
        }
        _ => (None, None, 0),
    };
    let start = first.get(at).map_or(offset + rest.len(), |word| word.span.start);
    let rest = &rest[start - offset..];
    for number in numbers(console, &call, rest, start)? {
        if let Some(point) = console.session.stops.get_mut(number) {
            point.enabled = true;
            if let Some(disposition) = disposition {
                point.disposition = disposition;
                point.left = left;
            }
        }
    }
    Ok(Answer::Text(String::new()))
}

pub fn disable(console: &mut Console, call: Call<'_, '_>) -> Done {
    for number in numbers(console, &call, call.args.rest, call.args.offset)? {
        if let Some(point) = console.session.stops.get_mut(number) {
            point.enabled = false;
        }
    }
    Ok(Answer::Text(String::new()))
}

pub fn condition(console: &mut Console, call: Call<'_, '_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    let (number, at) = one_number(console, &call, "condition N [EXPR]")?;
    let text = &rest[at - offset..];
    let condition = match text.trim().is_empty() {
        true => None,
        false => {
            let expr = parse_expr(text, at)?;
            let point = console.session.stops.iter().find(|point| point.number == number);
            let crossings = point.map_or(Vec::new(), |point| point.crossings.clone());
            check_at(&console.session, &crossings, &expr)?;
            Some(Condition { text: call.line.to_string(), expr })
        }
    };
    let said = match condition {
        Some(_) => String::new(),
        None => format!("Breakpoint {number} now unconditional."),
    };
    if let Some(point) = console.session.stops.get_mut(number) {
        point.condition = condition;
    }
    Ok(Answer::Text(said))
}

pub fn ignore(console: &mut Console, call: Call<'_, '_>) -> Done {
    let (number, at) = one_number(console, &call, "ignore N COUNT")?;
    let rest = &call.args.rest[at - call.args.offset..];
    let words = words(rest, at)?;
    let [count] = words.as_slice() else {
        return Err(Fail::At(LangError::new("expected how many hits to ignore", Span::at(at)).help("ignore N COUNT")));
    };
    let count = parse_count(count)?;
    if let Some(point) = console.session.stops.get_mut(number) {
        point.ignore = count;
    }
    Ok(Answer::Text(ignored(number, count)))
}

/// What an ignore count of a breakpoint means, in gdb's words.
pub(super) fn ignored(number: usize, count: u64) -> String {
    match count {
        0 => format!("Will stop next time breakpoint {number} is reached."),
        1 => format!("Will ignore next crossing of breakpoint {number}."),
        n => format!("Will ignore next {n} crossings of breakpoint {number}."),
    }
}

/// The breakpoint numbers in `rest`, or all of them where it is empty; each must exist.
fn numbers(console: &Console, _call: &Call<'_, '_>, rest: &str, offset: usize) -> Result<Vec<usize>, Fail> {
    if rest.trim().is_empty() {
        return Ok(console.session.stops.iter().map(|point| point.number).collect());
    }
    let variable = |name: &str| match console.session.variable(name) {
        crate::lang::eval::Datum::Num(n) if n >= 0.0 => Some(n as u32),
        _ => None,
    };
    let given = parse_numbers(rest, offset, &variable)?;
    let exists = |number: usize| console.session.stops.iter().any(|point| point.number == number);
    for number in &given {
        if !exists(number.value as usize) {
            return Err(Fail::At(LangError::new(format!("No breakpoint number {}.", number.value), number.span)));
        }
    }
    Ok(given.iter().map(|number| number.value as usize).collect())
}

/// The one number at the start of the arguments, and where the rest begins.
fn one_number(console: &Console, call: &Call<'_, '_>, usage: &str) -> Result<(usize, usize), Fail> {
    let (rest, offset) = (call.args.rest, call.args.offset);
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    if length == 0 {
        return Err(Fail::At(LangError::new("expected a breakpoint number", Span::at(offset)).help(usage)));
    }
    let numbers = numbers(console, call, &rest[..length], offset)?;
    let [number] = numbers[..] else {
        let span = Span::new(offset, offset + length);
        return Err(Fail::At(LangError::new("expected one breakpoint number", span).help(usage)));
    };
    Ok((number, offset + length))
}

/// The answer of `info breakpoints`.
pub fn table(console: &Console) -> Answer {
    if console.session.stops.is_empty() {
        return Answer::Text("No breakpoints.".into());
    }
    let columns = ["Num", "Type", "Disp", "Enb", "Where", "What"].map(String::from).to_vec();
    let rows = console.session.stops.iter().map(row).collect();
    Answer::Table(Table { title: String::new(), columns, rows })
}

fn row(point: &StopPoint) -> Vec<Cell> {
    let mut what = Vec::new();
    if let Some(condition) = &point.condition {
        what.push(format!("if {}", condition.expr));
    }
    if point.hits > 0 {
        what.push(format!("already hit {} time{}", point.hits, if point.hits == 1 { "" } else { "s" }));
    }
    if point.ignore > 0 {
        what.push(format!("ignore next {} hit{}", point.ignore, if point.ignore == 1 { "" } else { "s" }));
    }
    vec![
        Cell::Int(point.number as i64),
        Cell::Text("breakpoint".into()),
        Cell::Text(point.disposition.word().into()),
        Cell::Text(if point.enabled { "y" } else { "n" }.into()),
        Cell::Text(point.location.clone()),
        Cell::Text(what.join(", ")),
    ]
}
