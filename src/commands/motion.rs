//! Commands that move the cursor.

use super::backward::walking;
use super::console::{Console, Done};
use super::places;
use super::table::Call;
use crate::answer::Answer;
use crate::debugger::{Direction, Error, Mark, Motion, Reason, Result, RunError};
use crate::lang::words::{parse_count, words};

pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    no_arguments(&call)?;
    console.session.leave_walk();
    let start = console.session.start();
    if let Some(stop) = console.session.fired() {
        return console.arrived(stop);
    }
    console.session.last_stop = Some(start);
    travel(console, Motion::Continue, Direction::Forward)
}

pub fn start(console: &mut Console, call: Call<'_>) -> Done {
    no_arguments(&call)?;
    console.session.leave_walk();
    let stop = console.session.start();
    console.arrived(stop)
}

pub fn step(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "step") {
        return done;
    }
    let count = count(&call)?.unwrap_or(1);
    travel(console, Motion::Step(count), Direction::Forward)
}

pub fn next(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "next") {
        return done;
    }
    let count = count(&call)?.unwrap_or(1);
    travel(console, Motion::Next(count), Direction::Forward)
}

pub fn finish(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "finish") {
        return done;
    }
    no_arguments(&call)?;
    let run = &console.session.run;
    let end = match run.at_end() {
        true => run.end_of(run.pass + 1),
        false => Mark { pass: run.pass, op: run.program.modules[run.program.module_at(run.cursor)].end },
    };
    let stop = console.session.travel(&Motion::Finish, Direction::Forward)?;
    let arrived = stop.at == end && matches!(stop.reason, Reason::Step | Reason::End);
    let value = if arrived { Some(console.output_of_last_op()?) } else { None };
    let mut answer = console.arrived(stop)?;
    if let (Answer::Stop(view), Some(value)) = (&mut answer, value) {
        view.value = Some(value);
    }
    Ok(answer)
}

pub fn until(console: &mut Console, call: Call<'_>) -> Done {
    let to = places::mark(&console.session, call.args.rest, call.args.offset)?;
    match console.session.run.live {
        true => console.session.may_travel(&Motion::To(to), Direction::Forward)?,
        // A run that is started has one pass.
        false if to.pass > 0 => return Err(RunError::NoPass { pass: to.pass, last: 0 }.into()),
        false => {}
    }
    console.session.leave_walk();
    if !console.session.run.live {
        console.session.start();
    }
    travel(console, Motion::To(to), Direction::Forward)
}

pub fn go_on(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "continue") {
        return done;
    }
    if let Some(times) = count(&call)? {
        let ids = console.session.last_stop.as_ref().map(|stop| stop.ids.clone()).unwrap_or_default();
        if ids.is_empty() {
            return Err(Error::refused("not stopped at a breakpoint: a count to \"continue\" has nothing to ignore"));
        }
        console.session.may_travel(&Motion::Continue, Direction::Forward)?;
        for id in ids {
            if let Some(point) = console.session.stops.get_mut(id) {
                point.ignore = times.saturating_sub(1);
                let ignored = point.ignore;
                if ignored > 0 {
                    console.printed.push(super::breakpoints::ignored(id, ignored));
                }
            }
        }
    }
    travel(console, Motion::Continue, Direction::Forward)
}

pub fn layer(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "layer") {
        return done;
    }
    match count(&call)? {
        None => travel(console, Motion::Layer, Direction::Forward),
        Some(layer) => {
            let layers = console.session.run.program.n_layers();
            let module = console.session.run.program.module_of(&format!("blocks.{layer}"));
            let Some(module) = module else {
                return Err(Error::refused(format!("no layer {layer}: model has 0..{}", layers.saturating_sub(1))));
            };
            let op = console.session.run.program.modules[module].start;
            let to = Mark { pass: console.session.run.pass, op };
            travel(console, Motion::To(to), Direction::Forward)
        }
    }
}

pub fn reverse_step(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "reverse-step") {
        return done;
    }
    let count = count(&call)?.unwrap_or(1);
    travel(console, Motion::Step(count), Direction::Backward)
}

pub fn reverse_next(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "reverse-next") {
        return done;
    }
    let count = count(&call)?.unwrap_or(1);
    travel(console, Motion::Next(count), Direction::Backward)
}

pub fn reverse_finish(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "reverse-finish") {
        return done;
    }
    no_arguments(&call)?;
    travel(console, Motion::Finish, Direction::Backward)
}

pub fn reverse_continue(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "reverse-continue") {
        return done;
    }
    no_arguments(&call)?;
    travel(console, Motion::Continue, Direction::Backward)
}

pub fn reverse_layer(console: &mut Console, mut call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &mut call, "reverse-layer") {
        return done;
    }
    no_arguments(&call)?;
    travel(console, Motion::Layer, Direction::Backward)
}

pub(super) fn travel(console: &mut Console, motion: Motion, direction: Direction) -> Done {
    let stop = console.session.travel(&motion, direction)?;
    console.arrived(stop)
}

/// The one count that a motion may be given.
pub(super) fn count(call: &Call<'_>) -> Result<Option<u64>> {
    let words = words(call.args.rest, call.args.offset)?;
    match words.as_slice() {
        [] => Ok(None),
        [word] => Ok(Some(parse_count(word)?)),
        [_, extra, ..] => Err(Error::At(crate::lang::LangError::new("expected one count", extra.span))),
    }
}

pub(super) fn no_arguments(call: &Call<'_>) -> Result<()> {
    if call.args.rest.is_empty() {
        return Ok(());
    }
    let span = crate::lang::Span::new(call.args.offset, call.args.offset + call.args.rest.len());
    Err(Error::At(crate::lang::LangError::new(format!("{} takes no argument", call.args.word), span)))
}
