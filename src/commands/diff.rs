//! `diff`: where do two branches, or a branch and a file of values, part?

use std::path::Path;

use super::console::{Console, Done};
use super::fail::Fail;
use super::table::Call;
use crate::analysis::{Difference, Dump, Tolerance, difference};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::Mark;
use crate::lang::location::{parse_location, resolve_sites};
use crate::lang::words::{OptionSpec, Word, take_options, words};
use crate::lang::{LangError, SiteRef, Span, site};
use crate::tensor::Axis;
use crate::tensor::ops::Slice;

const USAGE: &str = "diff BRANCH, diff BRANCH BRANCH, diff FILE.safetensors";

/// Rows listed unless all are asked for.
const LISTED: usize = 20;

const OPTIONS: [OptionSpec; 5] = [
    OptionSpec { name: "-atol", takes_value: true },
    OptionSpec { name: "-rtol", takes_value: true },
    OptionSpec { name: "-prefix", takes_value: true },
    OptionSpec { name: "-all", takes_value: false },
    OptionSpec { name: "-fail", takes_value: false },
];

/// One of the two that are compared.
pub(super) enum Side {
    /// A branch.
    Branch(usize, String),
    /// A file: names of its tensors by site.
    File(Dump, Vec<(String, String)>, String),
}

impl Side {
    pub(super) fn name(&self) -> &str {
        match self {
            Side::Branch(_, name) | Side::File(_, _, name) => name,
        }
    }
}

/// A value of the focused row.
struct Found {
    shape: Vec<usize>,
    data: Vec<f64>,
}

/// `diff A [B] [SITES]`.
pub fn diff(console: &mut Console, call: Call<'_, '_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let option = |name: &str| given.iter().find(|option| option.name == name);
    let number = |name: &str, default: f64| -> Result<f64, Fail> {
        let Some(word) = option(name).and_then(|option| option.value.as_ref()) else { return Ok(default) };
        word.text.parse().ok().filter(|x: &f64| *x >= 0.0).ok_or_else(|| {
            Fail::At(LangError::new(format!("{} is no tolerance: a number from 0 on", word.text), word.span))
        })
    };
    let usual = Tolerance::default();
    let tolerance =
        Tolerance { absolute: number("-atol", usual.absolute)?, relative: number("-rtol", usual.relative)? };
    let prefix = option("-prefix").and_then(|option| option.value.as_ref()).map_or("", |word| word.text.as_str());
    let mut left = left.into_iter().peekable();
    let Some(first) = left.next() else {
        return Err(Fail::At(LangError::new("expected what to compare", Span::at(call.args.offset)).help(USAGE)));
    };
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
        None => {
            let current = console.session.run.current;
            (Side::Branch(current, console.session.run.branch().name.clone()), first)
        }
    };
    let wanted: Vec<Word> = left.collect();
    let sites = console.sites_of(&wanted)?;
    let compared = console.compare(&a, &b, &sites, tolerance, call.progress)?;
    let all = option("-all").is_some();
    let (answer, beyond) = console.told(&a, &b, &compared, tolerance, all);
    if let (Some(message), true) = (beyond, option("-fail").is_some()) {
        return Err(Fail::because(message));
    }
    console.compared = Some(answer.clone());
    Ok(Answer::Table(answer))
}

/// What was found.
struct Compared {
    rows: Vec<(String, Difference)>,
    /// Sites of one side only, or of another shape, and why.
    apart: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Console {
    pub(super) fn side(&self, word: &Word, prefix: &str) -> Result<Side, Fail> {
        if let Some(branch) = self.session.run.branch_named(&word.text) {
            return Ok(Side::Branch(branch, word.text.clone()));
        }
        if !word.text.ends_with(".safetensors") {
            let names: Vec<&str> = self.session.run.branches.iter().map(|branch| branch.name.as_str()).collect();
            let error = LangError::new(format!("{} is no branch, and no .safetensors file", word.text), word.span);
            return Err(Fail::At(error.help(format!("branches are {}", names.join(", ")))));
        }
        let dump = Dump::open(Path::new(&word.text)).map_err(Fail::because)?;
        let names = &*self.session.run.names;
        let mut sites = Vec::new();
        for name in dump.names() {
            let Some(text) = name.strip_prefix(prefix) else { continue };
            let wanted = SiteRef { text: text.to_string(), run: None, pass: None, span: word.span };
            if let Ok(found) = site::resolve(&wanted, names, None)
                && self.session.run.program.op_of(&found.name).is_some()
                && found.head.is_none()
                && !sites.iter().any(|(site, _): &(String, String)| *site == found.name)
            {
                sites.push((found.name, name.clone()));
            }
        }
        if sites.is_empty() {
            let some: Vec<&str> = dump.names().iter().take(3).map(String::as_str).collect();
            let message = format!("no tensor of {} is named as a site: it has {} ...", word.text, some.join(", "));
            return Err(Fail::because(format!("{message}\n-prefix TEXT takes a beginning off their names")));
        }
        Ok(Side::File(dump, sites, word.text.clone()))
    }

    pub(super) fn sites_of(&self, wanted: &[Word]) -> Result<Vec<String>, Fail> {
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

    /// The value of a site; none if that side has none.
    fn value_of(&mut self, side: &Side, site: &str) -> Result<Option<Found>, Fail> {
        match side {
            Side::Branch(branch, _) => {
                let Some(op) = self.session.run.program.op_of(site) else { return Ok(None) };
                let pass = self.session.run.pass.min(self.session.run.branches[*branch].passes() - 1);
                let Ok(value) = self.session.run.value_in(*branch, Mark { pass, op }) else { return Ok(None) };
                let row = value.slice(&[Slice::At(self.session.focus.row)])?;
                Ok(Some(Found { shape: row.shape().to_vec(), data: row.read_f64()? }))
            }
            Side::File(dump, sites, _) => match sites.iter().find(|(known, _)| known == site) {
                Some((_, name)) => {
                    let dumped = dump.read(name).map_err(Fail::because)?;
                    Ok(Some(Found { shape: dumped.shape, data: dumped.data }))
                }
                None => Ok(None),
            },
        }
    }

    fn compare(
        &mut self,
        a: &Side,
        b: &Side,
        sites: &[String],
        tolerance: Tolerance,
        progress: crate::debugger::Progress<'_>,
    ) -> Result<Compared, Fail> {
        let mut compared = Compared { rows: Vec::new(), apart: Vec::new(), notes: Vec::new() };
        for (number, site) in sites.iter().enumerate() {
            progress(site, number as u64, sites.len() as u64);
            if self.session.interrupt.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(Fail::because(format!("interrupted at {site}")));
            }
            let (left, right) = (self.value_of(a, site)?, self.value_of(b, site)?);
            let (Some(mut left), Some(mut right)) = (left, right) else {
                let only = if self.value_of(a, site)?.is_some() { b.name() } else { a.name() };
                compared.apart.push((site.clone(), format!("not in {only}")));
                continue;
            };
            for found in [&mut left, &mut right] {
                // Files from Python often keep a batch of one.
                if found.shape.first() == Some(&1) && matches!((a, b), (Side::File(..), _) | (_, Side::File(..))) {
                    let rank = self
                        .session
                        .run
                        .program
                        .op_of(site)
                        .map_or(0, |op| self.session.run.program.ops[op].axes.len() - 1);
                    if found.shape.len() == rank + 1 {
                        found.shape.remove(0);
                        let note = "a batch axis of one in the file was taken off".to_string();
                        if !compared.notes.contains(&note) {
                            compared.notes.push(note);
                        }
                    }
                }
            }
            if left.shape != right.shape {
                compared.apart.push((site.clone(), format!("{:?} against {:?}", left.shape, right.shape)));
                continue;
            }
            if site == "logits" {
                compared.notes.extend(self.parting(&left, &right));
            }
            compared.rows.push((site.clone(), difference(&left.data, &right.data, &left.shape, tolerance)));
        }
        if compared.rows.is_empty() {
            let why = compared.apart.iter().find(|(_, why)| why.contains("against")).or(compared.apart.first());
            let why = why.map(|(site, why)| format!(": {site} is {why}")).unwrap_or_default();
            return Err(Fail::because(format!("{} and {} have no site in common{why}", a.name(), b.name())));
        }
        Ok(compared)
    }

    /// The first position where the most likely tokens differ.
    fn parting(&self, a: &Found, b: &Found) -> Option<String> {
        let [length, width] = a.shape[..] else { return None };
        let best = |found: &Found, pos: usize| {
            let row = &found.data[pos * width..(pos + 1) * width];
            (0..width).fold(0, |best, i| if row[i] > row[best] { i } else { best })
        };
        let apart: Vec<usize> = (0..length).filter(|&pos| best(a, pos) != best(b, pos)).collect();
        let first = *apart.first()?;
        let axis = if self.session.run.model.spec.labels().is_empty() { Axis::Vocab } else { Axis::Label };
        let name = |found: &Found| quoted(&self.name_of(axis, best(found, first)));
        Some(format!(
            "the most likely tokens part at {} of {length} positions, first at pos {first}: {} against {}",
            apart.len(),
            name(a),
            name(b)
        ))
    }

    /// The table, and one line if something is beyond the tolerance.
    fn told(
        &self,
        a: &Side,
        b: &Side,
        compared: &Compared,
        tolerance: Tolerance,
        all: bool,
    ) -> (Table, Option<String>) {
        let beyond: Vec<&(String, Difference)> = compared.rows.iter().filter(|(_, d)| d.beyond > 0).collect();
        let limit = format!("{} + {} |b|", significant(tolerance.absolute, 2), significant(tolerance.relative, 2));
        let place = |site: &str, difference: &Difference| {
            let op = self.session.run.program.op_of(site);
            let axes = op.map_or(&[][..], |op| &self.session.run.program.ops[op].axes[1..]);
            let parts: Vec<String> = difference
                .at
                .iter()
                .copied()
                .zip(axes.iter().copied().chain(std::iter::repeat(Axis::None)))
                .map(|(i, axis)| if axis == Axis::None { i.to_string() } else { format!("{axis} {i}") })
                .collect();
            parts.join(", ")
        };
        let mut lines = vec![format!("{} against {}: {}", a.name(), b.name(), counted(compared.rows.len()))];
        let first = beyond.first().map(|(site, difference)| {
            let (x, y) = difference.pair;
            format!(
                "first beyond {limit} at {site}: {} of {} elements, the largest at {}: {} against {}",
                difference.beyond,
                difference.count,
                place(site, difference),
                significant(x, 6),
                significant(y, 6)
            )
        });
        lines.push(match &first {
            Some(first) if beyond.len() == 1 => format!("1 site differs, {first}"),
            Some(first) => format!("{} sites differ, {first}", beyond.len()),
            None => format!("all agree within {limit}"),
        });
        lines.extend(compared.notes.iter().cloned());
        // Sites that only one side has, together; those of other shapes each with both.
        for missing in [a.name(), b.name()].into_iter().map(|name| format!("not in {name}")) {
            let sites: Vec<&str> =
                compared.apart.iter().filter(|(_, why)| *why == missing).map(|(site, _)| site.as_str()).collect();
            if !sites.is_empty() {
                let more = if sites.len() > 3 { ", ..." } else { "" };
                let some = sites[..sites.len().min(3)].join(", ");
                lines.push(format!("not compared, {missing}: {} ({some}{more})", counted(sites.len())));
            }
        }
        let shapes: Vec<String> = compared
            .apart
            .iter()
            .filter(|(_, why)| why.contains("against"))
            .map(|(site, why)| format!("{site} ({why})"))
            .collect();
        if !shapes.is_empty() {
            let more = if shapes.len() > 3 { ", ..." } else { "" };
            lines.push(format!("not compared, of other shapes: {}{more}", shapes[..shapes.len().min(3)].join(", ")));
        }
        let shown: Vec<&(String, Difference)> = match (all, beyond.is_empty()) {
            (true, _) => compared.rows.iter().collect(),
            (false, false) => beyond.into_iter().take(LISTED).collect(),
            (false, true) => {
                let mut rows: Vec<_> = compared.rows.iter().collect();
                rows.sort_by(|x, y| y.1.max.total_cmp(&x.1.max));
                rows.truncate(5);
                rows
            }
        };
        let rows = shown.into_iter().map(|(site, d)| {
            vec![
                Cell::Text(site.clone()),
                Cell::Num(d.max),
                Cell::Num(d.relative),
                Cell::Num(d.rms),
                Cell::Num(d.nmse),
                Cell::Num(d.cosine),
                Cell::Int(d.ulp as i64),
                Cell::Int(d.beyond as i64),
            ]
        });
        let columns =
            ["Site", "Max abs", "Max rel", "RMS", "NMSE", "Cosine", "ULP", "Beyond"].map(String::from).to_vec();
        let message = first.map(|first| format!("{} and {} differ: {first}", a.name(), b.name()));
        (Table { title: lines.join("\n"), columns, rows: rows.collect() }, message)
    }
}

fn counted(sites: usize) -> String {
    if sites == 1 { "1 site".into() } else { format!("{sites} sites") }
}
