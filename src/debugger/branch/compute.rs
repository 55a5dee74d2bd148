//! Values of ops: recorded, or computed again from those that are.

use std::collections::hash_map::Entry;

use super::Branch;
use crate::debugger::cache::Cache;
use crate::debugger::pass::Pass;
use crate::debugger::{Edit, Mark, Target, edit};
use crate::program::{Keep, Program, Replay, Values, Visitor};
use crate::tensor::{TensorError, Value};

/// The ops of a pass as its branch has them: values that are recorded are taken from there, attention reads keys and
/// values of all passes so far, and edits are applied.
struct Recorded<'a> {
    program: &'a Program,
    number: usize,
    pass: &'a Pass,
    edits: &'a [Edit],
    /// Holds the columns before the pass of all ops that are read.
    cache: &'a mut Cache,
    /// The states after the pass before, of all ops that carry on from them.
    states: Values,
    /// Of a later pass, values that the pass of the prompt has computed for all passes.
    once: Values,
    /// Values computed that the pass had before; those in pieces are not computed by it.
    again: u64,
}

impl Visitor for Recorded<'_> {
    type Error = TensorError;

    fn outside(&mut self, op: usize) -> Result<Value, TensorError> {
        let value = self.once.get(&op).or(self.pass.values[op].as_ref()).cloned();
        Ok(value.expect("what is not recorded was needed, and runs"))
    }

    fn read(&mut self, reader: usize, input: usize, value: Value) -> Result<Value, TensorError> {
        if self.number == 0 || !self.program.ops[reader].cached.contains(&input) {
            return Ok(value);
        }
        // [B, S, K, h]: all passes up to this one, joined along positions.
        let (since, end) = (edited_since(self.edits, Mark::new(self.number, input)), self.pass.span().end);
        if self.cache.len(input, since) < Some(end) {
            self.cache.push(input, since, &value)?;
        }
        let columns = self.cache.columns(input, since).expect("filled before");
        Ok(columns.first(end).with_axes(value.axes()))
    }

    fn carried(&mut self, _: usize, op: usize) -> Result<Option<Value>, TensorError> {
        Ok(self.states.get(&op).cloned())
    }

    fn made(&mut self, op: usize, value: Value) -> Result<Value, TensorError> {
        self.again += u64::from(op < self.pass.frontier && !value.is_in_pieces());
        // Positions of a value count from the beginning of the text.
        edit::edited(self.edits, Mark::new(self.number, op), value.beginning_at(self.pass.span().start))
    }
}

impl Branch {
    /// Runs ops of a pass on its weights and its input.
    pub fn replay<'a>(&'a self, program: &'a Program, pass: usize) -> Replay<'a> {
        Replay { program, weights: &self.weights, context: &self.passes[pass].context }
    }

    /// The same, with what reads the recording.
    fn recorded<'a>(
        &'a mut self,
        program: &'a Program,
        number: usize,
        (states, once): (Values, Values),
    ) -> (Replay<'a>, Recorded<'a>) {
        let Branch { passes, weights, edits, cache, .. } = self;
        let pass = &passes[number];
        let replay = Replay { program, weights, context: &pass.context };
        (replay, Recorded { program, number, pass, edits, cache, states, once, again: 0 })
    }

    /// The value that an op has in a pass, as the edits leave it: recorded, or computed again from what is.
    ///
    /// # Errors
    /// If an edit does not fit (which making it has checked), the device fails or the user interrupts.
    pub(in crate::debugger) fn value(&mut self, program: &Program, at: Mark) -> Result<Value, TensorError> {
        let at = self.home(at);
        let pass = &self.passes[at.pass];
        if let Some(value) = &pass.values[at.op] {
            return Ok(value.clone());
        }
        let needed = needed(program, pass, at.op);
        self.fill_for(program, at.pass, &needed)?;
        let states = self.states_for(program, at.pass, &needed)?;
        let once = self.once_for(program, at.pass, &needed)?;
        let (replay, mut recorded) = self.recorded(program, at.pass, (states, once));
        let mut values = replay.run(needed, Values::new(), Keep::Read, &mut recorded)?;
        self.recomputed += recorded.again;
        Ok(values.remove(&at.op).expect("nothing that ran has read it"))
    }

    /// What an op reads: recorded, or computed again; a state that it carries on from is last.
    pub(in crate::debugger) fn inputs(&mut self, program: &Program, at: Mark) -> Result<Vec<Value>, TensorError> {
        let at = self.home(at);
        self.fill_for(program, at.pass, &[at.op])?;
        let mut inputs = Vec::new();
        for &input in &program.ops[at.op].inputs {
            let value = self.value(program, Mark { op: input, ..at })?;
            let nothing = (Values::new(), Values::new());
            inputs.push(self.recorded(program, at.pass, nothing).1.read(at.op, input, value)?);
        }
        inputs.extend(self.states_for(program, at.pass, &[at.op])?.into_values());
        Ok(inputs)
    }

    /// Computes an op at the frontier of its pass, or one below it that must be recorded again.
    pub(in crate::debugger) fn compute(&mut self, program: &Program, at: Mark) -> Result<(), TensorError> {
        if self.passes[at.pass].values[at.op].is_none() {
            let value = self.value(program, at)?;
            self.set(program, at, Some(value));
        }
        self.reach(at);
        Ok(())
    }

    /// Where the value of an op is computed: in its pass, or in that of the prompt if that computes it for all.
    pub(in crate::debugger) fn home(&self, at: Mark) -> Mark {
        if at.op < self.passes[at.pass].first { Mark::new(0, at.op) } else { at }
    }

    /// Values that the pass of the prompt computes for all, of ops that `ops` read in the pass `pass`.
    fn once_for(&mut self, program: &Program, pass: usize, ops: &[usize]) -> Result<Values, TensorError> {
        let first = self.passes[pass].first;
        let mut once = Values::new();
        for &op in ops.iter().flat_map(|&op| &program.ops[op].inputs).filter(|&&op| op < first) {
            if let Entry::Vacant(missing) = once.entry(op) {
                missing.insert(self.value(program, Mark::new(0, op))?);
            }
        }
        Ok(once)
    }

    /// The cache of an op as the pass `pass` finds it: its columns before that pass, `[B, S, K, h]`; `None` if there
    /// are none.
    pub(in crate::debugger) fn cached(
        &mut self,
        program: &Program,
        op: usize,
        pass: usize,
    ) -> Result<Option<Value>, TensorError> {
        if pass == 0 {
            return Ok(None);
        }
        let since = edited_since(&self.edits, Mark { pass, op });
        self.fill(program, op, since, pass)?;
        let length = self.span(pass).start;
        let columns = self.cache.columns(op, since).expect("filled before");
        Ok(Some(columns.first(length).with_axes(&program.ops[op].axes)))
    }

    /// The states after the pass before `pass` that `ops` carry on from.
    pub(in crate::debugger) fn states_for(
        &mut self,
        program: &Program,
        pass: usize,
        ops: &[usize],
    ) -> Result<Values, TensorError> {
        let mut states = Values::new();
        for &op in ops.iter().filter(|_| pass > 0).flat_map(|&op| &program.ops[op].carried) {
            if let Entry::Vacant(missing) = states.entry(op) {
                missing.insert(self.state(program, op, pass - 1)?);
            }
        }
        Ok(states)
    }

    /// The state of an op after a pass: recorded, or computed again from the last one before it that is.
    fn state(&mut self, program: &Program, op: usize, pass: usize) -> Result<Value, TensorError> {
        if let Some(value) = &self.passes[pass].values[op] {
            return Ok(value.clone());
        }
        if let Some((_, value)) = self.cache.state(op, pass + 1).filter(|(of, _)| *of == pass) {
            return Ok(value.clone());
        }
        let recorded = (0..pass).rev().find(|&earlier| self.passes[earlier].values[op].is_some());
        let kept = self.cache.state(op, pass).map(|(of, _)| of);
        let first = recorded.max(kept).map_or(0, |last| last + 1);
        for number in first..pass {
            let value = self.value(program, Mark { pass: number, op })?;
            self.cache.keep_state(op, number, value);
        }
        let value = self.value(program, Mark { pass, op })?;
        self.cache.keep_state(op, pass, value.clone());
        Ok(value)
    }

    /// Makes the cache hold the columns before `pass` of everything that `ops` read over all passes.
    fn fill_for(&mut self, program: &Program, pass: usize, ops: &[usize]) -> Result<(), TensorError> {
        if pass == 0 {
            return Ok(());
        }
        for &op in ops.iter().flat_map(|&op| &program.ops[op].cached) {
            self.fill(program, op, edited_since(&self.edits, Mark { pass, op }), pass)?;
        }
        Ok(())
    }

    /// Makes the cache of an op hold its columns before `pass`, as edits up to `since` leave them.
    fn fill(&mut self, program: &Program, op: usize, since: usize, pass: usize) -> Result<(), TensorError> {
        let length = self.span(pass).start;
        if self.cache.len(op, since).is_none() {
            if since == 0 {
                let first = self.value(program, Mark::new(0, op))?;
                self.cache.begin(op, 0, &first, 0);
            } else {
                let earlier = edited_since(&self.edits, Mark { pass: since - 1, op });
                self.fill(program, op, earlier, since)?;
                let base = self.span(since).start;
                let mut value = self.cache.columns(op, earlier).expect("filled before").first(base);
                let edits = self.edits.iter().filter(|e| e.target == Target::Cache(op) && e.from.pass == since);
                for edit in edits {
                    value = edit.change.apply(&value)?;
                }
                self.cache.begin(op, since, &value, base);
            }
        }
        while let Some(filled) = self.cache.len(op, since).filter(|filled| *filled < length) {
            let value = self.value(program, Mark { pass: self.pass_of(filled), op })?;
            self.cache.push(op, since, &value)?;
        }
        Ok(())
    }
}

/// The ops of a pass that must run for the value of `op`, itself the last of them: those before it whose values are not
/// recorded.
fn needed(program: &Program, pass: &Pass, op: usize) -> Vec<usize> {
    let mut needed = vec![op];
    let there = |input: usize| input < pass.first || pass.values[input].is_some();
    if program.ops[op].inputs.iter().all(|&input| there(input)) {
        return needed;
    }
    let mut seen = vec![false; op + 1];
    let mut next = 0;
    while next < needed.len() {
        for &input in &program.ops[needed[next]].inputs {
            if !seen[input] && !there(input) {
                seen[input] = true;
                needed.push(input);
            }
        }
        next += 1;
    }
    needed.sort_unstable();
    needed
}

/// The last pass up to that of `at` from which on an edit changes the cache of the op; 0 without one.
fn edited_since(edits: &[Edit], at: Mark) -> usize {
    let edits = edits.iter().filter(|edit| edit.target == Target::Cache(at.op) && edit.from.pass <= at.pass);
    edits.map(|edit| edit.from.pass).max().unwrap_or(0)
}
