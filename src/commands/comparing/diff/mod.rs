//! `diff`: where do two sides part? Each is a branch, another model, a dump, or a file of values.

mod parts;
mod report;
mod weights;

use std::path::Path;

use parts::By;

use crate::answer::text::quoted;
use crate::commands::frame::{Done, mistake, number};
use crate::commands::state::{Call, Console};
use crate::debugger::Result;
use crate::debugger::sides::{Elements, Has, Side, SideValue, level};
use crate::dumps::{Change, Reading};
use crate::lang::Span;
use crate::lang::location::{parse_location, resolve_sites};
use crate::lang::words::Word;
use crate::tensor::{Axis, Difference, Tolerance, Verdict, step};

pub use report::limit;

const USAGE: &str =
    "diff SIDE, diff SIDE SIDE, diff FILE.safetensors, diff weights SIDE; a side is a branch, a model or a dump";

/// What a difference is where sides read other texts.
const OF_TWO_TEXTS: &str = "what follows is about two texts, not about two ways to compute one";

/// `diff A [B] [SITES]`, `diff weights A [B]`.
pub fn diff(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let allowed = |name: &str, usual: f64| {
        given.value(name).map_or(Ok(usual), |word| number(word, |x| *x >= 0.0, "tolerance: a number of at least 0"))
    };
    let usual = Tolerance::default();
    let tolerance =
        Tolerance { absolute: allowed("-atol", usual.absolute)?, relative: allowed("-rtol", usual.relative)? };
    let prefix = given.value("-prefix").map_or("", |word| &word.text);
    let by = given.value("-by").map(By::of).transpose()?;
    let mut left = left.into_iter().peekable();
    let of_weights =
        left.peek().is_some_and(|word| word.text == "weights") && console.session.side_named("weights").is_none();
    if of_weights {
        left.next();
    }
    let nothing = || mistake("expected what to compare", Span::at(call.args.offset), USAGE);
    let first = left.next().ok_or_else(nothing)?;
    if of_weights {
        return console.diff_weights(&first, &left.collect::<Vec<_>>(), &given);
    }
    let first = console.side(&first, prefix)?;
    let second = match left.peek().map(|word| console.side(word, prefix)) {
        Some(Ok(side)) => {
            left.next();
            Some(side)
        }
        _ => None,
    };
    // Alone, it is what the current branch is compared with.
    let (a, b) = match second {
        Some(second) => (first, second),
        None => (Side::Branch(console.session.run.current), first),
    };
    let wanted: Vec<Word> = left.collect();
    let sites = console.sites_of(&wanted)?;
    let left_out = if wanted.is_empty() { console.session.sites_missing_here(&b) } else { Vec::new() };
    console.session.bring(&a)?;
    console.session.bring(&b)?;
    let mut comparison = Comparison { tolerance, by, first: given.has("-first"), ..Comparison::default() };
    // Before anything is compared: whether it is one text, and what a side does not have.
    let texts = console.session.texts_differ(&a, &b)?;
    let meaning = |starts_alike: bool| match starts_alike && console.looks_back_only() {
        true => "compared is what both have",
        false => OF_TWO_TEXTS,
    };
    comparison.before.extend(texts.map(|how| format!("{}; {}", how.words, meaning(how.starts_alike))));
    comparison.before.extend([&a, &b].into_iter().filter_map(|side| console.session.missing_in(side)));
    console.compare(&a, &b, &sites, &mut comparison)?;
    comparison.apart.extend(left_out.into_iter().map(|site| (site, Lack::Left)));
    let (answer, beyond) = console.report(&a, &b, &comparison, given.has("-all") || given.has("-sort"));
    let answer = given.rows(answer)?;
    if let (Some(message), true) = (beyond, given.has("-fail")) {
        return Err(message.into());
    }
    console.memory.compared = Some(answer.clone());
    Ok(answer.into())
}

/// Why a site was not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lack {
    /// The first side has none.
    Left,
    /// The second side has none.
    Right,
    /// The values lie in different ways: how.
    Other(String),
}

/// A comparison, and what it has found.
#[derive(Default)]
struct Comparison {
    tolerance: Tolerance,
    by: Option<By>,
    /// Whether it ends at the first site beyond the tolerance.
    first: bool,
    rows: Vec<(String, Difference)>,
    /// The same, of parts of sites.
    parts: Vec<(String, Difference)>,
    /// Sites that were not compared, and why.
    apart: Vec<(String, Lack)>,
    changes: Vec<Change>,
    /// What is shown before all else.
    before: Vec<String>,
    notes: Vec<String>,
}

impl Console {
    /// The side that a word names: a branch, a model, a dump or a file.
    pub(crate) fn side(&self, word: &Word, prefix: &str) -> Result<Side> {
        if let Some(side) = self.session.side_named(&word.text) {
            return Ok(side);
        }
        if word.text == self.session.name {
            return Ok(Side::Branch(self.session.run.current));
        }
        if ![".safetensors", ".npz"].iter().any(|end| word.text.ends_with(end)) {
            let message = format!("{} is not a branch, and no .safetensors or .npz file", word.text);
            let names = self.session.side_names().join(", ");
            return Err(mistake(message, word.span, format!("sides are {names}")));
        }
        let dump = self.session.open_dump(Path::new(&word.text), &Reading { prefix, map: Vec::new() });
        dump.map(|dump| Side::File(Box::new(dump)))
    }

    /// The sites that words name; all without any.
    pub(crate) fn sites_of(&self, wanted: &[Word]) -> Result<Vec<String>> {
        let program = &self.session.run.program;
        let mut sites = Vec::new();
        for word in wanted {
            let location = parse_location(&word.text, word.span.start)?;
            for site in resolve_sites(&location, &*self.session.run.names, self.session.block())? {
                if program.op_of(&site).is_some() && !sites.contains(&site) {
                    sites.push(site);
                }
            }
        }
        match wanted.is_empty() {
            true => Ok(program.sites().to_vec()),
            false => Ok(sites),
        }
    }

    fn compare(&mut self, a: &Side, b: &Side, sites: &[String], into: &mut Comparison) -> Result<()> {
        let mut tokens_differ = false;
        for (number, site) in sites.iter().enumerate() {
            step(site, number as u64, sites.len() as u64)?;
            let [left, right] = [a, b].map(|side| self.session.value_of_side(side, site));
            let (mut left, mut right) = match (left?, right?) {
                (Has::Value(left), Has::Value(right)) => (left, right),
                (left, right) => {
                    let lack = match (left, right) {
                        (Has::Other(why), _) | (_, Has::Other(why)) => Lack::Other(why),
                        (Has::Nothing, _) => Lack::Left,
                        _ => Lack::Right,
                    };
                    into.apart.push((site.clone(), lack));
                    continue;
                }
            };
            for value in [&left, &right] {
                into.changes.extend(value.changes.iter().copied());
            }
            if left.shape != right.shape {
                // Another text, or no text that says which positions are the same.
                let why = format!("{:?} against {:?}", left.shape, right.shape);
                let allowed = !tokens_differ && self.looks_back_only();
                match allowed.then(|| common(&mut left, &mut right)).flatten() {
                    Some(note) if into.notes.contains(&note) => {}
                    Some(note) => into.notes.push(note),
                    None => {
                        into.apart.push((site.clone(), Lack::Other(why)));
                        continue;
                    }
                }
            }
            let (left, right) = level(left, right);
            if site == "logits" {
                into.notes.extend(self.parting(&left, &right));
            }
            let tolerance = left.tolerance(into.tolerance);
            let found = left.elements.difference(&right.elements, &left.shape, tolerance);
            tokens_differ |= site == "tokens" && found.beyond > 0;
            let is_first = into.first && found.verdict() == Verdict::Different;
            if let Some(by) = into.by {
                into.parts.extend(by.of_site(site, &left, &right, tolerance));
            }
            into.rows.push((site.clone(), found));
            if is_first {
                break;
            }
        }
        into.changes.sort();
        into.changes.dedup();
        if into.rows.is_empty() {
            let (a, b) = (self.session.side_name(a), self.session.side_name(b));
            let why = into.apart.iter().find_map(|(site, lack)| match lack {
                Lack::Other(why) => Some(format!(": {site} is {why}")),
                Lack::Left | Lack::Right => None,
            });
            return Err(format!("{a} and {b} have no site in common{}", why.unwrap_or_default()).into());
        }
        Ok(())
    }

    /// Whether a position computes the same whatever comes after it.
    fn looks_back_only(&self) -> bool {
        self.session.run.model.spec.attention.causal
    }

    /// The first position where the most likely tokens differ.
    fn parting(&self, a: &SideValue, b: &SideValue) -> Option<String> {
        let [length, width] = a.shape[..] else { return None };
        let (a, b) = (a.elements.double(), b.elements.double());
        let best = |data: &[f64], pos: usize| {
            let row = &data[pos * width..(pos + 1) * width];
            (0..width).fold(0, |best, i| if row[i] > row[best] { i } else { best })
        };
        let apart: Vec<usize> = (0..length).filter(|&pos| best(&a, pos) != best(&b, pos)).collect();
        let first = *apart.first()?;
        let axis = if self.session.run.model.spec.labels().is_empty() { Axis::Vocab } else { Axis::Label };
        let [ours, theirs] = [&a, &b].map(|data| quoted(&self.name_of(axis, best(data, first))));
        let places = format!("{} of {length} positions, first at pos {first}", apart.len());
        Some(format!("the most likely tokens part at {places}: {ours} against {theirs}"))
    }
}

/// Cuts two values to the positions, and the part of the vocabulary, that both have. A note if that makes them one shape.
fn common(a: &mut SideValue, b: &mut SideValue) -> Option<String> {
    if a.shape.len() != b.shape.len() {
        return None;
    }
    let mut note = None;
    let mut shape = a.shape.clone();
    for (at, axis) in a.axes.iter().enumerate() {
        let (ours, theirs) = (a.shape[at], b.shape[at]);
        if ours == theirs {
            continue;
        }
        shape[at] = ours.min(theirs);
        let what = match axis {
            Axis::Pos | Axis::Q | Axis::K => "positions",
            Axis::Vocab => "tokens of the vocabulary",
            _ => return None,
        };
        let first = shape[at];
        note.get_or_insert(format!("compared over the first {first} {what}: one side has {ours}, the other {theirs}"));
    }
    for value in [a, b] {
        value.elements = Elements::Double(cut(&value.elements.double(), &value.shape, &shape));
        value.shape.clone_from(&shape);
    }
    note
}

/// The first elements along every axis.
fn cut(data: &[f64], from: &[usize], to: &[usize]) -> Vec<f64> {
    let [whole, rest_from @ ..] = from else { return data.to_vec() };
    let each = data.len() / (*whole).max(1);
    (0..to[0]).flat_map(|i| cut(&data[i * each..(i + 1) * each], rest_from, &to[1..])).collect()
}

/// The table of the last `diff`.
pub fn last(console: &Console) -> Done {
    let compared = console.memory.compared.clone();
    Ok(compared.ok_or("nothing has been compared yet; \"diff BRANCH\" or \"diff FILE\" does")?.into())
}
