//! Attention on random tokens that come twice: the text on which previous-token, duplicate-token and induction heads
//! show themselves, since nothing else in it can be known.

use std::collections::HashMap;

use super::attribution::Random;
use super::ops_in_blocks;
use crate::debugger::{Edit, Error, Result, Session, edited, in_force_on_any_text};
use crate::model::{Input, Row};
use crate::program::{Keep, Part, Program, Replay, Values, Visitor};
use crate::tensor::ops::Slice;
use crate::tensor::{Value, step};

pub struct RepeatedTokens {
    /// By layer, `[H, T, T]`.
    pub patterns: Vec<(usize, Value)>,
    pub ids: Vec<u32>,
    /// Whether each is real: all are.
    pub real: Vec<bool>,
    pub special: Vec<bool>,
}

/// Runs the model, with the edits of the current branch, on `n` random tokens twice, after what the tokenizer puts
/// before a text. The session stays as it is.
///
/// # Errors
/// If the text would be too long; if an edit in force changes positions of the current text; if the user interrupts or
/// the device fails.
pub fn on_repeated_tokens(session: &Session, n: usize, seed: u64) -> Result<RepeatedTokens> {
    let run = &session.run;
    let model = &run.model;
    let tokenizer = model.tokenizer.as_ref();
    let is_special = |id: u32| tokenizer.is_some_and(|known| known.is_special(id));
    let ordinary: Vec<u32> = (0..model.spec.vocab as u32)
        .filter(|id| !is_special(*id) && tokenizer.is_none_or(|known| known.has(*id)))
        .collect();
    if n == 0 || ordinary.is_empty() {
        return Err("the number of tokens has to be at least 1".into());
    }
    let front: Vec<u32> = match tokenizer.map(|known| known.encode("a", true)) {
        Some(Ok(tokens)) => tokens.iter().take_while(|token| token.special).map(|token| token.id).collect(),
        _ => Vec::new(),
    };
    let mut random = Random::new(seed);
    let once: Vec<u32> = (0..n).map(|_| ordinary[random.below(ordinary.len())]).collect();
    let ids: Vec<u32> = front.iter().chain(&once).chain(&once).copied().collect();
    let length = ids.len();
    // A decoder reads them; what its encoder reads stays.
    let source = session.focused_row().and_then(|row| row.source.clone());
    let (mask, type_ids) = (vec![true; length], vec![0; length]);
    let row = Row { ids: ids.clone(), mask, type_ids, source, ..Row::default() };
    let input = Input::from_rows(model, vec![row])?;
    let context = run.context_of(&input);
    let program = &run.program;
    let layers: HashMap<usize, usize> = ops_in_blocks(program, Part::Pattern).map(|(layer, op)| (op, layer)).collect();
    let end = 1 + layers.keys().copied().max().ok_or("the model has no attention")?;
    let edits = in_force_on_any_text(session, &|op| op < end)?;
    let mut visitor = Patterns { program, edits, end, layers, found: Vec::new() };
    let replay = Replay { program, weights: run.branch().weights(), context: &context };
    replay.run(0..end, Values::new(), Keep::Read, &mut visitor)?;
    let special = ids.iter().map(|id| is_special(*id)).collect();
    Ok(RepeatedTokens { patterns: visitor.found, real: vec![true; length], ids, special })
}

struct Patterns<'a> {
    program: &'a Program,
    edits: Vec<Edit>,
    end: usize,
    /// Layers by the op that computes their pattern.
    layers: HashMap<usize, usize>,
    found: Vec<(usize, Value)>,
}

impl Visitor for Patterns<'_> {
    type Error = Error;

    fn instead(&mut self, op: usize, _: &[Value]) -> Result<Option<Value>> {
        step(&self.program.ops[op].site, op as u64, self.end as u64)?;
        Ok(None)
    }

    fn made(&mut self, op: usize, value: Value) -> Result<Value> {
        let value = edited(&self.edits, op, value)?;
        if let Some(layer) = self.layers.get(&op) {
            self.found.push((*layer, value.slice(&[Slice::At(0)])?));
        }
        Ok(value)
    }
}
