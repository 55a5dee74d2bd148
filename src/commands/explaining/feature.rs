//! `feature`: which tokens activate a feature of a dictionary, and what its decoder promotes.

use std::sync::Arc;

use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Command, Console, LOOKING, Takes};
use crate::debugger::Result;
use crate::lang::Span;
use crate::lang::words::Word;
use crate::model::dictionary::{Dictionary, Stage};
use crate::model::role::Role;
use crate::tensor::Value;

pub const COMMAND: Command = Command {
    name: "feature",
    usage: "feature NAME[N] [FILE] [-top N]",
    about: "which tokens activate a feature of a dictionary, in this text or over a file of texts, and which tokens its \
            decoder promotes",
    help: "NAME is the dictionary, with its block where it is one of several: L1.f[12]. FILE has one text in each line; each is run as a \
           separate pass, with the edits of this branch. Promoted tokens come from W_dec W_U of the feature: the direct path, \
           without the final norm.",
    options: &[("-top N", "rows, 8 by default")],
    examples: &[
        "run\nsae load tiny-gpt2-sae as f\nfeature f[0]",
        "shell printf 'The nurse said that\\nThe dog\\n' > texts.txt\nsae load tiny-gpt2-sae as f\nfeature f[1] texts.txt -top 3",
    ],
    takes: Takes::File,
    run,
    ..LOOKING
};

/// Tokens that are listed on each side.
const TOP: usize = 8;

/// `feature NAME[N] [FILE] [-top N]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let top = given.count("-top")?.unwrap_or(TOP);
    let (word, file) = match left.as_slice() {
        [word] => (word, None),
        [word, file] => (word, Some(file)),
        _ => {
            let start = Span::at(call.args.offset);
            return Err(mistake("expected a feature", start, "feature f[12], feature L1.f[12] texts.txt"));
        }
    };
    let (dictionary, feature) = named(console, word)?;
    let acts = dictionary.site(Stage::Acts);
    let op = console.session.run.program.op_of(&acts).ok_or_else(|| format!("there is no {acts}"))?;
    let direction = console.decoder_row(&dictionary, feature)?;
    let promoted = console.promoted_by(&direction)?;
    let (excited, over) = console.excited((op, feature), file)?;
    let label = console.label_of(&acts, feature).map(|label| format!(" ({label})")).unwrap_or_default();
    let what = format!("{}{label}: over", word.text);
    let how = match promoted.is_empty() {
        true => "its decoder does not write to the residual stream of a model that predicts tokens",
        false => "what it promotes and suppresses is W_dec W_U, without the final norm (derived)",
    };
    Ok(console.excitation((&what, &over, how), excited, &promoted, top).into())
}

/// The dictionary and the number of `f[12]` or `L1.f[12]`.
fn named(console: &Console, word: &Word) -> Result<(Arc<Dictionary>, usize)> {
    let wrong =
        |message: String| mistake(message, word.span, "f[12], or L1.f[12]: a dictionary and one of its features");
    let parts = word.text.strip_suffix(']').and_then(|text| text.split_once('['));
    let (name, number) = parts.ok_or_else(|| wrong(format!("{} is not a feature", word.text)))?;
    let number: i64 = number.parse().map_err(|_| wrong(format!("{number} is not the number of a feature")))?;
    let (layer, name) = match name.strip_prefix('L').and_then(|rest| rest.split_once('.')) {
        Some((layer, name)) if layer.parse::<usize>().is_ok() => (layer.parse().ok(), name),
        _ => (None, name),
    };
    let all = &console.session.run.dictionaries;
    let found = all.one(name, layer).ok_or_else(|| {
        wrong(match all.named(name).len() {
            0 => format!("no dictionary is called {name}"),
            _ => format!("{name} is in several blocks, or not in that one"),
        })
    })?;
    let count = found.found.features;
    let at = if number < 0 { number + count as i64 } else { number };
    let feature = usize::try_from(at).ok().filter(|feature| *feature < count);
    Ok((found, feature.ok_or_else(|| wrong(format!("{name} has features 0..{}", count - 1)))?))
}

impl Console {
    /// What a feature writes, `[1, d]`.
    fn decoder_row(&self, dictionary: &Dictionary, feature: usize) -> Result<Value> {
        let weights = self.session.run.branch().weights();
        let id = dictionary.id(Role::DictDec);
        let row = match weights.overlay().has(id) {
            true => weights.value(id)?.rows(feature..feature + 1),
            false => weights.rows(id, &[feature])?,
        };
        Ok(row.on(self.session.run.device())?)
    }
}
