//! Edges between components: which of them a number needs, and how much of it circuits of them keep.

use crate::analysis::edges::{Curve, Edge, Kept, Measured, Method, Node, Scored, curve, measured, of_nodes, scores};
use crate::analysis::patching::Source;
use crate::answer::numbers::significant;
use crate::answer::{Cell, Table};
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::{Done, Options, mistake};
use crate::commands::state::Console;
use crate::debugger::Result;
use crate::lang::Expr;
use crate::lang::words::{Word, parse_count};

/// Options that belong to edges alone.
pub const OWN: [&str; 9] = ["-method", "-steps", "-nodes", "-curve", "-random", "-seed", "-top", "-sort", "-all"];

/// Options that belong to sweeps and circuits of heads alone.
const OTHERS: [&str; 6] = ["-site", "-over", "-approx", "-to", "-minimal", "-faithful"];

/// Edges that are listed.
const LISTED: usize = 15;

/// Gradients that are taken between the two runs.
const STEPS: usize = 5;

/// Random circuits of each size.
const RANDOM: usize = 5;

/// What is asked of edges, in the user's words.
pub struct Asked<'a> {
    pub expr: &'a Expr,
    pub metric: &'a str,
    pub source: Source,
    pub word: &'a Word,
    pub given: &'a Options,
}

/// How edges are scored.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    By(Method),
    Exact,
}

/// `patch BRANCH -edges -metric EXPR ...`.
pub fn edges(console: &mut Console, asked: &Asked<'_>) -> Done {
    let given = asked.given;
    if let Some(option) = given.iter().find(|option| OTHERS.contains(&option.name)) {
        let message = format!("{} does not go with -edges", option.name);
        return Err(mistake(message, option.span, "patch BRANCH -edges -metric EXPR -method eap"));
    }
    let Source::Branch(branch) = asked.source else {
        let message = "edges take their values from a branch, not from a model, a dump, zero or mean";
        return Err(mistake(message, asked.word.span, "patch BRANCH -edges -metric EXPR"));
    };
    let way = way(given)?;
    let of = if given.has("-nodes") { Kept::Nodes } else { Kept::Edges };
    if given.has("-curve") {
        return curved(console, asked, (branch, way, of));
    }
    if let Some(option) = given.get("-random").or(given.get("-seed")) {
        let message = format!("{} belongs to -curve", option.name);
        return Err(mistake(message, option.span, "patch BRANCH -edges -curve -metric EXPR"));
    }
    let all = found(console, asked, (branch, way, of))?;
    let mut units = units(&all, of);
    units.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    let shared = shares_keys(console);
    let both = given.has("-both") && way != Way::Exact;
    let (mut table, kind) = match way {
        Way::Exact => (Table::new(["", "Change", ""]), "measured".to_string()),
        Way::By(Method::Gradient) => (Table::new(["", "Score", ""]), "approximate, by gradients (EAP)".into()),
        Way::By(Method::Integrated { steps }) => {
            (Table::new(["", "Score", ""]), format!("approximate, by {steps} integrated gradients (EAP-IG)"))
        }
    };
    table.columns[0] = if of == Kept::Nodes { "Node" } else { "Edge" }.into();
    let listed = if given.has("-all") { units.len() } else { given.count("-top")?.unwrap_or(LISTED).min(units.len()) };
    let sets: Vec<Vec<Edge>> =
        if both { units[..listed].iter().map(|unit| unit.edges.clone()).collect() } else { Vec::new() };
    let Measured { here, other, changes } = measured(&mut console.session, asked.expr, branch, &sets)?;
    let bars = Bars::of(units.iter().map(|unit| unit.score));
    let name = &console.session.run.branches[branch].name;
    let what = if of == Kept::Nodes { "nodes" } else { "edges" };
    table.title = format!(
        "{} {what}: what {} gains if one has what it has in {name}, {kind}; {} here, {} in {name}",
        units.len(),
        asked.metric,
        significant(here, 5),
        significant(other, 5)
    );
    if both {
        table.columns.push("Measured".into());
    }
    for (at, unit) in units.iter().enumerate() {
        let mut row: Vec<Cell> = vec![unit.name(shared).into(), unit.score.into(), bars.bar(unit.score).into()];
        if both {
            row.push(changes.get(at).copied().into());
        }
        table.push(row);
    }
    let sorted = given.rows(table.by_size(1, LISTED))?;
    Ok(sorted.into())
}

/// An edge, or a node with all edges that begin at it.
struct Unit {
    node: Option<Node>,
    edges: Vec<Edge>,
    score: f64,
}

impl Unit {
    fn name(&self, shared: bool) -> String {
        match self.node {
            Some(node) => node.name(),
            None => format!("{} -> {}", self.edges[0].from.name(), self.edges[0].to.name(shared)),
        }
    }
}

fn units(all: &[Scored], of: Kept) -> Vec<Unit> {
    match of {
        Kept::Edges => all.iter().map(|one| Unit { node: None, edges: vec![one.edge], score: one.score }).collect(),
        Kept::Nodes => {
            let edges = |node: Node| all.iter().map(|one| one.edge).filter(|edge| edge.from == node).collect();
            let unit = |(node, score)| Unit { node: Some(node), edges: edges(node), score };
            of_nodes(all).into_iter().map(unit).collect()
        }
    }
}

/// Scores by the way that is asked for. Of nodes that are measured the change of a node is divided among its edges, so that
/// their sum is the change.
fn found(console: &mut Console, asked: &Asked<'_>, (branch, way, of): (usize, Way, Kept)) -> Result<Vec<Scored>> {
    let method = if let Way::By(method) = way { method } else { Method::Gradient };
    let mut all = scores(&mut console.session, asked.expr, branch, method)?;
    if way == Way::Exact {
        let units = units(&all, of);
        let sets: Vec<Vec<Edge>> = units.iter().map(|unit| unit.edges.clone()).collect();
        let changes = measured(&mut console.session, asked.expr, branch, &sets)?.changes;
        for (unit, change) in units.iter().zip(changes) {
            let share = change / unit.edges.len() as f64;
            all.iter_mut().filter(|one| unit.edges.contains(&one.edge)).for_each(|one| one.score = share);
        }
    }
    Ok(all)
}

fn way(given: &Options) -> Result<Way> {
    let steps = given.count("-steps")?;
    if let (Some(0), Some(option)) = (steps, given.get("-steps")) {
        return Err(mistake("integrated gradients take at least one step", option.span, "-method eap-ig -steps 5"));
    }
    let way = match given.value("-method").map(|word| (word.text.as_str(), word.span)) {
        None | Some(("eap", _)) => Way::By(Method::Gradient),
        Some(("eap-ig", _)) => Way::By(Method::Integrated { steps: steps.unwrap_or(STEPS) }),
        Some(("exact", _)) => Way::Exact,
        Some((other, span)) => return Err(mistake(format!("no method {other}"), span, "-method eap, eap-ig or exact")),
    };
    match (given.get("-steps"), way) {
        (Some(option), Way::By(Method::Gradient) | Way::Exact) => {
            Err(mistake("-steps belongs to -method eap-ig", option.span, "-method eap-ig -steps 5"))
        }
        _ => Ok(way),
    }
}

/// Whether heads share keys and values.
fn shares_keys(console: &Console) -> bool {
    let spec = &console.session.run.model.spec;
    (0..spec.n_layers).any(|layer| spec.kv_heads_of(layer) != spec.n_heads)
}

/// Sizes of circuits: 0, 1, 2, 5, 10, 20, 50, ... and all.
fn sizes(all: usize) -> Vec<usize> {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|first| first * 10usize.pow(power)));
    [0].into_iter().chain(steps.take_while(|size| *size < all)).chain([all]).collect()
}

fn curved(console: &mut Console, asked: &Asked<'_>, (branch, way, of): (usize, Way, Kept)) -> Done {
    let given = asked.given;
    if let Some(option) = given.iter().find(|option| ["-both", "-top", "-all"].contains(&option.name)) {
        let message = format!("{} does not go with -curve", option.name);
        return Err(mistake(message, option.span, "patch BRANCH -edges -curve -random 10 -metric EXPR"));
    }
    let random = given.value("-random").map(parse_count).transpose()?.map_or(RANDOM, |count| count as usize);
    let seed = given.value("-seed").map(parse_count).transpose()?.unwrap_or(0);
    let all = found(console, asked, (branch, way, of))?;
    let sizes = sizes(units(&all, of).len());
    let found: Curve = curve(&mut console.session, asked.expr, (branch, &all, of), &sizes, (random, seed))?;
    let name = &console.session.run.branches[branch].name;
    let what = if of == Kept::Nodes { "nodes" } else { "edges" };
    if (found.here - found.other).abs() < 1e-9 {
        return Err("the number is the same in both branches: there is nothing for a circuit to keep".into());
    }
    let title = format!(
        "circuits of the {what} with the largest scores, all others as in {name} (measured): {} is {} with all {}, {} with none; \
         faithfulness is 1 and 0 there, next to that of {random} random circuits of the same size",
        asked.metric,
        significant(found.here, 5),
        found.all,
        significant(found.other, 5)
    );
    let rows = found.points.iter().map(|(size, number, others)| {
        let others: Vec<f64> = others.iter().map(|x| found.faithfulness(*x)).collect();
        let mean = (!others.is_empty()).then(|| others.iter().sum::<f64>() / others.len() as f64);
        let end = |pick: fn(f64, f64) -> f64| others.iter().copied().reduce(pick);
        (*size, *number, found.faithfulness(*number), mean, end(f64::min), end(f64::max))
    });
    let columns = ["Kept", "Number", "Faithfulness", "Random", "Least", "Most"];
    Ok(given.rows(Table::new(columns).title(title).rows(rows))?.into())
}
