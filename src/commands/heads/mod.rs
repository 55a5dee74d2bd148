//! `heads`: what every attention head looks at.

mod redundancy;

use super::console::{Console, Done};
use super::table::Call;
use crate::analysis::attention::{KINDS, METRICS, Metric, Scored, Text, Toward, averaged, kind, of_session, scores};
use crate::analysis::repeated::{Repeated, repeated};
use crate::answer::{Answer, Cell, MapView, Scale, Table};
use crate::debugger::Target;
use crate::debugger::{Error, Result};
use crate::lang::words::{OptionSpec, Word, parse_count, take_options, words};
use crate::lang::{LangError, Span};
use crate::tensor::Summary;
use crate::tensor::ops::Slice;

const OPTIONS: [OptionSpec; 8] = [
    OptionSpec { name: "-to", takes_value: true },
    OptionSpec { name: "-pos", takes_value: true },
    OptionSpec { name: "-over", takes_value: true },
    OptionSpec { name: "-redundant", takes_value: false },
    OptionSpec { name: "-sort", takes_value: true },
    OptionSpec { name: "-grid", takes_value: true },
    OptionSpec { name: "-repeated", takes_value: true },
    OptionSpec { name: "-seed", takes_value: true },
];

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

/// `heads [LAYER...] [-sort SCORE] [-grid SCORE] [-to TOKEN [-pos P]] [-over FILE | -repeated N [-seed S]]`, `heads [LAYER...] -redundant [-over FILE]`.
pub fn heads(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let value = |name: &str| given.iter().find(|option| option.name == name).and_then(|option| option.value.as_ref());
    let sort = value("-sort").map(metric).transpose()?;
    let grid = value("-grid").map(metric).transpose()?;
    let layers = left.iter().map(|word| layer(console, word)).collect::<Result<Vec<_>, _>>()?;
    let seed = value("-seed").map(parse_count).transpose()?.unwrap_or(0);
    let redundant = given.iter().find(|option| option.name == "-redundant");
    if let Some(option) = redundant.filter(|_| sort.is_some() || grid.is_some() || value("-repeated").is_some()) {
        let error = LangError::new("-redundant is about pairs of heads, and has no scores", option.span);
        return Err(Error::At(error.help("heads -redundant, with layers and -over FILE at most")));
    }
    if let (Some(word), true) = (value("-over"), value("-repeated").is_some()) {
        let error = LangError::new("-over and -repeated are two kinds of text", word.span);
        return Err(Error::At(error.help("one of them at a time")));
    }
    let toward = match (value("-to"), value("-pos")) {
        (Some(_), Some(pos)) if value("-over").is_some() => {
            let error = LangError::new("-pos is a position of this text; on other texts the last one looks", pos.span);
            return Err(Error::At(error.help("heads -to TOKEN -over FILE")));
        }
        (Some(word), None) if value("-over").is_some() => Some(Toward { id: console.token(word)? as u32, pos: None }),
        (Some(word), pos) => Some(console.toward(word, pos)?),
        (None, Some(word)) => {
            let error = LangError::new("-pos is the position that looks at a token", word.span);
            return Err(Error::At(error.help("heads -to TOKEN -pos P")));
        }
        (None, None) => None,
    };
    if let (Some(word), true) = (value("-to"), value("-repeated").is_some() || redundant.is_some()) {
        let error = LangError::new("-to asks about a token of this text, or of those of -over", word.span);
        return Err(Error::At(error.help("heads -to TOKEN [-pos P], heads -to TOKEN -over FILE")));
    }
    if redundant.is_some() {
        return redundancy::told(console, &layers, value("-over"));
    }
    let (mut found, text) = match (value("-repeated"), value("-over")) {
        (Some(word), _) => {
            let n = parse_count(word)? as usize;
            let mut found = on_repeated(console, n, seed).map_err(|error| error.at(word.span))?;
            found.retain(|scored| layers.is_empty() || layers.contains(&scored.layer));
            let edits = console.session.run.branch().edits.iter();
            let edited =
                edits.map(|edit| &edit.target).any(|target| matches!(target, Target::Op(_) | Target::Weight(_)));
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
            if let Some(word) = value("-to") {
                // A text without the token says nothing about who looks at it.
                all = all.into_iter().zip(&with).filter(|(_, with)| **with).map(|(scored, _)| scored).collect();
                if all.is_empty() {
                    let message = format!("{:?} is not a token of any line of {}", word.text, file.text);
                    return Err(Error::At(LangError::new(message, word.span)));
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
        return Err(Error::refused("no attention pattern has been computed yet; \"run\" computes all of them"));
    }
    if let Some(metric) = grid.or(sort).filter(|metric| found.iter().all(|one| (metric.of)(&one.scores).is_nan())) {
        let help =
            if metric.name == "to" { "heads -to TOKEN" } else { "run the pass further, or choose another score" };
        let span = value("-grid").or(value("-sort")).map_or(Span::at(call.args.offset), |word| word.span);
        return Err(Error::At(LangError::new(format!("there is no score {} here", metric.name), span).help(help)));
    }
    if let Some(metric) = grid {
        return Ok(Answer::Map(layer_by_head(&found, metric, &text)));
    }
    if let Some(metric) = sort {
        found.sort_by(|a, b| (metric.of)(&b.scores).total_cmp(&(metric.of)(&a.scores)));
    }
    Ok(Answer::Table(table(console, &found, &text)))
}

impl Console {
    /// The token of the text that heads look at, from a position or from the last one.
    fn toward(&mut self, token: &Word, pos: Option<&Word>) -> Result<Toward> {
        let id = self.token_of_text(token)?;
        let Some(word) = pos else { return Ok(Toward { id, pos: None }) };
        let at = self.position(word)?;
        let run = &self.session.run;
        let span = run.branch().span(run.pass);
        let wrong = |message: String| Error::At(LangError::new(message, word.span));
        if at < span.start {
            let pass = run.branch().pass_of(at);
            return Err(wrong(format!("position {at} was computed in pass {pass}; \"goto #{pass}\" goes there")));
        }
        let first = self.session.focused_row().and_then(|row| row.ids.iter().position(|key| *key == id)).unwrap_or(0);
        if run.model.spec.attention.causal && first > at {
            return Err(wrong(format!("position {at} cannot look at {:?}, which comes later, at {first}", token.text)));
        }
        Ok(Toward { id, pos: Some(at) })
    }
}

/// Scores on random tokens that come twice.
fn on_repeated(console: &Console, n: usize, seed: u64) -> Result<Vec<Scored>> {
    let session = &console.session;
    let Repeated { patterns, ids, real, special } = repeated(session, n, seed)?;
    let causal = session.run.model.spec.attention.causal;
    let mut found = Vec::new();
    for (layer, pattern) in patterns {
        let reach = session.run.model.spec.layers[layer].reach;
        let text = Text { ids: &ids, real: &real, special: &special, start: 0, causal, reach };
        for head in 0..pattern.shape()[0] {
            let data = pattern.slice(&[Slice::At(head)]).and_then(|one| one.read_f64());
            let data = data?;
            found.push(Scored { layer, head, scores: scores(&data, text) });
        }
    }
    Ok(found)
}

fn table(console: &Console, found: &[Scored], text: &str) -> Table {
    // Scores that say nothing for this model have no column.
    let causal = console.session.run.model.spec.attention.causal;
    let shown: Vec<&Metric> = METRICS.iter().filter(|metric| metric.name != "next" || !causal).collect();
    let shown: Vec<&Metric> = shown
        .into_iter()
        .filter(|metric| metric.name != "separators" || found.iter().any(|one| one.scores.separators > 0.0))
        .filter(|metric| found.iter().any(|one| !(metric.of)(&one.scores).is_nan()))
        .collect();
    let mut columns = vec!["Head".to_string(), "Kind".into()];
    columns.extend(shown.iter().map(|metric| metric.name.to_string()));
    let rows = found.iter().map(|one| {
        let mut row = vec![
            Cell::Text(format!("L{}H{}", one.layer, one.head)),
            Cell::Text(kind(&one.scores).unwrap_or_default().to_string()),
        ];
        row.extend(shown.iter().map(|metric| Cell::Num((metric.of)(&one.scores))));
        row
    });
    let rules: Vec<String> = KINDS.iter().map(|(name, _, rule)| format!("{name}: {rule}")).collect();
    let title =
        format!("attention heads {text}, by their patterns and what they write (measured)\n{}", rules.join("; "));
    Table { title, columns, rows: rows.collect() }
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
    MapView {
        title: format!("{} {text}: {}", metric.name, metric.about),
        rows: layers.len(),
        columns: heads,
        summary: Summary::of_host(data.iter().copied(), &[layers.len(), heads]),
        shape: vec![layers.len(), heads],
        data,
        row_labels: layers.iter().map(|layer| format!("L{layer}")).collect(),
        column_labels: (0..heads).map(|head| head.to_string()).collect(),
        pool: [1, 1],
        axes: ["layer".into(), "head".into()],
        scale: Scale::Sequential,
    }
}

fn metric(word: &Word) -> Result<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == word.text).ok_or_else(|| {
        let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        Error::At(
            LangError::new(format!("no score {}", word.text), word.span).help(format!("one of {}", names.join(", "))),
        )
    })
}

/// `L2` or `2`.
fn layer(console: &Console, word: &Word) -> Result<usize> {
    let count = console.session.run.program.n_layers();
    let number = word.text.trim_start_matches("blocks.").trim_start_matches('L').parse::<usize>().ok();
    number.filter(|layer| *layer < count).ok_or_else(|| {
        let error = LangError::new(format!("no layer {}", word.text), Span::new(word.span.start, word.span.end));
        Error::At(error.help(format!("L0 to L{}", count.saturating_sub(1))))
    })
}
