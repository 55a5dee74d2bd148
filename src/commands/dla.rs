//! `dla` and `explain`: which components make a logit, and from which tokens they take it.

use super::attr::table::bar;
use super::console::{Console, Done};
use super::table::Call;
use crate::analysis::direct::{Component, Direct, Part, direct};
use crate::analysis::lens::{Reading, points, trajectory};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Error, Result};
use crate::lang::words::{OptionSpec, Word, parse_count, take_options, words};
use crate::lang::{LangError, Span};
use crate::tensor::Axis;

const OPTIONS: [OptionSpec; 5] = [
    OptionSpec { name: "-target", takes_value: true },
    OptionSpec { name: "-foil", takes_value: true },
    OptionSpec { name: "-pos", takes_value: true },
    OptionSpec { name: "-by", takes_value: true },
    OptionSpec { name: "-top", takes_value: true },
];

/// Heads and neurons listed unless more are asked for.
const LISTED: usize = 12;

/// Source tokens named beside a head.
const SOURCES: usize = 3;

/// Components of an explanation.
const EXPLAINED: usize = 6;

/// What is explained.
struct Question {
    pos: usize,
    target: usize,
    foil: Option<usize>,
}

impl Question {
    fn wanted(&self) -> Vec<(usize, f64)> {
        let mut wanted = vec![(self.target, 1.0)];
        wanted.extend(self.foil.map(|foil| (foil, -1.0)));
        wanted
    }

    fn name(&self, console: &Console) -> String {
        let token = |id: usize| quoted(&console.name_of(Axis::Vocab, id));
        match self.foil {
            Some(foil) => format!("logit({}) - logit({})", token(self.target), token(foil)),
            None => format!("logit({})", token(self.target)),
        }
    }
}

/// `dla [-target TOKEN [-foil TOKEN]] [-pos P] [-by component|head|position|neuron] [-top N]`.
pub fn dla(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    if let Some(extra) = left.first() {
        return Err(Error::At(LangError::new("unexpected word", extra.span).help("dla -target TOKEN -by head")));
    }
    let value = |name: &str| given.iter().find(|option| option.name == name).and_then(|option| option.value.clone());
    let by = value("-by").unwrap_or_else(|| Word { text: "component".into(), span: Span::at(0), quoted: false });
    let question = console.question(value("-pos"), value("-target"), value("-foil"))?;
    let top = value("-top").map(|word| parse_count(&word)).transpose()?.map_or(LISTED, |n| n as usize);
    let found = direct(&mut console.session, question.pos, &question.wanted(), by.text == "neuron")?;
    let title = heading(console, &question, &found);
    match by.text.as_str() {
        "component" => Ok(Answer::Table(components(&found, title))),
        "head" => Ok(Answer::Table(heads(console, &found, title, top))),
        "position" | "pos" => Ok(Answer::Table(positions(console, &found, title))),
        "neuron" => neurons(&found, title, top),
        other => {
            let error = LangError::new(format!("no such part {other}"), by.span);
            Err(Error::At(error.help("component, head, position, or neuron")))
        }
    }
}

/// `explain [POS] [-target TOKEN [-foil TOKEN]]`.
pub fn explain(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS[..3])?;
    if let Some(extra) = left.get(1) {
        return Err(Error::At(LangError::new("unexpected word", extra.span).help("explain POS -target TOKEN")));
    }
    let value = |name: &str| given.iter().find(|option| option.name == name).and_then(|option| option.value.clone());
    let pos = left.first().cloned().or(value("-pos"));
    let question = console.question(pos, value("-target"), value("-foil"))?;
    let states = points(&console.session.run.program, false);
    let readings = trajectory(&mut console.session, question.pos, &states, None)?;
    let found = direct(&mut console.session, question.pos, &question.wanted(), true)?;
    let mut rows = Vec::new();
    let mut row = |step: &str, at: String, what: String, share: Cell| {
        rows.push(vec![Cell::Text(step.into()), Cell::Text(at), Cell::Text(what), share]);
    };
    let here = quoted(&console.name_of(Axis::Pos, question.pos));
    if let Some(last) = readings.last() {
        let chance = significant(last.logprobs[question.target].exp(), 3);
        let rank = last.rank(question.target);
        let what = format!("after {here}: probability {chance}, rank {rank}");
        row("predicts", "final".into(), what, Cell::Empty);
    }
    if let Some(from) = settled(&readings, question.target) {
        let what = format!("from here on the likeliest: {}", quoted(&console.name_of(Axis::Vocab, question.target)));
        row("lens", readings[from].name.clone(), what, Cell::Empty);
    }
    let mut parts: Vec<&Part> = found.parts.iter().collect();
    parts.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
    for part in parts.into_iter().take(EXPLAINED) {
        row("adds", name(&part.component), reads(console, part), Cell::Num(part.share));
    }
    let mut neurons = found.neurons.clone();
    neurons.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    for (layer, neuron, share) in neurons.into_iter().take(SOURCES) {
        row("neuron", format!("L{layer}.mlp.post[{neuron}]"), String::new(), Cell::Num(share));
    }
    let columns = ["", "Where", "What", "Share"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title: heading(console, &question, &found), columns, rows }))
}

/// The first point from which on the target is the likeliest token.
fn settled(readings: &[Reading], target: usize) -> Option<usize> {
    let last_other = readings.iter().rposition(|reading| reading.rank(target) > 0);
    last_other.map_or(Some(0), |at| Some(at + 1)).filter(|at| *at < readings.len())
}

fn heading(console: &Console, question: &Question, found: &Direct) -> String {
    let sum: f64 = found.parts.iter().map(|part| part.share).sum();
    let cap = if found.capped { " before the cap" } else { "" };
    let left = found.value - sum;
    // What f32 rounds away is no part.
    let remainder = match left.abs() <= 1e-5 * (1.0 + found.value.abs()) {
        true => "nothing left over".to_string(),
        false => format!("{} left over", significant(left, 3)),
    };
    format!(
        "{} = {}{cap} at pos {} {}\nderived: the parts add up to {}, {remainder}; every norm's scale is held at what it was",
        question.name(console),
        significant(found.value, 6),
        question.pos,
        quoted(&console.name_of(Axis::Pos, question.pos)),
        significant(sum, 6)
    )
}

/// Embeddings, attention and MLP of every block, and biases, in program order.
fn components(found: &Direct, title: String) -> Table {
    let mut rows: Vec<(String, f64)> = Vec::new();
    for part in &found.parts {
        let name = match &part.component {
            Component::Head(layer, _) => format!("L{layer}.attn.out"),
            Component::Bias(site) => {
                let site = short(site);
                // The bias of an attention output belongs to it.
                if site.ends_with(".attn.out") { site } else { format!("{site} bias") }
            }
            Component::Site(site) => short(site),
        };
        match rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, share)) => *share += part.share,
            None => rows.push((name, part.share)),
        }
    }
    let largest = rows.iter().fold(0.0f64, |largest, (_, share)| largest.max(share.abs()));
    let rows =
        rows.into_iter().map(|(name, share)| vec![Cell::Text(name), Cell::Num(share), Cell::Text(bar(share, largest))]);
    let columns = ["Component", "Share", ""].map(String::from).to_vec();
    Table { title, columns, rows: rows.collect() }
}

/// Heads, those that count most first, and what they read.
fn heads(console: &Console, found: &Direct, title: String, top: usize) -> Table {
    let mut parts: Vec<&Part> =
        found.parts.iter().filter(|part| matches!(part.component, Component::Head(..))).collect();
    parts.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
    let largest = parts.first().map_or(0.0, |part| part.share.abs());
    let rows = parts.into_iter().take(top).map(|part| {
        vec![
            Cell::Text(name(&part.component)),
            Cell::Num(part.share),
            Cell::Text(reads(console, part)),
            Cell::Text(bar(part.share, largest)),
        ]
    });
    let columns = ["Head", "Share", "By way of", ""].map(String::from).to_vec();
    Table { title, columns, rows: rows.collect() }
}

/// What all heads add by way of each token, and what is not added by heads.
fn positions(console: &Console, found: &Direct, title: String) -> Table {
    let keys = found.parts.iter().map(|part| part.sources.len()).max().unwrap_or(0);
    let by_way = |key: usize| found.parts.iter().filter_map(|part| part.sources.get(key)).sum::<f64>();
    let shares: Vec<f64> = (0..keys).map(by_way).collect();
    let rest: f64 = found.parts.iter().map(|part| part.share).sum::<f64>() - shares.iter().sum::<f64>();
    let largest = shares.iter().chain([&rest]).fold(0.0f64, |largest, share| largest.max(share.abs()));
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for (key, share) in shares.iter().enumerate() {
        let of = |part: &&Part| part.sources.get(key).map_or(0.0, |share| share.abs());
        let mut parts: Vec<&Part> = found.parts.iter().filter(|part| of(part) > 0.0).collect();
        parts.sort_by(|a, b| of(b).total_cmp(&of(a)));
        let told = |part: &&Part| format!("{} {}", name(&part.component), significant(part.sources[key], 3));
        // A hundredth of the largest is not worth a name.
        let least = parts.first().map_or(0.0, |part| of(part) / 100.0);
        let mostly: Vec<String> = parts.iter().filter(|part| of(part) > least).take(SOURCES).map(told).collect();
        rows.push(vec![
            Cell::Text(format!("{key} {}", quoted(&console.name_of(Axis::K, key)))),
            Cell::Num(*share),
            Cell::Text(mostly.join("  ")),
            Cell::Text(bar(*share, largest)),
        ]);
    }
    rows.push(vec![
        Cell::Text("without heads".into()),
        Cell::Num(rest),
        Cell::Text("embeddings, MLPs and biases at the position itself".into()),
        Cell::Text(bar(rest, largest)),
    ]);
    let columns = ["By way of", "Share", "Mostly", ""].map(String::from).to_vec();
    Table { title, columns, rows }
}

fn neurons(found: &Direct, title: String, top: usize) -> Done {
    if found.neurons.is_empty() {
        return Err(Error::refused("this model has no dense MLP whose neurons could be listed"));
    }
    let mut all = found.neurons.clone();
    all.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    let largest = all[0].2.abs();
    let rows = all.into_iter().take(top).map(|(layer, neuron, share)| {
        vec![Cell::Text(format!("L{layer}.mlp.post[{neuron}]")), Cell::Num(share), Cell::Text(bar(share, largest))]
    });
    let columns = ["Neuron", "Share", ""].map(String::from).to_vec();
    Ok(Answer::Table(Table { title, columns, rows: rows.collect() }))
}

/// The tokens by way of which a head adds most.
fn reads(console: &Console, part: &Part) -> String {
    let mut order: Vec<usize> = (0..part.sources.len()).collect();
    order.sort_by(|a, b| part.sources[*b].abs().total_cmp(&part.sources[*a].abs()));
    // A hundredth of the largest is not worth a name.
    let least = order.first().map_or(0.0, |k| part.sources[*k].abs() / 100.0);
    let named = order.into_iter().take(SOURCES).filter(|k| part.sources[*k].abs() > least).map(|k| {
        let token = quoted(&console.name_of(Axis::K, k));
        format!("{k} {token} {}", significant(part.sources[k], 3))
    });
    named.collect::<Vec<_>>().join("  ")
}

fn name(component: &Component) -> String {
    match component {
        Component::Head(layer, head) => format!("L{layer}H{head}"),
        Component::Site(site) => short(site),
        Component::Bias(site) => format!("{} bias", short(site)),
    }
}

fn short(site: &str) -> String {
    site.strip_prefix("blocks.").map_or_else(|| site.to_string(), |rest| format!("L{rest}"))
}

impl Console {
    /// The logit that is meant: of the target, else of the likeliest token, at a position, else the focused one.
    fn question(&mut self, pos: Option<Word>, target: Option<Word>, foil: Option<Word>) -> Result<Question> {
        let pos = match pos {
            Some(word) => self.position(&word)?,
            None => self.session.focus_pos(),
        };
        let foil = foil.map(|word| self.token(&word)).transpose()?;
        let target = match target {
            Some(word) => self.token(&word)?,
            None => {
                let states = points(&self.session.run.program, false);
                let Some(end) = states.last() else {
                    return Err(Error::refused("the model predicts no tokens, so no logit can be explained"));
                };
                let readings = trajectory(&mut self.session, pos, std::slice::from_ref(end), None)?;
                let last = readings.first().ok_or_else(|| {
                    Error::refused("the pass has not come to its logits: \"run\" or \"continue\" first")
                })?;
                last.top(1)[0]
            }
        };
        Ok(Question { pos, target, foil })
    }
}
