//! Vectors of texts: which texts there are, which are held out, and what a site holds of each.

use crate::analysis::attribution::random::Random;
use crate::analysis::directions::Sample;
use crate::commands::frame::{Options, mistake, number};
use crate::commands::state::Console;
use crate::debugger::directions::{Reading, Texts};
use crate::debugger::{Edit, Error, Mark, Result, Session};
use crate::lang::LangError;
use crate::lang::words::{Word, parse_count};
use crate::program::Program;
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Kind, step};

/// The share of texts that is held out, unless another is asked for.
const HELD_OUT: f64 = 0.25;

/// Texts of each kind that a direction is fitted to, at least.
const LEAST: usize = 2;

/// Which position of each text is meant.
pub fn reading(given: &Options) -> Result<Reading> {
    let Some(word) = given.value("-pos") else { return Ok(Reading::Last) };
    match (word.text.as_str(), word.text.parse()) {
        ("last", _) => Ok(Reading::Last),
        ("mean", _) => Ok(Reading::Mean),
        ("all", _) => Ok(Reading::All),
        (_, Ok(at)) => Ok(Reading::At(at)),
        (other, _) => {
            let help = "-pos last, mean, all, or a number, from the end if negative";
            Err(mistake(format!("{other} is not a position of every text"), word.span, help))
        }
    }
}

/// The texts of two files, and those that are held out: of two other files, or a share of these.
pub fn of_files(
    console: &Console,
    given: &Options,
    (a, b): (&Word, &Word),
    test: Option<(&Word, &Word)>,
) -> Result<Texts> {
    let read = |file: &Word| -> Result<Vec<String>> {
        Ok(console.texts_of(file)?.into_iter().map(|(_, text)| text).collect())
    };
    let all = [read(a)?, read(b)?];
    let seed = given.value("-seed").map(parse_count).transpose()?.unwrap_or(0);
    let names = [a.text.clone(), b.text.clone()];
    let reading = reading(given)?;
    let least = if test.is_some() { LEAST } else { LEAST + 1 };
    if let Some((few, file)) = all.iter().zip([a, b]).find(|(all, _)| all.len() < least) {
        let found = if few.len() == 1 { "1 text".to_string() } else { format!("{} texts", few.len()) };
        let message = format!("{} has {found}: a direction needs {least} or more of each kind", file.text);
        return Err(LangError::new(message, file.span).into());
    }
    if let Some((c, d)) = test {
        if let Some(option) = given.get("-held-out") {
            return Err(mistake(
                "the held-out texts are those of the files after test",
                option.span,
                "leave out -held-out",
            ));
        }
        return Ok(Texts { names, reading, fitted: all, held_out: [read(c)?, read(d)?] });
    }
    let share = |word| number(word, |x| *x > 0.0 && *x < 1.0, "share: a number between 0 and 1");
    let share = given.value("-held-out").map_or(Ok(HELD_OUT), share)?;
    let mut random = Random::new(seed);
    let mut divided = |all: Vec<String>| -> (Vec<String>, Vec<String>) {
        let count = ((all.len() as f64 * share).round() as usize).clamp(1, all.len() - LEAST);
        let order = random.order(all.len());
        let held = |i: &usize| order[..count].contains(i);
        let of = |wanted: bool| (0..all.len()).filter(|i| held(i) == wanted).map(|i| all[i].clone()).collect();
        (of(false), of(true))
    };
    let [first, second] = all.map(&mut divided);
    Ok(Texts { names, reading, fitted: [first.0, second.0], held_out: [first.1, second.1] })
}

/// What is unusual about the texts: in sentences.
pub fn warnings(texts: &Texts) -> Vec<String> {
    let all = |of: &[Vec<String>; 2]| of.concat();
    let (fitted, held_out) = (all(&texts.fitted), all(&texts.held_out));
    let both = texts.fitted[0].iter().filter(|text| texts.fitted[1].contains(text)).count();
    let seen = held_out.iter().filter(|text| fitted.contains(text)).count();
    let are = |count: usize| if count == 1 { "1 text is".to_string() } else { format!("{count} texts are") };
    let mut found = Vec::new();
    if both > 0 {
        found.push(format!("warning: {} in both files", are(both)));
    }
    if seen > 0 {
        found.push(format!("warning: {} both held out and fitted to: the accuracy is too high", are(seen)));
    }
    found
}

/// The ops of sites at which directions can be: with one axis after the position, of numbers.
///
/// # Errors
/// At the word, if one of the sites is of another kind.
pub fn places(console: &Console, word: &Word) -> Result<Vec<usize>> {
    let program = &console.session.run.program;
    let mut ops: Vec<usize> =
        console.sites_of(std::slice::from_ref(word))?.iter().filter_map(|site| program.op_of(site)).collect();
    ops.sort_unstable();
    if ops.is_empty() {
        let message = format!("{} has no separate value that could be read and changed", word.text);
        return Err(mistake(message, word.span, "-site L2.resid_post"));
    }
    match ops.iter().find_map(|op| misfit(program, *op)) {
        Some(message) => Err(mistake(message, word.span, "-site L2.resid_post, L2.mlp.post, L*.attn_out")),
        None => Ok(ops),
    }
}

/// Why there is no direction at an op.
pub fn misfit(program: &Program, op: usize) -> Option<String> {
    let of = &program.ops[op];
    match of.axes.as_slice() {
        [Axis::Row, Axis::Pos, _] => None,
        axes => {
            let names: Vec<&str> = axes.iter().skip(1).map(|axis| axis.name()).collect();
            Some(format!("{} has the axes {}: a direction needs pos and one more", of.site, names.join(", ")))
        }
    }
}

impl Console {
    /// Vectors at some ops of texts of two kinds, with edits besides those of this branch: a sample for each op.
    pub(super) fn samples(
        &self,
        texts: [&[String]; 2],
        ops: &[usize],
        reading: Reading,
        edits: &[Edit],
    ) -> Result<Vec<Sample>> {
        let mut found = vec![Sample::default(); ops.len()];
        let count = texts.iter().map(|all| all.len()).sum::<usize>() as u64;
        let labelled =
            texts.iter().zip([true, false]).flat_map(|(all, first)| all.iter().map(move |text| (text, first)));
        for (done, (text, first)) in labelled.enumerate() {
            step("reading texts", done as u64, count)?;
            let mut session = self.on_text(text)?;
            changed(&mut session, edits)?;
            for (sample, vectors) in found.iter_mut().zip(vectors(&mut session, ops, reading)?) {
                sample.first.extend(vectors.iter().map(|_| first));
                sample.x.extend(vectors);
            }
        }
        Ok(found)
    }

    /// A session on one text, whose pass is computed.
    pub(super) fn on_text(&self, text: &str) -> Result<Session> {
        self.on_texts(&[text]).map_err(|why| why.about(format!("{text:?}")))
    }
}

/// Makes edits, if there are any, and computes what depends on them.
pub fn changed(session: &mut Session, edits: &[Edit]) -> Result<()> {
    if !edits.is_empty() {
        session.run.edit(edits.to_vec())?;
    }
    Ok(())
}

/// The vectors of a session's prompt at some ops: `[row][d]` by op.
pub fn vectors(session: &mut Session, ops: &[usize], reading: Reading) -> Result<Vec<Vec<Vec<f64>>>> {
    let row = session.focused_row().cloned().ok_or("there is no text")?;
    let special = session.run.model.special.clone();
    let is_special = |id: u32| {
        let few = [special.bos, special.pad, special.cls, special.sep, special.mask];
        few.contains(&Some(id)) || special.eos.contains(&id)
    };
    let real: Vec<usize> = (0..row.ids.len()).filter(|&at| row.mask[at]).collect();
    let plain: Vec<usize> = real.iter().copied().filter(|&at| !is_special(row.ids[at])).collect();
    let none = || Error::refused("a text has no token that is not a special one");
    let positions: Vec<usize> = match reading {
        Reading::Last => real.last().copied().into_iter().collect(),
        Reading::Mean | Reading::All => plain,
        Reading::At(at) => {
            let index = if at < 0 { at + real.len() as i64 } else { at };
            let found = usize::try_from(index).ok().and_then(|index| real.get(index));
            vec![
                *found
                    .ok_or_else(|| Error::refused(format!("a text of {} tokens has no position {at}", real.len())))?,
            ]
        }
    };
    if positions.is_empty() {
        return Err(none());
    }
    let mut found = Vec::with_capacity(ops.len());
    for &op in ops {
        let value = session.run.value_at(Mark { pass: 0, op })?.slice(&[Slice::At(session.focus.row)])?; // [T, d]
        if value.kind() != Kind::Float {
            return Err(Error::refused(format!("{} holds whole numbers", session.run.program.ops[op].site)));
        }
        let width = value.shape()[1];
        let data = value.read_f64()?;
        let mut rows: Vec<Vec<f64>> = positions.iter().map(|at| data[at * width..(at + 1) * width].to_vec()).collect();
        if reading == Reading::Mean {
            let count = rows.len() as f64;
            let mean = (0..width).map(|j| rows.iter().map(|row| row[j]).sum::<f64>() / count).collect();
            rows = vec![mean];
        }
        found.push(rows);
    }
    Ok(found)
}
