//! Places in time: where the cursor is, where it has been, and places to return to.

use super::console::{Console, Done};
use super::motion::{count, no_arguments};
use super::table::{Call, commands, find};
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Error, Mark, Reason, Result, Trail};
use crate::lang::words::{parse_count, words};
use crate::lang::{LangError, Span};

/// `when`: the place in time.
pub fn when(console: &mut Console, call: Call<'_>) -> Done {
    no_arguments(&call)?;
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
    if places > 0 {
        lines.push(format!("stop {at} of {places} on the trail of back and forward"));
    }
    let here = session.checkpoints.iter().filter(|(_, c)| (c.branch, c.at) == (run.current, run.mark()));
    let here: Vec<String> = here.map(|(number, _)| number.to_string()).collect();
    if !here.is_empty() {
        lines.push(format!("checkpoint {} is here", here.join(", ")));
    }
    Ok(Answer::Text(lines.join("\n")))
}

/// `back [N]`.
pub fn back(console: &mut Console, call: Call<'_>) -> Done {
    let times = count(&call)?.unwrap_or(1).max(1) as usize;
    let here = (console.session.run.current, console.session.run.mark());
    let mut trail = console.session.trail.clone();
    let to = trail.back(here, times);
    visit(console, to, trail, "there is no earlier stop to go back to")
}

/// `forward [N]`.
pub fn forward(console: &mut Console, call: Call<'_>) -> Done {
    let times = count(&call)?.unwrap_or(1).max(1) as usize;
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
pub(super) fn there(console: &mut Console) -> Done {
    let at_end = console.session.run.at_end();
    let start = console.session.run.mark() == Mark::START;
    let reason = if start {
        Reason::Start
    } else if at_end {
        Reason::End
    } else {
        Reason::Step
    };
    let stop = console.session.stop_here(reason);
    console.arrived(stop)
}

/// `checkpoint [NAME]`.
pub fn checkpoint(console: &mut Console, call: Call<'_>) -> Done {
    let session = &mut console.session;
    if !session.run.live {
        return Err(Error::refused("no pass has been started; use \"run\" or \"start\""));
    }
    let name = match words(call.args.rest, call.args.offset)?.as_slice() {
        [] => None,
        [name] if name.text.starts_with(|c: char| c.is_alphabetic()) => Some(name.text.clone()),
        [name] => {
            let error = LangError::new(format!("{} is no name: it must start with a letter", name.text), name.span);
            return Err(Error::At(error));
        }
        [_, extra, ..] => return Err(Error::At(LangError::new("expected one name", extra.span))),
    };
    if let Some(name) = &name
        && session.checkpoints.values().any(|checkpoint| checkpoint.name.as_ref() == Some(name))
    {
        return Err(Error::refused(format!("there is a checkpoint {name} already")));
    }
    let number = session.checkpoints.keys().next_back().copied().unwrap_or(0).max(console.highest_checkpoint) + 1;
    console.highest_checkpoint = number;
    let made = session.run.checkpoint(name);
    let text = format!("Checkpoint {number}{}: {}", called(&made.name), place(console, made.at));
    console.session.checkpoints.insert(number, made);
    Ok(Answer::Text(text))
}

/// `restart N|NAME`.
pub fn restart(console: &mut Console, call: Call<'_>) -> Done {
    let number = chosen(console, &call)?;
    let checkpoint = console.session.checkpoints[&number].clone();
    if let Some(branch) = console.session.run.return_to(&checkpoint)? {
        console.printed.push(format!("The branch has changed since: opened branch {branch} as it was."));
    }
    there(console)
}

/// `delete checkpoint N`.
pub(super) fn delete(console: &mut Console, text: &str, offset: usize) -> Done {
    let mut numbers = Vec::new();
    for word in words(text, offset)? {
        let number = parse_count(&word)? as usize;
        if !console.session.checkpoints.contains_key(&number) {
            return Err(Error::At(LangError::new(format!("no checkpoint {number}"), word.span)));
        }
        numbers.push(number);
    }
    console.session.checkpoints.retain(|number, _| !numbers.contains(number));
    Ok(Answer::Text(String::new()))
}

fn chosen(console: &Console, call: &Call<'_>) -> Result<usize> {
    let checkpoints = &console.session.checkpoints;
    let words = words(call.args.rest, call.args.offset)?;
    let word = match words.as_slice() {
        [word] => word,
        [] => {
            let error = LangError::new("expected a checkpoint", Span::at(call.args.offset));
            return Err(Error::At(error.help("info checkpoints lists them")));
        }
        [_, extra, ..] => return Err(Error::At(LangError::new("expected one checkpoint", extra.span))),
    };
    let by_name = checkpoints.iter().find(|(_, c)| c.name.as_deref() == Some(&word.text)).map(|(number, _)| *number);
    let by_number = word.text.parse().ok().filter(|number| checkpoints.contains_key(number));
    by_name.or(by_number).ok_or_else(|| {
        let there = match checkpoints.is_empty() {
            true => "\"checkpoint\" makes one".into(),
            false => {
                format!(
                    "there is {}",
                    checkpoints.keys().map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
                )
            }
        };
        Error::At(LangError::new(format!("no checkpoint {}", word.text), word.span).help(there))
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

/// The answer of `info checkpoints`.
pub(super) fn table(console: &Console) -> Answer {
    let session = &console.session;
    if session.checkpoints.is_empty() {
        return Answer::Text("No checkpoints.".into());
    }
    let rows = session.checkpoints.iter().map(|(number, checkpoint)| {
        vec![
            Cell::Int(*number as i64),
            Cell::Text(checkpoint.name.clone().unwrap_or_default()),
            Cell::Text(session.run.branches[checkpoint.branch].name.clone()),
            Cell::Text(place(console, checkpoint.at)),
            Cell::Int(checkpoint.edits().len() as i64),
        ]
    });
    let columns = ["Num", "Name", "Branch", "Where", "Edits"].map(String::from).to_vec();
    Answer::Table(Table { title: String::new(), columns, rows: rows.collect() })
}

/// `rev CMD`: the motion the other way.
pub fn reverse(console: &mut Console, call: Call<'_>) -> Done {
    let Some(inner) = call.args.subcommand() else {
        let error = LangError::new("expected a motion", Span::at(call.args.offset));
        return Err(Error::At(error.help("rev step, rev next, rev finish, rev continue, rev layer")));
    };
    let forward = find(inner.word, inner.span)?.name;
    let mirrored = match forward.strip_prefix("reverse-") {
        Some(forward) => forward.to_string(),
        None => format!("reverse-{forward}"),
    };
    match commands().find(|command| command.name == mirrored) {
        Some(command) => (command.run)(console, Call { line: call.line, args: &inner }),
        None => {
            let error = LangError::new(format!("{forward} has no reverse"), inner.span);
            Err(Error::At(error.help("\"goto\" goes to a place in either direction")))
        }
    }
}

/// `kill`: no pass any more.
pub fn kill(console: &mut Console, call: Call<'_>) -> Done {
    no_arguments(&call)?;
    if !console.session.run.live {
        return Err(Error::refused("no pass has been started"));
    }
    console.session.run.kill();
    console.session.last_stop = None;
    Ok(Answer::Text("The run is over; edits and stop points stay.".into()))
}
