//! Which stop points fire where the cursor is.

use super::{Changed, Crossing, Kind};
use crate::debugger::{Finding, Reason, Result, RunScope, Session, Stop};
use crate::lang::eval;
use crate::lang::location::Choice;

impl Session {
    /// The stop at the current position, if a stop point fires here.
    pub fn fired(&mut self) -> Option<Stop> {
        let here = self.stops.at(self.run.mark());
        if here.is_empty() {
            return None;
        }
        let mut stop = self.stop_here(Reason::Stopped);
        let mut focus: Option<Crossing> = None;
        for (number, crossing) in here {
            let found = match self.found(number, &crossing) {
                Ok(None) => continue,
                // What was counted here before is counted once.
                Ok(Some(finding)) if self.counted(number) => Ok(finding),
                Ok(Some(_)) if !self.hits(number, crossing.op, &mut stop) => continue,
                Ok(Some(finding)) => Ok(finding),
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

    /// What a stop point finds at a crossing: first whether what it is on has happened, then whether its condition
    /// holds.
    fn found(&mut self, number: usize, crossing: &Crossing) -> Result<Option<Finding>> {
        let Some(point) = self.stops.get(number) else { return Ok(None) };
        let (mut lines, mut change) = (Vec::new(), None);
        // Only what is asked is copied: a trace holds what it kept at every crossing so far.
        match &point.kind {
            Kind::Break | Kind::Trace(_) | Kind::Print(_) => {}
            Kind::Access { op, .. } => {
                let site = &self.run.program.ops[*op].site;
                let how = if crossing.op == *op { "computed" } else { "read" };
                lines.push(format!("{site} was {how} by this op"));
            }
            Kind::Watch(watch) => match self.changed(&watch.expr.clone(), &point.crossings.clone())? {
                Some(found) => change = Some(found),
                None => return Ok(None),
            },
            Kind::Catch(catch) => match self.caught(&catch.clone())? {
                Some(found) => lines = found,
                None => return Ok(None),
            },
        }
        self.finding(number, crossing, lines, change)
    }

    /// What a stop point has found, if its condition holds.
    pub(in crate::debugger) fn finding(
        &mut self,
        number: usize,
        crossing: &Crossing,
        lines: Vec<String>,
        change: Option<Changed>,
    ) -> Result<Option<Finding>> {
        if !self.holds(number, crossing)? {
            return Ok(None);
        }
        let Some(point) = self.stops.get(number) else { return Ok(None) };
        let (kind, what, commands) = (point.kind.word(), point.location.clone(), point.commands.clone());
        let before = crossing.position == crossing.op;
        Ok(Some(Finding { number, kind, what, before, lines, change, commands }))
    }

    /// Counts a hit, and says whether the stop point fires at it.
    pub(in crate::debugger) fn hits(&mut self, number: usize, op: usize, stop: &mut Stop) -> bool {
        let (fires, gone) = self.stops.hit(number, op);
        stop.temporary.extend(gone.then_some(number));
        fires
    }

    /// Whether the condition of a stop point holds; a missing one does.
    fn holds(&mut self, number: usize, crossing: &Crossing) -> Result<bool> {
        let Some(condition) = self.stops.get_mut(number).and_then(|point| point.condition.clone()) else {
            return Ok(true);
        };
        let text = condition.text.clone();
        let row = crossing.row.map(|row| self.row(row));
        let mut scope = RunScope::at_stop(self, crossing.head, row);
        Ok(eval::condition(&condition.expr, &mut scope).map_err(|error| crate::lang::explained(&text, &error))?)
    }

    /// The row of that number; negative ones count from the last.
    pub(in crate::debugger) fn row(&self, row: i64) -> usize {
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
}
