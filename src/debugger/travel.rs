//! Motions: one implementation for all of them, in both directions.
//!
//! A motion is a target position; the cursor goes there one op at a time and stops earlier where a stop point fires. A
//! stop point belongs to a position, not to a direction, so the stops met backwards are those met forwards, reversed.

use super::stops::Changed;
use super::{Mark, RunError, Session};
use crate::program::Program;
use crate::tensor::{Device, awake, step, undisturbed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Motion {
    /// So many ops.
    Step(u64),
    /// So many siblings of the module that the cursor is in.
    Next(u64),
    /// To the end (backwards: the start) of the current module.
    Finish,
    Continue,
    /// To a place, whichever direction that is.
    To(Mark),
    /// To the start of the next (backwards: previous) block.
    Layer,
    /// So many passes on (backwards: back), to the end of one.
    Pass(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Stop points fired, or could not be evaluated.
    Stopped,
    Step,
    End,
    /// The beginning of a pass over a token that ends the text.
    Ended,
    /// The beginning of the pass, where a pass starts.
    Start,
    /// The beginning of the pass, going back: there is nothing before it.
    Beginning,
    Interrupt,
}

#[derive(Clone, Debug)]
pub struct Stop {
    pub reason: Reason,
    /// Numbers of the stop points that fired, ascending.
    pub ids: Vec<usize>,
    /// What those that fired found, in the same order.
    pub findings: Vec<Finding>,
    /// Those of them that are gone by it (`tbreak`).
    pub temporary: Vec<usize>,
    /// Conditions that could not be evaluated: number and message.
    pub errors: Vec<(usize, String)>,
    pub at: Mark,
}

/// What a stop point that fired found.
#[derive(Clone, Debug)]
pub struct Finding {
    pub number: usize,
    /// `breakpoint`, `watchpoint` or `catchpoint`.
    pub kind: &'static str,
    /// What it is on: a location, an expression, or what is caught.
    pub what: String,
    /// Whether it is before a module, and not after the site just computed.
    pub before: bool,
    pub lines: Vec<String>,
    /// How the value that is watched changed.
    pub change: Option<Changed>,
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
        let mut stop = self.stop_here(Reason::Step);
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
            let on_cpu = self.run.model.placement.devices().iter().any(Device::is_cpu);
            let mut going = || undisturbed(|| self.go(target, direction));
            stop = if on_cpu { awake(going)? } else { going()? };
            if stop.reason != Reason::Step {
                break;
            }
        }
        Ok(stop)
    }

    /// Goes op by op until the target, an end, a stop point or an interrupt. Without a target it goes back to the
    /// beginning.
    fn go(&mut self, target: Option<Mark>, direction: Direction) -> Result<Stop, RunError> {
        let end = self.run.program.ops.len();
        if target == Some(self.run.mark()) {
            return Ok(self.stop_here(Reason::Step));
        }
        loop {
            if self.pauses(self.run.mark()) {
                return Ok(self.stop_here(Reason::Interrupt));
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
                        return Ok(self.stop_here(Reason::Beginning));
                    }
                }
            }
            if let Some(stop) = self.fired() {
                return Ok(stop);
            }
            let forward = direction == Direction::Forward;
            if forward && self.run.cursor == 0 && self.run.has_ended(self.run.pass) {
                self.run.goal = self.run.goal.min(self.run.pass);
                return Ok(self.stop_here(Reason::Ended));
            }
            if target == Some(self.run.mark()) {
                let at_end = forward && self.run.cursor == end;
                return Ok(self.stop_here(if at_end { Reason::End } else { Reason::Step }));
            }
        }
    }

    /// Where a motion ends if nothing stops it. None is the beginning of the run going back, and nothing going forward:
    /// there is nowhere to go.
    fn target(&self, program: &Program, motion: &Motion, direction: Direction) -> Result<Option<Mark>, RunError> {
        let Mark { pass, op } = self.run.mark();
        let end = program.ops.len();
        let last = self.run.goal.max(self.run.branch().passes() - 1);
        Ok(match (motion, direction) {
            (Motion::To(to), _) if to.pass > last => return Err(RunError::NoPass { pass: to.pass, last }),
            (Motion::To(to), _) if to.op > 0 && to.op <= program.first_of(to.pass) => {
                return Err(RunError::OnlyFirst { site: program.ops[to.op - 1].site.clone() });
            }
            (Motion::To(to), _) => Some(*to),
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
                Motion::Layer => {
                    let starts = block_starts(program).filter(|start| *start > program.first_of(pass + 1));
                    starts.map(|op| Mark { pass: pass + 1, op }).next()
                }
                _ => Some(Mark { pass: pass + 1, op: 0 }),
            },
            (_, Direction::Forward) if op == end => None,
            (_, Direction::Backward) if op == 0 && pass > 0 => match motion {
                Motion::Finish => Some(Mark { pass: pass - 1, op: 0 }),
                Motion::Layer => block_starts(program).last().map(|op| Mark { pass: pass - 1, op }),
                _ => Some(Mark { pass: pass - 1, op: end }),
            },
            _ => match (self.end_in_pass(program, motion, direction, op), pass) {
                (None, pass) if pass > 0 => Some(Mark { pass, op: 0 }),
                (op, pass) => op.map(|op| Mark { pass, op }),
            },
        })
    }

    /// The place in the current pass where a motion within it ends; going back, none is its beginning. In later passes there is nothing
    /// between the beginning and the op of the tokens.
    fn end_in_pass(&self, program: &Program, motion: &Motion, direction: Direction, cursor: usize) -> Option<usize> {
        let first = program.first_of(self.run.pass);
        let from = if direction == Direction::Forward { self.run.next_op() } else { cursor };
        let end = end_in_pass(program, motion, direction, from)?;
        match direction {
            Direction::Forward => Some(end),
            Direction::Backward => (first == 0 || end > first).then_some(end),
        }
    }

    /// A stop at the present place for which no stop point fired.
    pub fn stop_here(&self, reason: Reason) -> Stop {
        Stop { reason, ids: vec![], findings: vec![], temporary: vec![], errors: vec![], at: self.run.mark() }
    }
}

/// The place in a pass where a motion within it ends; going back, none is its beginning.
fn end_in_pass(program: &Program, motion: &Motion, direction: Direction, cursor: usize) -> Option<usize> {
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
            whole.map_or(cursor.checked_sub(1), |module| Some(module.start))
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

pub(super) fn block_starts(program: &Program) -> impl Iterator<Item = usize> + '_ {
    program.modules.iter().filter(|module| module.is_block()).map(|module| module.start)
}
