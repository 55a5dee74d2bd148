//! From locations to positions of the cursor.

use super::fail::Fail;
use crate::debugger::{Crossing, Session};
use crate::lang::location::{Choice, Place, Target, When, parse_location, resolve};
use crate::lang::{LangError, Location, Span};

/// The places that a location names.
pub fn places(session: &Session, location: &Location) -> Result<Vec<Place>, Fail> {
    Ok(resolve(location, &*session.run.names, session.block())?)
}

/// The cursor position of a place.
pub fn position_of(session: &Session, place: &Place) -> Result<usize, Fail> {
    let program = &session.run.program;
    if place.pass.is_some_and(|pass| pass != 0) {
        return Err(Fail::because("this run has one pass, number 0"));
    }
    if let Some(run) = &place.run {
        return Err(Fail::because(format!("stops are set in the current run; checkout {run} first")));
    }
    let unknown = |name: &str| Fail::because(format!("no op or module {name}"));
    match &place.target {
        Target::Site(name) => {
            let op = program.op_of(name).ok_or_else(|| unknown(name))?;
            Ok(if place.when == When::After { op + 1 } else { op })
        }
        Target::Module(name) => {
            let module = &program.modules[program.module_of(name).ok_or_else(|| unknown(name))?];
            Ok(if place.when == When::After { module.end } else { module.start })
        }
        Target::Offset(ops) => {
            let position = session.run.cursor as i64 + ops;
            usize::try_from(position).ok().filter(|position| *position <= program.ops.len()).ok_or_else(|| {
                let (cursor, end) = (session.run.cursor, program.ops.len());
                Fail::because(format!("{ops:+} leaves the pass: the cursor is at op {cursor} of {end}"))
            })
        }
        Target::Pass(0) => Ok(0),
        Target::Pass(pass) => Err(Fail::because(format!("no pass {pass}: this run has one pass, number 0"))),
    }
}

/// The position that the argument of `until` and its kin names; it must name one place.
pub fn position(session: &Session, text: &str, offset: usize) -> Result<usize, Fail> {
    if text.is_empty() {
        let error = LangError::new("expected a location", Span::at(offset));
        return Err(Fail::At(error.help("a site (L2.attn.pattern), a module (L2.attn), or +3 ops from here")));
    }
    let location = parse_location(text, offset)?;
    match places(session, &location)?.as_slice() {
        [only] => position_of(session, only),
        many => Err(Fail::At(LangError::new(format!("this names {} places; go to one", many.len()), location.span))),
    }
}

/// Where a breakpoint on a location stops.
pub fn crossings(session: &Session, location: &Location) -> Result<Vec<Crossing>, Fail> {
    let mut all = Vec::new();
    for place in places(session, location)? {
        let position = position_of(session, &place)?;
        check_focus(session, &place)?;
        let after = place.when == When::After;
        let op = if after { position.saturating_sub(1) } else { position };
        all.push(Crossing { position, op, head: place.head, pos: place.pos, row: place.row });
    }
    all.sort_by_key(|crossing| crossing.position);
    Ok(all)
}

/// Whether the row and position of a place exist in the input.
fn check_focus(session: &Session, place: &Place) -> Result<(), Fail> {
    let rows = session.run.branch().input().rows.len();
    let pos = match &place.pos {
        Some(Choice::Index(pos)) => Some(*pos),
        _ => None,
    };
    for (what, asked, len) in [("row", place.row, rows), ("position", pos, session.row_length())] {
        if let Some(n) = asked
            && !(-(len as i64)..len as i64).contains(&n)
        {
            return Err(Fail::because(format!("no {what} {n}: the input has 0..{}", len.saturating_sub(1))));
        }
    }
    Ok(())
}
