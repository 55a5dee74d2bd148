//! `export model`: the edited model as a checkpoint.

use std::path::Path;

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Error, Result};
use crate::export::model::{Written, write};
use crate::lang::LangError;
use crate::model::role::{Role, WeightId};
use crate::model::text::bytes;
use crate::model::weights::Weights;

/// Files of a checkpoint that say how text becomes tokens and what is generated.
const BESIDE: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "generation_config.json",
    "chat_template.jinja",
];

pub fn export(console: &mut Console, call: Call<'_>) -> Done {
    let given = call.words()?;
    let [what, folder] = given.as_slice() else {
        return Err(call.expected("what to export and a folder", "export model DIR"));
    };
    if what.text.is_empty() || !"model".starts_with(&what.text) {
        return Err(LangError::new(format!("cannot export {}", what.text), what.span).help("export model DIR").into());
    }
    let run = &console.session.run;
    let weights = run.branch().weights();
    one_table(weights)?;
    let files = run.model.origin.files()?;
    let mut others = Vec::new();
    for name in BESIDE {
        // A file that cannot be read now was not needed to load the model.
        if let Ok(Some(bytes)) = files.read(name) {
            others.push((name.to_string(), bytes.into_owned()));
        }
    }
    let written = write(Path::new(&folder.text), run.model.config.json(), weights, &others)?;
    let Written { tensors, bytes: size, left_out, widened } = written;
    let edited = weights.overlay().ids().len();
    let mut text = format!("Wrote {tensors} tensors ({}) to {}", bytes(size), folder.text);
    text.push_str(&match edited {
        0 => "; no weight is edited in this branch".to_string(),
        1 => "; 1 weight is edited".to_string(),
        n => format!("; {n} weights are edited"),
    });
    if widened {
        text.push_str("\nTensors that were stored in blocks of few bits are now 32-bit floats.");
    }
    if left_out > 0 {
        let noun = if left_out == 1 { "tensor that is" } else { "tensors that are" };
        text.push_str(&format!("\nLeft out: {left_out} {noun} not used by the model (info weights says why)."));
    }
    let others = run.branch().edits.iter().any(|edit| !matches!(edit.target, crate::debugger::Target::Weight(_)));
    if others {
        text.push_str("\nEdits of values, tokens and the cache are not part of a checkpoint; save edits keeps them.");
    }
    Ok(Answer::Text(text))
}

/// A checkpoint with tied embeddings has one table for both: it cannot hold two.
fn one_table(weights: &Weights) -> Result<()> {
    let (embed, unembed) = (WeightId::global(Role::W_E), WeightId::global(Role::W_U));
    let edited = |id| weights.overlay().has(id);
    if !weights.tied() || !edited(embed) && !edited(unembed) {
        return Ok(());
    }
    let read = |id| weights.whole(id)?.map(|value| value.read_f32()).transpose();
    match read(embed)? == read(unembed)? {
        true => Ok(()),
        false => Err(Error::refused(
            "W_E and W_U are one tensor in this checkpoint and were edited apart: it cannot hold both; edit both alike",
        )),
    }
}
