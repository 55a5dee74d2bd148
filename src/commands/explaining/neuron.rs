//! `neuron`: what a neuron promotes by its output weights, and which tokens excite it.

use crate::analysis::samples::mean;
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Cell, Table};
use crate::commands::explaining::shown::indexed;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console};
use crate::debugger::{Mark, Result, Session};
use crate::lang::Span;
use crate::lang::words::Word;
use crate::model::role::{Role, WeightId};
use crate::model::site_name;
use crate::program::Part;
use crate::tensor::Value;
use crate::tensor::ops::Slice;

/// Tokens that are listed on each side.
const TOP: usize = 8;

/// Tokens shown before one that excites.
const BEFORE: usize = 4;

/// A token that excites: by how much, and where.
pub(super) struct Excited {
    value: f64,
    token: String,
    before: String,
}

/// `neuron L1N37 [FILE] [-top N]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let top = given.count("-top")?.unwrap_or(TOP);
    let (word, file) = match left.as_slice() {
        [word] => (word, None),
        [word, file] => (word, Some(file)),
        _ => {
            let start = Span::at(call.args.offset);
            return Err(mistake("expected a neuron", start, "neuron L1N37, neuron L1N37 texts.txt"));
        }
    };
    let wrong = |message: String| mistake(message, word.span, "L1N37: a block and a neuron of its MLP");
    let (layer, neuron) = indexed(&word.text, 'N').ok_or_else(|| wrong(format!("{} is not a neuron", word.text)))?;
    let program = &console.session.run.program;
    let (site, op) = (Part::MlpPost.site(layer), program.block_op(layer, Part::MlpPost));
    let op = op.ok_or_else(|| wrong(format!("there is no {site}: blocks with experts have none")))?;
    if neuron >= program.ops[op].width {
        return Err(wrong(format!("block {layer} has neurons 0..{}", program.ops[op].width - 1)));
    }
    let promoted = console.promoted(layer, neuron)?;
    let (excited, over) = console.excited((op, neuron), file)?;
    let what = format!("{}: over", word.text);
    let how = "what it promotes and suppresses is W_out W_U, without the final norm (derived)";
    Ok(console.excitation((&what, &over, how), excited, &promoted, top).into())
}

impl Console {
    /// Which tokens excite something the most, next to which tokens it promotes and suppresses.
    pub(super) fn excitation(
        &self,
        (what, over, how): (&str, &str, &str),
        mut excited: Vec<Excited>,
        promoted: &[(u32, f64)],
        top: usize,
    ) -> Table {
        let count = excited.len();
        let values: Vec<f64> = excited.iter().map(|one| one.value).collect();
        let silent = values.iter().filter(|x| x.abs() < 1e-6).count();
        let of = mean(&values, 0);
        let [mean, std] = [of.mean, of.std].map(|x| significant(x, 4));
        excited.sort_by(|a, b| b.value.total_cmp(&a.value));
        let rows = (0..top.min(count.max(promoted.len()))).map(|i| {
            let at = excited.get(i).map(|one| (format!("{}{}", one.before, quoted(&one.token)), one.value));
            let token = |one: Option<&(u32, f64)>| one.map(|(id, x)| (quoted(&self.token_text(*id)), *x));
            let (most, least) = (token(promoted.get(i)), token(promoted.iter().nth_back(i)));
            let cells = |(text, x): (Option<String>, Option<f64>)| [Cell::from(text), x.into()];
            [at, most, least].map(|one| cells(one.unzip())).concat()
        });
        let title =
            format!("{what} {count} tokens of {over} (measured) mean {mean}, std {std}, silent at {silent}; {how}");
        Table::new(["Excited by", "Value", "Promotes", "By", "Suppresses", "By"]).title(title).rows(rows)
    }
}

/// What one entry of the last axis of an op of the pass of a session is at each token of the focused row.
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
    /// What one entry of the last axis of an op is at each token, of the current text or of those of a file, and which texts they are.
    pub(super) fn excited(
        &mut self,
        (op, index): (usize, usize),
        file: Option<&Word>,
    ) -> Result<(Vec<Excited>, String)> {
        let (excited, over) = match file {
            None if self.session.run.cursor <= op => {
                let site = site_name::short(&self.session.run.program.ops[op].site);
                return Err(format!("{site} has not been computed: run first, or name a file of texts").into());
            }
            None => (excited_in(&mut self.session, op, index)?, "this text".to_string()),
            Some(file) => {
                let mut all = Vec::new();
                let lines = self.over_texts(file, &mut |console| {
                    all.extend(excited_in(&mut console.session, op, index)?);
                    Ok(())
                })?;
                (all, format!("{lines} lines of {}", file.text))
            }
        };
        match excited.is_empty() {
            true => Err("there are no tokens in it".into()),
            false => Ok((excited, over)),
        }
    }

    /// Tokens by what a neuron's output weights add to their logits, the most first; nothing where the model predicts no tokens.
    fn promoted(&self, layer: usize, neuron: usize) -> Result<Vec<(u32, f64)>> {
        let run = &self.session.run;
        let weights = run.branch().weights();
        let out = WeightId::block(run.model.spec.weights_of(layer), Role::W_out);
        let Some(out) = weights.whole(out)? else { return Ok(Vec::new()) };
        self.promoted_by(&out.slice(&[Slice::Range { start: neuron, end: neuron + 1, step: 1 }])?)
    }

    /// Tokens by what a direction `[1, d]` of the residual stream adds to their logits, the most first; nothing where the
    /// model predicts no tokens.
    pub(super) fn promoted_by(&self, direction: &Value) -> Result<Vec<(u32, f64)>> {
        let weights = self.session.run.branch().weights();
        let Some(unembed) = weights.whole(WeightId::global(Role::W_U))? else { return Ok(Vec::new()) };
        if unembed.shape()[1] != direction.shape()[1] {
            return Ok(Vec::new());
        }
        let logits = direction.matmul(&unembed.transpose())?.read_f64()?; // [1, V]
        let mut all: Vec<(u32, f64)> = logits.into_iter().enumerate().map(|(id, x)| (id as u32, x)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(all)
    }
}
