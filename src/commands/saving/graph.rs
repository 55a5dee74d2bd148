//! `save graph`: an attribution graph for Neuronpedia's viewer and circuit-tracer's, in the form of `graph-schema.json`; as
//! arrays; or as a picture.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::analysis::graph::{Graph, Node};
use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::saving::values::ending;
use crate::commands::saving::{check_ending, only_file};
use crate::commands::state::{Call, Console};
use crate::export::picture::network::{Kind, Link, Network, Point};
use crate::export::safetensors::{HostData, write};
use crate::export::{self, picture, report};
use crate::tensor::Axis;

/// One number for a layer and an index, as the viewers expect it (Cantor's pairing).
fn paired(x: usize, y: usize) -> usize {
    (x + y) * (x + y + 1) / 2 + y
}

/// `save graph FILE`.
pub fn graph(console: &mut Console, call: Call<'_>) -> Done {
    const KINDS: [&str; 5] = ["json", "safetensors", "svg", "png", "html"];
    let file = only_file(&call)?;
    check_ending(&file, &KINDS, "save graph FILE.json, or another of these")?;
    let graph = console.last_graph()?.0.clone();
    let name = &file.text;
    match ending(name) {
        "json" => return console.write_json(&graph, name),
        "safetensors" => write(Path::new(name), console.arrays_of(&graph))?,
        "svg" => export::file(name, picture::network_svg(&console.network(&graph)))?,
        "png" => export::file(name, picture::network_png(&console.network(&graph))?)?,
        _ => {
            let network = console.network(&graph);
            let page = report::pictured(
                &network.title,
                &picture::network_svg(&network),
                &console.overview(&graph, usize::MAX),
            );
            export::file(name, page)?;
        }
    }
    let kept = graph.kept.iter().filter(|kept| **kept).count();
    Ok(Answer::Text(format!("Wrote a graph of {kept} nodes to {name}")))
}

impl Console {
    fn write_json(&self, graph: &Graph, file: &str) -> Done {
        let (nodes, links) = self.written_graph(graph);
        let ids = self.session.focused_row().map(|row| row.ids.clone()).unwrap_or_default();
        let tokens: Vec<String> = ids.iter().map(|&id| self.token_text(id)).collect();
        let dictionaries: Vec<&str> =
            self.session.run.dictionaries.all().iter().map(|one| one.found.path.as_str()).collect();
        let content = json!({
            "metadata": {
                "slug": "llmdbg", "scan": self.session.name, "transcoder_list": dictionaries, "prompt_tokens": tokens, "prompt": tokens.concat(),
                "node_threshold": 0.8, "schema_version": 1,
                "info": {"creator_name": "llmdbg", "generator": {"name": "llmdbg", "version": env!("CARGO_PKG_VERSION")},
                    "features": if dictionaries.is_empty() { "neurons of the MLPs" } else { "features of the dictionaries, and neurons of the MLPs" }},
                "generation_settings": {"max_feature_nodes": graph.wanted.neurons},
                "pruning_settings": {"node_threshold": 0.8, "edge_threshold": 0.98},
            },
            "qParams": {"pinnedIds": [], "supernodes": [], "linkType": "both", "clickedId": "", "sg_pos": ""},
            "nodes": nodes,
            "links": links,
        });
        export::file(file, format!("{content:#}\n"))?;
        Ok(Answer::Text(format!("Wrote {} nodes and {} links to {}", nodes.len(), links.len(), file)))
    }

    /// The nodes that are kept, and the links between them.
    fn written_graph(&self, graph: &Graph) -> (Vec<Value>, Vec<Value>) {
        let program = &self.session.run.program;
        let layer = |op: usize| program.ops[op].layer.unwrap_or(0);
        let ids = self.session.focused_row().map(|row| row.ids.clone()).unwrap_or_default();
        // Neurons and features of one block, or those of two dictionaries, would have the same names.
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        for node in &graph.nodes {
            if let Node::Neuron { op, .. } = *node {
                first.entry(layer(op)).or_insert(op);
            }
        }
        let id = |node: usize| match graph.nodes[node] {
            Node::Neuron { op, pos, neuron } if first[&layer(op)] == op => format!("{}_{neuron}_{pos}", layer(op)),
            Node::Neuron { op, pos, neuron } => format!("{}.{op}_{neuron}_{pos}", layer(op)),
            Node::Token { pos } => format!("E_{}_{pos}", ids.get(pos).copied().unwrap_or(0)),
            Node::Logit { token } => format!("{}_{token}_{}", program.n_layers() + 1, graph.wanted.pos),
            Node::Other { op, pos } => format!("0_{}_{}", layer(op), pos.unwrap_or(graph.wanted.pos)),
            Node::Table { op } | Node::Bias { op } => format!("B_{op}_{}", graph.wanted.pos),
            Node::Rest => format!("R_0_{}", graph.wanted.pos),
        };
        // As in circuit-tracer: the share of all influence that nodes up to this one have.
        let mut order: Vec<usize> = (0..graph.nodes.len()).collect();
        order.sort_by(|&a, &b| graph.influence[b].total_cmp(&graph.influence[a]));
        let all: f64 = graph.influence.iter().sum();
        let mut share = vec![0.0; graph.nodes.len()];
        let mut sum = 0.0;
        for node in order {
            sum += graph.influence[node];
            share[node] = sum / all;
        }
        let kept = (0..graph.nodes.len()).filter(|&node| graph.kept[node]);
        let first = graph.nodes.iter().position(|node| matches!(node, Node::Logit { .. }));
        let written = |node: usize| {
            let (place, feature, kind, pos) = match graph.nodes[node] {
                Node::Neuron { op, pos, neuron } => {
                    (layer(op).to_string(), paired(layer(op), neuron) as i64, "cross layer transcoder", pos)
                }
                Node::Token { pos } => ("E".to_string(), pos as i64, "embedding", pos),
                Node::Logit { token } => {
                    ((program.n_layers() + 1).to_string(), token as i64, "logit", graph.wanted.pos)
                }
                Node::Other { op, pos } => {
                    (layer(op).to_string(), -1, "mlp reconstruction error", pos.unwrap_or(graph.wanted.pos))
                }
                Node::Table { op } | Node::Bias { op } => (layer(op).to_string(), -1, "bias", graph.wanted.pos),
                Node::Rest => ("0".to_string(), -1, "mlp reconstruction error", graph.wanted.pos),
            };
            let name = match graph.nodes[node] {
                Node::Logit { token } => {
                    format!("Output \"{}\" (p={:.3})", self.name_of(Axis::Vocab, token), graph.activation[node])
                }
                _ => self.node_name(graph, node),
            };
            let mut entry = json!({
                "node_id": id(node), "feature": feature, "layer": place, "ctx_idx": pos, "feature_type": kind,
                "token_prob": 0.0, "is_target_logit": Some(node) == first, "run_idx": 0, "reverse_ctx_idx": 0,
                "jsNodeId": format!("{}-0", id(node)), "clerp": name, "influence": share[node],
            });
            match graph.nodes[node] {
                Node::Neuron { .. } => entry["activation"] = graph.activation[node].into(),
                Node::Logit { .. } => entry["token_prob"] = graph.activation[node].into(),
                _ => {}
            }
            entry
        };
        let links = graph.edges.iter().flat_map(|(&target, row)| {
            let kept = row.iter().filter(|edge| edge.2);
            kept.map(move |&(source, weight, _)| json!({"source": id(source), "target": id(target), "weight": weight}))
        });
        (kept.map(written).collect(), links.collect())
    }

    /// Nodes with their kind, layer, position and index, -1 for what a node has none of; edges with what they carry.
    fn arrays_of(&self, graph: &Graph) -> Vec<(String, Vec<usize>, HostData)> {
        let layer = |op: usize| self.session.run.program.ops[op].layer.map_or(-1, |layer| layer as i64);
        let place = |pos: Option<usize>| pos.map_or(-1, |pos| pos as i64);
        let of = |node: &Node| match *node {
            Node::Neuron { op, pos, neuron } => [0, layer(op), pos as i64, neuron as i64],
            Node::Token { pos } => [1, -1, pos as i64, -1],
            Node::Logit { token } => [2, -1, graph.wanted.pos as i64, token as i64],
            Node::Other { op, pos } => [3, layer(op), place(pos), op as i64],
            Node::Table { op } | Node::Bias { op } => [4, layer(op), -1, op as i64],
            Node::Rest => [5, -1, -1, -1],
        };
        let nodes: Vec<i64> = graph.nodes.iter().flat_map(of).collect();
        let (mut edges, mut weights, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (&target, row) in &graph.edges {
            for &(source, weight, keeps) in row {
                edges.extend([target as i64, source as i64]);
                weights.push(weight as f32);
                kept.push(i64::from(keeps));
            }
        }
        let narrow = |all: &[f64]| HostData::F32(all.iter().map(|&x| x as f32).collect());
        let (count, links) = (graph.nodes.len(), weights.len());
        vec![
            ("activation".into(), vec![count], narrow(&graph.activation)),
            ("edges".into(), vec![links, 2], HostData::I64(edges)),
            ("edges.kept".into(), vec![links], HostData::I64(kept)),
            ("edges.weight".into(), vec![links], HostData::F32(weights)),
            ("influence".into(), vec![count], narrow(&graph.influence)),
            ("kept".into(), vec![count], HostData::I64(graph.kept.iter().map(|&kept| i64::from(kept)).collect())),
            ("nodes".into(), vec![count, 4], HostData::I64(nodes)),
            ("value".into(), vec![count], narrow(&graph.value)),
        ]
    }

    /// The nodes that are kept, by layer and position, and the edges between them.
    fn network(&self, graph: &Graph) -> Network {
        let program = &self.session.run.program;
        let layers = program.n_layers();
        // What has no position is left of all that have one.
        let column = |pos: Option<usize>| pos.map_or(0, |pos| pos + 1);
        let row = |op: usize| program.ops[op].layer.map_or(layers + 1, |layer| layers - layer);
        let mut numbers = vec![None; graph.nodes.len()];
        let mut points = Vec::new();
        for node in (0..graph.nodes.len()).filter(|&node| graph.kept[node]) {
            let name = self.node_name(graph, node);
            let (kind, cell, label) = match graph.nodes[node] {
                Node::Neuron { op, pos, neuron } => (Kind::Feature, (column(Some(pos)), row(op)), neuron.to_string()),
                Node::Token { pos } => (Kind::Token, (column(Some(pos)), layers + 1), self.name_of(Axis::Pos, pos)),
                Node::Logit { .. } => {
                    let label = format!("{} {:.2}", name.trim_start_matches("logit "), graph.activation[node]);
                    (Kind::Output, (column(Some(graph.wanted.pos)), 0), label)
                }
                Node::Other { op, pos } => (Kind::Error, (column(pos), row(op)), program.ops[op].label("").to_owned()),
                Node::Table { op } | Node::Bias { op } => (Kind::Bias, (0, row(op)), name.clone()),
                Node::Rest => (Kind::Error, (0, layers + 1), name.clone()),
            };
            numbers[node] = Some(points.len());
            points.push(Point { cell, kind, label, about: name });
        }
        let kept = |(&target, row): (&usize, &Vec<(usize, f64, bool)>)| -> Vec<Link> {
            let edges = row.iter().filter(|edge| edge.2);
            let link = |&(source, weight, _): &(usize, f64, bool)| {
                Some(Link { from: numbers[source]?, to: numbers[target]?, weight })
            };
            edges.filter_map(link).collect()
        };
        let ids = self.session.focused_row().map(|row| row.ids.clone()).unwrap_or_default();
        let label = |(pos, &id): (usize, &u32)| format!("{pos} {}", self.token_text(id).trim());
        Network {
            title: self.overview(graph, 0).title,
            columns: std::iter::once(String::new()).chain(ids.iter().enumerate().map(label)).collect(),
            rows: std::iter::once("logits".to_owned())
                .chain((0..layers).rev().map(|layer| format!("L{layer}")))
                .chain(["tokens".to_owned()])
                .collect(),
            points,
            links: graph.edges.iter().flat_map(kept).collect(),
        }
    }
}
