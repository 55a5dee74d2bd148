//! Adapters whose vocabulary differs from that of their base: new tokens were added before training, and embedding and
//! head are saved with as many rows as there were then.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{AdapterFault, Result};
use super::place::Place;
use super::{AdapterError, Parts, shape_of, with_modules};
use crate::model::load::Model;
use crate::model::role::{Role, WeightId};
use crate::model::spec::Head;
use crate::tensor::TensorError;

/// Gives a model as many tokens as the adapter of a folder has, before anything is computed with it. Rows that the
/// model lacks are zeros until the adapter replaces them; the report of the model says so. One of the same vocabulary
/// is left as it is.
///
/// # Errors
/// If the adapter cannot be read, or does not have all of the rows that are missing.
pub fn fit(folder: &Path, model: &mut Model) -> std::result::Result<(), AdapterError> {
    let rows = with_modules(folder, |modules, _| wanted(modules, model));
    let fitted = rows.and_then(|rows| match rows {
        Some(rows) => Ok(enlarge(model, rows)?),
        None => Ok(()),
    });
    fitted.map_err(|fault| AdapterError::new(folder, fault))
}

/// Rows of the adapter's vocabulary, if they are not as many as the model's.
fn wanted(modules: &BTreeMap<String, Parts<'_>>, model: &Model) -> Result<Option<usize>> {
    let had = model.spec.vocab;
    let mut found: BTreeMap<Role, usize> = BTreeMap::new();
    for (module, parts) in modules {
        for part in ["weight", "base"] {
            let Some(view) = parts.get(part) else { continue };
            let Ok(Place::Vocabulary(id)) = Place::find(model, module, "weight") else { continue };
            // What is not such a table is refused when it is applied.
            let [rows, width] = view.shape[..] else { continue };
            if rows == 0 || Some(&width) != shape_of(model, id).last() {
                continue;
            }
            found.insert(id.role, rows);
            if part == "base" && model.weights.tied() {
                found.entry(twin(id.role)).or_insert(rows);
            }
        }
    }
    let Some(&rows) = found.values().find(|rows| **rows != had) else { return Ok(None) };
    let logits = match &model.spec.head {
        Head::CausalLm(logits) | Head::MaskedLm { logits, .. } => Some(logits),
        _ => None,
    };
    if logits.is_some_and(|logits| logits.bias) {
        return Err(AdapterFault::LogitBias { rows, had });
    }
    for role in [Some(Role::W_E), logits.map(|_| Role::W_U)].into_iter().flatten() {
        if found.get(&role) != Some(&rows) {
            return Err(AdapterFault::VocabularyTable { id: WeightId::global(role), rows, had });
        }
    }
    Ok(Some(rows))
}

/// What is one tensor with it in a tied model.
pub fn twin(role: Role) -> Role {
    if role == Role::W_E { Role::W_U } else { Role::W_E }
}

fn enlarge(model: &mut Model, rows: usize) -> std::result::Result<(), TensorError> {
    let had = model.spec.vocab;
    model.weights = model.weights.with_vocabulary(rows);
    model.spec.vocab = rows;
    model.config = model.config.with_size("vocab_size", rows);
    model.report.replaced.push(if rows > had {
        format!("the vocabulary has {rows} rows with the adapter, {had} without it: there the new rows are zeros")
    } else {
        format!("the vocabulary has {rows} rows with the adapter: the last {} of the model are left out", had - rows)
    });
    Ok(())
}
