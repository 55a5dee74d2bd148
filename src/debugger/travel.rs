//! Motions: one implementation for all of them, in both directions.
//!
//! A motion is a target position; the cursor goes there one op at a time and stops earlier where a stop point fires. A
//! stop point belongs to a position, not to a direction, so the stops met backwards are those met forwards, reversed.

use std::sync::atomic::Ordering;

use super::run::RunError;
use super::scope::RunScope;
use super::session::{Progress, Session};
use super::stops::Crossing;
use crate::lang::eval;
use crate::lang::location::Choice;
use crate::program::Program;
use crate::tensor::awake;

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
    /// To a position, whichever direction that is.
    To(usize),
    /// To the start of the next (backwards: previous) block.
    Layer,
}

/// Why a motion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Stop points fired, or their conditions failed.
    Breakpoint,
    /// It arrived.
    Step,
    /// The end of the pass.
    End,
    /// The beginning of the pass, where a pass starts.
    Start,
    /// The beginning of the pass, going back: there is nothing before it.
    Beginning,
    /// It was interrupted.
    Interrupt,
}

/// Why and where a motion ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub reason: Reason,
    /// Numbers of the stop points that fired, ascending.
    pub ids: Vec<usize>,
    /// Those of them that are gone by it (`tbreak`).
    pub temporary: Vec<usize>,
    /// Conditions that could not be evaluated: number and message.
    pub errors: Vec<(usize, String)>,
    /// The cursor: the op that runs next.
    pub position: usize,
}

impl Session {
    /// Moves the cursor.
    ///
    /// # Errors
    /// If there is nothing in that direction but an error to report (the end of the pass, going forward), or the device
    /// fails.
    pub fn travel(&mut self, motion: &Motion, direction: Direction, progress: Progress<'_>) -> Result<Stop, RunError> {
        if !self.run.live {
            return Err(RunError::NotRunning);
        }
        if direction == Direction::Forward && self.run.cursor == self.run.program.ops.len() && !is_back(motion, self) {
            return Err(RunError::AtEnd);
        }
        let program = self.run.program.clone();
        let times = match motion {
            Motion::Step(n) | Motion::Next(n) => (*n).max(1),
            _ => 1,
        };
        let mut stop = self.stop_at(Reason::Step);
        for _ in 0..times {
            let target = target(&program, motion, direction, self.run.cursor);
            let direction = match motion {
                Motion::To(position) if *position < self.run.cursor => Direction::Backward,
                Motion::To(_) => Direction::Forward,
                _ => direction,
            };
            stop = match self.run.device().is_cpu() {
                true => awake(|| self.go(target, direction, progress))?,
                false => self.go(target, direction, progress)?,
            };
            if stop.reason != Reason::Step {
                break;
            }
        }
        Ok(stop)
    }

    /// Goes op by op until the target, an end, a stop point or an interrupt.
    fn go(&mut self, target: Option<usize>, direction: Direction, progress: Progress<'_>) -> Result<Stop, RunError> {
        let end = self.run.program.ops.len();
        if target == Some(self.run.cursor) {
            return Ok(self.stop_at(Reason::Step));
        }
        loop {
            if self.interrupt.swap(false, Ordering::Relaxed) {
                return Ok(self.stop_at(Reason::Interrupt));
            }
            match direction {
                Direction::Forward if self.run.cursor == end => return Ok(self.stop_at(Reason::End)),
                Direction::Backward if self.run.cursor == 0 => return Ok(self.stop_at(Reason::Beginning)),
                Direction::Forward => {
                    let op = self.run.cursor;
                    progress(&self.run.program.ops[op].site, op as u64, end as u64);
                    self.run.advance()?;
                }
                Direction::Backward => self.run.cursor -= 1,
            }
            if let Some(stop) = self.fired() {
                return Ok(stop);
            }
            if target == Some(self.run.cursor) {
                let at_end = direction == Direction::Forward && self.run.cursor == end;
                return Ok(self.stop_at(if at_end { Reason::End } else { Reason::Step }));
            }
        }
    }

    /// The stop at the current position, if a stop point fires here.
    pub fn fired(&mut self) -> Option<Stop> {
        let here = self.stops.at(self.run.cursor);
        if here.is_empty() {
            return None;
        }
        let mut stop = self.stop_at(Reason::Breakpoint);
        let mut focus: Option<Crossing> = None;
        for (number, crossing) in here {
            match self.holds(number, &crossing) {
                Ok(false) => continue,
                Ok(true) => {
                    let (stops, gone) = self.stops.hit(number);
                    if !stops {
                        continue;
                    }
                    if gone {
                        stop.temporary.push(number);
                    }
                }
                Err(message) => stop.errors.push((number, message)),
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

    /// Whether the condition of a stop point holds; an absent one does.
    fn holds(&mut self, number: usize, crossing: &Crossing) -> Result<bool, String> {
        let Some(condition) = self.stops.get_mut(number).and_then(|point| point.condition.clone()) else {
            return Ok(true);
        };
        let text = condition.text.clone();
        let row = crossing.row.map(|row| self.row(row));
        let mut scope = RunScope::at_stop(self, crossing.head, row);
        eval::condition(&condition.expr, &mut scope).map_err(|error| crate::lang::explained(&text, &error))
    }

    /// The row of that number; negative ones count from the last.
    fn row(&self, row: i64) -> usize {
        let rows = self.run.branch().input().rows.len() as i64;
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

    pub(super) fn stop_at(&self, reason: Reason) -> Stop {
        Stop { reason, ids: vec![], temporary: vec![], errors: vec![], position: self.run.cursor }
    }
}

fn is_back(motion: &Motion, session: &Session) -> bool {
    matches!(motion, Motion::To(position) if *position <= session.run.cursor)
}

/// The position where a motion ends if nothing stops it; none is the end of the pass in that direction.
fn target(program: &Program, motion: &Motion, direction: Direction, cursor: usize) -> Option<usize> {
    let end = program.ops.len();
    match (motion, direction) {
        (Motion::To(position), _) => Some(*position),
        (Motion::Step(_), Direction::Forward) => Some((cursor + 1).min(end)),
        (Motion::Step(_), Direction::Backward) => cursor.checked_sub(1),
        (Motion::Next(_), Direction::Forward) => {
            // The outermost module that begins here is one step of the module around it.
            let whole = program.modules.iter().skip(1).find(|module| module.start == cursor);
            Some(whole.map_or((cursor + 1).min(end), |module| module.end))
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
        (Motion::Layer, Direction::Forward) => block_starts(program).find(|start| *start > cursor),
        (Motion::Layer, Direction::Backward) => block_starts(program).filter(|start| *start < cursor).last(),
        (Motion::Continue, _) => None,
    }
}

/// The first op of each block.
pub(super) fn block_starts(program: &Program) -> impl Iterator<Item = usize> + '_ {
    let is_block = |path: &str| path.strip_prefix("blocks.").is_some_and(|rest| !rest.contains('.'));
    program.modules.iter().filter(move |module| is_block(&module.path)).map(|module| module.start)
}
