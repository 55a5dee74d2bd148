//! Attention on random tokens that come twice: the text on which previous-token, duplicate-token and induction heads show
//! themselves, since nothing else in it can be known.

use std::collections::HashMap;

use super::attribution::Random;
use super::in_force::{edited, in_force_on_any_text};
use crate::debugger::Result;
use crate::debugger::Session;
use crate::model::Input;
use crate::program::{Context, execute};
use crate::tensor::ops::Slice;
use crate::tensor::{Value, step};

/// Patterns on such a text.
pub struct Repeated {
    /// By layer, `[H, T, T]`.
    pub patterns: Vec<(usize, Value)>,
    /// The tokens.
    pub ids: Vec<u32>,
    /// Whether each is real: all are.
    pub real: Vec<bool>,
    /// Whether each begins, separates or ends texts.
    pub special: Vec<bool>,
}

/// Runs the model, with the edits of the current branch, on `n` random tokens twice, behind what the tokenizer puts in front of a
/// text. The session stays as it is.
///
/// # Errors
/// In a sentence, if the text would be too long, an edit in force is of positions of the current text, the user interrupts or the
/// device fails.
pub fn repeated(session: &Session, n: usize, seed: u64) -> Result<Repeated> {
    let run = &session.run;
    let model = &run.model;
    let tokenizer = model.tokenizer.as_ref();
    let is_special = |id: u32| tokenizer.is_some_and(|known| known.is_special(id));
    let ordinary: Vec<u32> = (0..model.spec.vocab as u32)
        .filter(|id| !is_special(*id) && tokenizer.is_none_or(|known| known.has(*id)))
        .collect();
    if n == 0 || ordinary.is_empty() {
        return Err("needs a number of tokens from 1 on".into());
    }
    let front: Vec<u32> = match tokenizer.map(|known| known.encode("a", true)) {
        Some(Ok(tokens)) => tokens.iter().take_while(|token| token.special).map(|token| token.id).collect(),
        _ => Vec::new(),
    };
    let mut random = Random::new(seed);
    let once: Vec<u32> = (0..n).map(|_| ordinary[random.below(ordinary.len())]).collect();
    let ids: Vec<u32> = front.iter().chain(&once).chain(&once).copied().collect();
    let length = ids.len();
    let input = Input::from_tokens(model, vec![ids.clone()])?;
    let context = Context::new(&model.spec, &input, 0..length, run.device());
    let weights = run.branch().weights();
    let program = &run.program;
    let wanted: HashMap<usize, usize> = (0..program.n_layers())
        .filter_map(|layer| Some((program.op_of(&format!("blocks.{layer}.attn.pattern"))?, layer)))
        .collect();
    let last = wanted.keys().copied().max().ok_or("the model has no attention")?;
    let edits = in_force_on_any_text(session, &|op| op <= last)?;
    let mut values: Vec<Option<Value>> = vec![None; program.ops.len()];
    let mut patterns = Vec::new();
    for (number, op) in program.ops[..=last].iter().enumerate() {
        step(&op.site, number as u64, last as u64 + 1)?;
        let inputs: Option<Vec<Value>> = op.inputs.iter().map(|&input| values[input].clone()).collect();
        let value = execute(op, &inputs.ok_or("an input is missing")?, weights, &context)?;
        let value = edited(&edits, number, value)?;
        if let Some(layer) = wanted.get(&number) {
            patterns.push((*layer, value.slice(&[Slice::At(0)])?));
        }
        values[number] = Some(value);
        for &input in &op.inputs {
            if program.readers(input).iter().all(|&reader| reader <= number) {
                values[input] = None;
            }
        }
    }
    let special = ids.iter().map(|id| is_special(*id)).collect();
    Ok(Repeated { patterns, real: vec![true; length], ids, special })
}
