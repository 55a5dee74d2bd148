//! Edges: what one component of a model reads of what another one writes. Which of them a number needs is estimated by
//! edge attribution patching (Syed et al. 2023; with integrated gradients, Hanna et al. 2024), or measured by putting what an
//! edge carries in another run in its place.
//!
//! Nodes are the embedding, the heads, the MLPs and the logits. A node reads the residual stream, which is the sum of what
//! nodes before it have written, so an edge is a term of that sum as one node reads it. Heads read it three times, for
//! queries, keys and values; where heads share keys and values, the edge is to the shared ones. Where what attention adds
//! passes a norm on the way to the stream, a patched head changes what comes out of this norm for that reader alone.

mod circuits;
mod pass;
mod scores;
mod structure;

pub use circuits::{Curve, Kept, Measured, curve, measured};
pub use scores::{Method, scores};
pub use structure::{Edge, Input, Node, Structure};

/// An edge or a node with its score: by how much the number would change with what the other run has there.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub edge: Edge,
    pub score: f64,
}

/// Scores of nodes: a node is all edges that begin at it, and to first order its score is the sum of theirs.
pub fn of_nodes(edges: &[Scored]) -> Vec<(Node, f64)> {
    let mut all: Vec<(Node, f64)> = Vec::new();
    for one in edges {
        match all.iter_mut().find(|(node, _)| *node == one.edge.from) {
            Some((_, sum)) => *sum += one.score,
            None => all.push((one.edge.from, one.score)),
        }
    }
    all
}
