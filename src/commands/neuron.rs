//! `neuron`: what a neuron promotes by its output weights, and which tokens excite it.

use super::console::{Console, Done};
use super::table::Call;
use crate::answer::text::quoted;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Error, Mark, Result, Session};
use crate::lang::words::{OptionSpec, parse_count, take_options, words};
use crate::lang::{LangError, Span};
use crate::model::role::{Role, WeightId};
use crate::tensor::Value;
use crate::tensor::ops::Slice;

const OPTIONS: [OptionSpec; 1] = [OptionSpec { name: "-top", takes_value: true }];

/// Tokens that are listed on each side.
const TOP: u64 = 8;

/// Tokens shown in front of one that excites.
const BEFORE: usize = 4;

/// A token that excites: by how much, and where.
struct Excited {
    value: f64,
    token: String,
    before: String,
}

/// `neuron L1N37 [FILE] [-top N]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let top =
        given.first().and_then(|option| option.value.as_ref()).map(parse_count).transpose()?.unwrap_or(TOP) as usize;
    let (word, file) = match left.as_slice() {
        [word] => (word, None),
        [word, file] => (word, Some(file)),
        _ => {
            let error = LangError::new("expected a neuron", Span::at(call.args.offset));
            return Err(Error::At(error.help("neuron L1N37, neuron L1N37 texts.txt")));
        }
    };
    let wrong =
        |message: String| Error::At(LangError::new(message, word.span).help("L1N37: a block and a neuron of its MLP"));
    let parts = word.text.strip_prefix('L').and_then(|rest| rest.split_once('N'));
    let found = parts.and_then(|(layer, neuron)| Some((layer.parse::<usize>().ok()?, neuron.parse::<usize>().ok()?)));
    let (layer, neuron) = found.ok_or_else(|| wrong(format!("{} is no neuron", word.text)))?;
    let program = console.session.run.program.clone();
    let site = format!("blocks.{layer}.mlp.post");
    let op = program.op_of(&site).ok_or_else(|| wrong(format!("there is no {site}: blocks with experts have none")))?;
    if neuron >= program.ops[op].width {
        return Err(wrong(format!("block {layer} has neurons 0..{}", program.ops[op].width - 1)));
    }
    let promoted = console.promoted(layer, neuron)?;
    let (mut excited, over) = match file {
        None => {
            if console.session.run.cursor <= op {
                return Err(Error::refused(format!(
                    "{site} has not been computed: run first, or name a file of texts"
                )));
            }
            (excited_in(&mut console.session, op, neuron)?, "this text".to_string())
        }
        Some(file) => {
            let mut all = Vec::new();
            let lines = console.over_texts(file, &mut |console| {
                all.extend(excited_in(&mut console.session, op, neuron)?);
                Ok(())
            })?;
            (all, format!("{lines} lines of {}", file.text))
        }
    };
    if excited.is_empty() {
        return Err(Error::refused("there are no tokens in it"));
    }
    let count = excited.len();
    let values: Vec<f64> = excited.iter().map(|one| one.value).collect();
    let silent = values.iter().filter(|x| x.abs() < 1e-6).count();
    let of = crate::analysis::samples::mean(&values, 0);
    excited.sort_by(|a, b| b.value.total_cmp(&a.value));
    let cell = |one: Option<&Excited>| match one {
        Some(one) => [Cell::Text(format!("{}{}", one.before, quoted(&one.token))), Cell::Num(one.value)],
        None => [Cell::Empty, Cell::Empty],
    };
    let rows = (0..top.min(count.max(promoted.len()))).map(|i| {
        let (most, least) = (promoted.get(i), promoted.len().checked_sub(i + 1).and_then(|at| promoted.get(at)));
        let token = |one: Option<&(u32, f64)>| match one {
            Some((id, x)) => [Cell::Text(quoted(&console.token_text(*id))), Cell::Num(*x)],
            None => [Cell::Empty, Cell::Empty],
        };
        [cell(excited.get(i)), token(most), token(least)].concat()
    });
    let title = format!(
        "{}: over {count} tokens of {over} (measured) mean {}, std {}, silent at {silent}; what it promotes and suppresses is W_out W_U, without \
         the final norm (derived)",
        word.text,
        crate::answer::numbers::significant(of.mean, 4),
        crate::answer::numbers::significant(of.std, 4)
    );
    let columns = ["Excited by", "Value", "Promotes", "By", "Suppresses", "By"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title, columns, rows: rows.collect() }))
}

/// What a neuron of the pass of a session is at each token of the focused row.
fn excited_in(session: &mut Session, op: usize, neuron: usize) -> Result<Vec<Excited>> {
    let (pass, row) = (session.run.pass, session.focus.row);
    let value = session.run.value_at(Mark { pass, op })?;
    let data = value.slice(&[Slice::At(row), Slice::All, Slice::At(neuron)])?.read_f64()?;
    let start = session.run.branch().span(pass).start;
    let Some(row) = session.focused_row() else { return Ok(Vec::new()) };
    let name = |id: u32| session.run.model.tokenizer.as_ref().map_or(id.to_string(), |known| known.token_text(id));
    let one = |(i, x): (usize, &f64)| {
        let at = start + i;
        let before: String = row.ids[at.saturating_sub(BEFORE)..at].iter().map(|&id| name(id)).collect();
        Excited { value: *x, token: name(row.ids[at]), before: before.replace('\n', "\u{21b5}") }
    };
    Ok(data.iter().enumerate().filter(|(i, _)| row.mask[start + i]).map(one).collect())
}

impl Console {
    /// Tokens by what a neuron's output weights add to their logits, the most first; nothing where the model predicts no tokens.
    fn promoted(&self, layer: usize, neuron: usize) -> Result<Vec<(u32, f64)>> {
        let run = &self.session.run;
        let weights = run.branch().weights();
        let out = WeightId::block(run.model.spec.weights_of(layer), Role::W_out);
        let (Some(out), Some(unembed)) = (weights.get(out), weights.get(WeightId::global(Role::W_U))) else {
            return Ok(Vec::new());
        };
        let direction: Value = out.whole()?.slice(&[Slice::Range { start: neuron, end: neuron + 1, step: 1 }])?; // [1, d]
        let unembed = unembed.whole()?;
        if unembed.shape()[1] != direction.shape()[1] {
            return Ok(Vec::new());
        }
        let logits = direction.matmul(&unembed.transpose())?.read_f64()?; // [1, V]
        let mut all: Vec<(u32, f64)> = logits.into_iter().enumerate().map(|(id, x)| (id as u32, x)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(all)
    }
}
