//! What a checkpoint and an input show by themselves: heads without output, constant tensors, exploded gains, blocks
//! that are copies, a vocabulary that is not the tokenizer's, special tokens and positions out of range.

use std::collections::HashMap;

use super::health::{Measured, measured};
use crate::debugger::{Result, Run, RunError, Session, Settings};
use crate::model::bundled::BUNDLED;
use crate::model::role::{Role, RoleKind, WeightId};
use crate::model::site_name::block;
use crate::model::spec::{Head, UNBOUNDED};
use crate::model::{Input, Model, load};
use crate::tensor::{Device, step};

/// Tokens that chat models have, and models of plain text do not.
const CHAT: [&str; 7] = [
    "<|im_start|>",
    "<|start_header_id|>",
    "<start_of_turn>",
    "<|user|>",
    "<|assistant|>",
    "<|start_of_role|>",
    "[INST]",
];

/// Weights of the current branch that are odd by themselves or compared with those of other blocks.
pub fn weights(session: &Session) -> Result<Vec<Measured>, RunError> {
    let (spec, weights) = (&session.run.model.spec, session.run.branch().weights());
    let mut found = Vec::new();
    let mut gains: Vec<(WeightId, f64)> = Vec::new();
    let mut blocks: HashMap<usize, u64> = HashMap::new();
    for id in weights.ids() {
        step(&id.to_string(), 0, 0)?;
        let Some(summary) = weights.summary(id)? else { continue };
        let gain = matches!(
            id.role,
            Role::EmbedLnW | Role::Ln1W | Role::Ln2W | Role::AttnPostLnW | Role::MlpPostLnW | Role::LnFinalW
        );
        if gain {
            gains.push((id, summary.absmax));
        }
        let matrix = weights.shape(id).is_some_and(|shape| shape.len() > 1) && summary.count > 1;
        if matrix && summary.absmax > 0.0 && id.role.kind() != RoleKind::Vector {
            // A matrix that is one number everywhere has no spread.
            found.push(measured("weight-constant", id.to_string(), summary.std / summary.absmax));
        }
        if id.role == Role::W_O
            && let Some(layer) = id.layer
        {
            let data = weights.value(id)?.read_f32()?;
            let each = data.len() / spec.n_heads.max(1);
            for (head, rows) in data.chunks(each.max(1)).enumerate() {
                let largest = rows.iter().fold(0.0f32, |most, x| most.max(x.abs())).into();
                found.push(measured("head-zero", format!("L{layer}H{head}"), largest));
            }
        }
        if let (Some(layer), true) = (id.layer, matrix) {
            let data = weights.value(id)?.read_f32()?;
            let hash = data.iter().fold(u64::from(id.role as u8) + 1, |hash, x| {
                (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
            });
            // The order of weights is the same in every block.
            let so_far = blocks.entry(layer.into()).or_insert(7);
            *so_far = so_far.rotate_left(11).wrapping_mul(31) ^ hash;
        }
    }
    let mut sizes: Vec<f64> = gains.iter().map(|(_, size)| *size).collect();
    sizes.sort_by(f64::total_cmp);
    if let Some(median) = sizes.get(sizes.len() / 2).filter(|median| **median > 0.0) {
        found.extend(gains.iter().map(|(id, size)| measured("gain", id.to_string(), size / median)));
    }
    let shared: Vec<usize> = spec.layers.iter().map(|layer| layer.weights).collect();
    for (layer, hash) in &blocks {
        let copies =
            |(other, known): (&usize, &u64)| other < layer && known == hash && shared.get(*other) != shared.get(*layer);
        if blocks.iter().any(copies) {
            found.push(measured("block-copy", block(*layer), 1.0));
        }
    }
    found.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(found)
}

/// How tokenizer, special tokens, positions and templates fit the model and the text.
pub fn input(session: &Session, chat: bool) -> Vec<Measured> {
    let model = &session.run.model;
    let (spec, special) = (&model.spec, &model.special);
    let mut found = Vec::new();
    if let Some(tokenizer) = &model.tokenizer {
        let size = tokenizer.vocab_size();
        let at = format!("{size} tokens, {} rows", spec.vocab);
        found.push(measured("vocabulary-small", &at, size as f64 - spec.vocab as f64));
        // Tables are padded to even sizes, but not by a large part.
        found.push(measured("vocabulary-large", &at, spec.vocab as f64 / size.max(1) as f64));
        let is_chat = CHAT.iter().find(|token| tokenizer.id_of(token).is_some_and(|id| tokenizer.is_special(id)));
        if let (Some(token), true, false) = (is_chat, model.chat.is_empty(), chat) {
            found.push(measured("template", format!("{token} in the vocabulary"), 1.0));
        }
    }
    // The others are the tokenizer's own, which knows where they are; encoders carry some of decoders that nothing
    // reads.
    let named = [("pad", special.pad), ("bos", special.bos.filter(|_| session.run.generates()))];
    let ends = special.eos.iter().map(|id| ("eos", Some(*id))).filter(|_| session.run.generates());
    for (name, id) in named.into_iter().chain(ends) {
        if let Some(id) = id {
            found.push(measured("special-range", format!("{name} {id}"), f64::from(id) - spec.vocab as f64 + 1.0));
        }
    }
    let length = session.focused_row().map_or(0, |row| row.len());
    if spec.max_positions != UNBOUNDED {
        let at = format!("{length} tokens, {} positions", spec.max_positions);
        found.push(measured("positions", at, length as f64 / spec.max_positions.max(1) as f64));
    }
    found
}

/// How far a model of the shape of a bundled one is from it, on the bundled one's own text: the difference of the
/// losses, or of the class logits as a part of their size. `None` for other shapes.
pub fn distance_from_bundled(session: &Session) -> Result<Option<Measured>> {
    let (model, device) = (&session.run.model, Device::cpu());
    let shape = |model: &Model| {
        let spec = &model.spec;
        (spec.family.clone(), spec.n_layers, spec.n_heads, spec.d_model, spec.d_mlp, spec.vocab, spec.max_positions)
    };
    for bundled in BUNDLED {
        let reference = load(&bundled.source(), &device)?;
        if shape(&reference) != shape(model) {
            continue;
        }
        let text = |model: &Model| Input::from_texts(model, &[bundled.example_prompt], true);
        let settings = Settings { record_budget: u64::MAX };
        let ours = last(&session.run, &text(model)?)?;
        let prompt = text(&reference)?;
        let interrupt = session.interrupt.clone();
        let sound = Session::new(reference.clone(), prompt.clone(), &settings, interrupt);
        let theirs = last(&sound.run, &prompt)?;
        let value = match reference.spec.head {
            Head::CausalLm(_) => {
                let of = |logits: &[f64]| loss(logits, &reference, bundled.example_prompt);
                (of(&ours)? - of(&theirs)?).abs()
            }
            _ => crate::tensor::relative_rms(&ours, &theirs),
        };
        return Ok(Some(measured("reference", format!("{} on its own text", bundled.name), value)));
    }
    Ok(None)
}

/// The last value of a pass over another text, with the edits of the current branch.
fn last(run: &Run, input: &Input) -> Result<Vec<f64>> {
    let mut other = run.with_prompts(std::slice::from_ref(input), true)?;
    let end = other.end_of(0);
    other.jump(0, end)?;
    Ok(other.value(end.op - 1)?.read_f64()?)
}

/// Mean negative log-probability of each next token of a text, of logits `[T, V]`.
fn loss(logits: &[f64], model: &Model, text: &str) -> Result<f64> {
    let input = Input::from_texts(model, &[text], true)?;
    let (ids, width) = (&input.rows[0].ids, model.spec.vocab);
    let of = |pos: usize| {
        let row = &logits[pos * width..(pos + 1) * width];
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
        most + sum.ln() - row[ids[pos + 1] as usize]
    };
    Ok((0..ids.len() - 1).map(of).sum::<f64>() / (ids.len() - 1) as f64)
}
