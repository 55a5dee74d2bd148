//! From locations to positions of the cursor.

use crate::debugger::{Crossing, Error, Mark, Result, Session};
use crate::lang::location::{Choice, Place, Target, When, parse_location, resolve};
use crate::lang::{LangError, Location, Span};

pub fn places(session: &Session, location: &Location) -> Result<Vec<Place>> {
    Ok(resolve(location, &*session.run.names, session.block())?)
}

/// Where a place is in a pass, and the only pass that it names, if it names one.
pub fn position_of(session: &Session, place: &Place) -> Result<(Option<usize>, usize)> {
    let program = &session.run.program;
    if let Some(run) = &place.run {
        return Err(Error::refused(format!("stops are set in the current run; checkout {run} first")));
    }
    let pass = place.pass.map(|pass| pass as usize);
    let unknown = |name: &str| Error::refused(format!("no op or module {name}"));
    let op = match &place.target {
        Target::Site(name) => {
            let op = program.op_of(name).ok_or_else(|| unknown(name))?;
            if place.when == When::After { op + 1 } else { op }
        }
        Target::Module(name) => {
            let module = &program.modules[program.module_of(name).ok_or_else(|| unknown(name))?];
            if place.when == When::After { module.end } else { module.start }
        }
        Target::Offset(ops) => {
            let position = session.run.cursor as i64 + ops;
            usize::try_from(position).ok().filter(|position| *position <= program.ops.len()).ok_or_else(|| {
                let (cursor, end) = (session.run.cursor, program.ops.len());
                Error::refused(format!("{ops:+} leaves the pass: the cursor is at op {cursor} of {end}"))
            })?
        }
        Target::Pass(pass) => return Ok((Some(*pass as usize), 0)),
    };
    check_pass(session, pass.unwrap_or(0))?;
    Ok((pass, op))
}

/// A model that computes its whole text at once has one pass.
fn check_pass(session: &Session, pass: usize) -> Result<()> {
    match pass > 0 && !session.run.generates() {
        true => Err(format!("no pass {pass}: this model has one pass, number 0").into()),
        false => Ok(()),
    }
}

/// The place that the argument of `until` and its kin names; it must name one.
pub fn mark(session: &Session, text: &str, offset: usize) -> Result<Mark> {
    if text.is_empty() {
        let error = LangError::new("expected a location", Span::at(offset));
        return Err(error.help("a site (L2.attn.pattern), a module (L2.attn), or +3 ops from here").into());
    }
    let location = parse_location(text, offset)?;
    match places(session, &location)?.as_slice() {
        [only] => {
            let (pass, op) = position_of(session, only)?;
            check_pass(session, pass.unwrap_or(0))?;
            check_focus(session, only)?;
            Ok(Mark { pass: pass.unwrap_or(session.run.pass), op })
        }
        many => Err(LangError::new(format!("this names {} places; go to one", many.len()), location.span).into()),
    }
}

/// Where a breakpoint on a location stops.
pub fn crossings(session: &Session, location: &Location) -> Result<Vec<Crossing>> {
    let mut all = Vec::new();
    for place in places(session, location)? {
        let (pass, position) = position_of(session, &place)?;
        check_pass(session, pass.unwrap_or(0))?;
        check_focus(session, &place)?;
        let after = place.when == When::After;
        let op = if after { position.saturating_sub(1) } else { position };
        all.push(Crossing { pass, position, op, head: place.head, pos: place.pos, row: place.row });
    }
    all.sort_by_key(|crossing| (crossing.pass, crossing.position));
    Ok(all)
}

/// Whether the row and position of a place exist in the input.
fn check_focus(session: &Session, place: &Place) -> Result<()> {
    let rows = session.run.branch().text().rows.len();
    let pos = match &place.pos {
        Some(Choice::Index(pos)) => Some(*pos),
        Some(Choice::Text(text)) => Some(session.position_of(text)? as i64),
        None => None,
    };
    for (what, asked, len) in [("row", place.row, rows), ("position", pos, session.row_length())] {
        if let Some(n) = asked
            && !(-(len as i64)..len as i64).contains(&n)
        {
            return Err(Error::refused(format!("no {what} {n}: the input has 0..{}", len.saturating_sub(1))));
        }
    }
    Ok(())
}
