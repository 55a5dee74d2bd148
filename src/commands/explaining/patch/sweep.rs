//! Places patched one after the other: which places there are, and what they give as a map or, next to the approximation, as a table.

use crate::analysis::patching::{Places, Source, Sweep, approximate, sweep};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{MapView, Scale, Table};
use crate::commands::frame::{Done, Options, mistake};
use crate::commands::state::Console;
use crate::debugger::sides::{Peer, Side};
use crate::debugger::{Result, RunScope};
use crate::lang::eval::{Datum, number};
use crate::lang::words::Word;
use crate::lang::{Expr, LangError, Span};
use crate::program::Kernel;
use crate::tensor::Axis;

/// Places listed where measured and approximate stand side by side.
const LISTED: usize = 16;

/// What is swept, in the user's words.
pub struct Asked<'a> {
    pub expr: &'a Expr,
    pub metric: &'a str,
    pub source: Source,
    /// The branch, `zero` or `mean`.
    pub name: &'a str,
    pub given: &'a Options,
}

/// One place after the other: of a branch the share that comes back, of an ablation what the number gains.
pub fn swept(console: &mut Console, asked: &Asked<'_>) -> Done {
    let Asked { expr, metric, source, name, given } = asked;
    let of_side = matches!(source, Source::Branch(_) | Source::Peer(_));
    if let Source::Peer(peer) = source {
        console.session.bring(&Side::Peer(*peer))?;
    }
    let usual = if of_side { "resid_pre" } else { "attn.z" };
    let usual = Word { text: usual.into(), quoted: false, span: Span::at(0) };
    let site = given.value("-site").unwrap_or(&usual);
    let places = console.places(site, given.value("-over"))?;
    let clean = match source {
        Source::Branch(from) => Some(console.number_in(*from, expr)?),
        Source::Peer(peer) => console.number_of_peer(*peer, expr)?,
        Source::Zero | Source::Mean => None,
    };
    let (found, approximated, kind) = if given.has("-approx") {
        (approximate(&mut console.session, expr, &places, *source)?, None, "approximate, by gradients")
    } else {
        let both = given.has("-both").then(|| approximate(&mut console.session, expr, &places, *source));
        let both = both.transpose()?;
        (console.measured(asked, &places)?, both, "measured")
    };
    let here = significant(found.here, 5);
    let (whole, title) = match clean {
        Some(clean) if (clean - found.here).abs() < 1e-9 => {
            return Err(format!("{metric} is the same on both sides: there is nothing to bring back").into());
        }
        Some(clean) => {
            let numbers = format!("{metric} is {here} here and {} in {name}", significant(clean, 5));
            let what = format!("{} of {name} put in, {kind}", site.text);
            (clean, format!("{what}: share of what is lost that comes back; {numbers}"))
        }
        None => {
            let what = match source {
                Source::Zero => "zero".to_string(),
                Source::Mean => "its mean over positions".into(),
                // A dump has values, and no model that says what the number is with all of them.
                _ => format!("as in {name}"),
            };
            // A share of one is the gain itself.
            (found.here + 1.0, format!("{} {what}, {kind}: what {metric} gains; it is {here}", site.text))
        }
    };
    match approximated {
        Some(approximated) => side_by_side(console, &found, &approximated, whole, &title),
        None => console.map_of(&found, whole, title),
    }
}

/// What is measured and what gradients say, the largest first.
fn side_by_side(console: &mut Console, measured: &Sweep, approximated: &Sweep, whole: f64, title: &str) -> Done {
    let share = |found: &Sweep| -> Vec<f64> {
        found.numbers.iter().map(|x| (x - found.here) / (whole - measured.here)).collect()
    };
    let (exact, near) = (share(measured), share(approximated));
    let number = console.keep_shares(measured, &exact)?;
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|a, b| exact[*b].abs().total_cmp(&exact[*a].abs()));
    let shown = order.into_iter().take(LISTED);
    let rows = shown.map(|i| (console.place_name(measured, i), exact[i], near[i], near[i] - exact[i]));
    let title = format!(
        "${number} = {title}\nbeside the approximation by gradients: correlation {} over {} places",
        significant(correlation(&exact, &near), 3),
        exact.len()
    );
    Ok(Table::new(["Place", "Measured", "Approximate", "Off by"]).title(title).rows(rows).into())
}

/// Pearson's; NaN if one of them does not vary.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (p, q) = (mean(a), mean(b));
    let sum = |of: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| of(x - p, y - q)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

impl Console {
    /// A number over the pass of another model; none of a dump.
    fn number_of_peer(&mut self, peer: usize, expr: &Expr) -> Result<Option<f64>> {
        match &mut self.session.peers[peer].1 {
            Peer::Model(other) => Ok(Some(number(expr, &mut RunScope::new(other))?)),
            Peer::Dump(_) => Ok(None),
        }
    }

    /// The places of a site: `attn.z` is that of every block, `L3.attn.z` one.
    fn places(&self, site: &Word, over: Option<&Word>) -> Result<Places> {
        let program = self.session.run.program.clone();
        let mut sites = Places::of_blocks(&program, &site.text, &[]).sites;
        if sites.is_empty() {
            let named = self.sites_of(std::slice::from_ref(site))?;
            let ops = named.iter().filter_map(|site| program.op_of(site));
            sites = ops.map(|op| (program.ops[op].layer, op)).collect();
        }
        let Some(&(_, first)) = sites.first() else {
            return Err(LangError::new(format!("{} is not a site", site.text), site.span).into());
        };
        let axes = &program.ops[first].axes[1..];
        let wrong = |message: String| {
            let names: Vec<&str> = axes.iter().map(|axis| axis.name()).collect();
            let help = format!("{} has {}; \"layer\" alone is each block's as a whole", site.text, names.join(", "));
            mistake(message, over.map_or(site.span, |word| word.span), help)
        };
        if matches!(program.ops[first].kernel, Kernel::Tokens | Kernel::TopExperts { .. }) {
            return Err(wrong(format!("{} has no numbers to put in", site.text)));
        }
        if let Some((_, other)) = sites.iter().find(|(_, op)| program.ops[*op].axes[1..] != *axes) {
            return Err(wrong(format!("{} and {} have other axes", program.ops[first].site, program.ops[*other].site)));
        }
        let Some(word) = over else {
            let usual = [Axis::Head, Axis::Pos].into_iter().find(|axis| axes.contains(axis));
            return Ok(Places { sites, over: usual.into_iter().collect() });
        };
        let mut chosen = Vec::new();
        for name in word.text.split(',').map(str::trim).filter(|name| *name != "layer") {
            match Axis::parse(name).filter(|axis| axes.contains(axis)) {
                Some(axis) if chosen.contains(&axis) => return Err(wrong(format!("{name} is given twice"))),
                Some(axis) => chosen.push(axis),
                None if name.is_empty() => return Err(wrong("expected an axis between commas".into())),
                None => return Err(wrong(format!("{} has no {name}", site.text))),
            }
        }
        Ok(Places { sites, over: chosen })
    }

    /// A sweep, or the rest of one that was interrupted.
    fn measured(&mut self, asked: &Asked<'_>, places: &Places) -> Result<Sweep> {
        let (run, row) = (&self.session.run, self.session.focus.row);
        let key = format!("{} {} {row} {:?} {places:?} {}", run.current, run.revision(), asked.source, asked.metric);
        let mut done = match self.memory.swept.take() {
            Some((known, done)) if known == key => done,
            _ => Vec::new(),
        };
        let found = sweep(&mut self.session, asked.expr, places, asked.source, &mut done);
        if found.is_err() && !done.is_empty() {
            self.memory.swept = Some((key, done));
        }
        found
    }

    /// Shares as a heat map, and as `$N`.
    pub(crate) fn map_of(&mut self, found: &Sweep, whole: f64, title: String) -> Done {
        let shares: Vec<f64> = found.numbers.iter().map(|x| (x - found.here) / (whole - found.here)).collect();
        let number = self.keep_shares(found, &shares)?;
        let (axis, columns) = match found.over.last() {
            None => (Axis::None, vec!["all".into()]),
            Some((axis, length)) => (*axis, (0..*length).map(|i| self.name_of(*axis, i)).collect()),
        };
        let title = format!("${number} = {title}");
        let map = MapView::grid(title, ("layer", rows_of(found)), (axis.name(), columns), shares);
        Ok(map.scale(Scale::Diverging).into())
    }

    fn keep_shares(&mut self, found: &Sweep, shares: &[f64]) -> Result<usize> {
        let all = [(Axis::None, found.sites.len())].into_iter().chain(found.over.iter().copied());
        let (axes, shape): (Vec<Axis>, Vec<usize>) = all.unzip();
        self.session.run.device().check("patch", &shape, &axes)?;
        let value = self.value_of(shares, &shape, &axes);
        Ok(self.session.remember(Datum::Tensor(value)))
    }

    /// `L3H2`, `L3 pos 5`.
    fn place_name(&self, found: &Sweep, place: usize) -> String {
        let columns = found.over.last().map_or(1, |(_, length)| *length);
        let row = rows_of(found).get(place / columns.max(1)).cloned().unwrap_or_default();
        let Some((axis, _)) = found.over.last() else { return row };
        let entry = place % columns;
        match axis.is_position() {
            true => format!("{row}{} {}", entry_name(*axis, entry), quoted(&self.name_of(*axis, entry))),
            false => row + &entry_name(*axis, entry),
        }
    }
}

/// `H2`, ` pos 5`: an entry of an axis after the name of a layer.
fn entry_name(axis: Axis, i: usize) -> String {
    match axis {
        Axis::Head => format!("H{i}"),
        Axis::Neuron => format!("N{i}"),
        Axis::Feature => format!("F{i}"),
        axis => format!(" {axis} {i}"),
    }
}

/// A name for each entry of all axes but the last: `L3`, `L3H2`, `L3 q 4`.
fn rows_of(found: &Sweep) -> Vec<String> {
    let layer =
        |(layer, op): &(Option<usize>, usize)| layer.map_or_else(|| format!("op {op}"), |layer| format!("L{layer}"));
    let mut names: Vec<String> = found.sites.iter().map(layer).collect();
    for (axis, length) in found.over.iter().take(found.over.len().saturating_sub(1)) {
        let entries = |name: String| (0..*length).map(move |i| name.clone() + &entry_name(*axis, i));
        names = names.into_iter().flat_map(entries).collect();
    }
    names
}
