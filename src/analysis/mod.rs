//! Questions asked of runs. Nothing here changes a run.

pub mod activations;
pub mod attention;
pub mod attribution;
pub mod circuits;
pub mod counterfactual;
pub mod direct;
pub mod health;
mod in_force;
pub mod lens;
pub mod model_inspection;
pub mod patching;
pub mod pattern_similarity;
pub mod repeated_tokens;
pub mod samples;
