//! Questions asked of runs. Nothing here changes a run.

pub mod activations;
pub mod attention;
pub mod attribution;
pub mod circuits;
pub mod counterfactual;
pub mod dictionary;
pub mod direct;
pub mod directions;
pub mod edges;
pub mod graph;
pub mod health;
pub mod jacobian;
pub mod lens;
pub mod model_inspection;
pub mod nonfinite;
pub mod patching;
pub mod pattern_similarity;
pub mod repeated_tokens;
pub mod samples;
pub mod why;

use crate::debugger::{Error, Result};
use crate::model::spec::ModelSpec;
use crate::program::{Part, Program};

/// Refuses `what` where a layer has something else than attention.
fn attention_everywhere(spec: &ModelSpec, what: &str) -> Result<()> {
    match spec.layers.iter().position(|layer| !layer.mixer.has_attention()) {
        Some(layer) => Err(Error::refused(format!(
            "{what} needs attention in every layer, and layer {layer} has {} in its place",
            spec.layers[layer].mixer.name()
        ))),
        None => Ok(()),
    }
}

/// The blocks that have a part, each with its op.
fn ops_in_blocks(program: &Program, part: Part) -> impl Iterator<Item = (usize, usize)> {
    (0..program.n_layers()).filter_map(move |layer| Some((layer, program.block_op(layer, part)?)))
}
