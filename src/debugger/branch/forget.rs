//! What depends on a change, and forgetting it.

use std::sync::Arc;

use super::Branch;
use crate::debugger::pass::Pass;
use crate::debugger::{Edit, Mark, Target};
use crate::model::spec::ModelSpec;
use crate::model::{Input, Placement};
use crate::program::{Context, Program};

/// For each pass, for each op, whether its value depends on a change.
/// Passes that are affected alike share the answer.
pub(in crate::debugger) type Affected = Vec<Arc<[bool]>>;

impl Branch {
    /// Forgets everything recorded, and the tokens chosen.
    pub(in crate::debugger) fn restart(&mut self) {
        let prompt = self.prompt();
        let context = self.context(0).clone();
        self.begin_with(prompt, context);
        self.settings.clear();
    }

    /// Forgets every value and keeps what was computed: each is computed again when it is needed. What the ops read
    /// besides values is made anew.
    pub(in crate::debugger) fn forget_values(&mut self, spec: &ModelSpec, placement: &Placement) {
        let ops = self.passes[0].values.len();
        for number in 0..self.passes.len() {
            let span = self.span(number);
            let context = Context::new(spec, &self.text.columns(span.end), span, placement);
            let before = &self.passes[number];
            let (frontier, first) = (before.frontier, before.first);
            let fresh = Pass { frontier, first, ..Pass::new(context, ops, before.chosen.clone()) };
            self.passes[number] = Arc::new(fresh);
        }
        self.cache.clear();
        (self.held, self.swept) = (0, 0);
    }

    /// Begins again with a prompt, of which nothing is computed.
    pub(in crate::debugger) fn begin_with(&mut self, prompt: Input, context: Context) {
        let ops = self.passes[0].values.len();
        self.text = prompt;
        self.passes = vec![Arc::new(Pass::new(context, ops, None))];
        self.cache.clear();
        (self.held, self.swept) = (0, 0);
    }

    /// Forgets a pass and those after it, and the tokens chosen for them.
    pub(in crate::debugger) fn end_before(&mut self, program: &Program, pass: usize) {
        let end = self.span(pass - 1).end;
        self.held -= self.passes.drain(pass..).map(|pass| pass.held).sum::<u64>();
        let cached = (0..program.ops.len()).filter(|&op| program.is_cached(op));
        cached.for_each(|op| self.cache.truncate(op, end));
        self.cache.forget_states(pass);
        self.text = self.text.columns(end);
        self.swept = self.swept.min(pass - 1);
    }

    /// Takes back that anything from `op` of a pass on was computed; values that are there stay.
    pub(in crate::debugger) fn limit(&mut self, pass: usize, op: usize) {
        for (number, later) in self.passes.iter_mut().enumerate().skip(pass) {
            let frontier = if number == pass { op } else { 0 };
            if later.frontier != frontier {
                Arc::make_mut(later).frontier = frontier;
            }
        }
    }

    /// What an edit changes first: marks whose ops must be computed again.
    pub(in crate::debugger) fn first_changed(&self, program: &Program, edit: &Edit) -> Vec<Mark> {
        let passes = self.passes.len();
        let readers = |first: usize, reads: &dyn Fn(usize) -> bool| {
            let ops: Vec<usize> = (0..program.ops.len()).filter(|&op| reads(op)).collect();
            (first..passes).flat_map(|pass| ops.iter().map(move |&op| Mark { pass, op })).collect()
        };
        let from = edit.from.pass;
        match &edit.target {
            Target::Op(op) => {
                let end = if edit.lasting { passes } else { passes.min(from + 1) };
                (from..end).map(|pass| Mark { pass, op: *op }).collect()
            }
            Target::Weight(id) => readers(0, &|op| program.ops[op].weights.contains(id)),
            Target::Input => {
                let ops = (0..program.ops.len()).filter(|&op| program.ops[op].inputs.is_empty());
                ops.map(|op| Mark::new(0, op)).collect()
            }
            Target::Token if from < passes => vec![Mark::new(from, program.tokens())],
            Target::Token => Vec::new(),
            Target::Cache(cached) => readers(from, &|op| program.ops[op].cached.contains(cached)),
        }
    }

    /// Whether values computed so far depend on what an edit changes.
    pub(in crate::debugger) fn depends_on(&self, program: &Program, edit: &Edit) -> bool {
        let computed = |at: &Mark| at.op < self.frontier(at.pass);
        match edit.target {
            // A token that is chosen already, even if nothing has been computed with it.
            Target::Token => edit.from.pass < self.passes.len(),
            _ => self.first_changed(program, edit).iter().any(computed),
        }
    }

    /// What depends on `changed`, those included: in their passes, through keys and values in later ones, and through
    /// the tokens chosen from logits that changed.
    pub(in crate::debugger) fn affected(&self, program: &Program, changed: &[Mark]) -> Affected {
        let mut of_pass = vec![Vec::new(); self.passes.len()];
        for at in changed {
            if let Some(ops) = of_pass.get_mut(at.pass) {
                ops.push(at.op);
            }
        }
        let mut carried = vec![false; program.ops.len()];
        let mut chosen_anew = false;
        let mut all: Affected = Vec::with_capacity(self.passes.len());
        // What the pass before was affected by, while that carried nothing new over: a pass for which it is the same is
        // affected in the same way, as almost all are.
        let mut before: Option<Vec<usize>> = None;
        for (pass, mut first) in self.passes.iter().zip(of_pass) {
            let forced = pass.chosen.as_ref().is_some_and(|chosen| chosen.forced);
            if chosen_anew && !forced {
                first.push(program.tokens());
            }
            // What the pass of the prompt computed for all.
            first.extend((0..pass.first).filter(|&op| carried[op]));
            if let (Some(last), true) = (all.last(), before.as_ref() == Some(&first)) {
                all.push(last.clone());
                continue;
            }
            let affected = program.affected_by(&first, &carried);
            let mut more = false;
            for (carried, affected) in carried.iter_mut().zip(&affected) {
                more |= *affected && !*carried;
                *carried |= affected;
            }
            before = (!more).then_some(first);
            chosen_anew = program.op_of("logits").is_some_and(|logits| affected[logits]);
            all.push(affected.into());
        }
        all
    }

    /// Forgets the values that depend on a change. Where the logits that a token was chosen from are among them, the
    /// passes after it are gone: another token may follow.
    pub(in crate::debugger) fn forget(&mut self, program: &Program, affected: &Affected) {
        let mut cut = vec![false; program.ops.len()];
        let first = affected.iter().position(|ops| ops.contains(&true)).unwrap_or(self.passes.len());
        self.cache.forget_states(first);
        for (number, ops) in affected.iter().enumerate() {
            for op in (0..ops.len()).filter(|&op| ops[op]) {
                self.set(program, Mark { pass: number, op }, None);
                // The cache ends before the first column that is forgotten.
                if program.is_cached(op) && !std::mem::replace(&mut cut[op], true) {
                    self.cache.truncate(op, self.span(number).start);
                }
            }
        }
        let logits = program.op_of("logits");
        let chosen_anew = affected.iter().position(|ops| logits.is_some_and(|logits| ops[logits]));
        if let Some(last) = chosen_anew.filter(|pass| pass + 1 < self.passes.len()) {
            self.end_before(program, last + 1);
        }
    }

    /// Forgets how the cache of an op is read from a pass on: its edits changed.
    pub(in crate::debugger) fn forget_cache_since(&mut self, op: usize, pass: usize) {
        self.cache.forget_since(op, pass);
    }
}
