//! Places patched one after the other: which places there are, and what they give as a map or, beside the approximation, as a table.

use crate::analysis::patching::{Places, Source, Sweep, approximate, sweep};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, MapView, Scale, Table};
use crate::commands::console::{Console, Done};
use crate::debugger::peers::{Peer, Side};
use crate::debugger::{Error, Result, RunScope};
use crate::lang::eval::{Datum, number};
use crate::lang::words::{Given, Word};
use crate::lang::{Expr, LangError, Span};
use crate::tensor::{Axis, Summary, Value};

/// Places listed where measured and approximate stand side by side.
const LISTED: usize = 16;

/// What is swept, in the user's words.
pub struct Asked<'a> {
    pub expr: &'a Expr,
    pub metric: &'a str,
    pub source: Source,
    /// The branch, `zero` or `mean`.
    pub name: &'a str,
    pub given: &'a [Given],
}

/// One place after the other: of a branch the share that comes back, of an ablation what the number gains.
pub fn swept(console: &mut Console, asked: &Asked<'_>) -> Done {
    let Asked { expr, metric, source, name, given } = asked;
    let option = |name: &str| given.iter().find(|option| option.name == name);
    let of_side = matches!(source, Source::Branch(_) | Source::Peer(_));
    if let Source::Peer(peer) = source {
        console.session.bring(&Side::Peer(*peer))?;
    }
    let site = option("-site").and_then(|option| option.value.clone());
    let site = site.unwrap_or_else(|| Word {
        text: if of_side { "resid_pre" } else { "attn.z" }.into(),
        quoted: false,
        span: Span::at(0),
    });
    let places = console.places(&site, option("-over").and_then(|option| option.value.as_ref()))?;
    let clean = match source {
        Source::Branch(from) => Some(console.number_in(*from, expr)?),
        Source::Peer(peer) => console.number_of_peer(*peer, expr)?,
        Source::Zero | Source::Mean => None,
    };
    let approximated = match option("-approx").or(option("-both")) {
        Some(_) => Some(approximate(&mut console.session, expr, &places, *source)?),
        None => None,
    };
    let measured = match option("-approx") {
        Some(_) => None,
        None => Some(console.measured(asked, &places)?),
    };
    let Some(found) = measured.as_ref().or(approximated.as_ref()) else {
        return Err(Error::refused("nothing was asked for"));
    };
    let kind = if measured.is_some() { "measured" } else { "approximate, by gradients" };
    let here = significant(found.here, 5);
    let (whole, title) = match clean {
        Some(clean) if (clean - found.here).abs() < 1e-9 => {
            return Err(Error::refused(format!("{metric} is the same on both sides: there is nothing to bring back")));
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
    match (&measured, &approximated) {
        (Some(measured), Some(approximated)) => side_by_side(console, measured, approximated, whole, &title),
        _ => console.map_of(found, whole, title),
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
    let rows = order.iter().take(LISTED).map(|&i| {
        let name = console.place_name(measured, i);
        vec![Cell::Text(name), Cell::Num(exact[i]), Cell::Num(near[i]), Cell::Num(near[i] - exact[i])]
    });
    let title = format!(
        "${number} = {title}\nbeside the approximation by gradients: correlation {} over {} places",
        significant(correlation(&exact, &near), 3),
        exact.len()
    );
    let columns = ["Place", "Measured", "Approximate", "Off by"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title, columns, rows: rows.collect() }))
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
        let blocks = Places::of_blocks(&program, &site.text, &[]);
        let sites = match blocks.sites.is_empty() {
            false => blocks.sites,
            true => {
                let named = self.sites_of(std::slice::from_ref(site))?;
                let ops = named.iter().filter_map(|site| program.op_of(site));
                ops.map(|op| (program.ops[op].layer, op)).collect()
            }
        };
        let Some(&(_, first)) = sites.first() else {
            return Err(Error::At(LangError::new(format!("{} is no site", site.text), site.span)));
        };
        let axes = &program.ops[first].axes[1..];
        let wrong = |message: String| {
            let names: Vec<&str> = axes.iter().map(|axis| axis.name()).collect();
            let help = format!("{} has {}; \"layer\" alone is each block's as a whole", site.text, names.join(", "));
            Error::At(LangError::new(message, over.map_or(site.span, |word| word.span)).help(help))
        };
        if matches!(
            program.ops[first].kernel,
            crate::program::Kernel::Tokens | crate::program::Kernel::TopExperts { .. }
        ) {
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
            let axis = Axis::parse(name).filter(|axis| axes.contains(axis));
            match axis {
                Some(axis) if chosen.contains(&axis) => return Err(wrong(format!("{name} stands twice"))),
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
        let mut done = match self.swept.take() {
            Some((known, done)) if known == key => done,
            _ => Vec::new(),
        };
        let found = sweep(&mut self.session, asked.expr, places, asked.source, &mut done);
        if found.is_err() && !done.is_empty() {
            self.swept = Some((key, done));
        }
        found
    }

    /// Shares as a heat map, and as `$N`.
    pub(super) fn map_of(&mut self, found: &Sweep, whole: f64, title: String) -> Done {
        let shares: Vec<f64> = found.numbers.iter().map(|x| (x - found.here) / (whole - found.here)).collect();
        let number = self.keep_shares(found, &shares)?;
        let columns = found.over.last().map_or(1, |(_, length)| *length);
        let rows = shares.len() / columns.max(1);
        let axis = found.over.last().map_or(Axis::None, |(axis, _)| *axis);
        let row_names = rows_of(found);
        Ok(Answer::Map(MapView {
            title: format!("${number} = {title}"),
            rows,
            columns,
            summary: Summary::of_host(shares.iter().copied(), &[rows, columns]),
            shape: vec![rows, columns],
            data: shares,
            row_labels: row_names,
            column_labels: match axis {
                Axis::None => vec!["all".into()],
                axis => (0..columns).map(|i| self.name_of(axis, i)).collect(),
            },
            pool: [1, 1],
            axes: ["layer".into(), axis.to_string()],
            scale: Scale::Diverging,
        }))
    }

    fn keep_shares(&mut self, found: &Sweep, shares: &[f64]) -> Result<usize> {
        let mut shape = vec![found.sites.len()];
        shape.extend(found.over.iter().map(|(_, length)| *length));
        let mut axes = vec![Axis::None];
        axes.extend(found.over.iter().map(|(axis, _)| *axis));
        let device = self.session.run.device();
        device.check("patch", &shape, &axes)?;
        let data = shares.iter().map(|x| *x as f32).collect();
        let value = Value::from_f32(data, &shape, device).with_axes(&axes);
        Ok(self.session.remember(Datum::Tensor(value)))
    }

    /// `L3H2`, `L3 pos 5`.
    fn place_name(&self, found: &Sweep, place: usize) -> String {
        let columns = found.over.last().map_or(1, |(_, length)| *length);
        let row = rows_of(found).get(place / columns.max(1)).cloned().unwrap_or_default();
        match found.over.last() {
            None => row,
            Some((Axis::Head, _)) => format!("{row}H{}", place % columns),
            Some((Axis::Neuron, _)) => format!("{row}N{}", place % columns),
            Some((axis, _)) if axis.is_position() => {
                format!(
                    "{row} {axis} {} {}",
                    place % columns,
                    crate::answer::text::quoted(&self.name_of(*axis, place % columns))
                )
            }
            Some((axis, _)) => format!("{row} {axis} {}", place % columns),
        }
    }
}

/// A name for each entry of all axes but the last: `L3`, `L3H2`, `L3 q 4`.
fn rows_of(found: &Sweep) -> Vec<String> {
    let layer =
        |(layer, op): &(Option<usize>, usize)| layer.map_or_else(|| format!("op {op}"), |layer| format!("L{layer}"));
    let mut names: Vec<String> = found.sites.iter().map(layer).collect();
    for (axis, length) in found.over.iter().take(found.over.len().saturating_sub(1)) {
        let entry = |i: usize| match axis {
            Axis::Head => format!("H{i}"),
            Axis::Neuron => format!("N{i}"),
            axis => format!(" {axis} {i}"),
        };
        names = names.iter().flat_map(|name| (0..*length).map(move |i| format!("{name}{}", entry(i)))).collect();
    }
    names
}
