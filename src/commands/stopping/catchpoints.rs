//! Commands that stop on what happens: `watch` and `catch`.

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, EXPLODING, VANISHING, places};
use crate::commands::stopping::breakpoints::{named, set_point};
use crate::debugger::{Catch, Condition, Crossing, Error, Kind, Result, RunScope, StopPoint, Watch};
use crate::lang::eval::{Scope, check};
use crate::lang::words::words;
use crate::lang::{LangError, Span, parse_break, parse_watch};

/// Magnitudes from here on are near the largest number of 16 bits, 65504: ONNX Runtime warns from 50000 on.
const NEAR_OVERFLOW: f64 = 50000.0;

/// Growth of a residual norm over one addition that stops.
const JUMP: f64 = 10.0;

/// Share of attention, or distance of a tanh from zero, that counts as all.
const SATURATED: f64 = 0.999;

/// Distance from the other side, absolute and relative, that stops: the floor of one forward pass in 32 bits (TransformerLens).
const DIVERGING: f64 = 2e-4;

pub const EVENTS: [&str; 11] =
    ["nan", "inf", "overflow", "norm-jump", "dead", "saturated", "diverge", "vanish", "explode", "token", "pass"];

pub fn watch(console: &mut Console, call: Call<'_>) -> Done {
    let (name, rest, offset) = named(console, &call)?;
    if rest.is_empty() {
        return Err(LangError::new("expected what to watch", Span::at(offset)).help("watch prob(\" Mary\")").into());
    }
    let (expr, condition) = parse_watch(rest, offset)?;
    let session = &console.session;
    let blocks = session.run.program.n_layers();
    // Bare names are those of each block in turn.
    check(&expr, &*session.run.names, (blocks > 0).then_some(0))?;
    let crossings = session.watched_places(&expr);
    if crossings.is_empty() {
        return Err(LangError::new("this can never change: it depends on nothing that is computed", expr.span).into());
    }
    let (text, places) = (expr.to_string(), crossings.len());
    let watch = Watch { expr: Condition { text: call.line.to_string(), expr } };
    let point = StopPoint { name, ..StopPoint::new(Kind::Watch(watch), text.clone(), crossings) };
    let number = set_point(console, &call, point, condition)?;
    let ops = if places == 1 { "1 op".to_string() } else { format!("{places} ops") };
    Ok(Answer::Text(format!("Watchpoint {number}: {text} (evaluated at {ops} of a pass)")))
}

pub fn catch(console: &mut Console, call: Call<'_>) -> Done {
    let (name, rest, offset) = named(console, &call)?;
    let word = rest.split_whitespace().next().unwrap_or_default();
    let span = Span::new(offset, offset + word.len());
    let after = rest[word.len()..].trim_start();
    let at = offset + rest.len() - after.len();
    let (catch, rest, offset) = match word {
        "nan" => (Catch::Nan, after, at),
        "inf" => (Catch::Inf, after, at),
        "dead" => (Catch::Dead, after, at),
        "overflow" => with_number(after, at, NEAR_OVERFLOW, Catch::Overflow)?,
        "norm-jump" => with_number(after, at, JUMP, Catch::NormJump)?,
        "saturated" => with_number(after, at, SATURATED, Catch::Saturated)?,
        "diverge" => with_number(after, at, DIVERGING, Catch::Diverge)?,
        "vanish" => with_number(after, at, VANISHING, Catch::Vanish)?,
        "explode" => with_number(after, at, EXPLODING, Catch::Explode)?,
        "pass" => (Catch::Pass, after, at),
        "token" => tokens(console, after, at)?,
        _ => {
            let message = if word.is_empty() { "expected what to catch".into() } else { format!("no event {word}") };
            return Err(LangError::new(message, span).help(format!("one of {}", EVENTS.join(", "))).into());
        }
    };
    let session = &console.session;
    if matches!(catch, Catch::Diverge(_)) && session.follower().is_none() {
        return Err(Error::refused("there is no side to diverge from: \"set compare NAME\" says which one follows"));
    }
    if matches!(catch, Catch::Token(_) | Catch::Pass) && !session.run.generates() {
        return Err(Error::refused("this model computes its text in one pass: no token is chosen"));
    }
    let (location, condition) = parse_break(rest, offset)?;
    let crossings = match &location {
        None => session.caught_places(&catch),
        Some(location) if matches!(catch, Catch::Token(_) | Catch::Pass) => {
            return Err(LangError::new(format!("catch {word} is at no location"), location.span).into());
        }
        Some(location) => within(session, &places::crossings(session, location)?, &catch, location.span)?,
    };
    let text = described(&catch, location.map(|location| location.to_string()));
    let point = StopPoint { name, ..StopPoint::new(Kind::Catch(catch), text.clone(), crossings) };
    let number = set_point(console, &call, point, condition)?;
    Ok(Answer::Text(format!("Catchpoint {number} ({text})")))
}

/// The ops of a location, and of modules all that is in them, that a catch can say something about.
fn within(session: &crate::debugger::Session, named: &[Crossing], catch: &Catch, span: Span) -> Result<Vec<Crossing>> {
    let program = &session.run.program;
    let mut ops: Vec<usize> = Vec::new();
    for crossing in named {
        let starts = |module: &&crate::program::Module| module.parent.is_some() && module.start == crossing.position;
        // A location that stops before something is that of a module: all of it.
        match (crossing.position == crossing.op, program.modules.iter().find(starts)) {
            (true, Some(module)) => ops.extend(module.start..module.end),
            _ => ops.push(crossing.op),
        }
    }
    ops.retain(|&op| session.can_happen(catch, op));
    ops.sort_unstable();
    ops.dedup();
    match ops.is_empty() {
        true => Err(LangError::new(format!("{} cannot happen there", catch.word()), span).into()),
        false => Ok(ops.into_iter().map(Crossing::after).collect()),
    }
}

/// A number before the location, or the usual one.
fn with_number(rest: &str, offset: usize, usual: f64, make: fn(f64) -> Catch) -> Result<(Catch, &str, usize)> {
    let word = rest.split_whitespace().next().unwrap_or_default();
    if !word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok((make(usual), rest, offset));
    }
    let threshold = word.parse::<f64>().ok().filter(|x| *x > 0.0).ok_or_else(|| {
        let span = Span::new(offset, offset + word.len());
        LangError::new(format!("{word} is not a threshold: a number above 0"), span)
    })?;
    let left = rest[word.len()..].trim_start();
    Ok((make(threshold), left, offset + rest.len() - left.len()))
}

fn tokens<'a>(console: &mut Console, rest: &'a str, offset: usize) -> Result<(Catch, &'a str, usize)> {
    let vocab = console.session.run.model.spec.vocab;
    let (mut ids, mut end) = (Vec::new(), offset);
    for word in words(rest, offset)? {
        let id = match word.quoted {
            false if word.text == "if" => break,
            true => {
                let scope: &mut dyn Scope = &mut RunScope::new(&mut console.session);
                scope.token_id(&word.text).map(|id| id as u32)
            }
            false => word.text.parse::<u32>().ok().filter(|id| (*id as usize) < vocab).ok_or_else(|| {
                format!("{} is not a token: a text in quotes, or a number in 0..{}", word.text, vocab - 1).into()
            }),
        };
        ids.push(id.map_err(|error| LangError::because(error, word.span))?);
        end = word.span.end;
    }
    if ids.is_empty() {
        return Err(LangError::new("expected a token", Span::at(offset)).help("catch token \" Mary\"").into());
    }
    let left = rest[end - offset..].trim_start();
    Ok((Catch::Token(ids), left, offset + rest.len() - left.len()))
}

/// What follows `catch`, so that it can be typed again.
fn described(catch: &Catch, location: Option<String>) -> String {
    let mut text = catch.word().to_string();
    match catch {
        Catch::Overflow(x)
        | Catch::NormJump(x)
        | Catch::Saturated(x)
        | Catch::Diverge(x)
        | Catch::Vanish(x)
        | Catch::Explode(x) => text.push_str(&format!(" {x}")),
        Catch::Token(ids) => ids.iter().for_each(|id| text.push_str(&format!(" {id}"))),
        _ => {}
    }
    if let Some(location) = location {
        text.push_str(&format!(" {location}"));
    }
    text
}
