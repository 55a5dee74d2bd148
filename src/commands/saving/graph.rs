//! `save graph`: an attribution graph for Neuronpedia's viewer and circuit-tracer's, in the form of `graph-schema.json`.

use serde_json::{Value, json};

use crate::analysis::graph::{Graph, Node};
use crate::commands::frame::Done;
use crate::commands::saving::{check_ending, only_file};
use crate::commands::state::{Call, Console};
use crate::export;
use crate::tensor::Axis;

/// One number for a layer and an index, as the viewers expect it (Cantor's pairing).
fn paired(x: usize, y: usize) -> usize {
    (x + y) * (x + y + 1) / 2 + y
}

/// `save graph FILE.json`.
pub fn graph(console: &mut Console, call: Call<'_>) -> Done {
    let file = only_file(&call)?;
    check_ending(&file, &["json"], "graphs are written as JSON: save graph FILE.json")?;
    let graph = console.last_graph()?.0.clone();
    let (nodes, links) = console.written_graph(&graph);
    let ids = console.session.focused_row().map(|row| row.ids.clone()).unwrap_or_default();
    let tokens: Vec<String> = ids.iter().map(|&id| console.token_text(id)).collect();
    let content = json!({
        "metadata": {
            "slug": "llmdbg", "scan": console.session.name, "transcoder_list": [], "prompt_tokens": tokens, "prompt": tokens.concat(),
            "node_threshold": 0.8, "schema_version": 1,
            "info": {"creator_name": "llmdbg", "generator": {"name": "llmdbg", "version": env!("CARGO_PKG_VERSION")},
                "features": "neurons of the MLPs"},
            "generation_settings": {"max_feature_nodes": graph.wanted.neurons},
            "pruning_settings": {"node_threshold": 0.8, "edge_threshold": 0.98},
        },
        "qParams": {"pinnedIds": [], "supernodes": [], "linkType": "both", "clickedId": "", "sg_pos": ""},
        "nodes": nodes,
        "links": links,
    });
    export::file(&file.text, format!("{content:#}\n"))?;
    Ok(crate::answer::Answer::Text(format!("Wrote {} nodes and {} links to {}", nodes.len(), links.len(), file.text)))
}

impl Console {
    /// The nodes that are kept, and the links between them.
    fn written_graph(&self, graph: &Graph) -> (Vec<Value>, Vec<Value>) {
        let program = &self.session.run.program;
        let layer = |op: usize| program.ops[op].layer.unwrap_or(0);
        let ids = self.session.focused_row().map(|row| row.ids.clone()).unwrap_or_default();
        let id = |node: usize| match graph.nodes[node] {
            Node::Neuron { op, pos, neuron } => format!("{}_{neuron}_{pos}", layer(op)),
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
}
