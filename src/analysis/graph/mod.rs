//! Attribution graphs (Ameisen and others 2025, "Circuit Tracing"), whose features are the neurons of the MLPs: an exact
//! transcoder, so that nothing of an MLP is left over; and those of dictionaries, where these are loaded. What a node takes from others is linear as long as attention patterns,
//! the scales of norms, gates and the activations of neurons are held; rows add up to the number that they are about.

mod check;
mod held;
mod influence;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

pub use check::Checked;
pub use held::Source;
use held::{Held, Row, at, is_neurons, reached};
pub use influence::Scores;
use influence::{Rank, Rows, prune, scores};

use crate::debugger::{Error, Result, Session, Target};
use crate::model::dictionary::{Scaling, Stage};
use crate::program::{Kernel, Op};
use crate::tensor::{Axis, Value, step};

/// The part of the probability that the logits of a graph have, and how many there are at most; as in circuit-tracer.
const LOGITS: (f64, usize) = (0.95, 10);

/// How much of all influence the nodes, and then the edges, have that are kept; as in circuit-tracer.
const SHARE: (f64, f64) = (0.8, 0.98);

/// How many more neurons are attributed before their influence is computed again.
const ROUND: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A neuron of an MLP, or a feature of a dictionary.
    Neuron {
        op: usize,
        pos: usize,
        neuron: usize,
    },
    Token {
        pos: usize,
    },
    /// Rows of a table other than that of tokens.
    Table {
        op: usize,
    },
    /// What is not explained: what an op gives at a position.
    Other {
        op: usize,
        pos: Option<usize>,
    },
    Bias {
        op: usize,
    },
    /// Neurons that were not attributed, together, and what is too small.
    Rest,
    Logit {
        token: usize,
    },
}

impl From<Source> for Node {
    fn from(source: Source) -> Node {
        match source {
            Source::Neuron { op, pos, neuron } => Node::Neuron { op, pos, neuron },
            Source::Token { pos } => Node::Token { pos },
            Source::Table { op } => Node::Table { op },
            Source::Other { op, pos } => Node::Other { op, pos },
            Source::Bias { op } => Node::Bias { op },
        }
    }
}

impl Node {
    fn rank(&self) -> Rank {
        match self {
            Node::Neuron { .. } => Rank::Feature,
            Node::Token { .. } => Rank::Token,
            Node::Table { .. } | Node::Bias { .. } => Rank::Bias,
            Node::Other { .. } | Node::Rest => Rank::Error,
            Node::Logit { .. } => Rank::Logit,
        }
    }

    pub fn is_kept_always(&self) -> bool {
        matches!(self.rank(), Rank::Token | Rank::Logit)
    }
}

/// What a graph is of.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The position whose logits it is of.
    pub pos: usize,
    /// The logits; those that together have most of the probability without any.
    pub tokens: Vec<usize>,
    /// The logit that is subtracted from those; the mean of all without it.
    pub foil: Option<usize>,
    /// Most neurons that are attributed.
    pub neurons: usize,
    /// Those at so many first positions are not: what attention sinks there is large, and says nothing about the text.
    pub skip: usize,
}

#[derive(Clone, Debug)]
pub struct Graph {
    pub wanted: Wanted,
    /// Neurons in the order of the pass, what is not explained, tokens, tables, biases, the rest, and the logits.
    pub nodes: Vec<Node>,
    /// Of a neuron its activation, of a logit its probability.
    pub activation: Vec<f64>,
    /// What a node is the sum of: before its activation for a neuron without gate, its activation with one, and the logit
    /// less the mean of all logits.
    pub value: Vec<f64>,
    pub influence: Vec<f64>,
    pub kept: Vec<bool>,
    /// What a node takes from which nodes, for neurons and logits, and whether the edge is kept.
    pub edges: BTreeMap<usize, Vec<(usize, f64, bool)>>,
    pub scores: Scores,
    /// Neurons of the pass that are not zero.
    pub active: usize,
    of: (usize, usize, u64),
}

/// What the logits of a graph are, before anything is pulled back.
struct Logits {
    op: usize,
    /// Each with its probability.
    tokens: Vec<(usize, f64)>,
}

impl Graph {
    /// # Errors
    /// If the pass has no logits, is not that of the prompt or not finished, edits are in force that cannot be made for one
    /// row, the device fails, or the user interrupts.
    pub fn new(session: &mut Session, wanted: &Wanted) -> Result<Graph> {
        let of = now(session);
        if session.run.model.spec.encoder.is_some() {
            return Err(Error::refused(
                "graph leaves out cross attention and the encoder, which this model has; why follows both",
            ));
        }
        let logits = logits(session, wanted)?;
        can_be_held(session)?;
        let mut held = Held::new(session)?;
        let mut rows: Vec<(Node, Row)> = Vec::new();
        for &(token, _) in &logits.tokens {
            rows.push((Node::Logit { token }, logit_row(&mut held, &logits, wanted, token)?));
        }
        let weights: Vec<f64> = logits.tokens.iter().map(|(_, chance)| *chance).collect();
        loop {
            let done = rows.len() - weights.len();
            step("neurons", done as u64, wanted.neurons as u64)?;
            let next = most_influential(&rows, (&weights, wanted.skip), ROUND.min(wanted.neurons - done));
            if next.is_empty() {
                break;
            }
            rows.extend(neuron_rows(&mut held, &next)?);
        }
        let mut active = 0;
        let ops = held.program.clone();
        let reached = reached(&ops, logits.op);
        for op in (0..logits.op).filter(|&op| reached[op] && is_neurons(&ops.ops[op])) {
            active += held.base(op)?.read_f32()?.iter().filter(|x| **x != 0.0).count();
        }
        assembled(&mut held, rows, &logits, wanted, (active, of))
    }

    /// Whether the run is still what the graph is about.
    pub fn fits(&self, session: &Session) -> bool {
        self.of == now(session)
    }

    /// Nodes that are kept, the most influential first; logits come before all, by their probability, and the rest last.
    pub fn ranked(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.nodes.len()).filter(|&node| self.kept[node]).collect();
        let key = |node: usize| match self.nodes[node] {
            Node::Logit { .. } => (2, self.activation[node]),
            Node::Rest => (0, 0.0),
            _ => (1, self.influence[node]),
        };
        order.sort_by(|&a, &b| {
            let ((a_first, a), (b_first, b)) = (key(a), key(b));
            b_first.cmp(&a_first).then(b.total_cmp(&a))
        });
        order
    }
}

fn now(session: &Session) -> (usize, usize, u64) {
    (session.run.current, session.run.pass, session.run.revision())
}

/// # Errors
/// If a dictionary divides what it reads by a scale of it, or what it leaves of its site is edited.
fn can_be_held(session: &Session) -> Result<()> {
    for one in session.run.dictionaries.all() {
        let name = &one.name;
        if matches!(one.coding().scaling, Scaling::Length | Scaling::LayerNorm) {
            return Err(Error::refused(format!(
                "{name} divides what it reads by a scale of it, which graph does not hold; \"sae unload {name}\" makes graphs without it"
            )));
        }
        let out = one.site(Stage::Out);
        let op = session.run.program.op_of(&out);
        if session.run.branch().edits.iter().any(|edit| op.is_some_and(|op| edit.target == Target::Op(op))) {
            return Err(Error::refused(format!("graph does not follow an edit of {out}; edit its features instead")));
        }
    }
    Ok(())
}

/// The logits that a graph is of, at its position.
fn logits(session: &mut Session, wanted: &Wanted) -> Result<Logits> {
    let pass = session.prompt_pass()?;
    let program = session.run.program.clone();
    let op = program.op_of("logits").ok_or_else(|| Error::refused("this model has no logits"))?;
    let value = pass.value(&mut session.run, op)?;
    let last = program.ops[op].axes.last();
    if !matches!(last, Some(Axis::Vocab | Axis::Label)) {
        return Err(Error::refused("a graph is of logits over a vocabulary or of classes"));
    }
    let line = if program.ops[op].axes.len() == 3 { at(&value, wanted.pos)? } else { value };
    let chances = line.softmax(line.shape().len() - 1)?.read_f64()?;
    let mut tokens: Vec<(usize, f64)> = wanted.tokens.iter().map(|&token| (token, chances[token])).collect();
    if tokens.is_empty() {
        let mut order: Vec<usize> = (0..chances.len()).collect();
        order.sort_by(|&a, &b| chances[b].total_cmp(&chances[a]));
        let mut sum = 0.0;
        for token in order.into_iter().take(LOGITS.1) {
            tokens.push((token, chances[token]));
            sum += chances[token];
            if sum >= LOGITS.0 {
                break;
            }
        }
    }
    Ok(Logits { op, tokens })
}

/// The row of a logit, before a bound, less the mean of all, or less the foil.
fn logit_row(held: &mut Held<'_>, logits: &Logits, wanted: &Wanted, token: usize) -> Result<Row> {
    let mut op: Op = held.program.ops[logits.op].clone();
    if let Kernel::Unembed { softcap, .. } = &mut op.kernel {
        *softcap = None;
    }
    let classes = held.base(logits.op)?.shape().last().copied().unwrap_or(0);
    let mut seed = vec![0.0f32; classes];
    match wanted.foil {
        Some(foil) => seed[foil] -= 1.0,
        None => seed.fill(-1.0 / classes as f32),
    }
    seed[token] += 1.0;
    if !op.kernel.is_affine() || op.axes.len() != 3 {
        let base = held.base(logits.op)?;
        let mut all = vec![0.0; base.count()];
        let start = if op.axes.len() == 3 { wanted.pos * classes } else { 0 };
        all[start..start + classes].copy_from_slice(&seed);
        return Ok(held.pulled(logits.op, all, vec![Row::default()])?.remove(0));
    }
    // One position of the logits: those of a long text are large.
    let read = op.inputs[0];
    let input = at(&held.base(read)?, wanted.pos)?.held()?;
    let seed = Value::from_f32(seed, &[1, 1, classes], held.session.run.device_of(logits.op)).with_axes(&op.axes);
    let context = held.context(1)?;
    let weights = held.session.run.branch().weights().clone();
    let pulled = crate::program::pull_back(&op, std::slice::from_ref(&input), &weights, &context, None, &seed)?;
    let gradient = pulled.into_iter().next().flatten().ok_or_else(|| Error::refused("the logits depend on nothing"))?;
    let gradient = gradient.read_f32()?;
    let out = held.execute(&op, std::slice::from_ref(&input))?.read_f64()?;
    let worth = |x: &[f64], r: &[f32]| -> f64 { x.iter().zip(r).map(|(x, r)| x * f64::from(*r)).sum() };
    let value = worth(&out, &seed.read_f32()?);
    let bias = value - worth(&input.read_f64()?, &gradient);
    let base = held.base(read)?;
    let each = gradient.len();
    let mut all = vec![0.0; base.count()];
    all[wanted.pos * each..(wanted.pos + 1) * each].copy_from_slice(&gradient);
    let mut row = Row::default();
    if op.weights.len() > 1 || bias.abs() > 1e-4 * value.abs() {
        row.parts.push((Source::Bias { op: logits.op }, bias as f32));
    } else {
        row.others = (0, bias, bias.abs());
    }
    Ok(held.pulled(read, all, vec![row])?.remove(0))
}

/// Neurons by what they are in the text: op, position, index.
type Neuron = (usize, usize, usize);

/// Rows of neurons.
fn neuron_rows(held: &mut Held<'_>, neurons: &[Neuron]) -> Result<Vec<(Node, Row)>> {
    let mut by_op: BTreeMap<usize, Vec<Neuron>> = BTreeMap::new();
    neurons.iter().for_each(|neuron| by_op.entry(neuron.0).or_default().push(*neuron));
    let mut rows = Vec::new();
    for (op, neurons) in by_op {
        let (target, factors) = target(held, op)?;
        let factor = |(_, pos, neuron): &Neuron| match &factors {
            Some(factors) => factors[pos * held.program.ops[op].width + neuron],
            None => 1.0,
        };
        let seeds: Vec<(usize, usize, f32)> = neurons.iter().map(|of| (of.1, of.2, factor(of))).collect();
        let batch = held.batch(target);
        for (neurons, seeds) in neurons.chunks(batch).zip(seeds.chunks(batch)) {
            step("neurons", 0, 0)?;
            let found = held.rows(target, seeds)?;
            rows.extend(
                neurons.iter().zip(found).map(|(&(op, pos, neuron), row)| (Node::Neuron { op, pos, neuron }, row)),
            );
        }
    }
    Ok(rows)
}

/// The op whose output the rows of neurons are about, and what each of its elements counts where there is a gate: `up`,
/// times the gate held at what it is.
fn target(held: &mut Held<'_>, op: usize) -> Result<(usize, Option<Vec<f32>>)> {
    let of = held.program.ops[op].clone();
    let Kernel::Gated(act) = of.kernel else { return Ok((of.inputs[0], None)) };
    let gate = held.base(of.inputs[0])?;
    let gate =
        held.execute(&Op { kernel: Kernel::Activation(act), inputs: vec![of.inputs[0]], ..of.clone() }, &[gate])?;
    Ok((of.inputs[1], Some(gate.read_f32()?)))
}

/// The neurons without a row that have the largest influence, as far as rows are known.
fn most_influential(rows: &[(Node, Row)], (weights, skip): (&[f64], usize), most: usize) -> Vec<Neuron> {
    let neuron = |node: &Node| match *node {
        Node::Neuron { op, pos, neuron } => Some((op, pos, neuron)),
        _ => None,
    };
    let known: HashMap<Neuron, usize> =
        rows.iter().enumerate().filter_map(|(at, (node, _))| Some((neuron(node)?, at))).collect();
    let mut found: HashMap<Neuron, f64> = HashMap::new();
    let mut now = vec![0.0; rows.len()];
    now[..weights.len()].copy_from_slice(weights);
    // Each round goes one edge further from the logits; no neuron reads itself, however indirectly.
    while now.iter().any(|x| *x != 0.0) {
        let mut next = vec![0.0; rows.len()];
        for ((_, row), now) in rows.iter().zip(&now).filter(|(_, now)| **now != 0.0) {
            let size = row.size().max(1e-8);
            for (source, part) in &row.parts {
                let Source::Neuron { op, pos, neuron } = *source else { continue };
                if pos < skip {
                    continue;
                }
                let share = now * f64::from(part.abs()) / size;
                match known.get(&(op, pos, neuron)) {
                    Some(&at) => next[at] += share,
                    None => *found.entry((op, pos, neuron)).or_default() += share,
                }
            }
        }
        now = next;
    }
    let mut found: Vec<(Neuron, f64)> = found.into_iter().collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.into_iter().take(most).map(|(neuron, _)| neuron).collect()
}

/// The graph of these rows.
fn assembled(
    held: &mut Held<'_>,
    rows: Vec<(Node, Row)>,
    logits: &Logits,
    wanted: &Wanted,
    (active, of): (usize, (usize, usize, u64)),
) -> Result<Graph> {
    let order = |node: &Node| match *node {
        Node::Neuron { op, pos, neuron } => (0, op, pos, neuron),
        Node::Other { op, pos } => (1, op, pos.unwrap_or(0), 0),
        Node::Token { pos } => (2, 0, pos, 0),
        Node::Table { op } => (3, op, 0, 0),
        Node::Bias { op } => (4, op, 0, 0),
        Node::Rest => (5, 0, 0, 0),
        Node::Logit { .. } => (6, 0, 0, 0),
    };
    let mut nodes: Vec<Node> = rows.iter().map(|(node, _)| node.clone()).filter(|node| order(node).0 == 0).collect();
    let others = rows.iter().flat_map(|(_, row)| &row.parts).map(|(source, _)| Node::from(*source));
    nodes.extend(others.filter(|node| order(node).0 != 0));
    nodes.push(Node::Rest);
    nodes.sort_by_key(order);
    nodes.dedup();
    nodes.extend(logits.tokens.iter().map(|&(token, _)| Node::Logit { token }));
    let at: HashMap<(u8, usize, usize, usize), usize> =
        nodes.iter().enumerate().filter(|(_, node)| order(node).0 < 6).map(|(at, node)| (order(node), at)).collect();
    let first_logit = nodes.len() - logits.tokens.len();
    let rest = first_logit - 1;
    let mut value = vec![0.0; nodes.len()];
    let mut matrix = Rows::default();
    let mut parts: HashMap<usize, BTreeMap<usize, f64>> = HashMap::new();
    for (node, row) in rows {
        let number = match &node {
            Node::Logit { token } => {
                first_logit + logits.tokens.iter().position(|(known, _)| known == token).unwrap_or_default()
            }
            node => at[&order(node)],
        };
        value[number] = row.value;
        let mut entries: BTreeMap<usize, f64> = BTreeMap::new();
        // The size of the rest is that of its parts: what cancels there is not explained either.
        let mut rest_size = row.others.2;
        entries.insert(rest, row.others.1);
        for (source, part) in row.parts {
            let from = at.get(&order(&source.into())).copied().unwrap_or(rest);
            *entries.entry(from).or_default() += f64::from(part);
            rest_size += if from == rest { f64::from(part.abs()) } else { 0.0 };
        }
        let size = |(from, part): (&usize, &f64)| (*from, if *from == rest { rest_size } else { part.abs() });
        matrix.rows.push((number, entries.iter().map(size).collect()));
        parts.insert(number, entries);
    }
    matrix.rows.sort_by_key(|(node, _)| *node);
    let ranks: Vec<Rank> = nodes.iter().map(Node::rank).collect();
    let weights: Vec<(usize, f64)> =
        logits.tokens.iter().enumerate().map(|(i, (_, chance))| (first_logit + i, *chance)).collect();
    // As in circuit-tracer, what was not attributed has no part in which nodes are kept; but it counts in the scores.
    let without = |row: &Vec<(usize, f64)>| row.iter().copied().filter(|(from, _)| *from != rest).collect();
    let known = Rows { rows: matrix.rows.iter().map(|(node, row)| (*node, without(row))).collect() };
    let pruned = prune(&known, &ranks, &weights, SHARE);
    let mut activation = vec![0.0; nodes.len()];
    weights.iter().for_each(|&(node, chance)| activation[node] = chance);
    let mut read: HashMap<usize, Vec<f32>> = HashMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let Node::Neuron { op, pos, neuron } = *node else { continue };
        let width = held.program.ops[op].width;
        let values = match read.entry(op) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(missing) => missing.insert(held.base(op)?.read_f32()?),
        };
        activation[number] = f64::from(values[pos * width + neuron]);
    }
    let edges = known.rows.iter().zip(&pruned.edges).map(|((node, row), kept)| {
        let kept: HashMap<usize, bool> = row.iter().map(|(from, _)| *from).zip(kept.iter().copied()).collect();
        let row = parts[node].iter().filter(|(_, part)| **part != 0.0);
        (*node, row.map(|(&from, &part)| (from, part, kept.get(&from) == Some(&true))).collect())
    });
    Ok(Graph {
        wanted: wanted.clone(),
        activation,
        value,
        influence: known.influence(nodes.len(), &weights),
        kept: (0..nodes.len()).map(|node| pruned.nodes[node] || node == rest).collect(),
        edges: edges.collect(),
        scores: scores(&matrix, &ranks, &weights),
        nodes,
        active,
        of,
    })
}
