//! `heads`: what every attention head looks at.

mod redundancy;

use crate::analysis::attention::{
    KINDS, METRICS, Metric, Scored, Text, Toward, averaged, kind, of_session, scores, unlike,
};
use crate::analysis::repeated_tokens::{RepeatedTokens, on_repeated_tokens};
use crate::answer::numbers::significant;
use crate::answer::{Cell, MapView, Table};
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console};
use crate::debugger::{Result, Target};
use crate::lang::words::{Word, parse_count};
use crate::lang::{LangError, Span};
use crate::model::role::Stack;
use crate::model::site_name::InBlock;
use crate::model::spec::Attention;
use crate::tensor::ops::Slice;

/// Names of the scores that every text has.
pub const HEAD_SCORES: [&str; METRICS.len() - 1] = {
    let mut names = [""; METRICS.len() - 1];
    let mut at = 0;
    while at < names.len() {
        names[at] = METRICS[at].name;
        at += 1;
    }
    names
};

/// Heads that are listed: those that differ most from the median head.
const LISTED: usize = 15;

/// `heads [LAYER...] [-top N] [-sort COLUMN] [-all] [-grid SCORE] [-to TOKEN [-pos P]] [-over FILE | -repeated N [-seed S]]`, `heads [LAYER...] -redundant [-over FILE]`.
pub fn heads(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let grid = given.value("-grid").map(metric).transpose()?;
    let layers = left.iter().map(|word| layer(console, word)).collect::<Result<Vec<_>, _>>()?;
    let seed = given.value("-seed").map(parse_count).transpose()?.unwrap_or(0);
    let [over, repeated, to, pos] = ["-over", "-repeated", "-to", "-pos"].map(|name| given.value(name));
    let redundant = given.get("-redundant");
    if let Some(option) = redundant.filter(|_| given.has("-sort") || grid.is_some() || repeated.is_some()) {
        let message = "-redundant lists pairs of heads; it cannot be combined with -sort, -grid or -repeated";
        return Err(mistake(message, option.span, "heads -redundant, with layers and -over FILE at most"));
    }
    if let (Some(word), true) = (over, repeated.is_some()) {
        return Err(mistake("use -over or -repeated, not both", word.span, "one of them at a time"));
    }
    let toward = match (to, pos) {
        (Some(_), Some(pos)) if over.is_some() => {
            let message = "-pos is a position of this text; on other texts the last one looks";
            return Err(mistake(message, pos.span, "heads -to TOKEN -over FILE"));
        }
        (Some(word), None) if over.is_some() => Some(Toward { id: console.token(word)? as u32, pos: None }),
        (Some(word), pos) => Some(console.toward(word, pos)?),
        (None, Some(word)) => {
            return Err(mistake("-pos is the position that looks at a token", word.span, "heads -to TOKEN -pos P"));
        }
        (None, None) => None,
    };
    if let (Some(word), true) = (to, repeated.is_some() || redundant.is_some()) {
        let message = "-to asks about a token of this text, or of those of -over";
        return Err(mistake(message, word.span, "heads -to TOKEN [-pos P], heads -to TOKEN -over FILE"));
    }
    if redundant.is_some() {
        return redundancy::report(console, &layers, over);
    }
    let (found, text) = match (repeated, over) {
        (Some(word), _) => {
            let n = parse_count(word)? as usize;
            let mut found = on_repeated(console, n, seed).map_err(|error| error.at(word.span))?;
            found.retain(|scored| layers.is_empty() || layers.contains(&scored.layer));
            let mut edits = console.session.run.branch().edits.iter();
            let edited = edits.any(|edit| matches!(edit.target, Target::Op(_) | Target::Weight(_)));
            let edited = if edited { ", with the edits in force" } else { "" };
            (found, format!("on {n} random tokens twice, seed {seed}{edited}"))
        }
        (None, Some(file)) => {
            let (mut all, mut with): (Vec<Vec<Scored>>, _) = (Vec::new(), Vec::new());
            let count = console.over_texts(file, &mut |console| {
                let row = console.session.focused_row();
                with.push(toward.is_some_and(|toward| row.is_some_and(|row| row.ids.contains(&toward.id))));
                all.push(of_session(&mut console.session, &layers, toward)?);
                Ok(())
            })?;
            let mut found = averaged(&all);
            let mut text = format!("on {count} lines of {}, means", file.text);
            if let Some(word) = to {
                // A text without the token says nothing about who looks at it.
                all = all.into_iter().zip(&with).filter(|(_, with)| **with).map(|(scored, _)| scored).collect();
                if all.is_empty() {
                    let message = format!("{:?} is not a token of any line of {}", word.text, file.text);
                    return Err(LangError::new(message, word.span).into());
                }
                found.iter_mut().zip(averaged(&all)).for_each(|(all, with)| all.scores.to = with.scores.to);
                if all.len() < count {
                    text += &format!("; to: over the {} that have {:?}", all.len(), word.text);
                }
            }
            (found, text)
        }
        (None, None) => (of_session(&mut console.session, &layers, toward)?, "on this text".to_string()),
    };
    if found.is_empty() {
        return Err("no attention pattern has been computed yet; \"run\" computes all of them".into());
    }
    if let Some(metric) = grid.filter(|metric| found.iter().all(|one| (metric.of)(&one.scores).is_nan())) {
        let further = "run the pass further, or choose another score";
        let help = if metric.name == "to" { "heads -to TOKEN" } else { further };
        let span = given.value("-grid").map_or(Span::at(call.args.offset), |word| word.span);
        return Err(mistake(format!("there is no score {} here", metric.name), span, help));
    }
    if let Some(metric) = grid {
        return Ok(layer_by_head(&found, metric, &text).into());
    }
    Ok(given.rows(table(console, &found, &text))?.into())
}

impl Console {
    /// The token of the text that heads look at, from a position or from the last one.
    fn toward(&mut self, token: &Word, pos: Option<&Word>) -> Result<Toward> {
        let id = self.token_of_text(token)?;
        let Some(word) = pos else { return Ok(Toward { id, pos: None }) };
        let at = self.position(word)?;
        let run = &self.session.run;
        let span = run.branch().span(run.pass);
        let wrong = |message: String| Err(LangError::new(message, word.span).into());
        if at < span.start {
            let pass = run.branch().pass_of(at);
            return wrong(format!("position {at} was computed in pass {pass}; \"goto #{pass}\" goes there"));
        }
        let first = self.session.focused_row().and_then(|row| row.ids.iter().position(|key| *key == id)).unwrap_or(0);
        if run.model.spec.attention.causal && first > at {
            return wrong(format!("position {at} cannot look at {:?}, which comes later, at {first}", token.text));
        }
        Ok(Toward { id, pos: Some(at) })
    }
}

/// Scores on random tokens that come twice.
fn on_repeated(console: &Console, n: usize, seed: u64) -> Result<Vec<Scored>> {
    let session = &console.session;
    let RepeatedTokens { patterns, ids, real, special } = on_repeated_tokens(session, n, seed)?;
    let Attention { causal, sinks, .. } = session.run.model.spec.attention;
    let mut found = Vec::new();
    for (layer, pattern) in patterns {
        let reach = session.run.model.spec.layers[layer].reach;
        let text = Text { ids: &ids, real: &real, special: &special, start: 0, causal, reach, sinks };
        for head in 0..pattern.shape()[0] {
            let data = pattern.slice(&[Slice::At(head)])?.read_f64()?;
            found.push(Scored { layer, head, scores: scores(&data, text) });
        }
    }
    Ok(found)
}

fn table(console: &Console, found: &[Scored], text: &str) -> Table {
    // Scores that say nothing for this model have no column.
    let says = |metric: &&Metric| match metric.name {
        "next" if console.session.run.model.spec.attention.causal => false,
        "separators" => found.iter().any(|one| one.scores.separators > 0.0),
        _ => found.iter().any(|one| !(metric.of)(&one.scores).is_nan()),
    };
    let mut shown: Vec<&Metric> = METRICS.iter().filter(says).collect();
    // What was asked for tells most.
    let asked = shown.iter().position(|metric| metric.name == "to");
    shown[..asked.map_or(0, |at| at + 1)].rotate_right(usize::from(asked.is_some()));
    let columns = ["Head", "Kind", "Unusual"].into_iter().chain(shown.iter().map(|metric| metric.name));
    let unlike = unlike(found);
    let rows = found.iter().zip(&unlike).map(|(one, (name, by))| {
        let sign = if *by < 0.0 { "-" } else { "+" };
        let unusual =
            if name.is_empty() { String::new() } else { format!("{name} {sign}{}", significant(by.abs(), 2)) };
        let name = format!("L{}H{}", one.layer, one.head);
        let mut row: Vec<Cell> = vec![name.into(), kind(&one.scores).unwrap_or_default().into(), unusual.into()];
        row.extend(shown.iter().map(|metric| Cell::Num((metric.of)(&one.scores))));
        row
    });
    let title = format!("attention heads {text}, by their patterns and what they write (measured)\n{}", by_kind(found));
    let measure = |i: usize| asked.map_or(unlike[i].1.abs(), |_| found[i].scores.to);
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| measure(*b).total_cmp(&measure(*a)));
    Table::new(columns).title(title).rows(rows).listing(order, LISTED)
}

/// `270 heads: 12 previous (previous > 0.5), 258 of no kind`.
fn by_kind(found: &[Scored]) -> String {
    let count = |name: Option<&str>| found.iter().filter(|one| kind(&one.scores) == name).count();
    let of = |(name, _, rule): &(&str, _, &str)| (count(Some(name)), format!("{name} ({rule})"));
    let kinds = KINDS.iter().map(of).chain([(count(None), "of no kind".to_string())]);
    let counts: Vec<String> =
        kinds.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("{} heads: {}", found.len(), counts.join(", "))
}

/// One number for each head of each layer.
fn layer_by_head(found: &[Scored], metric: &Metric, text: &str) -> MapView {
    let mut layers: Vec<usize> = found.iter().map(|one| one.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    let heads = found.iter().map(|one| one.head + 1).max().unwrap_or(0);
    let mut data = vec![f64::NAN; layers.len() * heads];
    for one in found {
        let row = layers.iter().position(|layer| *layer == one.layer).unwrap_or(0);
        data[row * heads + one.head] = (metric.of)(&one.scores);
    }
    let rows = layers.iter().map(|layer| format!("L{layer}")).collect();
    let columns = (0..heads).map(|head| head.to_string()).collect();
    let title = format!("{} {text}: {}", metric.name, metric.about);
    MapView::grid(title, ("layer", rows), ("head", columns), data)
}

fn metric(word: &Word) -> Result<&'static Metric> {
    // A narrow table shows the beginning of a name, which will do where it is that of one score.
    let mut begun = METRICS.iter().filter(|metric| metric.name.starts_with(&word.text));
    let only = begun.next().filter(|_| !word.text.is_empty() && begun.next().is_none());
    METRICS.iter().find(|metric| metric.name == word.text).or(only).ok_or_else(|| {
        let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        mistake(format!("no score {}", word.text), word.span, format!("one of {}", names.join(", ")))
    })
}

/// `L2` or `2`.
fn layer(console: &Console, word: &Word) -> Result<usize> {
    let count = console.session.run.program.n_layers();
    let block = InBlock::parse(&word.text).or_else(|| InBlock::parse_short(&word.text));
    let number = match block {
        Some(at) => Some(at.layer).filter(|_| at.part.is_empty() && at.stack == Stack::Main),
        None => word.text.parse().ok(),
    };
    number.filter(|layer| *layer < count).ok_or_else(|| {
        let help = format!("L0 to L{}", count.saturating_sub(1));
        mistake(format!("no layer {}", word.text), word.span, help)
    })
}
