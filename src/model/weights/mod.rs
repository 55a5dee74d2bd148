//! The weights of a model by what they do, and the file's own view of them.
//!
//! Shapes are known at once; the numbers are read when they are asked for, and kept within a budget. What was loaded is
//! never written to: an edit is kept in an [`Overlay`] above it, so clones of [`Weights`] are cheap and a branch keeps
//! its own.

mod cache;
mod layout;
mod overlay;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod weight;

use std::sync::Arc;

use super::families::Layout;
use super::placement::Placement;
use super::role::{Role, RoleKind, WeightId};
use crate::tensor::{Device, Precision, Summary, TensorError, Value};

pub use cache::{Residency, WeightCache};
pub use overlay::{Delta, Overlay};
pub use source::{Apart, Holding, Source};
pub use store::{Held, Holdings, Piece, Store};
pub use weight::{LARGE, StoredMatrix, Weight};

/// A tensor of the checkpoint's files and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// Its name, as transformers has it.
    pub name: String,
    /// Its name in the file, where it is another.
    pub stored_as: Option<String>,
    pub shape: Vec<usize>,
    /// Its element type in the file: `f32`, `bf16`.
    pub dtype: String,
    pub bytes: u64,
    /// Its layout there, if it is used.
    pub layout: Option<Layout>,
    /// The weights it holds, in the order of its parts; empty if it is ignored.
    pub uses: Vec<WeightId>,
    /// How often its parts follow each other: once for each head where the file has the weights of a head side by side.
    pub rounds: usize,
    /// How many tensors are stacked on its first axis, if it is a stack: of so many experts.
    pub stack: Option<usize>,
    /// Why it is not used, if it is not.
    pub ignored: Option<String>,
}

impl FileTensor {
    pub fn file_name(&self) -> &str {
        self.stored_as.as_deref().unwrap_or(&self.name)
    }
}

/// All weights of a model. Clone is cheap.
#[derive(Clone, Debug)]
pub struct Weights {
    loaded: Arc<Store>,
    overlay: Overlay,
    files: Arc<Vec<FileTensor>>,
    tied: bool,
    precision: Precision,
    /// The number of the device that weights are asked for on; without it, each is on its own.
    at: Option<usize>,
}

impl Weights {
    /// Weights in a store, with the file's own view. With `tied`, the unembedding is the token embedding.
    pub fn new(loaded: Store, files: Vec<FileTensor>, tied: bool) -> Self {
        let precision = loaded.precision();
        let (loaded, files) = (Arc::new(loaded), Arc::new(files));
        Weights { loaded, overlay: Overlay::default(), files, tied, precision, at: None }
    }

    /// Weights that are given as values.
    pub fn of_values(
        values: impl IntoIterator<Item = (WeightId, Vec<Value>)>,
        files: Vec<FileTensor>,
        tied: bool,
        device: &Device,
    ) -> Self {
        let held = |pieces: Vec<Value>| {
            let mut shape = pieces[0].shape().to_vec();
            shape[0] = pieces.iter().map(|piece| piece.shape()[0]).sum();
            Held { shape, pieces: pieces.into_iter().map(Piece::Memory).collect(), on: vec![0] }
        };
        let weights = values.into_iter().map(|(id, pieces)| (id, held(pieces))).collect();
        let holdings = Holdings { placement: device.into(), precision: Precision::F32 };
        Weights::new(Store::new(Arc::default(), holdings, weights, &WeightCache::unlimited()), files, tied)
    }

    /// The same weights for ops on a device: those that are on another one are read onto this one too. On a device that
    /// the model is not on, each stays on its own.
    pub fn at(&self, device: &Device) -> Weights {
        let at = self.placement().devices().iter().position(|known| known == device);
        Weights { at, ..self.clone() }
    }

    /// Which device the weights of each block are on.
    pub fn placement(&self) -> &Placement {
        self.loaded.placement()
    }

    /// The device of a weight.
    pub fn device(&self, id: WeightId) -> &Device {
        &self.placement().devices()[self.home(id)]
    }

    /// The number of the device of a weight.
    fn home(&self, id: WeightId) -> usize {
        self.placement().of_weight(id)
    }

    /// The weight that is in the files for one of the model: a tied unembedding is the token embedding.
    fn stored(&self, id: WeightId) -> WeightId {
        if self.tied && id.role == Role::W_U { WeightId::global(Role::W_E) } else { id }
    }

    fn held(&self, id: WeightId) -> Option<&Held> {
        self.loaded.held(self.stored(id))
    }

    fn known(&self, id: WeightId) -> Result<&Held, TensorError> {
        self.held(id).ok_or_else(|| TensorError::weight(id, "the model has no such weight"))
    }

    /// Whether there is such a weight. Reads nothing.
    pub fn has(&self, id: WeightId) -> bool {
        self.held(id).is_some()
    }

    /// The shape of a weight: linear weights are `[in, out]`, `W_U` is `[V, d]`. Reads nothing.
    pub fn shape(&self, id: WeightId) -> Option<&[usize]> {
        self.held(id).map(|held| &*held.shape)
    }

    /// Of how many pieces of rows a weight is: one, unless it is a large vocabulary matrix. Reads nothing.
    pub fn pieces(&self, id: WeightId) -> usize {
        self.held(id).map_or(0, |held| held.pieces.len())
    }

    /// A piece of a weight as it is now: edited if it is edited. It is read if it is not in memory.
    ///
    /// # Errors
    /// If there is no such weight, it cannot be read, or the user interrupts.
    pub fn piece(&self, id: WeightId, piece: usize) -> Result<Weight, TensorError> {
        match self.overlay.get(id) {
            Some(edited) => {
                let value = edited.piece(&Weights { at: None, ..self.clone() }, id, piece)?;
                let elsewhere = self.at.filter(|at| *at != self.home(id));
                Ok(Weight::Dense(elsewhere.map_or(Ok(value.clone()), |at| value.on(&self.placement().devices()[at]))?))
            }
            None => {
                self.known(id)?;
                self.loaded.piece(self.stored(id), piece, self.at.unwrap_or_else(|| self.home(id)))
            }
        }
    }

    /// A weight of one piece as it is now, and a matrix of several as a joined value.
    ///
    /// # Errors
    /// As [`piece`](Self::piece).
    pub fn get(&self, id: WeightId) -> Result<Weight, TensorError> {
        match self.known(id)?.pieces.len() {
            1 => self.piece(id, 0),
            _ => self.value(id).map(Weight::Dense),
        }
    }

    /// A weight as it is now in one value, widened if it is stored in fewer bits; `None` if there is no such weight.
    ///
    /// # Errors
    /// As [`piece`](Self::piece).
    pub fn whole(&self, id: WeightId) -> Result<Option<Value>, TensorError> {
        if !self.has(id) {
            return Ok(None);
        }
        self.value(id).map(Some)
    }

    /// The same of a weight that must be there.
    ///
    /// # Errors
    /// As [`piece`](Self::piece).
    pub fn value(&self, id: WeightId) -> Result<Value, TensorError> {
        self.known(id)?;
        let pieces = (0..self.pieces(id)).map(|piece| Ok(self.piece(id, piece)?.value()));
        let mut pieces: Vec<Value> = pieces.collect::<Result<_, TensorError>>()?;
        if pieces.len() == 1 { Ok(pieces.remove(0)) } else { Value::concat(&pieces, 0) }
    }

    /// A weight as it was loaded, without edits.
    ///
    /// # Errors
    /// As [`piece`](Self::piece).
    pub fn as_loaded(&self, id: WeightId) -> Result<Value, TensorError> {
        Weights { overlay: Overlay::default(), ..self.clone() }.value(id)
    }

    /// Statistics of all elements of a weight as it is now, piece by piece; `None` if there is no such weight.
    ///
    /// # Errors
    /// As [`piece`](Self::piece).
    pub fn summary(&self, id: WeightId) -> Result<Option<Summary>, TensorError> {
        let part = |piece| self.piece(id, piece)?.value().summary();
        let parts = (0..self.pieces(id)).map(part).collect::<Result<Vec<Summary>, _>>()?;
        Ok((!parts.is_empty()).then(|| Summary::of_parts(&parts)))
    }

    /// Rows of a vocabulary matrix by their numbers, `[n, width]`, on the CPU: without reading the others.
    ///
    /// # Errors
    /// As [`piece`](Self::piece), and if a number is that of no row.
    pub fn rows(&self, id: WeightId, numbers: &[usize]) -> Result<Value, TensorError> {
        let shape = [numbers.len(), self.known(id)?.shape[1]];
        let data = self.loaded.rows(self.stored(id), numbers, self.at.unwrap_or_else(|| self.home(id)))?;
        Ok(Value::from_f32(data, &shape, &Device::cpu()))
    }

    /// Every weight of the model, in its order; those of dictionaries of features are not among them. Reads nothing.
    pub fn ids(&self) -> Vec<WeightId> {
        let mut ids = self.loaded.ids();
        ids.retain(|id| !id.role.is_of_dictionary());
        let unembed = WeightId::global(Role::W_U);
        if self.tied && !ids.contains(&unembed) && self.has(unembed) {
            ids.push(unembed);
            ids.sort_by_key(|id| (id.role.place(), *id));
        }
        ids
    }

    /// Whether `W_U` is `W_E` as loaded. An edit of one does not change the other.
    pub fn tied(&self) -> bool {
        self.tied
    }

    /// What values that are computed with them are held in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    pub fn store(&self) -> &Store {
        &self.loaded
    }

    /// The same weights where what is computed with them is held in another precision; the weights themselves stay.
    pub fn computing_in(&self, precision: Precision) -> Weights {
        Weights { precision, ..self.clone() }
    }

    /// Edits a weight, on the device that it is on. A vocabulary matrix is split as the loaded one is.
    ///
    /// # Errors
    /// If there is no such weight, the value has another shape, or the device cannot hold it.
    pub fn replace(&mut self, id: WeightId, value: Value) -> Result<(), TensorError> {
        let held = self.fitting(id, &value)?;
        let precision = self.loaded.precision();
        let value = value.on(self.device(id))?;
        let value = match (held.pieces.len(), id.role.kind()) {
            (1, RoleKind::Linear) => value.held_in(precision).by_columns()?.held_in(precision),
            _ => value.held_in(precision),
        };
        let pieces = split(held, &value);
        self.overlay.set(id, pieces);
        Ok(())
    }

    /// Edits a weight by what makes the edited one of the one before, whenever it is asked for. Nothing is computed
    /// here.
    ///
    /// # Errors
    /// If there is no such weight.
    pub fn change(&mut self, id: WeightId, delta: Arc<dyn Delta>) -> Result<(), TensorError> {
        self.known(id)?;
        self.overlay.change(id, delta, self.loaded.cache());
        Ok(())
    }

    /// The weights with `value` in the place of one of them, as it is: a leaf of gradients stays one.
    ///
    /// # Panics
    /// If there is no such weight, or it has another shape.
    pub fn standing_in(&self, id: WeightId, value: &Value) -> Weights {
        let held = self.held(id).expect("a weight that is there");
        assert_eq!(held.shape, value.shape(), "{id}");
        let mut weights = self.clone();
        weights.overlay.set(id, split(held, value));
        weights
    }

    fn fitting(&self, id: WeightId, value: &Value) -> Result<&Held, TensorError> {
        match self.held(id) {
            Some(held) if held.shape == value.shape() => Ok(held),
            held => {
                let right = held.map_or("no such weight".into(), |held| format!("{:?}", held.shape));
                Err(TensorError::Shapes { op: id.to_string(), left: format!("{:?}", value.shape()), right })
            }
        }
    }

    /// The same weights and more, without those of `gone`; edits are kept.
    pub fn extended(
        &self,
        more: impl IntoIterator<Item = (WeightId, Held)>,
        gone: impl Fn(WeightId) -> bool,
    ) -> Weights {
        Weights { loaded: Arc::new(self.loaded.extended(more, gone)), ..self.clone() }
    }

    /// The weights that `other` was loaded with, with the edits of these.
    pub fn loaded_as(&self, other: &Weights) -> Weights {
        Weights { loaded: other.loaded.clone(), ..self.clone() }
    }

    /// The loaded weights with a vocabulary of `rows` tokens: what is beyond is left out, what is missing is zeros.
    /// Edits are not kept.
    pub fn with_vocabulary(&self, rows: usize) -> Weights {
        let mut files = (*self.files).clone();
        let precision = self.loaded.precision();
        let mut changed = Vec::new();
        for role in [Role::W_E, Role::W_U] {
            let id = WeightId::global(role);
            let Some(held) = self.loaded.held(id) else { continue };
            let width = held.shape[1];
            let zeros = |more: usize| {
                Value::from_f32(vec![0.0; more * width], &[more, width], self.device(id)).held_in(precision)
            };
            changed.push((id, held.with_rows(rows, zeros)));
            files.iter_mut().filter(|file| file.uses == [id]).for_each(|file| file.shape = vec![rows, width]);
        }
        Weights {
            loaded: Arc::new(self.loaded.with(changed)),
            overlay: Overlay::default(),
            files: Arc::new(files),
            ..*self
        }
    }

    /// The tensors of the files, used or not.
    pub fn files(&self) -> &[FileTensor] {
        &self.files
    }

    /// A tensor of the files by the name that transformers has for it, or by its name in the file.
    pub fn file(&self, name: &str) -> Option<&FileTensor> {
        self.files
            .iter()
            .find(|file| file.name == name)
            .or_else(|| self.files.iter().find(|file| file.file_name() == name))
    }

    /// The tensor of the files that holds a weight.
    pub fn file_of(&self, id: WeightId) -> Option<&FileTensor> {
        let id = if self.tied && id.role == Role::W_U { WeightId::global(Role::W_E) } else { id };
        self.files.iter().find(|file| file.uses.contains(&id))
    }

    /// What is held of them, and what is in memory.
    pub fn residency(&self) -> Residency {
        self.loaded.residency()
    }
}

/// A value in the pieces of rows of a weight.
fn split(held: &Held, value: &Value) -> Vec<Value> {
    let mut first = 0;
    let rows = held.pieces.iter().map(|piece| {
        let rows = first..first + piece.rows();
        first = rows.end;
        rows
    });
    if held.pieces.len() == 1 { vec![value.clone()] } else { rows.map(|rows| value.rows(rows)).collect() }
}
