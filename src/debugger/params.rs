//! Weights as they are shown, and back: by role in the field's shapes, by file name in the file's layout.

use super::{Error, Result};
use crate::model::Weights;
use crate::model::role::{Role, WeightId};
use crate::model::site_name::in_block;
use crate::model::spec::ModelSpec;
use crate::program::Part;
use crate::tensor::{Axis, TensorError, Value};

/// A weight by role (`blocks.0.attn.W_Q`, as `H d h`) or by its name in the file (in the file's layout).
pub fn view(name: &str, weights: &Weights, spec: &ModelSpec) -> Result<Value> {
    if let Some(id) = resolve(name, weights, spec) {
        return Ok(shown(id, &whole(id, weights)?, spec));
    }
    if let Some(file) = weights.file(name)
        && let Some(value) = weights.as_in_file(file)?
    {
        return Ok(value);
    }
    Err(unknown(name, weights))
}

/// The role that a name means, if the model has it.
pub fn resolve(name: &str, weights: &Weights, spec: &ModelSpec) -> Option<WeightId> {
    let id = match name.strip_prefix("L-").and_then(|rest| rest.split_once('.')) {
        Some((back, part)) => {
            let layer = spec.n_layers.checked_sub(back.parse().ok()?)?;
            WeightId::parse(&in_block(layer, part))
        }
        None => WeightId::parse(name),
    }?;
    // Blocks may share the weights of one of them.
    let layer = id.layer.map(|layer| spec.of_stack(id.stack).weights_of(usize::from(layer)) as u16);
    let id = WeightId { layer, ..id };
    weights.has(id).then_some(id)
}

/// A weight in one piece, in its own layout.
pub fn whole(id: WeightId, weights: &Weights) -> Result<Value, TensorError> {
    weights.value(id)
}

/// From the layout of computation to the one that is shown.
pub fn shown(id: WeightId, value: &Value, spec: &ModelSpec) -> Value {
    let spec = spec.of_stack(id.stack);
    let layer = id.layer.map_or(0, usize::from);
    let (h, v, kv_heads) = (spec.head_dim_of(layer), spec.value_dim_of(layer), spec.kv_heads_of(layer));
    let columns = value.shape().last().copied().unwrap_or(1);
    let in_heads =
        |n: usize| value.reshape(&[value.shape()[0], n, columns / n.max(1)]).map(|value| value.permute(&[1, 0, 2]));
    let as_is = || Ok(value.clone());
    let (laid, axes): (Result<Value, TensorError>, &[Axis]) = match id.role {
        Role::W_Q
        | Role::W_UQ
        | Role::W_UK
        | Role::W_UV
        | Role::W_rel_Q
        | Role::CrossQ
        | Role::CrossK
        | Role::CrossV => (in_heads(spec.n_heads), &[Axis::Head, Axis::None, Axis::Dim]),
        Role::W_K | Role::W_V | Role::W_rel_K => (in_heads(kv_heads), &[Axis::Head, Axis::None, Axis::Dim]),
        Role::W_O | Role::CrossO => (value.reshape(&[spec.n_heads, v, columns]), &[Axis::Head, Axis::None, Axis::Dim]),
        Role::b_Q | Role::b_rel_Q | Role::CrossQB | Role::CrossKB | Role::CrossVB => {
            (value.reshape(&[spec.n_heads, h]), &[Axis::Head, Axis::Dim])
        }
        Role::b_K | Role::b_rel_K => (value.reshape(&[kv_heads, h]), &[Axis::Head, Axis::Dim]),
        Role::b_V => (value.reshape(&[kv_heads, v]), &[Axis::Head, Axis::Dim]),
        Role::W_U => (Ok(value.transpose()), &[Axis::Dim, Axis::Vocab]),
        Role::W_E => (as_is(), &[Axis::Vocab, Axis::Dim]),
        Role::W_pos => (as_is(), &[Axis::Pos, Axis::Dim]),
        Role::W_in | Role::W_gate => (as_is(), &[Axis::Dim, Axis::Neuron]),
        Role::W_out => (as_is(), &[Axis::Neuron, Axis::Dim]),
        Role::b_in | Role::b_gate => (as_is(), &[Axis::Neuron]),
        Role::DictEnc => (as_is(), &[Axis::Dim, Axis::Feature]),
        Role::DictDec => (as_is(), &[Axis::Feature, Axis::Dim]),
        Role::DictEncB | Role::DictGain | Role::DictThreshold | Role::DictGateB => (as_is(), &[Axis::Feature]),
        _ => return value.clone(),
    };
    laid.map_or_else(|_| value.clone(), |laid| laid.with_axes(axes))
}

/// From the layout that is shown back to the one of computation.
pub fn unshown(id: WeightId, value: &Value, own_shape: &[usize]) -> Result<Value, TensorError> {
    match id.role {
        Role::W_Q
        | Role::W_UQ
        | Role::W_UK
        | Role::W_UV
        | Role::W_K
        | Role::W_V
        | Role::W_rel_Q
        | Role::W_rel_K
        | Role::CrossQ
        | Role::CrossK
        | Role::CrossV => value.permute(&[1, 0, 2]).reshape(own_shape),
        Role::W_U => Ok(value.transpose()),
        _ => value.reshape(own_shape),
    }
}

/// What each head adds to the residual stream, without the bias: `z[head] W_O[head]`, `[B, T, H, d]`.
pub fn head_results(z: &Value, weights: &Weights, layer: usize) -> Result<Value, TensorError> {
    let w_o = whole(WeightId::block(layer, Role::W_O), weights)?; // [H h, d]
    let [rows, length, heads, h] = *z.shape() else {
        return Err(TensorError::Rank { op: Part::Result.to_string(), expected: "4 axes", shape: z.shape_text() });
    };
    let d = w_o.shape()[1];
    let axes = [Axis::Row, Axis::Pos, Axis::Head, Axis::Dim];
    z.device().check(&Part::Result.site(layer), &[rows, length, heads, d], &axes)?;
    let z = z.permute(&[2, 0, 1, 3]).reshape(&[heads, rows * length, h])?; // [H, B T, h]
    let result = z.matmul(&w_o.reshape(&[heads, h, d])?)?; // [H, B T, d]
    let result = result.reshape(&[heads, rows, length, d])?.permute(&[1, 2, 0, 3]); // [B, T, H, d]
    Ok(result.with_axes(&axes))
}

fn unknown(name: &str, weights: &Weights) -> Error {
    let roles = weights.ids().into_iter().map(|id| id.to_string());
    let files = weights.files().iter().flat_map(|file| file.stored_as.clone().into_iter().chain([file.name.clone()]));
    let mut scored: Vec<(f64, String)> =
        roles.chain(files).map(|known| (strsim::jaro_winkler(name, &known), known)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let nearest: Vec<String> = scored.into_iter().take(3).map(|(_, known)| known).collect();
    Error::refused(format!("no weight {name}; nearest: {}", nearest.join(", ")))
}
