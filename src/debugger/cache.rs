//! The key/value cache: keys and values of all passes so far, joined along positions.
//!
//! It holds nothing of its own: its columns are the recorded values of the ops that attention reads over all passes, or
//! those values computed again, changed by the edits that were made to the cache. While there is one pass it is empty.

use std::collections::HashMap;

use crate::tensor::{Growing, Value};

/// For an op, and the pass from which on the last edit to its cache counts (0 without edits), its columns.
#[derive(Clone, Default)]
pub(super) struct Cache {
    slots: HashMap<(usize, usize), Slot>,
}

/// Columns of one op as they are read from some pass on.
#[derive(Clone)]
pub(super) struct Slot {
    /// Columns that an edit replaced; those after them are recorded values.
    pub base: usize,
    /// All columns.
    pub columns: Growing,
}

impl Cache {
    pub fn slot(&self, op: usize, since: usize) -> Option<&Slot> {
        self.slots.get(&(op, since))
    }

    /// A cache of an op as it is read from the pass `since` on, where the first columns, if any, are those of an edit.
    pub fn begin(&mut self, op: usize, since: usize, first: &Value, base: usize) -> &mut Slot {
        let slot = Slot { base, columns: Growing::new(first) };
        self.slots.entry((op, since)).insert_entry(slot).into_mut()
    }

    pub fn slot_mut(&mut self, op: usize, since: usize) -> Option<&mut Slot> {
        self.slots.get_mut(&(op, since))
    }

    /// Forgets the columns of an op from `column` on, in every version of them.
    pub fn truncate(&mut self, op: usize, column: usize) {
        self.slots.retain(|(of, _), slot| *of != op || column >= slot.base.max(1));
        for ((of, _), slot) in &mut self.slots {
            if *of == op {
                slot.columns.truncate(column);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Forgets how an op is read from the pass `since` on and later.
    pub fn forget_since(&mut self, op: usize, since: usize) {
        self.slots.retain(|(of, from), _| *of != op || *from < since);
    }

    /// Bytes of device memory.
    pub fn bytes(&self) -> u64 {
        self.slots.values().map(|slot| slot.columns.bytes()).sum()
    }
}
