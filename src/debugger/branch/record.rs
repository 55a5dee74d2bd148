//! Recording under a budget.

use std::sync::Arc;

use super::Branch;
use crate::debugger::Mark;
use crate::program::{Kernel, Program};
use crate::tensor::Value;

/// Of so many passes, the states of one stay when the recording is over its budget.
const STATES: usize = 16;

/// What a recording holds, for `info record`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordStatus {
    /// Ops computed so far, over all passes.
    pub computed: usize,
    /// Of those, the ones whose values are kept.
    pub kept: usize,
    pub bytes: u64,
    /// Values computed again because they had been dropped.
    pub recomputed: u64,
}

impl Branch {
    pub fn status(&self) -> RecordStatus {
        let kept = self.passes.iter().map(|pass| pass.values.iter().take(pass.frontier).flatten().count()).sum();
        let computed = self.passes.iter().map(|pass| pass.frontier.saturating_sub(pass.first)).sum();
        RecordStatus { computed, kept, bytes: self.bytes(), recomputed: self.recomputed }
    }

    /// The value of an op, if it is kept: nothing is computed for it.
    pub fn kept(&self, at: Mark) -> Option<&Value> {
        self.passes.get(at.pass)?.values.get(at.op)?.as_ref()
    }

    pub fn bytes(&self) -> u64 {
        self.held + self.cache.bytes()
    }

    /// Keeps a value, or drops it. A value that is only another name for an earlier one takes no memory. One in pieces is
    /// not kept: making it again computes nothing, and until then what it is computed from can be dropped.
    pub(in crate::debugger) fn set(&mut self, program: &Program, at: Mark, value: Option<Value>) {
        let value = value.filter(|value| !value.is_in_pieces());
        let own = program.ops[at.op].kernel != Kernel::Same;
        let size = |value: &Option<Value>| value.as_ref().filter(|_| own).map_or(0, Value::bytes);
        let before = &self.passes[at.pass].values[at.op];
        if before.is_none() && value.is_none() {
            return;
        }
        let (gone, come) = (size(before), size(&value));
        self.held = self.held - gone + come;
        if value.is_some() {
            self.swept = self.swept.min(at.pass);
        }
        let pass = Arc::make_mut(&mut self.passes[at.pass]);
        pass.held = pass.held - gone + come;
        pass.values[at.op] = value;
    }

    /// Counts what is held anew, of a program in which values have other numbers, and forgets the key/value cache: its
    /// columns are recorded values, and are joined again.
    pub(in crate::debugger) fn recount(&mut self, program: &Program) {
        self.cache.clear();
        self.swept = 0;
        for pass in &mut self.passes {
            let own = |(op, value): (usize, &Option<Value>)| {
                value.as_ref().filter(|_| program.ops[op].kernel != Kernel::Same).map_or(0, Value::bytes)
            };
            let held = pass.values.iter().enumerate().map(own).sum();
            Arc::make_mut(pass).held = held;
        }
        self.held = self.passes.iter().map(|pass| pass.held).sum();
    }

    /// Drops recorded values until at most `budget` bytes are held: first those of earlier passes, then those of the
    /// pass of `cursor` that only an earlier part of it read. Inputs of blocks, keys and values stay, since all else
    /// follows from them; if they alone are more than that, those of a long prompt go too.
    pub(in crate::debugger) fn shrink(&mut self, program: &Program, budget: u64, cursor: Mark) {
        while self.bytes() > budget && self.swept < cursor.pass {
            for op in 0..program.ops.len() {
                let state = program.is_carried(op) && self.swept.is_multiple_of(STATES);
                if !state && !program.keeps(op, true) && self.passes[self.swept].values[op].is_some() {
                    self.set(program, Mark { pass: self.swept, op }, None);
                }
            }
            self.swept += 1;
        }
        let frontier = self.passes[cursor.pass].frontier;
        for op in 0..frontier.min(cursor.op) {
            if self.bytes() <= budget {
                return;
            }
            let alive = program.is_carried(op) || program.readers(op).iter().any(|&reader| reader >= cursor.op);
            if !alive && !program.keeps(op, false) && op + 1 != cursor.op {
                self.set(program, Mark { pass: cursor.pass, op }, None);
            }
        }
        self.thin_out(program, budget, cursor);
    }

    /// Drops keys and values of the pass of the prompt, then inputs of its blocks, of which every second, fourth and so
    /// on stays: what is between two that stay is computed again from the first of them.
    fn thin_out(&mut self, program: &Program, budget: u64, cursor: Mark) {
        let gone_by = |op: usize| {
            let read = program.readers(op).iter().all(|&reader| reader < cursor.op) && op + 1 != cursor.op;
            cursor.pass > 0 || read
        };
        let mut drop_where = |drops: &dyn Fn(usize, usize) -> bool| {
            for op in 0..self.passes[0].frontier {
                if self.bytes() <= budget {
                    return;
                }
                let of_block = program.ops[op].layer.filter(|_| program.keeps(op, false));
                if of_block.is_some_and(|layer| drops(op, layer)) && gone_by(op) {
                    self.set(program, Mark::new(0, op), None);
                }
            }
        };
        drop_where(&|op, _| program.is_cached(op));
        let mut apart = 2;
        while apart / 2 < program.n_layers() {
            drop_where(&|_, layer| layer % apart != 0);
            apart *= 2;
        }
    }
}
