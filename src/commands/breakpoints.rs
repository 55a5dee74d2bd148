//! Commands that set breakpoints, and those about all stop points.

use regex::Regex;

use super::console::{Console, Done};
use super::places;
use super::table::Call;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Condition, Crossing, Disposition, Error, HitCondition, Kind, Result, Session, StopPoint};
use crate::lang::eval::{Datum, check};
use crate::lang::words::{Word, parse_count, parse_numbers, words};
use crate::lang::{Expr, LangError, Span, parse_break, parse_expr};

pub fn set(console: &mut Console, call: Call<'_>) -> Done {
    add(console, &call, Disposition::Keep)
}

pub fn set_temporary(console: &mut Console, call: Call<'_>) -> Done {
    add(console, &call, Disposition::Delete)
}

fn add(console: &mut Console, call: &Call<'_>, disposition: Disposition) -> Done {
    let (name, rest, offset) = named(console, call.args.rest, call.args.offset)?;
    let (location, condition) = parse_break(rest, offset)?;
    let session = &mut console.session;
    let (text, crossings) = match &location {
        Some(location) => (location.to_string(), places::crossings(session, location)?),
        None => {
            // Without a location: where the cursor stands.
            let position = session.run.cursor;
            let op = session.run.program.ops.get(position);
            let site = op.map_or("-after logits".to_string(), |op| format!("-before {}", op.site));
            (site, vec![Crossing { position, op: position, ..Crossing::after(0) }])
        }
    };
    if let Some(expr) = &condition {
        check_at(session, &crossings, expr)?;
    }
    let places = crossings.len();
    let number = session.stops.add(StopPoint {
        name,
        condition: condition.map(|expr| Condition { text: call.line.to_string(), expr }),
        disposition,
        ..StopPoint::new(Kind::Break, text.clone(), crossings)
    });
    let kind = if disposition == Disposition::Delete { "Temporary breakpoint" } else { "Breakpoint" };
    let many = if places > 1 { format!(" ({places} places)") } else { String::new() };
    Ok(Answer::Text(format!("{kind} {number} at {text}{many}")))
}

/// `rbreak /REGEX/`: a breakpoint of its own on every site that matches.
pub fn set_by_regex(console: &mut Console, call: Call<'_>) -> Done {
    let span = Span::new(call.args.offset, call.args.offset + call.args.rest.len());
    let text = call.args.rest.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).unwrap_or(call.args.rest);
    if text.is_empty() {
        return Err(Error::At(LangError::new("expected a regular expression", span).help("rbreak /mlp.out$/")));
    }
    let pattern = Regex::new(text).map_err(|error| {
        let text = error.to_string();
        Error::At(LangError::new(format!("no regular expression: {}", text.lines().last().unwrap_or(&text)), span))
    })?;
    let program = console.session.run.program.clone();
    let matching: Vec<usize> = (0..program.ops.len()).filter(|&op| pattern.is_match(&program.ops[op].site)).collect();
    if matching.is_empty() {
        return Err(Error::At(
            LangError::new(format!("no site matches {text}"), span).help("\"info sites\" lists them"),
        ));
    }
    let set = matching.into_iter().map(|op| {
        let site = program.ops[op].site.clone();
        let point = StopPoint::new(Kind::Break, site.clone(), vec![Crossing::after(op)]);
        format!("Breakpoint {} at {site}", console.session.stops.add(point))
    });
    Ok(Answer::Text(set.collect::<Vec<_>>().join("\n")))
}

/// A leading `-name NAME`, and the rest.
pub(super) fn named<'a>(console: &Console, rest: &'a str, offset: usize) -> Result<(Option<String>, &'a str, usize)> {
    let Some(after) = rest.strip_prefix("-name").filter(|after| after.starts_with(char::is_whitespace)) else {
        return Ok((None, rest, offset));
    };
    let text = after.trim_start();
    let start = offset + rest.len() - text.len();
    let name = text.split_whitespace().next().unwrap_or_default();
    let span = Span::new(start, start + name.len());
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if !name.starts_with(char::is_alphabetic) || !name.chars().all(word) {
        let error = LangError::new("a name begins with a letter and has letters, digits, - and _", span);
        return Err(Error::At(error.help("break -name flip L5.attn.z")));
    }
    if console.session.stops.named(name).is_some() {
        return Err(Error::At(LangError::new(format!("there is a stop point called {name} already"), span)));
    }
    let left = text[name.len()..].trim_start();
    Ok((Some(name.to_string()), left, offset + rest.len() - left.len()))
}

/// Checks the names in a condition where it will be evaluated: a bare site means the block of the breakpoint.
pub(super) fn check_at(session: &Session, crossings: &[Crossing], expr: &Expr) -> Result<()> {
    for crossing in crossings {
        check(expr, &*session.run.names, session.block_at(crossing.position))?;
    }
    Ok(())
}

pub fn delete(console: &mut Console, call: Call<'_>) -> Done {
    if let Some(what) = call.args.subcommand()
        && what.word.len() > 1
        && "checkpoints".starts_with(what.word)
    {
        return super::times::delete(console, what.rest, what.offset);
    }
    let numbers = numbers(console, call.args.rest, call.args.offset)?;
    let count = numbers.len();
    for number in numbers {
        console.session.stops.remove(number);
    }
    Ok(Answer::Text(format!("Deleted {count} breakpoint{}", if count == 1 { "" } else { "s" })))
}

pub fn enable(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    let first = words(rest, offset)?;
    let (disposition, left, at) = match first.first().map(|word| word.text.as_str()) {
        Some("once") => (Some(Disposition::Disable), None, 1),
        Some("delete") => (Some(Disposition::Delete), None, 1),
        Some("count") => {
            let Some(count) = first.get(1) else {
                return Err(Error::refused("enable count needs a number: enable count 2 1"));
            };
            (Some(Disposition::Disable), Some(parse_count(count)?), 2)
        }
        _ => (None, None, 0),
    };
    let start = first.get(at).map_or(offset + rest.len(), |word| word.span.start);
    let rest = &rest[start - offset..];
    for number in numbers(console, rest, start)? {
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

pub fn disable(console: &mut Console, call: Call<'_>) -> Done {
    for number in numbers(console, call.args.rest, call.args.offset)? {
        if let Some(point) = console.session.stops.get_mut(number) {
            point.enabled = false;
        }
    }
    Ok(Answer::Text(String::new()))
}

/// `condition N [EXPR]`, `condition -hits N [OP COUNT]`.
pub fn condition(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    if let Some(after) = rest.strip_prefix("-hits").filter(|after| after.starts_with(char::is_whitespace)) {
        let after = after.trim_start();
        return hit_condition(console, after, offset + rest.len() - after.len());
    }
    let (number, at) = one_number(console, rest, offset, "condition N [EXPR]")?;
    let text = &rest[at - offset..];
    let condition = match text.trim().is_empty() {
        true => None,
        false => {
            let expr = parse_expr(text, at)?;
            let crossings = console.session.stops.get(number).map_or(Vec::new(), |point| point.crossings.clone());
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

fn hit_condition(console: &mut Console, rest: &str, offset: usize) -> Done {
    const USAGE: &str = "condition -hits N OP COUNT, OP being one of > >= < <= == != %";
    let (number, at) = one_number(console, rest, offset, USAGE)?;
    let given = words(&rest[at - offset..], at)?;
    let condition = match given.as_slice() {
        [] => None,
        [op, count] => {
            let known = [">", ">=", "<", "<=", "==", "!=", "%"].into_iter().find(|known| *known == op.text);
            let op = known
                .ok_or_else(|| Error::At(LangError::new(format!("no comparison {}", op.text), op.span).help(USAGE)))?;
            Some(HitCondition { op, count: parse_count(count)? })
        }
        _ => return Err(Error::At(LangError::new("expected a comparison and a number", Span::at(at)).help(USAGE))),
    };
    if let Some(point) = console.session.stops.get_mut(number) {
        point.hit_condition = condition;
    }
    Ok(Answer::Text(String::new()))
}

pub fn ignore(console: &mut Console, call: Call<'_>) -> Done {
    let (number, at) = one_number(console, call.args.rest, call.args.offset, "ignore N COUNT")?;
    let rest = &call.args.rest[at - call.args.offset..];
    let words = words(rest, at)?;
    let [count] = words.as_slice() else {
        return Err(Error::At(LangError::new("expected how many hits to ignore", Span::at(at)).help("ignore N COUNT")));
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

/// `commands [N...]`, and the lines up to `end`.
pub fn commands(console: &mut Console, call: Call<'_>) -> Done {
    let (first, block) = call.line.split_once('\n').unwrap_or((call.line, ""));
    let mut lines: Vec<&str> = block.lines().map(str::trim).collect();
    if lines.pop() != Some("end") {
        let span = Span::at(call.args.offset);
        return Err(Error::At(LangError::new("expected the commands, one a line, and end", span)));
    }
    let numbers_of = &first[call.args.offset.min(first.len())..];
    let given = match numbers_of.trim().is_empty() {
        true => match console.session.stops.last_number() {
            last if console.session.stops.get(last).is_some() => vec![last],
            _ => return Err(Error::refused("there is no stop point to give commands to")),
        },
        false => numbers(console, numbers_of, call.args.offset)?,
    };
    for number in given {
        if let Some(point) = console.session.stops.get_mut(number) {
            point.commands = lines.iter().map(|line| line.to_string()).collect();
        }
    }
    Ok(Answer::Text(String::new()))
}

/// The stop points in `rest`, by number, range or name, or all of them where it is empty; each must exist.
pub(super) fn numbers(console: &Console, rest: &str, offset: usize) -> Result<Vec<usize>> {
    let stops = &console.session.stops;
    if rest.trim().is_empty() {
        return Ok(stops.iter().map(|point| point.number).collect());
    }
    let mut all = Vec::new();
    for word in words(rest, offset)? {
        match stops.named(&word.text) {
            Some(number) => all.push(number),
            None => all.extend(by_number(console, &word)?),
        }
    }
    Ok(all)
}

fn by_number(console: &Console, word: &Word) -> Result<Vec<usize>> {
    let variable = |name: &str| match console.session.variable(name) {
        Datum::Num(n) if n >= 0.0 => Some(n as u32),
        _ => None,
    };
    if word.text.starts_with(char::is_alphabetic) {
        return Err(Error::At(LangError::new(format!("No breakpoint called {}.", word.text), word.span)));
    }
    let given = parse_numbers(&word.text, word.span.start, &variable)?;
    for number in &given {
        if console.session.stops.get(number.value as usize).is_none() {
            return Err(Error::At(LangError::new(format!("No breakpoint number {}.", number.value), number.span)));
        }
    }
    Ok(given.iter().map(|number| number.value as usize).collect())
}

/// The one stop point at the start of the arguments, and where the rest begins.
fn one_number(console: &Console, rest: &str, offset: usize, usage: &str) -> Result<(usize, usize)> {
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    if length == 0 {
        return Err(Error::At(LangError::new("expected a breakpoint number", Span::at(offset)).help(usage)));
    }
    let numbers = numbers(console, &rest[..length], offset)?;
    let [number] = numbers[..] else {
        let span = Span::new(offset, offset + length);
        return Err(Error::At(LangError::new("expected one breakpoint number", span).help(usage)));
    };
    Ok((number, offset + length))
}

/// The answer of `info breakpoints`.
pub fn table(console: &Console) -> Answer {
    if console.session.stops.is_empty() {
        return Answer::Text("No breakpoints.".into());
    }
    let columns = ["Num", "Type", "Disp", "Enb", "Where", "What"].map(String::from).to_vec();
    let rows = console.session.stops.iter().map(|point| row(console, point)).collect();
    Answer::Table(Table { title: String::new(), columns, rows })
}

fn row(console: &Console, point: &StopPoint) -> Vec<Cell> {
    let mut what = Vec::new();
    let times = |n: u64| if n == 1 { "" } else { "s" };
    if let Some(name) = &point.name {
        what.push(format!("called {name}"));
    }
    if let Some(condition) = &point.condition {
        what.push(format!("if {}", condition.expr));
    }
    if let Some(HitCondition { op, count }) = point.hit_condition {
        what.push(format!("at hits {op} {count}"));
    }
    if point.hits > 0 {
        what.push(format!("already hit {} time{}", point.hits, times(point.hits)));
    }
    if point.ignore > 0 {
        what.push(format!("ignore next {} hit{}", point.ignore, times(point.ignore)));
    }
    if let Some(left) = point.left {
        what.push(format!("for {left} more stop{}", times(left)));
    }
    if matches!(point.kind, Kind::Catch(_)) {
        let passed =
            console.session.passed_on.iter().filter(|(branch, _)| *branch == console.session.run.current).count();
        if passed > 0 {
            what.push(format!("passed on at {passed} op{}", times(passed as u64)));
        }
    }
    if !point.commands.is_empty() {
        what.push(format!("runs {}", point.commands.join("; ")));
    }
    vec![
        Cell::Int(point.number as i64),
        Cell::Text(point.kind.word().into()),
        Cell::Text(point.disposition.word().into()),
        Cell::Text(if point.enabled { "y" } else { "n" }.into()),
        Cell::Text(point.location.clone()),
        Cell::Text(what.join(", ")),
    ]
}
