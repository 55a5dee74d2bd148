//! Questions asked of runs. Nothing here changes a run.

pub mod activations;
pub mod attention;
pub mod attribution;
pub mod circuits;
pub mod counterfactual;
pub mod direct;
pub mod health;
pub mod lens;
pub mod model_inspection;
pub mod patching;
pub mod pattern_similarity;
pub mod repeated_tokens;
pub mod samples;

use crate::program::Program;

/// The op of a part of a block: `attn.pattern`, `resid_pre`.
fn op_in_block(program: &Program, layer: usize, part: &str) -> Option<usize> {
    program.op_of(&format!("blocks.{layer}.{part}"))
}

/// The blocks that have a part, each with its op.
fn ops_in_blocks<'a>(program: &'a Program, part: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    (0..program.n_layers()).filter_map(move |layer| Some((layer, op_in_block(program, layer, part)?)))
}
