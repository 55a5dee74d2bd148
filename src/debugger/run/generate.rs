//! From one pass to the next: a token is chosen from the logits of the last one, and computed.

use std::sync::Arc;

use super::{Run, RunError};
use crate::debugger::pass::Pass;
use crate::debugger::{Branch, Change, Chosen, Mark, Sampling, Target};
use crate::model::Model;
use crate::program::{Context, Program};
use crate::tensor::ops::Slice;

impl Run {
    /// Whether the model can go on after the current pass: it predicts the next token.
    pub fn generates(&self) -> bool {
        self.model.spec.is_causal_lm()
    }

    /// Sees to it that a pass exists, whose predecessor has been computed to its end.
    pub(super) fn open_pass(&mut self, pass: usize) -> Result<(), RunError> {
        if pass >= self.branch().passes() {
            let next = Next { model: &self.model, program: &self.program, sampling: &self.sampling };
            next.open(&mut self.branches[self.current])?;
        }
        Ok(())
    }

    /// Chooses a token for each row from the logits of the last pass of a branch, and begins a pass over it.
    pub(super) fn open_next(&self, branch: &mut Branch) -> Result<(), RunError> {
        Next { model: &self.model, program: &self.program, sampling: &self.sampling }.open(branch)
    }

    /// Opens a branch that ends with the current pass, so that other tokens can follow. Returns its name.
    ///
    /// # Errors
    /// If no token can follow; nothing is changed then.
    pub fn fork(&mut self) -> Result<String, RunError> {
        let mut next = self.branch().clone();
        next.name = self.free_name();
        next.parent = Some((self.current, Mark::new(self.pass + 1, 0)));
        if next.passes() > self.pass + 1 {
            next.end_before(&self.program, self.pass + 1);
        }
        next.settings.truncate(self.pass);
        if self.at_end() {
            self.open_next(&mut next.clone())?;
        }
        self.enter(next);
        self.goal = self.pass;
        Ok(self.branch().name.clone())
    }

    /// Whether every row of a pass has come to its end: its token ends a text, or it had ended before.
    pub fn has_ended(&self, pass: usize) -> bool {
        self.branch().chosen(pass).is_some_and(|chosen| {
            let ends = |token: &Option<u32>| token.is_none_or(|token| self.model.special.eos.contains(&token));
            chosen.sampling.stop && chosen.tokens.iter().all(ends)
        })
    }
}

/// What the next pass of a branch follows from, besides the branch.
struct Next<'a> {
    model: &'a Model,
    program: &'a Program,
    sampling: &'a Sampling,
}

impl Next<'_> {
    /// Chooses the tokens first, which can fail, and changes the branch only then: no copy of it is needed to undo a
    /// failure, so a token costs the same however many there are before it.
    fn open(&self, branch: &mut Branch) -> Result<(), RunError> {
        let spec = &self.model.spec;
        if !spec.is_causal_lm() {
            return Err(RunError::NoNextToken { family: spec.family.clone() });
        }
        let last = branch.passes() - 1;
        let sampling = match (branch.settings.get(last), branch.settings.last()) {
            (Some(settled), _) => settled.clone(),
            (None, Some(same)) if **same == *self.sampling => same.clone(),
            _ => Arc::new(self.sampling.clone()),
        };
        let by_edit = forced(branch, last + 1);
        let forced = by_edit.is_some();
        let tokens = by_edit.map_or_else(|| self.choose(branch, last, &sampling), Ok)?;
        if tokens.iter().all(Option::is_none) {
            return Err(RunError::Ended);
        }
        let start = branch.span(last).end;
        branch.text.push_column(self.model, &tokens)?;
        let context = Context::new(spec, &branch.text, start..branch.text.length(), &self.model.placement);
        if branch.settings.len() == last {
            branch.settings.push(sampling.clone());
        }
        let chosen = Chosen { tokens, sampling, forced };
        let pass = Pass::new(context, self.program.ops.len(), Some(chosen));
        branch.passes.push(Arc::new(Pass { first: self.program.once(), ..pass }));
        Ok(())
    }

    /// The token of each row after the pass `last`; `None` for rows whose text has ended.
    fn choose(&self, branch: &mut Branch, last: usize, sampling: &Sampling) -> Result<Vec<Option<u32>>, RunError> {
        let op = self.program.op_of("logits").expect("a causal language model has logits");
        let logits = branch.value(self.program, Mark { pass: last, op })?; // [B, T, V]
        let span = branch.span(last);
        let mut tokens = Vec::new();
        for (number, row) in branch.text.rows.iter().enumerate() {
            let ended = branch.chosen(last).is_some_and(|chosen| match chosen.tokens[number] {
                Some(token) => sampling.stop && self.model.special.eos.contains(&token),
                None => true,
            });
            if ended {
                tokens.push(None);
                continue;
            }
            // A row of an earlier pass that is padded on the right has its last real token before the padding.
            let at = row.mask[span.clone()].iter().rposition(|real| *real).unwrap_or(0);
            let scores = logits.slice(&[Slice::At(number), Slice::At(at)])?.read_f32()?;
            let text = row.ids[..span.end].iter().zip(&row.mask).filter(|(_, real)| **real).map(|(id, _)| *id);
            tokens.push(Some(sampling.choose(&scores, text, number, last)));
        }
        Ok(tokens)
    }
}

/// The tokens that an edit puts at the beginning of a pass.
fn forced(branch: &Branch, pass: usize) -> Option<Vec<Option<u32>>> {
    let mut edits = branch.edits.iter().filter(|edit| edit.target == Target::Token && edit.from.pass == pass);
    edits.next_back().and_then(|edit| match &edit.change {
        Change::Tokens(tokens) => Some(tokens.clone()),
        _ => None,
    })
}
