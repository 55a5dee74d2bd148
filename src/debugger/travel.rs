//! Motions: one implementation for all of them, in both directions.
//!
//! A motion is a target position; the cursor goes there one op at a time and stops earlier where a stop point fires. A
//! stop point belongs to a position, not to a direction, so the stops met backwards are those met forwards, reversed.

use super::mark::Mark;
use super::run::RunError;
use super::scope::RunScope;
use super::session::Session;
use super::stops::{Changed, Crossing, Kind};
use crate::debugger::error::Result;
use crate::lang::eval;
use crate::lang::location::Choice;
use crate::program::Program;
use crate::tensor::{awake, step, undisturbed};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Computing.
    Forward,
    /// Back in time.
    Backward,
}

/// Where to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Motion {
    /// So many ops.
    Step(u64),
    /// So many siblings of the module that the cursor is in.
    Next(u64),
    /// To the end (backwards: the start) of the current module.
    Finish,
    /// To the next stop.
    Continue,
    /// To a place, whichever direction that is.
    To(Mark),
    /// To the start of the next (backwards: previous) block.
    Layer,
    /// So many passes on (backwards: back), to the end of one.
    Pass(u64),
}

/// Why a motion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Stop points fired, or could not be evaluated.
    Stopped,
    /// It arrived.
    Step,
    /// The end of a pass.
    End,
    /// The beginning of a pass over a token that ends the text.
    Ended,
    /// The beginning of the pass, where a pass starts.
    Start,
    /// The beginning of the pass, going back: there is nothing before it.
    Beginning,
    /// It was interrupted.
    Interrupt,
}

/// Why and where a motion ended.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Why.
    pub reason: Reason,
    /// Numbers of the stop points that fired, ascending.
    pub ids: Vec<usize>,
    /// What those that fired found, in the same order.
    pub findings: Vec<Finding>,
    /// Those of them that are gone by it (`tbreak`).
    pub temporary: Vec<usize>,
    /// Conditions that could not be evaluated: number and message.
    pub errors: Vec<(usize, String)>,
    /// Where the cursor stands.
    pub at: Mark,
}

/// What a stop point that fired found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its number.
    pub number: usize,
    /// `breakpoint`, `watchpoint` or `catchpoint`.
    pub kind: &'static str,
    /// What it is on: a location, an expression, or what is caught.
    pub what: String,
    /// More about it, for people.
    pub lines: Vec<String>,
    /// How the value that is watched changed.
    pub change: Option<Changed>,
    /// Command lines that it runs.
    pub commands: Vec<String>,
}

impl Session {
    /// Moves the cursor.
    ///
    /// # Errors
    /// If there is nothing in that direction but an error to report (the end of the pass, going forward), or the device
    /// fails.
    pub fn travel(&mut self, motion: &Motion, direction: Direction) -> Result<Stop, RunError> {
        let (from, goal) = (self.run.mark(), self.run.goal);
        self.moved(motion, direction).inspect_err(|_| {
            // What is refused changes nothing; what has begun may be gone on with.
            if self.run.mark() == from {
                self.run.goal = goal;
            }
        })
    }

    /// Whether a motion can begin.
    ///
    /// # Errors
    /// As those of [`Session::travel`] that come before anything is computed.
    pub fn may_travel(&self, motion: &Motion, direction: Direction) -> Result<(), RunError> {
        if !self.run.live {
            return Err(RunError::NotRunning);
        }
        match self.target(&self.run.program, motion, direction)? {
            None if direction == Direction::Forward => Err(RunError::AtEnd { more: self.run.generates() }),
            _ => Ok(()),
        }
    }

    fn moved(&mut self, motion: &Motion, direction: Direction) -> Result<Stop, RunError> {
        if !self.run.live {
            return Err(RunError::NotRunning);
        }
        let program = self.run.program.clone();
        let times = match motion {
            Motion::Step(n) | Motion::Next(n) => (*n).max(1),
            _ => 1,
        };
        let mut stop = self.stop_at(Reason::Step);
        for done in 0..times {
            let here = self.run.mark();
            let target = self.target(&program, motion, direction)?;
            if let (Motion::Pass(_), Direction::Forward, Some(to)) = (motion, direction, target) {
                self.run.goal = self.run.goal.max(to.pass);
            }
            let direction = match motion {
                Motion::To(to) if *to < here => Direction::Backward,
                Motion::To(_) => Direction::Forward,
                _ => direction,
            };
            if target.is_none() && direction == Direction::Forward {
                // The end was reached on the way: that is where a repeated motion stops.
                return if done > 0 { Ok(stop) } else { Err(RunError::AtEnd { more: self.run.generates() }) };
            }
            // An interrupt is a stop between two ops here, not an error inside of one.
            let on_cpu = self.run.device().is_cpu();
            let mut going = || undisturbed(|| self.go(target, direction));
            stop = if on_cpu { awake(going)? } else { going()? };
            if stop.reason != Reason::Step {
                break;
            }
        }
        Ok(stop)
    }

    /// Goes op by op until the target, an end, a stop point or an interrupt. Without a target it goes back to the beginning.
    fn go(&mut self, target: Option<Mark>, direction: Direction) -> Result<Stop, RunError> {
        let end = self.run.program.ops.len();
        if target == Some(self.run.mark()) {
            return Ok(self.stop_at(Reason::Step));
        }
        loop {
            if self.pauses(self.run.mark()) {
                return Ok(self.stop_at(Reason::Interrupt));
            }
            match direction {
                Direction::Forward => {
                    let op = self.run.cursor;
                    if op < end {
                        step(&self.run.program.ops[op].site, op as u64, end as u64)?;
                    }
                    self.run.advance()?;
                }
                Direction::Backward => {
                    if !self.run.retreat() {
                        return Ok(self.stop_at(Reason::Beginning));
                    }
                }
            }
            if let Some(stop) = self.fired() {
                return Ok(stop);
            }
            let forward = direction == Direction::Forward;
            if forward && self.run.cursor == 0 && self.run.has_ended(self.run.pass) {
                self.run.goal = self.run.goal.min(self.run.pass);
                return Ok(self.stop_at(Reason::Ended));
            }
            if target == Some(self.run.mark()) {
                let at_end = forward && self.run.cursor == end;
                return Ok(self.stop_at(if at_end { Reason::End } else { Reason::Step }));
            }
        }
    }

    /// Where a motion ends if nothing stops it. None is the beginning of the run going back, and nothing going forward: there
    /// is nowhere to go.
    fn target(&self, program: &Program, motion: &Motion, direction: Direction) -> Result<Option<Mark>, RunError> {
        let Mark { pass, op } = self.run.mark();
        let end = program.ops.len();
        let last = self.run.goal.max(self.run.branch().passes() - 1);
        Ok(match (motion, direction) {
            (Motion::To(to), _) => {
                if to.pass > last {
                    return Err(RunError::NoPass { pass: to.pass, last });
                }
                Some(*to)
            }
            (Motion::Pass(n), Direction::Forward) => {
                let to = pass.saturating_add(usize::try_from(*n).unwrap_or(usize::MAX).max(1));
                if to > last && !self.run.generates() {
                    return Err(RunError::NoNextToken { family: self.run.model.spec.family.clone() });
                }
                Some(Mark { pass: to, op: end })
            }
            (Motion::Pass(n), Direction::Backward) => {
                pass.checked_sub((*n).max(1) as usize).map(|pass| Mark { pass, op: end })
            }
            (Motion::Continue, Direction::Forward) => {
                let to = Mark { pass: last, op: end };
                (self.run.mark() < to).then_some(to)
            }
            (Motion::Continue, Direction::Backward) => None,
            // From the end of a pass to the next one, and from the beginning of one to that before.
            (_, Direction::Forward) if op == end && pass < last => match motion {
                Motion::Finish => Some(Mark { pass: pass + 1, op: end }),
                Motion::Layer => block_starts(program).next().map(|op| Mark { pass: pass + 1, op }),
                _ => Some(Mark { pass: pass + 1, op: 0 }),
            },
            (_, Direction::Forward) if op == end => None,
            (_, Direction::Backward) if op == 0 && pass > 0 => match motion {
                Motion::Finish => Some(Mark { pass: pass - 1, op: 0 }),
                Motion::Layer => block_starts(program).last().map(|op| Mark { pass: pass - 1, op }),
                _ => Some(Mark { pass: pass - 1, op: end }),
            },
            _ => match (within(program, motion, direction, op), pass) {
                (None, pass) if pass > 0 => Some(Mark { pass, op: 0 }),
                (op, pass) => op.map(|op| Mark { pass, op }),
            },
        })
    }

    /// The stop at the current position, if a stop point fires here.
    pub fn fired(&mut self) -> Option<Stop> {
        let here = self.stops.at(self.run.mark());
        if here.is_empty() {
            return None;
        }
        let mut stop = self.stop_at(Reason::Stopped);
        let mut focus: Option<Crossing> = None;
        for (number, crossing) in here {
            let found = match self.found(number, &crossing) {
                Ok(None) => continue,
                // What was counted here before is counted once.
                Ok(Some(finding)) if self.counted(number) => Ok(finding),
                Ok(Some(finding)) => {
                    let (fires, gone) = self.stops.hit(number);
                    if !fires {
                        continue;
                    }
                    if gone {
                        stop.temporary.push(number);
                    }
                    Ok(finding)
                }
                Err(message) => Err(message),
            };
            let stops = self.stops.get(number).is_none_or(|point| point.kind.stops());
            let noted = if stops { Ok(()) } else { self.note(number, &crossing) };
            match (found, noted) {
                (Ok(_), Ok(())) if !stops => continue,
                (Ok(finding), Ok(())) => stop.findings.push(finding),
                (Err(error), _) | (_, Err(error)) => stop.errors.push((number, error.to_string())),
            }
            if crossing.head.is_some() || crossing.pos.is_some() || crossing.row.is_some() {
                focus.get_or_insert(crossing);
            }
            stop.ids.push(number);
        }
        // Only now, so that no condition depends on the breakpoints before it.
        if let Some(crossing) = focus {
            self.move_focus(&crossing);
        }
        (!stop.ids.is_empty()).then_some(stop)
    }

    /// Whether a trace has counted the present place already.
    fn counted(&self, number: usize) -> bool {
        let key = (self.run.current, self.run.mark());
        let point = self.stops.get(number);
        point.is_some_and(|point| matches!(&point.kind, Kind::Trace(trace) if trace.seen.contains_key(&key)))
    }

    /// What a stop point finds at a crossing: first whether what it is on has happened, then whether its condition holds.
    fn found(&mut self, number: usize, crossing: &Crossing) -> Result<Option<Finding>> {
        let Some(point) = self.stops.get(number).cloned() else { return Ok(None) };
        let (mut lines, mut change) = (Vec::new(), None);
        match &point.kind {
            Kind::Break | Kind::Trace(_) | Kind::Print(_) => {}
            Kind::Watch(watch) => match self.changed(&watch.expr, &point.crossings)? {
                Some(found) => change = Some(found),
                None => return Ok(None),
            },
            Kind::Catch(catch) => match self.caught(catch)? {
                Some(found) => lines = found,
                None => return Ok(None),
            },
        }
        if !self.holds(number, crossing)? {
            return Ok(None);
        }
        let (kind, what, commands) = (point.kind.word(), point.location, point.commands);
        Ok(Some(Finding { number, kind, what, lines, change, commands }))
    }

    /// Whether the condition of a stop point holds; an absent one does.
    pub(super) fn holds(&mut self, number: usize, crossing: &Crossing) -> Result<bool> {
        let Some(condition) = self.stops.get_mut(number).and_then(|point| point.condition.clone()) else {
            return Ok(true);
        };
        let text = condition.text.clone();
        let row = crossing.row.map(|row| self.row(row));
        let mut scope = RunScope::at_stop(self, crossing.head, row);
        Ok(eval::condition(&condition.expr, &mut scope).map_err(|error| crate::lang::explained(&text, &error))?)
    }

    /// The row of that number; negative ones count from the last.
    pub(super) fn row(&self, row: i64) -> usize {
        let rows = self.run.branch().text().rows.len() as i64;
        row.rem_euclid(rows.max(1)) as usize
    }

    fn move_focus(&mut self, crossing: &Crossing) {
        if let Some(row) = crossing.row {
            self.focus.row = self.row(row);
        }
        if let Some(head) = crossing.head {
            self.focus.head = head;
        }
        match &crossing.pos {
            Some(Choice::Index(pos)) => {
                let length = self.row_length() as i64;
                self.focus.pos = Some(pos.rem_euclid(length.max(1)) as usize);
            }
            Some(Choice::Text(text)) => {
                if let [only] = self.positions_of(text)[..] {
                    self.focus.pos = Some(only);
                }
            }
            None => {}
        }
    }

    /// A stop at the present place for which no stop point fired.
    pub fn stop_here(&self, reason: Reason) -> Stop {
        self.stop_at(reason)
    }

    pub(super) fn stop_at(&self, reason: Reason) -> Stop {
        Stop { reason, ids: vec![], findings: vec![], temporary: vec![], errors: vec![], at: self.run.mark() }
    }
}

/// The place in a pass where a motion within it ends; going back, none is its beginning.
fn within(program: &Program, motion: &Motion, direction: Direction, cursor: usize) -> Option<usize> {
    let end = program.ops.len();
    match (motion, direction) {
        (Motion::Step(_), Direction::Forward) => Some(cursor + 1),
        (Motion::Step(_), Direction::Backward) => cursor.checked_sub(1),
        (Motion::Next(_), Direction::Forward) => {
            // The outermost module that begins here is one step of the module around it.
            let whole = program.modules.iter().skip(1).find(|module| module.start == cursor);
            Some(whole.map_or(cursor + 1, |module| module.end))
        }
        (Motion::Next(_), Direction::Backward) => {
            let whole = program.modules.iter().skip(1).find(|module| module.end == cursor);
            match whole {
                Some(module) => Some(module.start),
                None => cursor.checked_sub(1),
            }
        }
        (Motion::Finish, Direction::Forward) => Some(program.modules[program.module_at(cursor)].end),
        (Motion::Finish, Direction::Backward) => {
            let around = program.module_at(cursor.checked_sub(1)?);
            Some(program.modules[around].start).filter(|start| *start > 0)
        }
        (Motion::Layer, Direction::Forward) => Some(block_starts(program).find(|start| *start > cursor).unwrap_or(end)),
        (Motion::Layer, Direction::Backward) => block_starts(program).filter(|start| *start < cursor).last(),
        (Motion::To(_) | Motion::Continue | Motion::Pass(_), _) => None,
    }
}

/// The first op of each block.
pub(super) fn block_starts(program: &Program) -> impl Iterator<Item = usize> + '_ {
    let is_block = |path: &str| path.strip_prefix("blocks.").is_some_and(|rest| !rest.contains('.'));
    program.modules.iter().filter(move |module| is_block(&module.path)).map(|module| module.start)
}
