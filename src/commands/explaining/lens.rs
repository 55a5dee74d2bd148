//! `lens`: what would be predicted from the residual stream of every block.

use std::path::Path;

use crate::analysis::lens::{Point, Reading, Tuned, everywhere, points, trajectory};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Cell, MapView, Table};
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console};
use crate::debugger::{Result, RunScope};
use crate::lang::LangError;
use crate::lang::eval::Scope;
use crate::lang::words::Word;
use crate::model::{jacobian_lens, site_name, tuned_lens};
use crate::tensor::Axis;

/// Tokens named in a row.
const NAMED: usize = 3;

/// Points that are listed: those at which the target's probability changes most.
const LISTED: usize = 12;

/// What the target is among before it is the likeliest.
const FIRST: usize = 10;

/// `lens [SITES] [-pos P] [-target TOKEN [-foil TOKEN]] [-tokens N] [-mid]`, `lens -grid`, `lens -map [-target TOKEN]`; each with `-tuned FILE` or
/// `-jacobian FILE`.
pub fn lens(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let mid = given.has("-mid");
    let mut points = points(&console.session.run.program, mid);
    if points.is_empty() {
        return Err("lens needs a model that predicts tokens; this one has another head".into());
    }
    if !console.session.run.live {
        return Err("no pass has been started; use \"run\" or \"start\"".into());
    }
    if let Some(first) = left.first() {
        if mid || given.has("-tuned") || given.has("-jacobian") {
            let message = "with SITES, only the plain logit lens is available";
            return Err(mistake(message, first.span, "lens SITES, without -mid, -tuned and -jacobian"));
        }
        points = console.lens_points(&left, points)?;
    }
    let target = console.token_of(&given, "-target")?;
    let foil = console.token_of(&given, "-foil")?;
    let (kind, tuned) = match (given.value("-tuned"), given.value("-jacobian")) {
        (Some(_), Some(word)) => {
            return Err(mistake("use -tuned or -jacobian, not both", word.span, "lens -tuned FILE"));
        }
        (Some(word), None) => ("tuned lens (derived)", Some(console.tuned(word)?)),
        (None, Some(word)) => ("Jacobian lens (derived)", Some(console.jacobian(word)?)),
        (None, None) => ("logit lens (derived)", None),
    };
    if let Some(tuned) = &tuned {
        points.retain(|point| tuned.reads(point));
    }
    if let (Some(option), true) = (given.get("-mid"), tuned.is_some()) {
        let message = "a tuned lens has no map for the streams between attention and MLP";
        return Err(mistake(message, option.span, "lens -tuned FILE, without -mid"));
    }
    let seen = Seen { points: &points, tuned: tuned.as_ref(), kind };
    if given.has("-map") {
        return map(console, &seen, target);
    }
    if given.has("-grid") {
        return grid(console, &seen);
    }
    let pos = console.position_or_focus(given.value("-pos"))?;
    let named = given.count("-tokens")?.unwrap_or(NAMED);
    let readings = trajectory(&mut console.session, pos, &points, tuned.as_ref())?;
    let nothing = "nothing has been computed that a lens could be put on: step past the embedding";
    let last = readings.last().ok_or(nothing)?;
    let complete = readings.len() == points.len();
    let target = target.unwrap_or_else(|| last.top(1)[0]);
    let token = |id: usize| quoted(&console.name_of(Axis::Vocab, id));
    let rows = readings.iter().map(|reading| {
        let top = reading.top(named).into_iter();
        let tokens = top.map(|id| format!("{} {}", token(id), significant(reading.logprobs[id].exp(), 2)));
        let mut row: Vec<Cell> = vec![reading.name.clone().into()];
        row.extend([reading.logprobs[target].exp().into(), reading.rank(target).into()]);
        row.extend(foil.map(|foil| Cell::Num(reading.logprobs[target] - reading.logprobs[foil])));
        row.extend([reading.entropy().into(), reading.divergence(last).into()]);
        row.push(tokens.collect::<Vec<_>>().join("  ").into());
        row
    });
    let mut columns = vec!["At", "P(target)", "Rank"];
    columns.extend(foil.map(|_| "Over foil"));
    columns.extend(["Entropy", if complete { "KL to final" } else { "KL to last" }, "Likeliest"]);
    let here = quoted(&console.name_of(Axis::Pos, pos));
    let over = foil.map(|foil| format!(", foil {}", token(foil))).unwrap_or_default();
    let until = if complete { "" } else { "; the pass has come no further" };
    let title = format!("{kind} at pos {pos} {here}: target {}{over}{until}{}", token(target), rise(&readings, target));
    let chance = |reading: &Reading| reading.logprobs[target].exp();
    let change = readings.windows(2).map(|pair| (chance(&pair[1]) - chance(&pair[0])).abs());
    let change: Vec<f64> = [0.0].into_iter().chain(change).collect();
    let table = Table::new(columns).title(title).rows(rows).by_change(&change, LISTED);
    Ok(given.rows(table)?.into())
}

/// Where the target comes up: `; among the first 10 from L20 on, the likeliest from L24 on`.
fn rise(readings: &[Reading], target: usize) -> String {
    let from = |rank: usize, what: &str| {
        let last = readings.iter().rposition(|reading| reading.rank(target) >= rank).map_or(0, |at| at + 1);
        readings.get(last).map(|reading| format!("{what} from {} on", reading.name))
    };
    let found = [from(FIRST, &format!("among the first {FIRST}")), from(1, "the likeliest")];
    let found: Vec<String> = found.into_iter().flatten().collect();
    if found.is_empty() { String::new() } else { format!("\n{}", found.join(", ")) }
}

/// What is looked at, and through what.
struct Seen<'a> {
    points: &'a [Point],
    tuned: Option<&'a Tuned>,
    kind: &'static str,
}

/// The likeliest token of every position at every point.
fn grid(console: &mut Console, seen: &Seen<'_>) -> Done {
    let (points, tuned) = (seen.points, seen.tuned);
    let span = console.session.run.branch().span(console.session.run.pass);
    let mut best = vec![vec![0usize; span.len()]; points.len()];
    let reached = everywhere(&mut console.session, points, tuned, &mut |point, pos, logprobs| {
        let likeliest = (0..logprobs.len()).max_by(|a, b| logprobs[*a].total_cmp(&logprobs[*b]).then(b.cmp(a)));
        best[point][pos - span.start] = likeliest.unwrap_or(0);
    })?;
    let rows = best.iter().zip(points).take(reached).map(|(tokens, point)| {
        let tokens = tokens.iter().map(|&token| console.name_of(Axis::Vocab, token).trim().to_string());
        [point.name.clone()].into_iter().chain(tokens).collect::<Vec<_>>()
    });
    let positions = span.map(|pos| format!("{pos} {}", console.name_of(Axis::Pos, pos).trim()));
    let title = format!("{}: the likeliest next token at every position", seen.kind);
    Ok(Table::new(["At".to_string()].into_iter().chain(positions)).title(title).rows(rows).alike().into())
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
                return Err("the pass is not complete: name a -target, or run it to its end".into());
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
    let rows = points[..reached].iter().map(|point| point.name.clone()).collect();
    let columns = span.map(|pos| console.name_of(Axis::Pos, pos)).collect();
    let title = format!("{}: {what} by point and position", seen.kind);
    Ok(MapView::grid(title, ("at", rows), ("pos", columns), data).into())
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
                    let message = format!("{site} is not a vector of the residual stream's width");
                    let help = "resid_mid, attn_out, mlp_out, or another site of [pos, dim]";
                    return Err(mistake(message, word.span, help));
                }
                found.push(Point { name: site_name::short(&site), op, read_by: None });
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
        let lens = lens.map_err(|error| LangError::new(error.to_string(), word.span))?;
        Ok(Tuned::new(&lens, &run.model.placement))
    }

    /// The Jacobian lens of a file.
    fn jacobian(&self, word: &Word) -> Result<Tuned> {
        let layers = self.session.run.model.spec.n_layers;
        Ok(Tuned::jacobian(&self.jacobian_lens(word)?, &self.session.run.model.placement, layers))
    }

    /// The same, as it is in the file.
    pub(super) fn jacobian_lens(&self, word: &Word) -> Result<jacobian_lens::JacobianLens> {
        let spec = &self.session.run.model.spec;
        let lens = jacobian_lens::read(Path::new(&word.text), spec.n_layers, spec.d_model);
        Ok(lens.map_err(|error| LangError::new(error.to_string(), word.span))?)
    }

    /// The position that a word names, by its number or the text of its token; negative numbers count from the end.
    pub(crate) fn position(&self, word: &Word) -> Result<usize> {
        let length = self.session.row_length();
        let number = word.text.parse::<i64>().ok().filter(|_| !word.quoted);
        if number.is_none() && self.session.run.model.tokenizer.is_some() {
            return self.session.position_of(&word.text).map_err(|error| error.at(word.span));
        }
        let number = number.map(|n| if n < 0 { n + length as i64 } else { n });
        let pos = number.and_then(|n| usize::try_from(n).ok()).filter(|pos| *pos < length);
        let none = || format!("no position {}: there is 0..{}", word.text, length - 1);
        pos.ok_or_else(|| LangError::new(none(), word.span).into())
    }

    /// The token of the focused row that a word names, by its text or its number.
    ///
    /// # Errors
    /// If the text has no such token.
    pub(crate) fn token_of_text(&mut self, word: &Word) -> Result<u32> {
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
            LangError::new(message, word.span).into()
        })
    }

    /// The token of the vocabulary that a word names, by its text or its number.
    pub(crate) fn token(&mut self, word: &Word) -> Result<usize> {
        let vocab = self.session.run.model.spec.vocab;
        if let (false, Ok(id)) = (word.quoted, word.text.parse::<usize>()) {
            let none = || LangError::new(format!("no token {id}: the vocabulary has 0..{}", vocab - 1), word.span);
            return if id < vocab { Ok(id) } else { Err(none().into()) };
        }
        let found = RunScope::new(&mut self.session).token_id(&word.text);
        found.map_err(|error| LangError::because(error, word.span).into())
    }
}
