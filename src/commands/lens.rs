//! `lens`: what would be predicted from the residual stream of every block.

use std::path::Path;

use super::console::{Console, Done};
use super::table::Call;
use crate::analysis::lens::{Point, Reading, Tuned, everywhere, points, trajectory};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Answer, Cell, MapView, Scale, Table};
use crate::debugger::RunScope;
use crate::debugger::{Error, Result};
use crate::lang::eval::Scope;
use crate::lang::words::{Given, OptionSpec, Word, parse_count, take_options, words};
use crate::lang::{LangError, Span};
use crate::model::tuned_lens;
use crate::tensor::{Axis, Summary};

const OPTIONS: [OptionSpec; 8] = [
    OptionSpec { name: "-tuned", takes_value: true },
    OptionSpec { name: "-target", takes_value: true },
    OptionSpec { name: "-foil", takes_value: true },
    OptionSpec { name: "-pos", takes_value: true },
    OptionSpec { name: "-top", takes_value: true },
    OptionSpec { name: "-mid", takes_value: false },
    OptionSpec { name: "-grid", takes_value: false },
    OptionSpec { name: "-map", takes_value: false },
];

/// Tokens named in a row.
const NAMED: usize = 3;

/// `lens [SITES] [-pos P] [-target TOKEN [-foil TOKEN]] [-top N] [-mid]`, `lens -grid`, `lens -map [-target TOKEN]`; each with `-tuned FILE`.
pub fn lens(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let mid = given.iter().any(|option| option.name == "-mid");
    let mut points = points(&console.session.run.program, mid);
    if points.is_empty() {
        return Err(Error::refused("lens needs a model that predicts tokens; this one has another head"));
    }
    if !console.session.run.live {
        return Err(Error::refused("no pass has been started; use \"run\" or \"start\""));
    }
    let value = |name: &str| given.iter().find(|option| option.name == name).and_then(|option| option.value.clone());
    if let Some(first) = left.first() {
        if mid || value("-tuned").is_some() {
            let error = LangError::new("a lens on sites is the logit lens, on these alone", first.span);
            return Err(Error::At(error.help("lens SITES, without -mid and -tuned")));
        }
        points = console.lens_points(&left, points)?;
    }
    let target = value("-target").map(|word| console.token(&word)).transpose()?;
    let foil = value("-foil").map(|word| console.token(&word)).transpose()?;
    let has = |given: &[Given], name: &str| given.iter().any(|option| option.name == name);
    let tuned = value("-tuned").map(|word| console.tuned(&word)).transpose()?;
    if let (Some(option), true) = (given.iter().find(|option| option.name == "-mid"), tuned.is_some()) {
        let error = LangError::new("a tuned lens has no map for the streams between attention and MLP", option.span);
        return Err(Error::At(error.help("lens -tuned FILE, without -mid")));
    }
    let kind = if tuned.is_some() { "tuned lens (derived)" } else { "logit lens (derived)" };
    let seen = Seen { points: &points, tuned: tuned.as_ref(), kind };
    if has(&given, "-map") {
        return map(console, &seen, target);
    }
    if has(&given, "-grid") {
        return grid(console, &seen);
    }
    let pos = match value("-pos") {
        Some(word) => console.position(&word)?,
        None => console.session.focus_pos(),
    };
    let named = match value("-top") {
        Some(word) => parse_count(&word)? as usize,
        None => NAMED,
    };
    let readings = trajectory(&mut console.session, pos, &points, tuned.as_ref())?;
    let Some(last) = readings.last() else {
        return Err(Error::refused("nothing has been computed that a lens could be put on: step past the embedding"));
    };
    let complete = readings.len() == points.len();
    let target = target.unwrap_or_else(|| last.top(1)[0]);
    let rows = readings.iter().map(|reading| row(console, reading, last, target, foil, named)).collect();
    let mut columns = vec!["At".to_string(), "Likeliest".into(), "P(target)".into(), "Rank".into()];
    columns.extend(foil.map(|_| "Over foil".to_string()));
    columns.extend(["Entropy".to_string(), if complete { "KL to final" } else { "KL to last" }.into()]);
    let mut title = format!(
        "{kind} at pos {pos} {}: target {}",
        quoted(&console.name_of(Axis::Pos, pos)),
        quoted(&console.name_of(Axis::Vocab, target))
    );
    if let Some(foil) = foil {
        title.push_str(&format!(", foil {}", quoted(&console.name_of(Axis::Vocab, foil))));
    }
    if !complete {
        title.push_str("; the pass has come no further");
    }
    Ok(Answer::Table(Table { title, columns, rows }))
}

/// What is looked at, and through what.
struct Seen<'a> {
    points: &'a [Point],
    tuned: Option<&'a Tuned>,
    kind: &'static str,
}

fn row(
    console: &Console,
    reading: &Reading,
    last: &Reading,
    target: usize,
    foil: Option<usize>,
    named: usize,
) -> Vec<Cell> {
    let tokens: Vec<String> = reading
        .top(named)
        .into_iter()
        .map(|token| {
            let p = reading.logprobs[token].exp();
            format!("{} {}", quoted(&console.name_of(Axis::Vocab, token)), significant(p, 2))
        })
        .collect();
    let mut row = vec![
        Cell::Text(reading.name.clone()),
        Cell::Text(tokens.join("  ")),
        Cell::Num(reading.logprobs[target].exp()),
        Cell::Int(reading.rank(target) as i64),
    ];
    row.extend(foil.map(|foil| Cell::Num(reading.logprobs[target] - reading.logprobs[foil])));
    row.extend([Cell::Num(reading.entropy()), Cell::Num(reading.divergence(last))]);
    row
}

/// The likeliest token of every position at every point.
fn grid(console: &mut Console, seen: &Seen<'_>) -> Done {
    let (points, tuned) = (seen.points, seen.tuned);
    let span = console.session.run.branch().span(console.session.run.pass);
    let mut cells = vec![vec![Cell::Empty; span.len()]; points.len()];
    let mut best = vec![vec![0usize; span.len()]; points.len()];
    let reached = everywhere(&mut console.session, points, tuned, &mut |point, pos, logprobs| {
        let likeliest = (0..logprobs.len()).max_by(|a, b| logprobs[*a].total_cmp(&logprobs[*b]).then(b.cmp(a)));
        best[point][pos - span.start] = likeliest.unwrap_or(0);
    })?;
    for (row, tokens) in cells.iter_mut().zip(&best) {
        for (cell, token) in row.iter_mut().zip(tokens) {
            *cell = Cell::Text(console.name_of(Axis::Vocab, *token).trim().to_string());
        }
    }
    let rows = cells.into_iter().zip(points).take(reached).map(|(row, point)| {
        let mut all = vec![Cell::Text(point.name.clone())];
        all.extend(row);
        all
    });
    let mut columns = vec!["At".to_string()];
    columns.extend(span.map(|pos| format!("{pos} {}", console.name_of(Axis::Pos, pos).trim())));
    let title = format!("{}: the likeliest next token at every position", seen.kind);
    Ok(Answer::Table(Table { title, columns, rows: rows.collect() }))
}

/// The probability of the target, or of what the model predicts in the end, at every point and position.
fn map(console: &mut Console, seen: &Seen<'_>, target: Option<usize>) -> Done {
    let (points, tuned) = (seen.points, seen.tuned);
    let span = console.session.run.branch().span(console.session.run.pass);
    let (rows, columns) = (points.len(), span.len());
    let targets: Vec<usize> = match target {
        Some(target) => vec![target; columns],
        None => {
            let end = [points[rows - 1].clone()];
            let mut found = vec![0; columns];
            let reached = everywhere(&mut console.session, &end, tuned, &mut |_, pos, logprobs| {
                let likeliest = (0..logprobs.len()).max_by(|a, b| logprobs[*a].total_cmp(&logprobs[*b]));
                found[pos - span.start] = likeliest.unwrap_or(0);
            })?;
            if reached == 0 {
                return Err(Error::refused("the pass is not complete: name a -target, or run it to its end"));
            }
            found
        }
    };
    let mut data = vec![f64::NAN; rows * columns];
    let reached = everywhere(&mut console.session, points, tuned, &mut |point, pos, logprobs| {
        data[point * columns + pos - span.start] = logprobs[targets[pos - span.start]].exp();
    })?;
    data.truncate(reached * columns);
    let what = match target {
        Some(target) => format!("P({})", quoted(&console.name_of(Axis::Vocab, target))),
        None => "P(what is predicted in the end)".into(),
    };
    Ok(Answer::Map(MapView {
        title: format!("{}: {what} by point and position", seen.kind),
        rows: reached,
        columns,
        summary: Summary::of_host(data.iter().copied(), &[reached, columns]),
        shape: vec![reached, columns],
        data,
        row_labels: points[..reached].iter().map(|point| point.name.clone()).collect(),
        column_labels: span.map(|pos| console.name_of(Axis::Pos, pos)).collect(),
        pool: [1, 1],
        axes: ["at".into(), "pos".into()],
        scale: Scale::Sequential,
    }))
}

impl Console {
    /// Sites that a lens is put on, and what the model predicts in the end.
    fn lens_points(&self, sites: &[Word], all: Vec<Point>) -> Result<Vec<Point>> {
        let (program, width) = (&self.session.run.program, self.session.run.model.spec.d_model);
        let mut found = Vec::new();
        for word in sites {
            for site in self.sites_of(std::slice::from_ref(word))? {
                let Some(op) = program.op_of(&site) else { continue };
                if program.ops[op].axes[1..] != [Axis::Pos, Axis::Dim] || program.ops[op].width != width {
                    let error =
                        LangError::new(format!("{site} is no vector of the residual stream's width"), word.span);
                    return Err(Error::At(error.help("resid_mid, attn_out, mlp_out, or another site of [pos, dim]")));
                }
                let name = site.strip_prefix("blocks.").map_or(site.clone(), |rest| format!("L{rest}"));
                found.push(Point { name, op, read_by: None });
            }
        }
        found.extend(all.into_iter().next_back());
        Ok(found)
    }

    /// The tuned lens of a file.
    fn tuned(&self, word: &Word) -> Result<Tuned> {
        let run = &self.session.run;
        let (layers, width) = (run.model.spec.n_layers, run.model.spec.d_model);
        let lens = tuned_lens::read(Path::new(&word.text), layers, width);
        let lens = lens.map_err(|error| Error::refused(error.to_string()).at(word.span))?;
        Ok(Tuned::new(&lens, run.device()))
    }

    /// The position that a word names, by its number or the text of its token; negative numbers count from the end.
    pub(super) fn position(&self, word: &Word) -> Result<usize> {
        let length = self.session.row_length();
        let number = word.text.parse::<i64>().ok().filter(|_| !word.quoted);
        if number.is_none() && self.session.run.model.tokenizer.is_some() {
            return self.session.position_of(&word.text).map_err(|error| error.at(word.span));
        }
        let number = number.map(|n| if n < 0 { n + length as i64 } else { n });
        let pos = number.and_then(|n| usize::try_from(n).ok()).filter(|pos| *pos < length);
        pos.ok_or_else(|| {
            Error::At(LangError::new(format!("no position {}: there is 0..{}", word.text, length - 1), word.span))
        })
    }

    /// The token of the focused row that a word names, by its text or its number.
    ///
    /// # Errors
    /// If the text has no such token.
    pub(super) fn token_of_text(&mut self, word: &Word) -> Result<u32> {
        let length = self.session.row_length();
        let ids = self.session.focused_row().map_or(Vec::new(), |row| row.ids[..length].to_vec());
        let tokenizer = self.session.run.model.tokenizer.as_ref();
        let spelled = |id: u32| tokenizer.is_some_and(|tokenizer| tokenizer.token_text(id) == word.text);
        let number = word.text.parse::<u32>().ok().filter(|_| !word.quoted);
        let found = ids.iter().find(|&&id| number.map_or_else(|| spelled(id), |number| number == id));
        found.copied().ok_or_else(|| {
            let message = match number {
                Some(id) => format!("token {id} is not in the text; \"info tokens\" lists its tokens"),
                None => self.session.not_in_text(&word.text),
            };
            Error::At(LangError::new(message, word.span))
        })
    }

    /// The token of the vocabulary that a word names, by its text or its number.
    pub(super) fn token(&mut self, word: &Word) -> Result<usize> {
        let vocab = self.session.run.model.spec.vocab;
        let at = |message: String, span: Span| Error::At(LangError::new(message, span));
        if let (false, Ok(id)) = (word.quoted, word.text.parse::<usize>()) {
            return match id < vocab {
                true => Ok(id),
                false => Err(at(format!("no token {id}: the vocabulary has 0..{}", vocab - 1), word.span)),
            };
        }
        RunScope::new(&mut self.session).token_id(&word.text).map_err(|message| at(message, word.span))
    }
}
