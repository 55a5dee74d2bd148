//! Places in time.

use std::fmt;

/// A place in a run: in which pass, and between which ops. Marks are ordered as they are reached going forward;
/// motions, stops and edits speak in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The pass; 0 computes the prompt, each later one a single token.
    pub pass: usize,
    /// The op that runs next; the number of ops at the end of a pass.
    pub op: usize,
}

impl Mark {
    /// The beginning of the run.
    pub const START: Mark = Mark { pass: 0, op: 0 };

    pub fn new(pass: usize, op: usize) -> Mark {
        Mark { pass, op }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {} of pass {}", self.op, self.pass)
    }
}
