//! `graph`: which neurons and tokens make a logit, as a graph whose rows add up.

use crate::analysis::graph::{Graph, Node, Wanted};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::{ALL, Done, Options, mistake, no_more, number};
use crate::commands::state::{ANALYSING, Call, Command, Console, Takes};
use crate::debugger::{Error, Result, Target};
use crate::lang::words::Word;
use crate::model::site_name;
use crate::program::Kernel;
use crate::tensor::Axis;

pub const COMMAND: Command = Command {
    name: "graph",
    usage: "graph [TOKEN]... [-pos POS] [-not TOKEN] [-neurons N] [-skip N] [-top N] [-all]\ngraph N\ngraph up\ngraph next\ngraph check [N]",
    about: "which neurons and tokens make a logit, as an attribution graph whose rows add up",
    help: "Nodes are neurons of the MLPs at positions, tokens, biases and logits, those that together have 95 % of the probability without \
           TOKEN. An edge is what its target takes from its source when attention patterns, the scales of norms, gates and all other \
           neurons are held: the edges of a node add up to what it is, before its activation function or with its gate. Neurons are \
           the exact transcoder of their MLP, so nothing is left to errors but experts and layers without attention. Where sae load has put a \
           dictionary, its features are nodes in place of what computed its site, and what it leaves out is an error at each position. The neurons \
           with the largest influence are attributed, 256 of them; the others are one node, and those at the first position with them, where attention sinks. Influence, pruning (0.8 of the influence \
           of nodes, 0.98 of that of edges) and scores are those of circuit-tracer. graph N shows what a node takes and gives, graph \
           up goes back, graph next to the next node in influence; graph check leaves sources out, with what is held held, and \
           compares what that changes with the edges. save graph FILE.json writes it for Neuronpedia.",
    options: &[
        ("-pos POS", "the position whose logits are explained, the focused one by default"),
        ("-not TOKEN", "explain the difference to this token's logit, and not to the mean of all"),
        ("-neurons N", "neurons that are attributed, 256 by default"),
        ("-skip N", "first positions without neurons, 1 by default"),
        ("-top N", "nodes or edges that are listed"),
        ALL,
    ],
    examples: &[
        "run\ngraph \" Mary\" -neurons 64\ngraph next\ngraph up",
        "run\ngraph \" Mary\" -not \" John\" -neurons 64\ngraph check 20",
    ],
    takes: Takes::Words(&["check", "up", "next"]),
    run: graph,
    ..ANALYSING
};

/// Neurons that are attributed, nodes and edges that are listed, edges that are checked.
const NEURONS: usize = 256;

/// First positions without neurons, as in circuit-tracer: those of a single token stay.
const SKIPPED: usize = 1;

const NODES: usize = 16;
const EDGES: usize = 8;
const CHECKED: usize = 20;

/// What an edge may be off, as a part of the sizes that its target adds up: the arithmetic of a pass is in 32 bits.
const CLOSE: f64 = 1e-4;

/// What rounding alone can be off.
const ROUNDING: f64 = 1e-6;

const USAGE: &str = "graph \" Mary\", graph N, graph up, graph next, graph check 20";

/// `graph [TOKEN]... [-pos POS] [-not TOKEN] [-neurons N] [-top N]`, `graph N|up|next`, `graph check [N]`.
pub fn graph(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let is_new = ["-pos", "-not", "-neurons", "-skip"].iter().any(|option| given.has(option));
    let plain = |word: &Word| (!word.quoted).then(|| word.text.clone());
    match left.first().and_then(plain).as_deref() {
        Some("check") => return check(console, &left[1..]),
        Some("up" | "next") => {
            no_more(&left[1..], USAGE)?;
            console.walk(left[0].text == "up")?;
        }
        Some(text) if text.parse::<usize>().is_ok() => {
            no_more(&left[1..], USAGE)?;
            console.walk_to(text.parse().unwrap_or_default(), &left[0])?;
        }
        None if !is_new && console.memory.graph.as_ref().is_some_and(|(graph, _)| graph.fits(&console.session)) => {}
        _ => {
            let wanted = console.wanted(&given, &left)?;
            let graph = Graph::new(&mut console.session, &wanted)?;
            console.memory.graph = Some((graph, Vec::new()));
        }
    }
    let top = if given.has("-all") { Some(usize::MAX) } else { given.count("-top")? };
    console.graph_table(top)
}

/// The graph as it was left: for `info graph` and its pane.
pub fn last(console: &mut Console) -> Done {
    console.graph_table(None)
}

/// `graph check [N]`.
fn check(console: &mut Console, left: &[Word]) -> Done {
    let most = match left {
        [] => CHECKED,
        [word] => {
            let count = word.text.parse().ok().filter(|count| *count > 0);
            count.ok_or_else(|| mistake("expected how many edges to check, at least 1", word.span, "graph check 20"))?
        }
        [_, extra, ..] => return Err(mistake("unexpected word", extra.span, "graph check 20")),
    };
    let graph = console.last_graph()?.0.clone();
    let checked = graph.check(&mut console.session, most)?;
    let off = |edge: &f64, measured: f64, size: f64| (edge - measured).abs() / size.max(f64::MIN_POSITIVE);
    let far = checked.iter().filter(|one| off(&one.edge, one.measured, one.size) > CLOSE).count();
    let rows = checked.iter().map(|one| {
        let (from, to) = (console.node_name(&graph, one.source), console.node_name(&graph, one.target));
        let off = off(&one.edge, one.measured, one.size);
        // Below, it is rounding, which is different on each processor.
        let off = if off < ROUNDING { Cell::from(format!("< {ROUNDING:.0e}")) } else { Cell::from(off) };
        (from, to, one.edge, one.measured, off)
    });
    let table = Table::new(["Source", "Target", "Edge", "Measured", "Off"]).rows(rows.collect::<Vec<_>>());
    let held = "the source set to zero, with patterns, scales, gates and the other neurons held";
    let title = match far {
        0 => format!(
            "{} edges by intervention ({held}): all within {CLOSE:.0e} of what their target adds up",
            checked.len()
        ),
        far => format!("{far} of {} edges are not what intervention measures ({held})", checked.len()),
    };
    if far > 0 {
        return Err(Error::refused(title));
    }
    Ok(table.title(title).into())
}

impl Console {
    /// The last graph, if it is about the run as it is now.
    pub(crate) fn last_graph(&self) -> Result<&(Graph, Vec<usize>)> {
        let last = self.memory.graph.as_ref();
        let last =
            last.ok_or_else(|| Error::refused("there is no graph yet; \"graph\" makes one of the likeliest tokens"))?;
        if !last.0.fits(&self.session) {
            return Err(Error::refused(
                "the last graph was about another branch or pass, or before an edit; \"graph -pos POS\" makes it again",
            ));
        }
        Ok(last)
    }

    fn wanted(&mut self, given: &Options, left: &[Word]) -> Result<Wanted> {
        let pos = self.position_or_focus(given.value("-pos"))?;
        let tokens = left.iter().map(|word| self.token(word)).collect::<Result<Vec<usize>>>()?;
        let foil = self.token_of(given, "-not")?;
        if let (Some(_), []) = (foil, left) {
            return Err(Error::refused("-not needs a token before it: graph \" Mary\" -not \" John\""));
        }
        let neurons = given.count("-neurons")?.unwrap_or(NEURONS);
        let skip = match given.value("-skip") {
            Some(word) => {
                number(word, |x| *x >= 0.0 && x.fract() == 0.0, "-skip: a number of positions, 0 or more")? as usize
            }
            None => SKIPPED.min(pos),
        };
        Ok(Wanted { pos, tokens, foil, neurons, skip })
    }

    fn walk_to(&mut self, node: usize, word: &Word) -> Result<()> {
        self.last_graph()?;
        let Some((graph, path)) = &mut self.memory.graph else { return Ok(()) };
        if node >= graph.nodes.len() {
            let message = format!("the graph has no node {node}; its nodes are 0 to {}", graph.nodes.len() - 1);
            return Err(mistake(message, word.span, USAGE));
        }
        path.push(node);
        Ok(())
    }

    /// Back to where the walk came from, or on to the node that is next in influence.
    fn walk(&mut self, up: bool) -> Result<()> {
        self.last_graph()?;
        let Some((graph, path)) = &mut self.memory.graph else { return Ok(()) };
        if up {
            path.pop().ok_or_else(|| Error::refused("this is the whole graph: nothing is above it"))?;
            return Ok(());
        }
        let order = graph.ranked();
        let next = match path.pop() {
            Some(node) => order.iter().position(|&known| known == node).map_or(0, |at| at + 1),
            None => 0,
        };
        let node = order.get(next).ok_or_else(|| Error::refused("that was the last node of the graph"))?;
        path.push(*node);
        Ok(())
    }

    fn graph_table(&mut self, top: Option<usize>) -> Done {
        let (graph, path) = self.last_graph()?;
        let table = match path.last() {
            None => self.overview(graph, top.unwrap_or(NODES)),
            Some(&node) => self.edges_of(graph, node, top.unwrap_or(EDGES)),
        };
        Ok(Answer::from(table))
    }

    /// The nodes that are kept, the most influential first, under what there is to say about all of the graph.
    pub(crate) fn overview(&self, graph: &Graph, top: usize) -> Table {
        let order = graph.ranked();
        let rows = order.iter().take(top).map(|&node| {
            let value: Cell = match graph.nodes[node] {
                Node::Neuron { .. } | Node::Logit { .. } => graph.activation[node].into(),
                _ => None::<f64>.into(),
            };
            let influence: Cell = match graph.nodes[node] {
                Node::Logit { .. } => None::<f64>.into(),
                _ => graph.influence[node].into(),
            };
            let mut reads: Vec<(usize, f64)> = graph
                .edges
                .get(&node)
                .into_iter()
                .flatten()
                .filter(|edge| edge.2)
                .map(|edge| (edge.0, edge.1))
                .collect();
            reads.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
            let read =
                |(from, part): &(usize, f64)| format!("{} {}", self.node_name(graph, *from), significant(*part, 3));
            let reads = reads.iter().take(2).map(read).collect::<Vec<_>>().join(", ");
            (self.node_name(graph, node), value, influence, Cell::from(node), reads)
        });
        let table = Table::new(["Node", "Value", "Influence", "N", "Takes most from"]).rows(rows.collect::<Vec<_>>());
        let Wanted { pos, foil, .. } = graph.wanted;
        let logits: Vec<String> = order
            .iter()
            .filter(|node| matches!(graph.nodes[**node], Node::Logit { .. }))
            .map(|&node| format!("{} ({})", self.node_name(graph, node), significant(graph.activation[node], 3)))
            .collect();
        let less =
            foil.map_or_else(String::new, |token| format!(" less {}", quoted(&self.name_of(Axis::Vocab, token))));
        let neurons = graph.nodes.iter().filter(|node| matches!(node, Node::Neuron { .. })).count();
        let kept = graph.kept.iter().filter(|kept| **kept).count();
        let mut title = format!(
            "attribution graph of {}{less} at pos {pos} {}: {neurons} of {} active {}, {kept} nodes kept; replacement score {}, completeness {} \
             (derived: patterns, scales and gates held)",
            logits.join(", "),
            quoted(&self.name_of(Axis::Pos, pos)),
            graph.active,
            self.units(graph),
            significant(graph.scores.replacement, 3),
            significant(graph.scores.completeness, 3),
        );
        if order.len() > top {
            title += &format!("; {} more nodes: graph -all", order.len() - top);
        }
        table.title(title)
    }

    /// What the units of a graph are.
    fn units(&self, graph: &Graph) -> &'static str {
        let is_feature = |node: &Node| match *node {
            Node::Neuron { op, .. } => Some(matches!(self.session.run.program.ops[op].kernel, Kernel::Dictionary(..))),
            _ => None,
        };
        let found: Vec<bool> = graph.nodes.iter().filter_map(is_feature).collect();
        match (found.contains(&true), found.contains(&false)) {
            (true, false) => "features",
            (true, true) => "features and neurons",
            _ => "neurons",
        }
    }

    /// What a node takes from others, which adds up to what it is; and what others take from it.
    fn edges_of(&self, graph: &Graph, node: usize, top: usize) -> Table {
        let mut table = Table::new(["", "Value", "Node", "N"]);
        let list = |table: &mut Table, what: &str, mut edges: Vec<(usize, f64)>| {
            edges.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
            let rest = edges.split_off(top.min(edges.len()));
            for (other, part) in edges {
                table.push((what.to_string(), Cell::from(part), self.node_name(graph, other), Cell::from(other)));
            }
            if !rest.is_empty() {
                let sum: f64 = rest.iter().map(|(_, part)| part).sum();
                let name = if rest.len() == 1 { "1 other".to_string() } else { format!("{} others", rest.len()) };
                table.push((what.to_string(), Cell::from(sum), name, Cell::from(None::<usize>)));
            }
        };
        let reads = graph.edges.get(&node).into_iter().flatten().map(|edge| (edge.0, edge.1)).collect::<Vec<_>>();
        let readers = graph
            .edges
            .iter()
            .flat_map(|(&reader, row)| row.iter().filter(|edge| edge.0 == node).map(move |edge| (reader, edge.1)));
        let name = self.node_name(graph, node);
        let title = match graph.nodes[node] {
            Node::Neuron { .. } => {
                let [value, activation] = [graph.value[node], graph.activation[node]].map(|x| significant(x, 5));
                format!("{name} = {value}, the sum of what it takes; its activation is {activation}")
            }
            Node::Logit { .. } => {
                let less = if graph.wanted.foil.is_some() { "the other logit" } else { "the mean of all logits" };
                format!("{name} less {less} = {}, the sum of what it takes", significant(graph.value[node], 5))
            }
            _ => format!("{name}: what others take from it"),
        };
        list(&mut table, "takes from", reads);
        list(&mut table, "gives to", readers.collect());
        table.title(title)
    }

    pub(crate) fn node_name(&self, graph: &Graph, node: usize) -> String {
        let ops = &self.session.run.program.ops;
        let site = |op: usize| site_name::short(&ops[op].site);
        match graph.nodes[node] {
            Node::Neuron { op, pos, neuron } => match ops[op].kernel {
                Kernel::Dictionary(..) => {
                    let label = self.label_of(&ops[op].site, neuron).map(|label| format!(" ({label})"));
                    let name = site(op);
                    format!("{}[{neuron}] at {pos}{}", name.trim_end_matches(".acts"), label.unwrap_or_default())
                }
                _ => format!("L{}N{neuron} at {pos}", ops[op].layer.unwrap_or(0)),
            },
            Node::Token { pos } => format!("{} at {pos}", quoted(&self.name_of(Axis::Pos, pos))),
            Node::Table { op } => site(op),
            Node::Other { op, pos: Some(pos) } => format!("{} at {pos}", site(op)),
            Node::Other { op, pos: None } => site(op),
            Node::Bias { op } => {
                let edited = self.session.run.branch().edits.iter().any(|edit| edit.target == Target::Op(op));
                format!("{} of {}", if edited { "edit" } else { "bias" }, site(op))
            }
            Node::Rest => format!("{} without a node", self.units(graph)),
            Node::Logit { token } => {
                let axis = if self.session.run.model.spec.labels().is_empty() { Axis::Vocab } else { Axis::Label };
                format!("logit {}", quoted(&self.name_of(axis, token)))
            }
        }
    }
}
