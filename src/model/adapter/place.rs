//! Where the modules that an adapter names are in a model. Checkpoints and adapters of one model differ in what comes
//! before its body: transformers moved it (`language_model.model.` became `model.language_model.`), and wrappers of
//! training add to it.

use super::error::{AdapterFault, Result};
use crate::model::families::{self, Files};
use crate::model::load::Model;
use crate::model::role::{Role, WeightId};
use crate::model::weights::FileTensor;

/// Names of wrappers around the body of a model. A part for images or sound is none: its blocks are others.
const WRAPPERS: [&str; 7] =
    ["model", "language_model", "text_model", "base_model", "module", "_orig_mod", "pretrained_model"];

/// What a module of an adapter is in a model.
pub enum Place {
    /// The token embedding or the unembedding `[V, d]`, whether or not it has a separate tensor in the files.
    Vocabulary(WeightId),
    Tensor(FileTensor),
}

impl Place {
    /// The place of `module`, and of its `part`: `weight` or `bias`.
    ///
    /// # Errors
    /// If the model has no such module, or several that could be meant.
    pub fn find(model: &Model, module: &str, part: &str) -> Result<Place> {
        let files = families::find(&model.config)?.files();
        let below = body(files, module);
        let there = |role| Some(WeightId::global(role)).filter(|id| model.weights.has(*id));
        let vocabulary = match part {
            "weight" if files.embedding() == Some(below) => there(Role::W_E),
            "weight" if files.unembeddings().any(|path| path == below) => there(Role::W_U),
            _ => None,
        };
        match vocabulary {
            Some(id) => Ok(Place::Vocabulary(id)),
            None => tensor(model, files, &format!("{module}.{part}")).map(Place::Tensor),
        }
    }
}

/// A name without the wrappers and the body's own name before it.
fn body<'a>(files: &Files, name: &'a str) -> &'a str {
    let mut rest = name;
    while let Some((first, inner)) = rest.split_once('.') {
        if !WRAPPERS.contains(&first) && !files.body.split_terminator('.').any(|part| part == first) {
            break;
        }
        rest = inner;
    }
    rest
}

fn tensor(model: &Model, files: &Files, wanted: &str) -> Result<FileTensor> {
    if let Some(reason) = files.elsewhere(wanted, files.body) {
        return Err(AdapterFault::Elsewhere(reason));
    }
    let used = || model.weights.files().iter().filter(|file| !file.uses.is_empty());
    if let Some(file) = used().find(|file| file.name == wanted) {
        return Ok(file.clone());
    }
    let prefix = files.prefix(&model.files);
    let same = |file: &&FileTensor| {
        let name = file.name.strip_prefix(&prefix).unwrap_or(&file.name);
        let further_out = file.name.strip_suffix(wanted).is_some_and(|rest| rest.ends_with('.'));
        further_out || body(files, name) == body(files, wanted)
    };
    let mut similar: Vec<&FileTensor> = used().filter(same).collect();
    similar.sort_by_key(|file| std::cmp::Reverse(file.name.len()));
    match similar[..] {
        [] => Err(AdapterFault::NoModule),
        [only] => Ok(only.clone()),
        // The head of `lm_head.weight` is the longer match of `x.lm_head.weight`.
        [first, second, ..] if first.name.len() > second.name.len() => Ok(first.clone()),
        [first, second, ..] => Err(AdapterFault::Ambiguous(first.name.clone(), second.name.clone())),
    }
}
