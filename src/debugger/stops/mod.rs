//! Stop points: where to stop, on what, under which condition, and how often it came to that.

mod catch;
mod causes;
mod firing;
mod health;
mod kind;
mod trace;
mod watch;

use std::collections::BTreeSet;

use super::Mark;
use crate::lang::Expr;
use crate::lang::location::Choice;

pub(super) use health::Healths;
pub use kind::{Catch, Keep, Kind, Print, Trace, Watch};
pub use trace::Tally;
pub use watch::Change as Changed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Keep,
    Delete,
    Disable,
}

impl Disposition {
    /// The word in `info breakpoints`.
    pub fn word(self) -> &'static str {
        match self {
            Disposition::Keep => "keep",
            Disposition::Delete => "del",
            Disposition::Disable => "dis",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The only pass that it is for; none means every pass.
    pub pass: Option<usize>,
    /// The place in a pass: the index of the op that runs next.
    pub position: usize,
    /// The op that a listing marks: the one whose value stops, or the one before which the cursor stops.
    pub op: usize,
    /// The head that `$` and the focus are bound to.
    pub head: Option<usize>,
    /// The token position that the focus is moved to.
    pub pos: Option<Choice>,
    /// The row that the focus is moved to.
    pub row: Option<i64>,
}

impl Crossing {
    /// Where the value of an op has just been computed, in every pass.
    pub fn after(op: usize) -> Crossing {
        Crossing { pass: None, position: op + 1, op, head: None, pos: None, row: None }
    }
}

/// A condition, and its text as it was typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The line that spans of the expression point into.
    pub text: String,
    pub expr: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HitCondition {
    /// How: `>`, `>=`, `<`, `<=`, `==`, `!=`, or `%` for every so many.
    pub op: &'static str,
    pub count: u64,
}

impl HitCondition {
    pub fn holds(self, hits: u64) -> bool {
        match self.op {
            ">" => hits > self.count,
            ">=" => hits >= self.count,
            "<" => hits < self.count,
            "<=" => hits <= self.count,
            "==" => hits == self.count,
            "!=" => hits != self.count,
            _ => self.count > 0 && hits.is_multiple_of(self.count),
        }
    }
}

/// A breakpoint, watchpoint, catchpoint, or a place that is traced.
#[derive(Clone, Debug)]
pub struct StopPoint {
    /// Its number; never used twice.
    pub number: usize,
    pub name: Option<String>,
    pub kind: Kind,
    /// Its location, or what it watches, as typed.
    pub location: String,
    /// Where it is looked at, by rising position.
    pub crossings: Vec<Crossing>,
    pub condition: Option<Condition>,
    /// How often it was crossed with its condition true.
    pub hits: u64,
    /// The ops at which it was hit.
    pub hit_at: BTreeSet<usize>,
    pub hit_condition: Option<HitCondition>,
    /// So many more hits do not stop.
    pub ignore: u64,
    pub disposition: Disposition,
    /// So many more stops before the disposition acts; none means at the next.
    pub left: Option<u64>,
    /// Whether it is looked at at all.
    pub enabled: bool,
    pub commands: Vec<String>,
}

impl StopPoint {
    /// One that stops whenever it is crossed. Its number is given when it is added.
    pub fn new(kind: Kind, location: String, crossings: Vec<Crossing>) -> StopPoint {
        StopPoint {
            number: 0,
            name: None,
            kind,
            location,
            crossings,
            condition: None,
            hits: 0,
            hit_at: BTreeSet::new(),
            hit_condition: None,
            ignore: 0,
            disposition: Disposition::Keep,
            left: None,
            enabled: true,
            commands: Vec::new(),
        }
    }
}

/// All stop points of a session, in number order.
#[derive(Clone, Debug, Default)]
pub struct StopPoints {
    points: Vec<StopPoint>,
    last: usize,
}

impl StopPoints {
    pub fn iter(&self) -> impl Iterator<Item = &StopPoint> {
        self.points.iter()
    }

    pub fn len(&self) -> usize {
        self.points.len()
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The number given last; 0 before the first.
    pub fn last_number(&self) -> usize {
        self.last
    }

    pub fn add(&mut self, point: StopPoint) -> usize {
        self.last += 1;
        self.points.push(StopPoint { number: self.last, ..point });
        self.last
    }

    pub fn get(&self, number: usize) -> Option<&StopPoint> {
        self.points.iter().find(|point| point.number == number)
    }

    pub fn get_mut(&mut self, number: usize) -> Option<&mut StopPoint> {
        self.points.iter_mut().find(|point| point.number == number)
    }

    pub fn named(&self, name: &str) -> Option<usize> {
        self.points.iter().find(|point| point.name.as_deref() == Some(name)).map(|point| point.number)
    }

    /// Deletes one; false if there is none of that number.
    pub fn remove(&mut self, number: usize) -> bool {
        let before = self.points.len();
        self.points.retain(|point| point.number != number);
        self.points.len() < before
    }

    pub fn clear(&mut self) {
        self.points.clear();
    }

    /// The enabled ones that are looked at at a place, with the crossing, in number order.
    pub fn at(&self, at: Mark) -> Vec<(usize, Crossing)> {
        let is_here = |c: &&Crossing| c.position == at.op && c.pass.is_none_or(|pass| pass == at.pass);
        let crosses = |point: &StopPoint| point.crossings.iter().find(is_here).cloned();
        self.points
            .iter()
            .filter(|point| point.enabled)
            .filter_map(|point| crosses(point).map(|crossing| (point.number, crossing)))
            .collect()
    }

    /// Counts a hit whose condition held: first the number of hits decides, then the ignore count, then the
    /// disposition. Returns whether it stops, and whether it is gone by that.
    pub fn hit(&mut self, number: usize, op: usize) -> (bool, bool) {
        let Some(point) = self.get_mut(number) else { return (false, false) };
        point.hits += 1;
        point.hit_at.insert(op);
        if point.hit_condition.is_some_and(|condition| !condition.holds(point.hits)) {
            return (false, false);
        }
        if point.ignore > 0 {
            point.ignore -= 1;
            return (false, false);
        }
        if !point.kind.stops() {
            return (true, false);
        }
        if let Some(left) = &mut point.left {
            *left = left.saturating_sub(1);
            if *left > 0 {
                return (true, false);
            }
            point.left = None;
        }
        match point.disposition {
            Disposition::Keep => (true, false),
            Disposition::Disable => {
                point.enabled = false;
                point.disposition = Disposition::Keep;
                (true, false)
            }
            Disposition::Delete => {
                self.remove(number);
                (true, true)
            }
        }
    }
}
