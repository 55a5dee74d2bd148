//! Commands that set breakpoints, and those about all stop points.

use regex::Regex;

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, places};
use crate::debugger::{Condition, Crossing, Disposition, Error, HitCondition, Kind, Result, Session, StopPoint};
use crate::lang::eval::{Datum, check};
use crate::lang::words::{Word, parse_count, parse_numbers, words};
use crate::lang::{Expr, LangError, Span, parse_break, parse_expr, parse_location};

pub fn set(console: &mut Console, call: &Call<'_>, disposition: Disposition) -> Done {
    let (name, rest, offset) = named(console, call)?;
    let (location, condition) = parse_break(rest, offset)?;
    let session = &console.session;
    let (text, crossings) = match &location {
        Some(location) => (location.to_string(), places::crossings(session, location)?),
        None => {
            // Without a location: where the cursor is.
            let position = session.run.cursor;
            let op = session.run.program.ops.get(position);
            let site = op.map_or("-after logits".to_string(), |op| format!("-before {}", op.site));
            (site, vec![Crossing { position, op: position, ..Crossing::after(0) }])
        }
    };
    let kind = if disposition == Disposition::Delete { "Temporary breakpoint" } else { "Breakpoint" };
    let many = match crossings.as_slice() {
        // L2H3 is a head of a value that is not named.
        [Crossing { op, head: Some(head), .. }] if !text.contains('.') => {
            format!(" ({}, head {head})", session.run.program.ops[*op].site)
        }
        crossings => many_places(crossings),
    };
    let point = StopPoint { name, disposition, ..StopPoint::new(Kind::Break, text.clone(), crossings) };
    let number = set_point(console, call, point, condition)?;
    Ok(Answer::Text(format!("{kind} {number} at {text}{many}")))
}

/// Adds a stop point with a condition, whose names are checked first. Its number.
pub(crate) fn set_point(
    console: &mut Console,
    call: &Call<'_>,
    mut point: StopPoint,
    condition: Option<Expr>,
) -> Result<usize> {
    if let Some(expr) = condition {
        check_at(&console.session, &point.crossings, &expr)?;
        point.condition = Some(Condition { text: call.line.to_string(), expr });
    }
    Ok(console.session.stops.add(point))
}

/// What follows the location of a stop point that has several places.
pub(crate) fn many_places(crossings: &[Crossing]) -> String {
    if crossings.len() > 1 { format!(" ({} places)", crossings.len()) } else { String::new() }
}

/// `rbreak /REGEX/`: a separate breakpoint on every site that matches.
pub fn set_by_regex(console: &mut Console, call: Call<'_>) -> Done {
    let span = call.span();
    let text = call.args.rest.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).unwrap_or(call.args.rest);
    if text.is_empty() {
        return Err(LangError::new("expected a regular expression", span).help("rbreak /mlp.out$/").into());
    }
    let pattern = Regex::new(text).map_err(|error| no_pattern(&error, span))?;
    let program = console.session.run.program.clone();
    let matching: Vec<usize> = (0..program.ops.len()).filter(|&op| pattern.is_match(&program.ops[op].site)).collect();
    if matching.is_empty() {
        return Err(LangError::new(format!("no site matches {text}"), span).help("\"info sites\" lists them").into());
    }
    let set = matching.into_iter().map(|op| {
        let site = program.ops[op].site.clone();
        let point = StopPoint::new(Kind::Break, site.clone(), vec![Crossing::after(op)]);
        format!("Breakpoint {} at {site}", console.session.stops.add(point))
    });
    Ok(Answer::Text(set.collect::<Vec<_>>().join("\n")))
}

/// The error that a text is not a regular expression. The last line of a long one says why.
pub(crate) fn no_pattern(error: &regex::Error, span: Span) -> LangError {
    let text = error.to_string();
    LangError::new(format!("no regular expression: {}", text.lines().last().unwrap_or(&text)), span)
}

/// A leading `-name NAME`, and the rest with the byte at which it begins.
pub(crate) fn named<'a>(console: &Console, call: &Call<'a>) -> Result<(Option<String>, &'a str, usize)> {
    let (rest, offset) = (call.args.rest, call.args.offset);
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
        return Err(error.help("break -name flip L5.attn.z").into());
    }
    if console.session.stops.named(name).is_some() {
        return Err(LangError::new(format!("a stop point called {name} exists already"), span).into());
    }
    let left = text[name.len()..].trim_start();
    Ok((Some(name.to_string()), left, offset + rest.len() - left.len()))
}

/// Checks the names in a condition where it will be evaluated: a bare site means the block of the breakpoint.
pub(crate) fn check_at(session: &Session, crossings: &[Crossing], expr: &Expr) -> Result<()> {
    for crossing in crossings {
        check(expr, &*session.run.names, session.block_at(crossing.position))?;
    }
    Ok(())
}

/// `clear [LOC]`: deletes the breakpoints at a location, or at the cursor.
pub fn clear(console: &mut Console, call: Call<'_>) -> Done {
    let session = &console.session;
    let (positions, what): (Vec<usize>, &str) = match call.args.rest {
        "" => (vec![session.run.cursor], "the cursor"),
        text => {
            let found = places::crossings(session, &parse_location(text, call.args.offset)?)?;
            (found.iter().map(|crossing| crossing.position).collect(), text)
        }
    };
    let is_there = |point: &&StopPoint| {
        let at = |crossing: &Crossing| positions.contains(&crossing.position);
        matches!(point.kind, Kind::Break) && point.crossings.iter().any(at)
    };
    let numbers: Vec<usize> = session.stops.iter().filter(is_there).map(|point| point.number).collect();
    if numbers.is_empty() {
        return Err(LangError::new(format!("No breakpoint at {what}."), call.span()).into());
    }
    for number in &numbers {
        console.session.stops.remove(*number);
    }
    let listed: Vec<String> = numbers.iter().map(usize::to_string).collect();
    let noun = if numbers.len() == 1 { "breakpoint" } else { "breakpoints" };
    Ok(Answer::Text(format!("Deleted {noun} {}", listed.join(" "))))
}

/// `rwatch SITE`, `awatch SITE`: where the value of a site is read, or read or computed.
pub fn watch_access(console: &mut Console, call: &Call<'_>, written: bool) -> Done {
    let (name, rest, offset) = named(console, call)?;
    let (location, condition) = parse_break(rest, offset)?;
    let session = &console.session;
    let word = call.command.name;
    let help = format!("{word} L2.resid_pre");
    let expected = |span| LangError::new("expected one site", span).help(help.clone());
    let location = location.ok_or_else(|| expected(Span::at(offset)))?;
    let crossings = places::crossings(session, &location)?;
    let op = match crossings.as_slice() {
        [Crossing { position, op, .. }] if position > op => *op,
        _ => return Err(expected(location.span).into()),
    };
    let program = &session.run.program;
    let mut ops: Vec<usize> = program.readers(op).to_vec();
    ops.extend(written.then_some(op));
    ops.sort_unstable();
    if ops.is_empty() {
        return Err(LangError::new("no op reads this site", location.span).help("awatch, or break on it").into());
    }
    let count = match ops.len() {
        1 => "1 op".to_string(),
        count => format!("{count} ops"),
    };
    let crossings = ops.into_iter().map(Crossing::after).collect();
    let text = location.to_string();
    let point = StopPoint { name, ..StopPoint::new(Kind::Access { op, written }, text.clone(), crossings) };
    let number = set_point(console, call, point, condition)?;
    let kind = if written { "Access watchpoint" } else { "Read watchpoint" };
    Ok(Answer::Text(format!("{kind} {number}: {text} ({count} of a pass)")))
}

pub fn delete(console: &mut Console, call: Call<'_>) -> Done {
    let (mut rest, mut offset) = (call.args.rest, call.args.offset);
    if let Some(what) = call.args.subcommand().filter(|what| what.word.len() > 1)
        && console.session.stops.named(what.word).is_none()
    {
        if "checkpoints".starts_with(what.word) {
            return delete_checkpoints(console, what.rest, what.offset);
        }
        if "breakpoints".starts_with(what.word) {
            (rest, offset) = (what.rest, what.offset);
        }
    }
    let numbers = numbers(console, rest, offset)?;
    for number in &numbers {
        console.session.stops.remove(*number);
    }
    let count = numbers.len();
    Ok(Answer::Text(format!("Deleted {count} breakpoint{}", if count == 1 { "" } else { "s" })))
}

/// Changes each of these stop points. Nothing is said of it.
fn change(console: &mut Console, numbers: &[usize], change: impl Fn(&mut StopPoint)) -> Done {
    for number in numbers {
        if let Some(point) = console.session.stops.get_mut(*number) {
            change(point);
        }
    }
    Ok(Answer::Text(String::new()))
}

fn delete_checkpoints(console: &mut Console, text: &str, offset: usize) -> Done {
    let mut numbers = Vec::new();
    for word in words(text, offset)? {
        let number = parse_count(&word)? as usize;
        if !console.session.checkpoints.contains_key(&number) {
            return Err(LangError::new(format!("no checkpoint {number}"), word.span).into());
        }
        numbers.push(number);
    }
    console.session.checkpoints.retain(|number, _| !numbers.contains(number));
    Ok(Answer::Text(String::new()))
}

pub fn enable(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    let first = words(rest, offset)?;
    let (disposition, left, at) = match first.first().map(|word| word.text.as_str()) {
        Some("once") => (Some(Disposition::Disable), None, 1),
        Some("delete") => (Some(Disposition::Delete), None, 1),
        Some("count") => {
            let count = first.get(1).ok_or("enable count needs a number: enable count 2 1")?;
            (Some(Disposition::Disable), Some(parse_count(count)?), 2)
        }
        _ => (None, None, 0),
    };
    let start = first.get(at).map_or(offset + rest.len(), |word| word.span.start);
    let rest = &rest[start - offset..];
    let numbers = numbers(console, rest, start)?;
    change(console, &numbers, |point| {
        point.enabled = true;
        if let Some(disposition) = disposition {
            (point.disposition, point.left) = (disposition, left);
        }
    })
}

pub fn disable(console: &mut Console, call: Call<'_>) -> Done {
    let numbers = numbers(console, call.args.rest, call.args.offset)?;
    change(console, &numbers, |point| point.enabled = false)
}

pub fn condition(console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    if let Some(after) = rest.strip_prefix("-hits").filter(|after| after.starts_with(char::is_whitespace)) {
        let after = after.trim_start();
        return hit_condition(console, after, offset + rest.len() - after.len());
    }
    let (number, at) = one_number(console, rest, offset, "condition N [EXPR]")?;
    let text = &rest[at - offset..];
    if text.trim().is_empty() {
        change(console, &[number], |point| point.condition = None)?;
        return Ok(Answer::Text(format!("Breakpoint {number} now unconditional.")));
    }
    let expr = parse_expr(text, at)?;
    let crossings = console.session.stops.get(number).map_or(Vec::new(), |point| point.crossings.clone());
    check_at(&console.session, &crossings, &expr)?;
    let condition = Condition { text: call.line.to_string(), expr };
    change(console, &[number], |point| point.condition = Some(condition.clone()))
}

fn hit_condition(console: &mut Console, rest: &str, offset: usize) -> Done {
    const USAGE: &str = "condition -hits N OP COUNT, OP being one of > >= < <= == != %";
    let (number, at) = one_number(console, rest, offset, USAGE)?;
    let given = words(&rest[at - offset..], at)?;
    let condition = match given.as_slice() {
        [] => None,
        [op, count] => {
            let known = [">", ">=", "<", "<=", "==", "!=", "%"].into_iter().find(|known| *known == op.text);
            let op = known.ok_or_else(|| LangError::new(format!("no comparison {}", op.text), op.span).help(USAGE))?;
            Some(HitCondition { op, count: parse_count(count)? })
        }
        _ => return Err(LangError::new("expected a comparison and a number", Span::at(at)).help(USAGE).into()),
    };
    change(console, &[number], |point| point.hit_condition = condition)
}

pub fn ignore(console: &mut Console, call: Call<'_>) -> Done {
    let (number, at) = one_number(console, call.args.rest, call.args.offset, "ignore N COUNT")?;
    let rest = &call.args.rest[at - call.args.offset..];
    let words = words(rest, at)?;
    let [count] = words.as_slice() else {
        return Err(LangError::new("expected how many hits to ignore", Span::at(at)).help("ignore N COUNT").into());
    };
    let count = parse_count(count)?;
    change(console, &[number], |point| point.ignore = count)?;
    Ok(Answer::Text(ignored(number, count)))
}

/// What an ignore count of a breakpoint means, in gdb's words.
pub(crate) fn ignored(number: usize, count: u64) -> String {
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
        return Err(LangError::new("expected the commands, one a line, and end", span).into());
    }
    let numbers_of = &first[call.args.offset.min(first.len())..];
    let last = console.session.stops.last_number();
    let given = match numbers_of.trim().is_empty() {
        false => numbers(console, numbers_of, call.args.offset)?,
        true if console.session.stops.get(last).is_some() => vec![last],
        true => return Err(Error::refused("there is no stop point to give commands to")),
    };
    change(console, &given, |point| point.commands = lines.iter().map(|line| line.to_string()).collect())
}

/// The stop points in `rest`, by number, range or name, or all of them where it is empty; each must exist.
pub(crate) fn numbers(console: &Console, rest: &str, offset: usize) -> Result<Vec<usize>> {
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
        return Err(LangError::new(format!("No breakpoint called {}.", word.text), word.span).into());
    }
    let given = parse_numbers(&word.text, word.span.start, &variable)?;
    for number in &given {
        if console.session.stops.get(number.value as usize).is_none() {
            return Err(LangError::new(format!("No breakpoint number {}.", number.value), number.span).into());
        }
    }
    Ok(given.iter().map(|number| number.value as usize).collect())
}

/// The one stop point at the start of the arguments, and where the rest begins.
fn one_number(console: &Console, rest: &str, offset: usize, usage: &str) -> Result<(usize, usize)> {
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    if length == 0 {
        return Err(LangError::new("expected a breakpoint number", Span::at(offset)).help(usage).into());
    }
    let numbers = numbers(console, &rest[..length], offset)?;
    let [number] = numbers[..] else {
        let span = Span::new(offset, offset + length);
        return Err(LangError::new("expected one breakpoint number", span).help(usage).into());
    };
    Ok((number, offset + length))
}

pub fn table(console: &Console) -> Answer {
    if console.session.stops.is_empty() {
        return Answer::Text("No breakpoints.".into());
    }
    let rows = console.session.stops.iter().map(|point| {
        let (kind, disposition, enabled) = (point.kind.word(), point.disposition.word(), point.enabled);
        (point.number, kind, disposition, if enabled { "y" } else { "n" }, &point.location, details(console, point))
    });
    Table::new(["Num", "Type", "Disp", "Enb", "Where", "What"]).rows(rows).into()
}

fn details(console: &Console, point: &StopPoint) -> String {
    let times = |n: u64| if n == 1 { "" } else { "s" };
    let session = &console.session;
    let here = session.passed_on.iter().filter(|(branch, _)| *branch == session.run.current);
    let passed = if matches!(point.kind, Kind::Catch(_)) { here.count() as u64 } else { 0 };
    let StopPoint { hits, ignore, .. } = *point;
    let all = [
        point.name.as_ref().map(|name| format!("called {name}")),
        point.condition.as_ref().map(|condition| format!("if {}", condition.expr)),
        point.hit_condition.map(|HitCondition { op, count }| format!("at hits {op} {count}")),
        (hits > 0).then(|| format!("already hit {hits} time{}", times(hits))),
        (ignore > 0).then(|| format!("ignore next {ignore} hit{}", times(ignore))),
        point.left.map(|left| format!("for {left} more stop{}", times(left))),
        (passed > 0).then(|| format!("passed on at {passed} op{}", times(passed))),
        (!point.commands.is_empty()).then(|| format!("runs {}", point.commands.join("; "))),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
