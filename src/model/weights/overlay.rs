//! Edited weights: as values, or as changes that are applied when the weight is asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::cache::{Owner, WeightCache};
use super::weight::Weight;
use super::{Weights, split};
use crate::model::role::{RoleKind, WeightId};
use crate::tensor::{TensorError, Value};

/// What makes an edited weight of the one before the edit.
pub trait Delta: Send + Sync {
    /// The edited weight, of the same shape.
    ///
    /// # Errors
    /// If the change does not fit, the device fails or the user interrupts.
    fn apply(&self, value: &Value) -> Result<Value, TensorError>;
}

/// Edited weights, which take precedence over the loaded ones. Clone is cheap.
#[derive(Clone, Debug, Default)]
pub struct Overlay(Arc<HashMap<WeightId, Edited>>);

/// One edited weight: what it starts from, and the changes since.
#[derive(Clone)]
pub struct Edited {
    /// In pieces of rows; the loaded weight if there are none.
    base: Arc<[Value]>,
    deltas: Arc<[Arc<dyn Delta>]>,
    /// Under which what the changes gave is kept in memory.
    owner: Option<Arc<Owner>>,
}

impl fmt::Debug for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes", self.deltas.len())
    }
}

impl Edited {
    /// A piece of the edited weight.
    pub(super) fn piece(&self, weights: &Weights, id: WeightId, piece: usize) -> Result<Value, TensorError> {
        let Some(owner) = &self.owner else { return Ok(self.base[piece].clone()) };
        let device = weights.home(id);
        if let Some(found) = owner.cache().get(owner.key(id, piece, device)) {
            return Ok(found.value());
        }
        let mut value = match &*self.base {
            [] => weights.as_loaded(id)?,
            [only] => only.clone(),
            many => Value::concat(many, 0)?,
        };
        let base = value.clone();
        for delta in self.deltas.iter() {
            value = delta.apply(&value)?;
        }
        let precision = weights.loaded.precision();
        value = value.held_like(&base).held_in(precision);
        if id.role.kind() == RoleKind::Linear {
            value = value.by_columns()?.held_in(precision);
        }
        let held = weights.held(id).expect("an edited weight is there");
        let mut pieces = split(held, &value);
        for (number, value) in pieces.iter().enumerate() {
            owner.cache().put(owner.key(id, number, device), &Weight::Dense(value.clone()));
        }
        Ok(pieces.swap_remove(piece))
    }
}

impl Overlay {
    pub(super) fn get(&self, id: WeightId) -> Option<&Edited> {
        self.0.get(&id)
    }

    /// Puts a value, in its pieces of rows, in the place of a weight.
    pub(super) fn set(&mut self, id: WeightId, pieces: Vec<Value>) {
        let edited = Edited { base: pieces.into(), deltas: Arc::new([]), owner: None };
        Arc::make_mut(&mut self.0).insert(id, edited);
    }

    /// Adds a change to those of a weight.
    pub(super) fn change(&mut self, id: WeightId, delta: Arc<dyn Delta>, cache: &WeightCache) {
        let (base, before) = self.0.get(&id).map(|edited| (edited.base.clone(), edited.deltas.clone())).unzip();
        let deltas = before.iter().flat_map(|deltas| deltas.iter().cloned()).chain([delta]).collect();
        let base = base.unwrap_or_else(|| Arc::new([]));
        let edited = Edited { base, deltas, owner: Some(Arc::new(cache.owner())) };
        Arc::make_mut(&mut self.0).insert(id, edited);
    }

    /// Takes an edit away; whether there was one.
    pub fn remove(&mut self, id: WeightId) -> bool {
        self.0.contains_key(&id) && Arc::make_mut(&mut self.0).remove(&id).is_some()
    }

    pub fn has(&self, id: WeightId) -> bool {
        self.0.contains_key(&id)
    }

    /// Which weights are edited, in the order of the model.
    pub fn ids(&self) -> Vec<WeightId> {
        let mut ids: Vec<_> = self.0.keys().copied().collect();
        ids.sort();
        ids
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
