//! The key/value cache: keys and values of all passes so far, joined along positions.
//!
//! Its columns are the recorded values of the ops that attention reads over all passes, or
//! those values computed again, changed by the edits that were made to the cache. While there is one pass it is empty.
//!
//! States that a later pass carries on from are recorded values too. Of each, the last that was computed again is here: to
//! go on from it, nothing before it is needed.

use std::collections::HashMap;

use crate::tensor::{Growing, TensorError, Value};

/// For an op, and the pass from which on the last edit to its cache counts (0 without edits), its columns.
#[derive(Clone, Default)]
pub(super) struct Cache {
    slots: HashMap<(usize, usize), Slot>,
    bytes: u64,
    /// For an op, a pass and its value there.
    states: HashMap<usize, (usize, Value)>,
}

/// Columns of one op as they are read from some pass on.
#[derive(Clone)]
struct Slot {
    /// Columns that an edit replaced; those after them are recorded values.
    base: usize,
    columns: Growing,
}

impl Cache {
    /// The columns of an op as they are read from the pass `since` on.
    pub fn columns(&self, op: usize, since: usize) -> Option<&Growing> {
        self.slots.get(&(op, since)).map(|slot| &slot.columns)
    }

    /// How many columns of an op there are, if there are any.
    pub fn len(&self, op: usize, since: usize) -> Option<usize> {
        self.columns(op, since).map(Growing::len)
    }

    /// Begins with the first columns of an op, of which `base` are those of an edit.
    pub fn begin(&mut self, op: usize, since: usize, first: &Value, base: usize) {
        self.slots.insert((op, since), Slot { base, columns: Growing::new(first) });
        self.count();
    }

    pub fn push(&mut self, op: usize, since: usize, value: &Value) -> Result<(), TensorError> {
        if let Some(slot) = self.slots.get_mut(&(op, since)) {
            let before = slot.columns.bytes();
            slot.columns.push(value)?;
            self.bytes = self.bytes - before + slot.columns.bytes();
        }
        Ok(())
    }

    /// Forgets the columns of an op from `column` on, in every version of them.
    pub fn truncate(&mut self, op: usize, column: usize) {
        self.slots.retain(|(of, _), slot| *of != op || column >= slot.base.max(1));
        let of_op = self.slots.iter_mut().filter(|((of, _), _)| *of == op);
        of_op.for_each(|(_, slot)| slot.columns.truncate(column));
        self.count();
    }

    /// The state that was computed again last, if it is of a pass before `pass`.
    pub fn state(&self, op: usize, pass: usize) -> Option<(usize, &Value)> {
        self.states.get(&op).filter(|(of, _)| *of < pass).map(|(of, value)| (*of, value))
    }

    pub fn keep_state(&mut self, op: usize, pass: usize, value: Value) {
        self.states.insert(op, (pass, value));
        self.count();
    }

    /// Forgets states from a pass on.
    pub fn forget_states(&mut self, pass: usize) {
        self.states.retain(|_, (of, _)| *of < pass);
        self.count();
    }

    pub fn clear(&mut self) {
        self.states.clear();
        self.slots.clear();
        self.count();
    }

    /// Forgets how an op is read from the pass `since` on and later.
    pub fn forget_since(&mut self, op: usize, since: usize) {
        self.slots.retain(|(of, from), _| *of != op || *from < since);
        self.count();
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn count(&mut self) {
        let states: u64 = self.states.values().map(|(_, value)| value.bytes()).sum();
        self.bytes = states + self.slots.values().map(|slot| slot.columns.bytes()).sum::<u64>();
    }
}
