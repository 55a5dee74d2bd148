//! Commands about frames, and what else gdb reports of where a program has stopped.

use std::ops::Range;

use crate::answer::numbers::short;
use crate::answer::text::quoted;
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console, Frame, Selected, places, summary_line};
use crate::debugger::{Error, Mark, Reason, Result};
use crate::lang::eval::Datum;
use crate::lang::location::{Target, parse_location};
use crate::lang::site::layer_of;
use crate::lang::words::Word;
use crate::lang::{LangError, SiteTable, Span, parse_list};
use crate::model::role::Stack;
use crate::model::site_name::InBlock;
use crate::tensor::ops::Slice;

impl Console {
    fn select(&mut self, number: usize) -> Done {
        let here = (self.session.run.current, self.session.run.mark());
        self.selected_frame = Selected { at: Some(here), number };
        let Frame { name, at, .. } = self.frames().swap_remove(number);
        Ok(Answer::Text(format!("#{number}  {name}, {at}")))
    }

    /// The module of the selected frame; of a site, the one that it is in.
    fn module(&self) -> (Frame, usize) {
        let mut frames = self.frames();
        let number = self.selected();
        let module = frames[number..].iter().find_map(|frame| frame.module).unwrap_or(0);
        (frames.swap_remove(number), module)
    }

    /// A row for each op: its site, its shape, and what its value is if it has been computed.
    fn values_of(&mut self, ops: &[usize]) -> Result<Vec<Vec<Cell>>> {
        let row = self.session.focus.row;
        let mut rows = Vec::new();
        for &op in ops {
            let run = &self.session.run;
            let mut cells: Vec<Cell> =
                vec![run.program.ops[op].site.clone().into(), self.listing.ops[op].shape.clone().into()];
            match op < run.cursor {
                true => {
                    let found = self.session.run.value(op)?.slice(&[Slice::At(row)])?.summary()?;
                    let rms = (found.l2 * found.l2 / found.count.max(1) as f64).sqrt();
                    cells.extend([found.min, found.max, found.mean, rms].map(Cell::Num));
                }
                false => cells.extend([Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty]),
            }
            rows.push(cells);
        }
        Ok(rows)
    }
}

const VALUES: [&str; 6] = ["Site", "Shape", "Min", "Max", "Mean", "RMS"];

/// `backtrace`: every frame.
pub fn backtrace(console: &mut Console, _call: Call<'_>) -> Done {
    let rows = console.frames().into_iter().enumerate().map(|(number, frame)| (number, frame.name, frame.at));
    Ok(Table::new(["#", "Module", "At"]).rows(rows).into())
}

/// `frame [N|MODULE]`.
pub fn frame(console: &mut Console, call: Call<'_>) -> Done {
    let Some(word) = call.optional_word("frame")? else { return console.select(console.selected()) };
    let frames = console.frames();
    let number = match word.text.parse::<usize>() {
        Ok(number) => Some(number).filter(|number| *number < frames.len()),
        Err(_) => named(console, &word, &frames)?,
    };
    let number = number.ok_or_else(|| {
        let message = format!("the cursor is not in a frame {}", word.text);
        mistake(message, word.span, format!("0 to {}; \"backtrace\" lists them", frames.len() - 1))
    })?;
    console.select(number)
}

/// The frame of a module or site that a word names.
fn named(console: &Console, word: &Word, frames: &[Frame]) -> Result<Option<usize>> {
    let places = places::places(&console.session, &parse_location(&word.text, word.span.start)?)?;
    let name = places.first().and_then(|place| match &place.target {
        Target::Site(name) | Target::Module(name) => Some(name),
        _ => None,
    });
    Ok(name.and_then(|name| frames.iter().position(|frame| frame.name == *name)))
}

/// `up [N]`.
pub fn up(console: &mut Console, call: Call<'_>) -> Done {
    let by = call.count()?.unwrap_or(1) as usize;
    let (at, last) = (console.selected(), console.frames().len() - 1);
    if at == last {
        return Err("Initial frame selected; you cannot go up.".into());
    }
    console.select(at.saturating_add(by).min(last))
}

/// `down [N]`.
pub fn down(console: &mut Console, call: Call<'_>) -> Done {
    let by = call.count()?.unwrap_or(1) as usize;
    match console.selected() {
        0 => Err("Bottom (innermost) frame selected; you cannot go down.".into()),
        at => console.select(at.saturating_sub(by)),
    }
}

/// `info frame`.
pub fn info(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    let number = console.selected();
    let (frame, _) = console.module();
    let mut lines = vec![format!("Frame {number}: {}, {}", frame.name, frame.at)];
    let frames = console.frames();
    lines.extend(frames.get(number + 1).map(|outer| format!("  within {}", outer.name)));
    let names = |ops: &[usize]| {
        let sites = ops.iter().map(|op| console.session.run.program.ops[*op].site.as_str());
        sites.collect::<Vec<_>>().join(", ")
    };
    let (reads, gives) = (inputs(console, &frame.ops), outputs(console, &frame.ops));
    lines.extend((!reads.is_empty()).then(|| format!("  reads {}", names(&reads))));
    lines.extend((!gives.is_empty()).then(|| format!("  what is read after it: {}", names(&gives))));
    Ok(Answer::Text(lines.join("\n")))
}

/// What ops read that is computed before them.
fn inputs(console: &Console, ops: &Range<usize>) -> Vec<usize> {
    let program = &console.session.run.program;
    let mut found: Vec<usize> =
        ops.clone().flat_map(|op| &program.ops[op].inputs).copied().filter(|input| !ops.contains(input)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The ops whose values are read after the last of them.
fn outputs(console: &Console, ops: &Range<usize>) -> Vec<usize> {
    let program = &console.session.run.program;
    ops.clone().filter(|op| program.readers(*op).iter().any(|reader| *reader >= ops.end)).collect()
}

/// `info locals`: what the selected module computes itself.
pub fn locals(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    let (_, module) = console.module();
    let program = console.session.run.program.clone();
    let at = &program.modules[module];
    let ops: Vec<usize> = (at.start..at.end).filter(|op| program.ops[*op].module == module).collect();
    let name = if at.path.is_empty() { console.model_name.clone() } else { at.path.clone() };
    if ops.is_empty() {
        return Ok(Answer::Text(format!("{name} computes nothing itself: its modules do.")));
    }
    let rows = console.values_of(&ops)?;
    Ok(Table::new(VALUES).title(format!("computed in {name}")).rows(rows).into())
}

/// `info args`: what the selected module reads from outside.
pub fn args(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    let (frame, _) = console.module();
    let ops = inputs(console, &frame.ops);
    if ops.is_empty() {
        return Ok(Answer::Text(format!("{} reads no value: it begins with the tokens.", frame.name)));
    }
    let rows = console.values_of(&ops)?;
    Ok(Table::new(VALUES).title(format!("read by {}", frame.name)).rows(rows).into())
}

/// `info line [LOC]`: which ops a location is.
pub fn line(console: &mut Console, call: Call<'_>) -> Done {
    let program = console.session.run.program.clone();
    let of_ops = |name: &str, ops: Range<usize>, total: usize| match ops.len() {
        1 => format!("{name} is op {} of {total}", ops.start),
        _ => format!("{name} is ops {} to {} of {total}", ops.start, ops.end - 1),
    };
    if call.args.rest.is_empty() {
        let (frame, _) = console.module();
        return Ok(Answer::Text(of_ops(&frame.name, frame.ops, program.ops.len())));
    }
    let location = parse_location(call.args.rest, call.args.offset)?;
    let mut lines = Vec::new();
    for place in places::places(&console.session, &location)? {
        let (name, ops) = match &place.target {
            Target::Site(name) => (name, program.op_of(name).map(|op| op..op + 1)),
            Target::Module(name) => {
                (name, program.module_of(name).map(|module| program.modules[module].start..program.modules[module].end))
            }
            _ => return Err(LangError::new("expected a site or a module", location.span).into()),
        };
        let Some(ops) = ops else { continue };
        let within = &program.modules[program.ops[ops.start].module].path;
        let within = if within.is_empty() || within == name { String::new() } else { format!(", in {within}") };
        lines.push(format!("{}{within}", of_ops(name, ops, program.ops.len())));
    }
    Ok(Answer::Text(lines.join("\n")))
}

/// `info scope [LOC]`: what a bare name can be there.
pub fn scope(console: &mut Console, call: Call<'_>) -> Done {
    let block = match call.args.rest {
        "" => console.session.block(),
        text => {
            let location = parse_location(text, call.args.offset)?;
            let places = places::places(&console.session, &location)?;
            let first = places.first().ok_or_else(|| LangError::new("this names no place", location.span))?;
            match &first.target {
                Target::Site(name) | Target::Module(name) => layer_of(name),
                _ => console.session.block_at(places::position_of(&console.session, first)?.1),
            }
        }
    };
    let names = &console.session.run.names;
    let all = || names.names().iter().map(|name| (name.as_str(), InBlock::parse(name)));
    let is_here = |at: &InBlock<'_>| at.stack == Stack::Main && Some(at.layer) == block;
    let within: Vec<&str> = all().filter_map(|(_, at)| at.filter(is_here).map(|at| at.part)).collect();
    let outside: Vec<&str> = all().filter(|(_, at)| at.is_none()).map(|(name, _)| name).collect();
    let mut lines = Vec::new();
    lines.extend(block.map(|block| format!("names of block {block}: {}", within.join(", "))));
    lines.push(format!("names everywhere: {}", outside.join(", ")));
    Ok(Answer::Text(lines.join("\n")))
}

/// `info program`: whether something runs, and why it has stopped.
pub fn program(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    let session = &console.session;
    let run = &session.run;
    if !run.live {
        return Ok(Answer::Text("The program is not running: \"run\" or \"start\" starts the pass.".into()));
    }
    let why = match &session.last_stop {
        Some(stop) if !stop.ids.is_empty() => {
            let ids: Vec<String> = stop.ids.iter().map(usize::to_string).collect();
            format!("It stopped at breakpoint {}.", ids.join(", "))
        }
        Some(stop) if stop.reason == Reason::Interrupt => "It was interrupted.".into(),
        Some(stop) if stop.reason == Reason::End => "It stopped at the end of the pass.".into(),
        Some(stop) if stop.reason == Reason::Start => "It stopped at the start of the pass.".into(),
        _ => "It stopped after a motion.".to_string(),
    };
    let frame = &console.frames()[0];
    let place =
        format!("op {} of {}, pass {}, branch {}", run.cursor, run.program.ops.len(), run.pass, run.branch().name);
    Ok(Answer::Text(format!("{} in {place}, after {}.\n{why}", console.model_name, frame.name)))
}

/// `last EXPR`: an expression as it was at the last stop, and as it is.
pub fn last(console: &mut Console, call: Call<'_>) -> Done {
    if call.args.rest.is_empty() {
        return Err(mistake("expected an expression", Span::at(call.args.offset), "last max($cursor)"));
    }
    let expr = call.expr()?;
    let here = (console.session.run.current, console.session.run.mark());
    let Some(before) = console.session.trail.before(here) else {
        return Err("the cursor has not stopped anywhere before: there is no last value".into());
    };
    let then = console.session.at_visited(before, &expr)?;
    let now = console.evaluate(&expr)?;
    let program = console.session.run.program.clone();
    let place = |at: Mark| match at.op.checked_sub(1) {
        Some(op) => format!("after {}", program.ops[op].site),
        None => "at the start".to_string(),
    };
    let pass = |at: Mark| if before.1.pass == here.1.pass { String::new() } else { format!(" of pass {}", at.pass) };
    let mut lines = Vec::new();
    for (what, at, datum) in [("at the last stop", before.1, then), ("now", here.1, now)] {
        lines.push(format!("{what}, {}{}: {}", place(at), pass(at), in_a_line(&datum)?));
    }
    Ok(Answer::Text(lines.join("\n")))
}

fn in_a_line(datum: &Datum) -> Result<String> {
    Ok(match datum {
        Datum::Tensor(value) if value.shape().is_empty() => short(value.read_scalar()?),
        Datum::Tensor(value) => summary_line(value)?,
        Datum::Num(x) => short(*x),
        datum => datum.described(),
    })
}

/// `find EXPR[, VALUE]`: where a condition holds, or where elements have a value.
pub fn find(console: &mut Console, call: Call<'_>) -> Done {
    let (given, text, offset) = call.options_before()?;
    let parsed = parse_list(text, offset)?;
    let (expr, wanted) = match parsed.as_slice() {
        [expr] => (expr, None),
        [expr, wanted] => (expr, Some(wanted)),
        _ => {
            let help = "find L2.attn.pattern > 0.9, find tokens, 12";
            return Err(mistake("expected a condition, or a value and a number", Span::at(offset), help));
        }
    };
    let wanted = wanted.map(|wanted| Ok::<_, Error>(console.evaluate(wanted)?.number(wanted.span)?)).transpose()?;
    let datum = console.evaluate(expr)?;
    let Datum::Tensor(value) = datum else {
        return Err(mistake("there is one element only", expr.span, "print shows it"));
    };
    let data = value.read_f64()?;
    let holds = |x: &f64| wanted.map_or(*x != 0.0, |wanted| *x == wanted);
    let found: Vec<usize> = (0..data.len()).filter(|i| holds(&data[*i])).collect();
    let count = match found.len() {
        0 => return Ok(Answer::Text(format!("none of {} elements", data.len()))),
        count => format!("{count} of {} elements", data.len()),
    };
    let axes = value.axes().to_vec();
    let columns = axes.iter().enumerate().map(|(i, axis)| match axis.name() {
        "" => format!("axis {i}"),
        name => name.to_string(),
    });
    let first = value.origin().map(<[usize]>::to_vec);
    let rows: Vec<Vec<Cell>> = found
        .iter()
        .take(MOST)
        .map(|&flat| {
            let mut left = flat;
            let mut index = vec![0; axes.len()];
            for (i, length) in value.shape().iter().enumerate().rev() {
                index[i] = left % length;
                left /= length;
            }
            let cell = |(i, at): (usize, usize)| {
                let at = at + first.as_ref().map_or(0, |first| first[i]);
                match axes[i].is_position() {
                    true => Cell::Text(format!("{at} {}", quoted(&console.name_of(axes[i], at)))),
                    false => at.into(),
                }
            };
            index.into_iter().enumerate().map(cell).collect()
        })
        .collect();
    let listed = (0..rows.len()).collect();
    let table = Table::new(columns.collect::<Vec<_>>()).title(count).rows(rows).listing(listed, FOUND);
    Ok(given.rows(table)?.into())
}

/// Elements that `find` keeps, and those that it lists.
const MOST: usize = 10_000;
const FOUND: usize = 20;
