//! Caches of TransformerLens whose weights were processed: what that takes out of the values, and how it shows in them.
//!
//! TransformerLens folds gains and biases of norms into the weights after them (`fold_ln`), subtracts the mean over
//! features from everything that is written to the residual stream of a model with LayerNorm
//! (`center_writing_weights`), adds the bias of values to that of the output, since patterns sum to 1
//! (`fold_value_biases`), and subtracts the mean over the vocabulary from the logits (`center_unembed`). Nothing in a
//! cache records whether that was done: only the numbers show it.

use super::Result;
use super::tensors::Found;
use crate::model::Weights;
use crate::model::role::{Role, WeightId};
use crate::program::{Kernel, Op, Program};

/// Rows whose mean is below this part of their root mean square have none: such means are 1e-7 in f32 and 1e-4 in bf16.
const NO_MEAN: f64 = 3e-4;

/// Of two forms of a norm's output, the one that is so many times nearer to what a norm gives.
const NEARER: f64 = 4.0;

/// What is not in the values of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processed {
    /// The mean over features of the residual stream and of what is added to it.
    pub stream: bool,
    /// Gain and bias of norms.
    pub gains: bool,
    /// The bias of values, and of what attention mixes of them.
    pub values: bool,
    pub logits: bool,
}

impl Processed {
    pub fn any(self) -> bool {
        self != Processed::default()
    }

    /// A sentence about the side of that name.
    pub fn words(self, name: &str) -> String {
        let stream =
            "the mean over features of the residual stream and of what is added to it (center_writing_weights)";
        let parts = [
            (self.stream, stream),
            (self.gains, "gains and biases of norms (fold_ln)"),
            (self.values, "biases of values (fold_value_biases)"),
            (self.logits, "the mean of the logits (center_unembed)"),
        ];
        let parts: Vec<&str> = parts.into_iter().filter_map(|(missing, what)| missing.then_some(what)).collect();
        format!(
            "{name} is a TransformerLens cache of a model with processed weights. It does not contain {}, which are not compared; \
             from_pretrained_no_processing makes a cache that contains all",
            listed(&parts)
        )
    }

    /// Puts back into the elements of an op's value what follows from weights of this model. Returns whether a mean
    /// over the last axis is still missing, which does not.
    pub fn undone(self, data: &mut [f64], op: &Op, program: &Program, weights: &Weights) -> Result<bool> {
        if self.gains && matches!(op.kernel, Kernel::Gain { .. }) {
            let (gain, bias) = gain_of(op, weights)?;
            let width = gain.len().max(1);
            data.iter_mut().enumerate().for_each(|(i, x)| *x = *x * gain[i % width] + bias[i % width]);
        }
        if self.values && (is_values(op) || op.kernel == Kernel::Mix) {
            let mut from = std::iter::once(op).chain(op.inputs.iter().map(|&input| &program.ops[input]));
            let values = from.find(|op| is_values(op));
            if let Some(shift) = values.map(|values| bias_of(values, program, weights)).transpose()?.flatten() {
                let shift = for_heads(&shift, op.heads * op.width, op.width);
                data.iter_mut().enumerate().for_each(|(i, x)| *x += shift[i % shift.len()]);
            }
        }
        Ok(self.stream && is_stream(&op.site) || self.logits && op.site == "logits")
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(parts: &[&str]) -> String {
    match parts {
        [] => String::new(),
        [only] => (*only).to_string(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// Whether a site is the residual stream, or what is added to it.
pub fn is_stream(site: &str) -> bool {
    const ENDS: [&str; 7] =
        [".resid_pre", ".resid_mid", ".resid_post", ".attn.out", ".attn_out", ".mlp.out", ".mlp_out"];
    matches!(site, "embed" | "pos_embed") || ENDS.iter().any(|end| site.ends_with(end))
}

pub fn without_mean(value: &Found) -> bool {
    let (data, width) = (&value.data, value.shape.last().copied().unwrap_or(1).max(1));
    let none = |row: &[f64]| {
        let count = row.len() as f64;
        let (sum, squares) = row.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
        (sum / count).abs() <= NO_MEAN * (squares / count).sqrt()
    };
    !data.is_empty() && data.iter().any(|x| *x != 0.0) && data.chunks(width).all(none)
}

/// What the output of a norm holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normed {
    /// Features with a mean square of 1, of LayerNorm without a mean.
    Bare,
    /// The same times a gain, plus a bias.
    WithGain,
}

/// Which of the two the elements are, `op` being the gain of the norm; `None` if that cannot be determined.
pub fn normed(data: &[f64], op: &Op, program: &Program, weights: &Weights) -> Result<Option<Normed>> {
    let (gain, bias) = gain_of(op, weights)?;
    let takes_mean = op.inputs.iter().any(|&input| program.ops[input].kernel == Kernel::LayerNormNormalized);
    let width = gain.len().max(1);
    // How far rows are from what a norm gives, before its gain.
    let off = |undo: bool| {
        let of_row = |row: &[f64]| {
            let known = row.iter().zip(gain.iter().zip(&bias)).filter(|(_, (gain, _))| **gain != 0.0);
            let taken = known.map(|(x, (gain, bias))| if undo { (x - bias) / gain } else { *x });
            let (count, sum, squares) = taken.fold((0.0, 0.0, 0.0), |(n, s, q), x| (n + 1.0, s + x, q + x * x));
            let mean = if takes_mean { sum / count } else { 0.0 };
            mean.powi(2) + (squares / count).ln().powi(2)
        };
        data.chunks_exact(width).map(of_row).sum::<f64>()
    };
    let (bare, with_gain) = (off(false), off(true));
    Ok(match (bare * NEARER < with_gain, with_gain * NEARER < bare) {
        (true, _) => Some(Normed::Bare),
        (_, true) => Some(Normed::WithGain),
        _ => None,
    })
}

/// Whether values have a bias that could be folded. With sinks patterns do not sum to 1, and it cannot be.
pub fn values_have_bias(program: &Program, weights: &Weights) -> Result<bool> {
    if program.ops.iter().any(|op| matches!(op.kernel, Kernel::Pattern { sinks: true, .. })) {
        return Ok(false);
    }
    let first = program.ops.iter().find(|op| is_values(op));
    Ok(first.map(|values| bias_of(values, program, weights)).transpose()?.flatten().is_some())
}

/// Whether what a layer adds contains the bias of its values, which then is not in what attention mixes: `z` and `out`
/// are those of one position. `None` if there is no such bias.
pub fn values_folded(
    (z, out): (&[f64], &[f64]),
    centred: bool,
    op: &Op,
    program: &Program,
    weights: &Weights,
) -> Result<Option<bool>> {
    let Some(values) = program.ops.iter().find(|other| other.layer == op.layer && is_values(other)) else {
        return Ok(None);
    };
    let Some(shift) = bias_of(values, program, weights)? else { return Ok(None) };
    let shift = for_heads(&shift, z.len(), values.width);
    let projection = of_role(op, Role::W_O, weights)?.unwrap_or_default();
    let bias = of_role(op, Role::b_O, weights)?.unwrap_or_else(|| vec![0.0; out.len()]);
    if projection.len() != z.len() * out.len() || bias.len() != out.len() {
        return Ok(None);
    }
    let left = |z: &dyn Fn(usize) -> f64| {
        let mut left: Vec<f64> = out.iter().zip(&bias).map(|(x, b)| x - b).collect();
        for (i, row) in projection.chunks(out.len()).enumerate() {
            left.iter_mut().zip(row).for_each(|(left, w)| *left -= z(i) * w);
        }
        let mean = if centred { left.iter().sum::<f64>() / left.len() as f64 } else { 0.0 };
        left.iter().map(|x| (x - mean).powi(2)).sum::<f64>()
    };
    Ok(Some(left(&|i| z[i] + shift[i]) < left(&|i| z[i])))
}

fn is_values(op: &Op) -> bool {
    op.weights.iter().any(|id| id.role == Role::W_V)
}

fn numbers(id: WeightId, weights: &Weights) -> Result<Vec<f64>> {
    Ok(weights.value(id)?.read_f64()?)
}

/// The weight of an op that has this role; `None` if it reads no such weight.
fn of_role(op: &Op, role: Role, weights: &Weights) -> Result<Option<Vec<f64>>> {
    op.weights.iter().find(|id| id.role == role).map(|id| numbers(*id, weights)).transpose()
}

/// Gain and bias of a norm, `[d]` each.
fn gain_of(op: &Op, weights: &Weights) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut all = op.weights.iter().map(|id| numbers(*id, weights));
    let mut gain = all.next().transpose()?.unwrap_or_default();
    if op.kernel == (Kernel::Gain { one_plus: true }) {
        gain.iter_mut().for_each(|x| *x += 1.0);
    }
    let bias = all.next().transpose()?.unwrap_or_else(|| vec![0.0; gain.len()]);
    Ok((gain, bias))
}

/// What values `[K h]` are at any position because of biases: their own, and that of the norm before them. `None`
/// without any.
fn bias_of(values: &Op, program: &Program, weights: &Weights) -> Result<Option<Vec<f64>>> {
    let mut found = of_role(values, Role::b_V, weights)?;
    let matrix = of_role(values, Role::W_V, weights)?.unwrap_or_default();
    let norm = values.inputs.first().map(|&input| &program.ops[input]);
    if let Some(norm) = norm.filter(|op| matches!(op.kernel, Kernel::Gain { .. }) && op.weights.len() > 1) {
        let (_, bias) = gain_of(norm, weights)?;
        let width = matrix.len() / bias.len().max(1);
        let sum = found.get_or_insert_with(|| vec![0.0; width]);
        for (row, bias) in matrix.chunks(width.max(1)).zip(&bias) {
            sum.iter_mut().zip(row).for_each(|(sum, w)| *sum += bias * w);
        }
    }
    Ok(found.filter(|bias| bias.iter().any(|x| *x != 0.0)))
}

/// What is of key/value heads, each repeated for the queries that read it.
fn for_heads(of_kv: &[f64], all: usize, width: usize) -> Vec<f64> {
    let (kv, heads) = (of_kv.len() / width.max(1), all / width.max(1));
    let each = (heads / kv.max(1)).max(1);
    (0..heads).flat_map(|head| &of_kv[head / each % kv.max(1) * width..][..width]).copied().collect()
}
