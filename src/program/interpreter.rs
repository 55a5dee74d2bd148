//! Runs exactly one op.

use super::context::Context;
use super::kernels::{attention, basic, norm};
use super::op::{Kernel, Op};
use crate::model::role::WeightId;
use crate::model::weights::{Weight, Weights};
use crate::tensor::Value;

/// Executes one op on the values it reads, which come in the order of `op.inputs`; those of `op.cached` over all passes so
/// far. Pure: the same inputs, weights and context give the same bits.
///
/// # Panics
/// If inputs or weights do not have the shapes that the compiler and the loader guarantee.
pub fn execute(op: &Op, inputs: &[Value], weights: &Weights, context: &Context) -> Value {
    let weight = |i: usize| op.weights.get(i).map(|&id| dense(weights, id));
    let value = match &op.kernel {
        Kernel::Tokens => context.tokens.clone(),
        Kernel::Embed => basic::embed(&inputs[0], &rows_of(weights, op.weights[0])),
        Kernel::PositionEmbed => basic::position_embed(&dense(weights, op.weights[0]), context),
        Kernel::TypeEmbed => basic::type_embed(&dense(weights, op.weights[0]), context),
        Kernel::Add => basic::add(inputs),
        Kernel::Same => inputs[0].clone(),
        Kernel::LayerNormScale { eps } => norm::layer_norm_scale(&basic::add(inputs), *eps),
        Kernel::RmsScale { eps } => norm::rms_scale(&basic::add(inputs), *eps),
        Kernel::LayerNormNormalized => norm::centred_over(&basic::add(&inputs[1..]), &inputs[0]),
        Kernel::RmsNormalized => norm::over(&basic::add(&inputs[1..]), &inputs[0]),
        Kernel::Gain => norm::gain(&inputs[0], &dense(weights, op.weights[0]), weight(1).as_ref()),
        Kernel::Linear { heads } => {
            let out = basic::linear(&inputs[0], &dense(weights, op.weights[0]), weight(1).as_ref());
            match heads {
                Some(heads) => basic::split_heads(&out, *heads),
                None => out,
            }
        }
        Kernel::Rotate => match &context.rotation {
            Some((cos, sin)) => attention::rotate(&inputs[0], cos, sin),
            None => inputs[0].clone(),
        },
        Kernel::Scores { scale } => attention::scores(&inputs[0], &inputs[1], *scale, context.mask.as_ref()),
        Kernel::Pattern => attention::pattern(&inputs[0]),
        Kernel::Mix => attention::mix(&inputs[0], &inputs[1]),
        Kernel::Output => {
            basic::linear(&basic::join_heads(&inputs[0]), &dense(weights, op.weights[0]), weight(1).as_ref())
        }
        Kernel::Activation(act) => basic::activation(&inputs[0], *act),
        Kernel::Gated(act) => basic::gated(&inputs[0], &inputs[1], *act),
        Kernel::Unembed => basic::unembed(&inputs[0], &rows_of(weights, op.weights[0]), weight(1).as_ref()),
        Kernel::FirstLinear => {
            basic::vector_linear(&basic::first(&inputs[0]), &dense(weights, op.weights[0]), weight(1).as_ref())
        }
        Kernel::VectorLinear => basic::vector_linear(&inputs[0], &dense(weights, op.weights[0]), weight(1).as_ref()),
        Kernel::MeanOfReal => basic::mean_of_real(&inputs[0], &context.real),
    };
    value.with_axes(&op.axes).whole()
}

/// A weight that is kept whole. The loader guarantees that every weight of the program is there.
fn dense(weights: &Weights, id: WeightId) -> Value {
    match weights.get(id) {
        Some(Weight::Dense(value)) => value.clone(),
        Some(Weight::Rows(_)) | None => panic!("weight {id} was not loaded"),
    }
}

/// A vocabulary matrix `[V, d]` in chunks of rows.
fn rows_of(weights: &Weights, id: WeightId) -> Vec<Value> {
    match weights.get(id) {
        Some(Weight::Rows(chunks)) => chunks.chunks().to_vec(),
        Some(Weight::Dense(value)) => vec![value.clone()],
        None => panic!("weight {id} was not loaded"),
    }
}
