//! How are the weights of two models related? For each weight: the same, or which change makes one of the other.

use std::collections::HashMap;

use super::Relation;
use super::weight_relation::{Matrix, relation};
use crate::debugger::Result;
use crate::model::Weights;
use crate::model::role::{Role, WeightId};
use crate::tensor::{Difference, Tolerance, Verdict, difference, relative_rms, step};

#[derive(Clone, Debug, PartialEq)]
pub struct WeightDifference {
    pub id: WeightId,
    /// Root mean square of the difference as a part of that of the other side's; infinite if it cannot be compared.
    pub relative: f64,
    /// The whole of it; `None` if shapes differ.
    pub difference: Option<Difference>,
    /// What makes one of the other; `None` if nothing simple does.
    pub relation: Option<Relation>,
}

impl WeightDifference {
    fn not_compared(id: WeightId, relation: Relation) -> WeightDifference {
        WeightDifference { id, relative: f64::INFINITY, difference: None, relation: Some(relation) }
    }
}

fn matrix(weights: &Weights, id: WeightId) -> Result<Option<Matrix>> {
    let Some(value) = weights.whole(id)? else { return Ok(None) };
    Ok(Some(Matrix { shape: value.shape().to_vec(), data: value.read_f32()? }))
}

/// Compares the weights of two models, the most changed first; what is the same is left out. `heads` are the attention
/// heads and key/value heads of ours. Gives the number of weights that were compared, too.
pub fn weight_differences(
    ours: &Weights,
    theirs: &Weights,
    heads: (usize, usize),
) -> Result<(Vec<WeightDifference>, usize)> {
    let mut ids = ours.ids();
    ids.extend(theirs.ids().into_iter().filter(|id| !ours.has(*id)));
    let mut found = Vec::new();
    // Ours by what they hold, and what theirs hold where they differ.
    let mut known: HashMap<u64, WeightId> = HashMap::new();
    let mut differing: Vec<(WeightId, u64)> = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        step(&id.to_string(), number as u64, ids.len() as u64)?;
        let here = matrix(ours, *id)?;
        if let Some(here) = &here {
            known.entry(here.key()).or_insert(*id);
        }
        let (a, b) = match (here, matrix(theirs, *id)?) {
            (Some(a), Some(b)) => (a, b),
            (here, _) => {
                let relation = if here.is_none() { Relation::MissingHere } else { Relation::MissingThere };
                found.push(WeightDifference::not_compared(*id, relation));
                continue;
            }
        };
        if a.shape != b.shape {
            let transposed = a.shape.len() == 2 && a.shape.iter().rev().eq(&b.shape) && a.turned().data == b.data;
            let relation = Relation::Shape { here: a.shape, there: b.shape, transposed };
            found.push(WeightDifference::not_compared(*id, relation));
            continue;
        }
        if a.data == b.data {
            continue;
        }
        let whole = difference(&a.data, &b.data, &a.shape, Tolerance::of(0.0));
        // NaN is not equal to itself, and the same here.
        if whole.verdict() == Verdict::Same {
            continue;
        }
        differing.push((*id, b.key()));
        let heads = match id.role {
            Role::W_Q | Role::W_UQ | Role::W_UK | Role::W_UV | Role::W_O | Role::b_Q => heads.0,
            Role::W_rel_Q | Role::b_rel_Q => heads.0,
            Role::W_K | Role::W_V | Role::b_K | Role::b_V | Role::W_rel_K | Role::b_rel_K => heads.1,
            _ => 1,
        };
        let is_zero = b.data.iter().all(|x| *x == 0.0);
        let relative = if is_zero { f64::INFINITY } else { relative_rms(&a.data, &b.data) };
        let relation = relation(&a, &b, id.role == Role::W_O, heads);
        found.push(WeightDifference { id: *id, relative, difference: Some(whole), relation });
    }
    name_exchanged(&known, &differing, &mut found);
    if ours.tied() != theirs.tied() {
        let relation = if ours.tied() { Relation::TiedHere } else { Relation::TiedThere };
        match found.iter_mut().find(|one| one.id.role == Role::W_U) {
            Some(one) => one.relation = Some(relation),
            None => found.push(WeightDifference::not_compared(WeightId::global(Role::W_U), relation)),
        }
    }
    found.sort_by(|a, b| b.relative.total_cmp(&a.relative));
    Ok((found, ids.len()))
}

/// Names weights that are a different weight of ours: exchanged, or a block in the place of another.
fn name_exchanged(known: &HashMap<u64, WeightId>, differing: &[(WeightId, u64)], found: &mut [WeightDifference]) {
    for (id, key) in differing {
        let Some(other) = known.get(key).filter(|other| *other != id) else { continue };
        if let Some(one) = found.iter_mut().find(|one| one.id == *id) {
            one.relation = Some(Relation::Is(*other));
        }
    }
}
