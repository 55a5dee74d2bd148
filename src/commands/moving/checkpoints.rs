//! Places in time: where the cursor is, where it has been, and places to return to.

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Error, Mark, Reason, Result, Trail};
use crate::lang::LangError;

/// `when`: the place in time.
pub fn when(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    let session = &console.session;
    let run = &session.run;
    if !run.live {
        return Ok(Answer::Text("No pass has been started.".into()));
    }
    let end = run.program.ops.len();
    let next = run.program.ops.get(run.cursor).map_or("the end of the pass".into(), |op| format!("next: {}", op.site));
    let (at, places) = session.trail.position();
    let mut lines = vec![
        format!("at op {} of {end}, {next}", run.cursor),
        format!("pass {} of {} in branch {}", run.pass, run.branch().passes(), run.branch().name),
    ];
    lines.extend((places > 0).then(|| format!("stop {at} of {places} on the trail of back and forward")));
    let here = session.checkpoints.iter().filter(|(_, c)| (c.branch, c.at) == (run.current, run.mark()));
    let here: Vec<String> = here.map(|(number, _)| number.to_string()).collect();
    lines.extend((!here.is_empty()).then(|| format!("checkpoint {} is here", here.join(", "))));
    Ok(Answer::Text(lines.join("\n")))
}

pub fn back(console: &mut Console, call: Call<'_>) -> Done {
    let times = call.count()?.unwrap_or(1).max(1) as usize;
    let here = (console.session.run.current, console.session.run.mark());
    let mut trail = console.session.trail.clone();
    let to = trail.back(here, times);
    visit(console, to, trail, "there is no earlier stop to go back to")
}

pub fn forward(console: &mut Console, call: Call<'_>) -> Done {
    let times = call.count()?.unwrap_or(1).max(1) as usize;
    let mut trail = console.session.trail.clone();
    let to = trail.forward(times);
    visit(console, to, trail, "there is no later stop to go forward to")
}

fn visit(console: &mut Console, to: Option<(usize, Mark)>, trail: Trail, nowhere: &str) -> Done {
    let (branch, at) = to.ok_or_else(|| Error::refused(nowhere))?;
    console.session.run.jump(branch, at)?;
    console.session.trail = trail;
    there(console)
}

/// The answer of a jump: the place, without anything having stopped there.
pub(crate) fn there(console: &mut Console) -> Done {
    let reason = match console.session.run.mark() {
        Mark::START => Reason::Start,
        _ if console.session.run.at_end() => Reason::End,
        _ => Reason::Step,
    };
    let stop = console.session.stop_here(reason);
    console.arrived(stop)
}

pub fn checkpoint(console: &mut Console, call: Call<'_>) -> Done {
    let session = &mut console.session;
    if !session.run.live {
        return Err(Error::refused("no pass has been started; use \"run\" or \"start\""));
    }
    let name = match call.optional_word("name")? {
        Some(name) if !name.text.starts_with(|c: char| c.is_alphabetic()) => {
            return Err(
                LangError::new(format!("{} is not a name: it must start with a letter", name.text), name.span).into()
            );
        }
        name => name.map(|name| name.text),
    };
    if let Some(name) = &name
        && session.checkpoints.values().any(|checkpoint| checkpoint.name.as_ref() == Some(name))
    {
        return Err(Error::refused(format!("checkpoint {name} exists already")));
    }
    let last = session.checkpoints.keys().next_back().copied().unwrap_or(0);
    let number = last.max(console.memory.highest_checkpoint) + 1;
    console.memory.highest_checkpoint = number;
    let made = session.run.checkpoint(name);
    let text = format!("Checkpoint {number}{}: {}", called(&made.name), place(console, made.at));
    console.session.checkpoints.insert(number, made);
    Ok(Answer::Text(text))
}

pub fn restart(console: &mut Console, call: Call<'_>) -> Done {
    let number = chosen(console, &call)?;
    let checkpoint = console.session.checkpoints[&number].clone();
    if let Some(branch) = console.session.run.return_to(&checkpoint)? {
        console.printed.push(format!("The branch has changed since: opened branch {branch} as it was."));
    }
    there(console)
}

fn chosen(console: &Console, call: &Call<'_>) -> Result<usize> {
    let checkpoints = &console.session.checkpoints;
    let word = call.optional_word("checkpoint")?;
    let word = word.ok_or_else(|| call.expected("a checkpoint", "info checkpoints lists them"))?;
    let by_name = checkpoints.iter().find(|(_, c)| c.name.as_deref() == Some(&word.text)).map(|(number, _)| *number);
    let by_number = word.text.parse().ok().filter(|number| checkpoints.contains_key(number));
    by_name.or(by_number).ok_or_else(|| {
        let numbers: Vec<String> = checkpoints.keys().map(usize::to_string).collect();
        let there = format!("there is {}", numbers.join(", "));
        let there = if numbers.is_empty() { "\"checkpoint\" makes one".into() } else { there };
        LangError::new(format!("no checkpoint {}", word.text), word.span).help(there).into()
    })
}

fn called(name: &Option<String>) -> String {
    name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default()
}

fn place(console: &Console, at: Mark) -> String {
    let run = &console.session.run;
    match run.program.ops.get(at.op) {
        Some(op) => format!("op {} of pass {}, before {}", at.op, at.pass, op.site),
        None => format!("the end of pass {}", at.pass),
    }
}

pub(crate) fn table(console: &Console) -> Answer {
    let session = &console.session;
    if session.checkpoints.is_empty() {
        return Answer::Text("No checkpoints.".into());
    }
    let rows = session.checkpoints.iter().map(|(number, checkpoint)| {
        let branch = &session.run.branches[checkpoint.branch].name;
        let name = checkpoint.name.clone().unwrap_or_default();
        (*number, name, branch, place(console, checkpoint.at), checkpoint.edits().len())
    });
    Table::new(["Num", "Name", "Branch", "Where", "Edits"]).rows(rows).into()
}

/// `rev CMD`: the motion the other way.
pub fn reverse(console: &mut Console, call: Call<'_>) -> Done {
    let Some(inner) = call.args.subcommand() else {
        return Err(call.expected("a motion", "rev step, rev next, rev finish, rev continue, rev layer"));
    };
    let forward = call.all.find(inner.word, inner.span)?.name;
    let mirrored = forward.strip_prefix("reverse-").map_or(format!("reverse-{forward}"), String::from);
    let Some(command) = call.all.commands().find(|command| command.name == mirrored) else {
        let error = LangError::new(format!("{forward} has no reverse"), inner.span);
        return Err(error.help("\"goto\" goes to a place in either direction").into());
    };
    (command.run)(console, Call { args: &inner, command, ..call })
}

/// `kill`: no pass any more.
pub fn kill(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    if !console.session.run.live {
        return Err(Error::refused("no pass has been started"));
    }
    console.session.run.kill();
    console.session.last_stop = None;
    Ok(Answer::Text("The run is over; edits and stop points stay.".into()))
}
