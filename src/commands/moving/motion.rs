//! Commands that move the cursor.

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::moving::walking;
use crate::commands::state::{Call, Console, places};
use crate::commands::stopping::breakpoints;
use crate::debugger::{Direction, Error, Mark, Motion, Reason, RunError};
use crate::lang::LangError;
use crate::model::site_name::block;

pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    console.session.leave_walk();
    let start = console.session.start();
    if let Some(stop) = console.session.fired() {
        return console.arrived(stop);
    }
    console.session.last_stop = Some(start);
    travel(console, Motion::Continue, Direction::Forward)
}

pub fn start(console: &mut Console, call: Call<'_>) -> Done {
    let (given, words) = call.options()?;
    if let Some(word) = words.first() {
        return Err(LangError::new("start takes no argument", word.span).into());
    }
    let run = &console.session.run;
    if given.has("-keep") && run.live {
        let here = run.mark();
        return travel(console, Motion::To(here), Direction::Forward);
    }
    console.session.leave_walk();
    let stop = console.session.start();
    console.arrived(stop)
}

/// A motion by a number of ops or siblings, 1 if the line has none.
pub fn counted(console: &mut Console, call: &Call<'_>, motion: fn(u64) -> Motion, direction: Direction) -> Done {
    if let Some(done) = walking::motion(console, call) {
        return done;
    }
    let count = call.count()?.unwrap_or(1);
    travel(console, motion(count), direction)
}

/// A motion that takes no number.
pub fn uncounted(console: &mut Console, call: &Call<'_>, motion: Motion, direction: Direction) -> Done {
    if let Some(done) = walking::motion(console, call) {
        return done;
    }
    call.no_arguments()?;
    travel(console, motion, direction)
}

pub fn finish(console: &mut Console, call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &call) {
        return done;
    }
    call.no_arguments()?;
    let run = &console.session.run;
    // A module that was selected, if the cursor is not past it.
    let selected = console.frames()[console.selected()].module.map(|module| run.program.modules[module].end);
    let selected = selected.filter(|end| console.selected() > 0 && *end > run.cursor);
    let end = match (selected, run.at_end()) {
        (Some(op), _) => Mark { pass: run.pass, op },
        (None, true) => run.end_of(run.pass + 1),
        (None, false) => Mark { pass: run.pass, op: run.program.modules[run.program.module_at(run.cursor)].end },
    };
    let motion = if selected.is_some() { Motion::To(end) } else { Motion::Finish };
    let stop = console.session.travel(&motion, Direction::Forward)?;
    let arrived = stop.at == end && matches!(stop.reason, Reason::Step | Reason::End);
    let value = arrived.then(|| console.output_of_last_op()).transpose()?;
    let mut answer = console.arrived(stop)?;
    if let Answer::Stop(view) = &mut answer {
        view.value = value;
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

pub fn go_on(console: &mut Console, call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &call) {
        return done;
    }
    if let Some(times) = call.count()? {
        let ids = console.session.last_stop.as_ref().map(|stop| stop.ids.clone()).unwrap_or_default();
        if ids.is_empty() {
            return Err(Error::refused("not stopped at a breakpoint: a count to \"continue\" has nothing to ignore"));
        }
        console.session.may_travel(&Motion::Continue, Direction::Forward)?;
        let ignored = times.saturating_sub(1);
        for id in ids {
            let Some(point) = console.session.stops.get_mut(id) else { continue };
            point.ignore = ignored;
            if ignored > 0 {
                console.printed.push(breakpoints::ignored(id, ignored));
            }
        }
    }
    travel(console, Motion::Continue, Direction::Forward)
}

pub fn layer(console: &mut Console, call: Call<'_>) -> Done {
    if let Some(done) = walking::motion(console, &call) {
        return done;
    }
    let Some(layer) = call.count()? else { return travel(console, Motion::Layer, Direction::Forward) };
    let run = &console.session.run;
    let Some(module) = run.program.module_of(&block(layer as usize)) else {
        let last = run.program.n_layers().saturating_sub(1);
        return Err(Error::refused(format!("no layer {layer}: model has 0..{last}")));
    };
    let to = Mark { pass: run.pass, op: run.program.modules[module].start };
    travel(console, Motion::To(to), Direction::Forward)
}

pub(crate) fn travel(console: &mut Console, motion: Motion, direction: Direction) -> Done {
    let stop = console.session.travel(&motion, direction)?;
    console.arrived(stop)
}
