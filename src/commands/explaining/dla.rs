//! `dla` and `explain`: which components make a logit, and from which tokens they take it.

use crate::analysis::direct::{Component, Direct, Part, Split, along, direct};
use crate::analysis::lens::{Reading, points, trajectory};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Cell, More, Table};
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::{Done, Options, mistake, no_more};
use crate::commands::state::{Call, Console};
use crate::debugger::Result;
use crate::lang::words::Word;
use crate::model::site_name;
use crate::tensor::Axis;

/// Parts that are listed.
const LISTED: usize = 15;

/// Neurons of a table: a model has up to millions.
const NEURONS: usize = 1000;

/// Source tokens named next to a head.
const SOURCES: usize = 3;

const EXPLAINED: usize = 6;

pub(super) struct Question {
    pub(super) pos: usize,
    target: usize,
    foil: Option<usize>,
}

impl Question {
    pub(super) fn wanted(&self) -> Vec<(usize, f64)> {
        [(self.target, 1.0)].into_iter().chain(self.foil.map(|foil| (foil, -1.0))).collect()
    }

    fn name(&self, console: &Console) -> String {
        let token = |id: usize| quoted(&console.name_of(Axis::Vocab, id));
        match self.foil {
            Some(foil) => format!("logit({}) - logit({})", token(self.target), token(foil)),
            None => format!("logit({})", token(self.target)),
        }
    }
}

/// `dla [-target TOKEN [-foil TOKEN]] [-pos P] [-by component|head|position|neuron|feature] [-top N]`.
pub fn dla(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    no_more(&left, "dla -target TOKEN -by head")?;
    let (by, span) = given.value("-by").map_or(("component", call.end()), |word| (&word.text, word.span));
    let split = match by {
        "neuron" => Split::Neurons,
        "feature" => Split::Features,
        _ => Split::Components,
    };
    let (found, title) = match given.value("-along") {
        Some(name) => console.split_along(name, &given, split)?,
        None => {
            let question = console.question(given.value("-pos"), &given)?;
            let found = direct(&mut console.session, question.pos, &question.wanted(), split)?;
            let title = heading(console, &question, &found);
            (found, title)
        }
    };
    let table = match by {
        "component" => components(&found, title),
        "head" => heads(console, &found, title),
        "position" | "pos" => positions(console, &found, title),
        "neuron" => neurons(&found, title)?,
        "feature" => features(console, &found, title)?,
        other => {
            return Err(mistake(
                format!("no such part {other}"),
                span,
                "component, head, position, neuron, or feature",
            ));
        }
    };
    Ok(given.rows(table.by_size(1, LISTED))?.into())
}

/// `explain [POS] [-target TOKEN [-foil TOKEN]]`.
pub fn explain(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    no_more(left.get(1..).unwrap_or_default(), "explain POS -target TOKEN")?;
    let question = console.question(left.first().or(given.value("-pos")), &given)?;
    let states = points(&console.session.run.program, false);
    let readings = trajectory(&mut console.session, question.pos, &states, None)?;
    let found = direct(&mut console.session, question.pos, &question.wanted(), Split::Neurons)?;
    let mut table = Table::new(["", "Where", "What", "Share"]).title(heading(console, &question, &found));
    let here = quoted(&console.name_of(Axis::Pos, question.pos));
    if let Some(last) = readings.last() {
        let (chance, rank) = (significant(last.logprobs[question.target].exp(), 3), last.rank(question.target));
        let what = format!("after {here}: probability {chance}, rank {rank}");
        table.push(("predicts", "final", what, Cell::Empty));
    }
    if let Some(from) = settled(&readings, question.target) {
        let what = format!("from here on the likeliest: {}", quoted(&console.name_of(Axis::Vocab, question.target)));
        table.push(("lens", &readings[from].name, what, Cell::Empty));
    }
    let mut parts: Vec<&Part> = found.parts.iter().collect();
    parts.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
    let added = parts.into_iter().take(EXPLAINED);
    table = table.rows(added.map(|part| ("adds", name(&part.component), reads(console, part), part.share)));
    Ok(table.rows(largest_neurons(&found, SOURCES).map(|(name, share)| ("neuron", name, "", share))).into())
}

/// The first point from which on the target is the likeliest token.
fn settled(readings: &[Reading], target: usize) -> Option<usize> {
    let last_other = readings.iter().rposition(|reading| reading.rank(target) > 0);
    last_other.map_or(Some(0), |at| Some(at + 1)).filter(|at| *at < readings.len())
}

pub(super) fn heading(console: &Console, question: &Question, found: &Direct) -> String {
    heading_of(console, &question.name(console), question.pos, found)
}

fn heading_of(console: &Console, name: &str, pos: usize, found: &Direct) -> String {
    let sum: f64 = found.parts.iter().map(|part| part.share).sum();
    let cap = if found.capped { " before the cap" } else { "" };
    let left = found.value - sum;
    // What f32 rounds away is not a part.
    let remainder = match left.abs() <= 1e-5 * (1.0 + found.value.abs()) {
        true => "nothing left over".to_string(),
        false => format!("{} left over", significant(left, 3)),
    };
    format!(
        "{name} = {}{cap} at pos {pos} {}\nderived: the parts add up to {}, {remainder}; every norm's scale is held at what it was",
        significant(found.value, 6),
        quoted(&console.name_of(Axis::Pos, pos)),
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
                let site = site_name::short(site);
                // The bias of an attention output belongs to it.
                if site.ends_with(".attn.out") { site } else { format!("{site} bias") }
            }
            Component::Site(site) => site_name::short(site),
        };
        match rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, share)) => *share += part.share,
            None => rows.push((name, part.share)),
        }
    }
    let bars = Bars::of(rows.iter().map(|(_, share)| *share));
    let rows = rows.into_iter().map(|(name, share)| (name, share, bars.bar(share)));
    Table::new(["Component", "Share", ""]).title(title).rows(rows)
}

/// Heads, those that count most first, and what they read.
fn heads(console: &Console, found: &Direct, title: String) -> Table {
    let mut parts: Vec<&Part> =
        found.parts.iter().filter(|part| matches!(part.component, Component::Head(..))).collect();
    parts.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
    let bars = Bars::of(parts.first().map(|part| part.share));
    let rows =
        parts.into_iter().map(|part| (name(&part.component), part.share, bars.bar(part.share), reads(console, part)));
    Table::new(["Head", "Share", "", "By way of"]).title(title).rows(rows)
}

/// What all heads add by way of each token, and what is not added by heads.
fn positions(console: &Console, found: &Direct, title: String) -> Table {
    let keys = found.parts.iter().map(|part| part.sources.len()).max().unwrap_or(0);
    let by_way = |key: usize| found.parts.iter().filter_map(|part| part.sources.get(key)).sum::<f64>();
    let shares: Vec<f64> = (0..keys).map(by_way).collect();
    let rest: f64 = found.parts.iter().map(|part| part.share).sum::<f64>() - shares.iter().sum::<f64>();
    let bars = Bars::of(shares.iter().chain([&rest]).copied());
    let mut table = Table::new(["By way of", "Share", "", "Mostly"]).title(title);
    for (key, share) in shares.iter().enumerate() {
        let of = |part: &&Part| part.sources.get(key).map_or(0.0, |share| share.abs());
        let mut parts: Vec<&Part> = found.parts.iter().filter(|part| of(part) > 0.0).collect();
        parts.sort_by(|a, b| of(b).total_cmp(&of(a)));
        let listed = |part: &&Part| format!("{} {}", name(&part.component), significant(part.sources[key], 3));
        // A hundredth of the largest is not worth a name.
        let least = parts.first().map_or(0.0, |part| of(part) / 100.0);
        let mostly: Vec<String> = parts.iter().filter(|part| of(part) > least).take(SOURCES).map(listed).collect();
        let token = format!("{key} {}", quoted(&console.name_of(Axis::K, key)));
        table.push((token, *share, bars.bar(*share), mostly.join("  ")));
    }
    table.row(("without heads", rest, bars.bar(rest), "embeddings, MLPs and biases at the position itself"))
}

fn neurons(found: &Direct, title: String) -> Result<Table> {
    if found.neurons.is_empty() {
        return Err("this model has no dense MLP whose neurons could be listed".into());
    }
    let bars = Bars::of(largest_neurons(found, 1).map(|(_, share)| share));
    let rows = largest_neurons(found, NEURONS).map(|(name, share)| (name, share, bars.bar(share)));
    let mut table = Table::new(["Neuron", "Share", ""]).title(title).rows(rows);
    let others = largest_neurons(found, usize::MAX).skip(NEURONS).map(|(_, share)| share);
    let sum = others.sum::<f64>();
    let rows = found.neurons.len().saturating_sub(NEURONS);
    table.more = (rows > 0).then_some(More { rows, sum: Some(sum), listable: false });
    Ok(table)
}

/// Features of dictionaries on the path, and what else adds.
fn features(console: &Console, found: &Direct, title: String) -> Result<Table> {
    if found.features.is_empty() {
        return Err("no dictionary with an active feature is on the direct path; \"sae load\" puts one there".into());
    }
    let mut rows: Vec<(String, f64, String)> = found
        .features
        .iter()
        .map(|(site, feature, share)| {
            let label = console.label_of(site, *feature).unwrap_or_default();
            (format!("{}[{feature}]", site_name::short(site)), *share, label)
        })
        .collect();
    let whole: Vec<String> = found.features.iter().map(|(site, ..)| site_name::short(site)).collect();
    for part in &found.parts {
        let name = name(&part.component);
        if !whole.contains(&name) {
            rows.push((name, part.share, String::new()));
        }
    }
    let bars = Bars::of(rows.iter().map(|(_, share, _)| *share));
    let rows = rows.into_iter().map(|(name, share, label)| (name, share, bars.bar(share), label));
    Ok(Table::new(["Feature", "Share", "", "Label"]).title(title).rows(rows))
}

/// The neurons that add most, by name.
fn largest_neurons(found: &Direct, count: usize) -> impl Iterator<Item = (String, f64)> {
    let mut all = found.neurons.clone();
    all.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    all.into_iter().take(count).map(|(layer, neuron, share)| (format!("L{layer}.mlp.post[{neuron}]"), share))
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
        Component::Site(site) => site_name::short(site),
        Component::Bias(site) => format!("{} bias", site_name::short(site)),
    }
}

impl Console {
    /// The product of a direction with the vector at its site, split into its parts, and a heading.
    fn split_along(&mut self, name: &Word, given: &Options, split: Split) -> Result<(Direct, String)> {
        if let Some(option) = given.get("-target").or(given.get("-foil")) {
            return Err(mistake("what is split is a logit or a direction, not both", option.span, "dla -along NAME"));
        }
        let direction = self.direction(name)?;
        let [place] = &direction.places[..] else {
            let message = format!("${} has several sites; make a direction of one", direction.name);
            return Err(mistake(message, name.span, "direction NAME -vector $v[2] -site L2.resid_post"));
        };
        let op = self.session.run.program.op_of(&place.site);
        let op = op.ok_or_else(|| format!("{} is not a site any more", place.site))?;
        let pos = self.position_or_focus(given.value("-pos"))?;
        let found = along(&mut self.session, pos, (op, &place.vector), split)?;
        let what = format!("${} . {}", direction.name, site_name::short(&place.site));
        let title = heading_of(self, &what, pos, &found);
        Ok((found, title))
    }

    /// The logit that is meant: of the target, else of the likeliest token, at a position, else the focused one.
    pub(super) fn question(&mut self, pos: Option<&Word>, given: &Options) -> Result<Question> {
        let pos = self.position_or_focus(pos)?;
        let foil = self.token_of(given, "-foil")?;
        if let Some(target) = self.token_of(given, "-target")? {
            return Ok(Question { pos, target, foil });
        }
        let states = points(&self.session.run.program, false);
        let end = states.last().ok_or("the model predicts no tokens, so no logit can be explained")?;
        let readings = trajectory(&mut self.session, pos, std::slice::from_ref(end), None)?;
        let last = readings.first().ok_or("the pass has not come to its logits: \"run\" or \"continue\" first")?;
        Ok(Question { pos, target: last.top(1)[0], foil })
    }
}
