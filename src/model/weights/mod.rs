//! The weights of a model by what they do, and the file's own view of them.
//!
//! What was loaded is never written to: an edit is a handle in an [`Overlay`] above it, so clones of [`Weights`] are
//! cheap and a branch keeps its own.

mod layout;
mod weight;

use std::collections::HashMap;
use std::sync::Arc;

use super::families::Layout;
use super::role::{Role, WeightId};
use crate::tensor::{Device, Precision, TensorError, Value};

pub use weight::{RowChunks, Weight};

/// Edited weights: handles that take precedence over the loaded ones. Clone is cheap.
#[derive(Clone, Debug, Default)]
pub struct Overlay(Arc<HashMap<WeightId, Weight>>);

impl Overlay {
    pub fn get(&self, id: WeightId) -> Option<&Weight> {
        self.0.get(&id)
    }

    pub fn set(&mut self, id: WeightId, weight: Weight) {
        Arc::make_mut(&mut self.0).insert(id, weight);
    }

    /// Takes an edit away; whether there was one.
    pub fn remove(&mut self, id: WeightId) -> bool {
        self.0.contains_key(&id) && Arc::make_mut(&mut self.0).remove(&id).is_some()
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
    loaded: Arc<HashMap<WeightId, Weight>>,
    overlay: Overlay,
    files: Arc<Vec<FileTensor>>,
    tied: bool,
    precision: Precision,
}

impl Weights {
    /// Weights by their ids, with the file's own view. With `tied`, the unembedding is the token embedding. They are
    /// held in `precision`, and so is what is computed with them.
    pub fn new(
        mut loaded: HashMap<WeightId, Weight>,
        files: Vec<FileTensor>,
        tied: bool,
        precision: Precision,
    ) -> Self {
        if tied && let Some(embedding) = loaded.get(&WeightId::global(Role::W_E)).cloned() {
            loaded.insert(WeightId::global(Role::W_U), embedding);
        }
        Weights { loaded: Arc::new(loaded), overlay: Overlay::default(), files: Arc::new(files), tied, precision }
    }

    /// A weight as it is now: edited if it is edited. Linear weights are `[in, out]`, `W_U` is `[V, d]`.
    pub fn get(&self, id: WeightId) -> Option<&Weight> {
        self.overlay.get(id).or_else(|| self.loaded.get(&id))
    }

    pub fn loaded(&self, id: WeightId) -> Option<&Weight> {
        self.loaded.get(&id)
    }

    /// Every weight there is, in the order of the model.
    pub fn ids(&self) -> Vec<WeightId> {
        let mut ids: Vec<_> = self.loaded.keys().copied().collect();
        ids.sort_by_key(|id| (id.role.place(), *id));
        ids
    }

    /// Whether `W_U` is `W_E` as loaded. An edit of one does not change the other.
    pub fn tied(&self) -> bool {
        self.tied
    }

    /// What they are held in, and what is computed with them.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The same weights where what is computed with them is held in another precision; the weights themselves stay.
    pub fn computing_in(&self, precision: Precision) -> Weights {
        Weights { precision, ..self.clone() }
    }

    /// Edits a weight. A vocabulary matrix is split as the loaded one is.
    ///
    /// # Errors
    /// If there is no such weight, or the value has another shape.
    pub fn replace(&mut self, id: WeightId, value: Value) -> Result<(), TensorError> {
        let value = value.held_in(self.precision);
        let weight = match self.loaded.get(&id) {
            Some(loaded) if loaded.shape() == value.shape() => match loaded {
                Weight::Dense(loaded) => Weight::Dense(value.laid_out_like(loaded)?.held_in(self.precision)),
                Weight::Rows(chunks) => Weight::Rows(chunks.split(&value)),
            },
            loaded => {
                let right = loaded.map_or("no such weight".into(), |loaded| format!("{:?}", loaded.shape()));
                return Err(TensorError::Shapes { op: id.to_string(), left: format!("{:?}", value.shape()), right });
            }
        };
        self.overlay.set(id, weight);
        Ok(())
    }

    /// The weights with `value` in the place of one of them, as it is: a leaf of gradients stays one.
    ///
    /// # Panics
    /// If there is no such weight, or it has another shape.
    pub fn standing_in(&self, id: WeightId, value: &Value) -> Weights {
        let loaded = self.loaded.get(&id).expect("a weight that is there");
        assert_eq!(loaded.shape(), value.shape(), "{id}");
        let weight = match loaded {
            Weight::Dense(_) => Weight::Dense(value.clone()),
            Weight::Rows(chunks) => Weight::Rows(chunks.split(value)),
        };
        let mut weights = self.clone();
        weights.overlay.set(id, weight);
        weights
    }

    /// The loaded weights with a vocabulary of `rows` tokens: what is beyond is left out, what is missing is zeros.
    /// Edits are not kept.
    pub fn with_vocabulary(&self, rows: usize, device: &Device) -> Result<Weights, TensorError> {
        let mut loaded = (*self.loaded).clone();
        let mut files = (*self.files).clone();
        for role in [Role::W_E, Role::W_U] {
            let id = WeightId::global(role);
            let Some(weight) = self.loaded.get(&id) else { continue };
            if let (Role::W_U, true, Some(embedding)) = (role, self.tied, loaded.get(&WeightId::global(Role::W_E))) {
                let embedding = embedding.clone();
                loaded.insert(id, embedding);
                continue;
            }
            let (whole, [had, width]) = (weight.whole()?, [weight.shape()[0], weight.shape()[1]]);
            let whole = match rows.checked_sub(had).filter(|more| *more > 0) {
                Some(more) => {
                    let zeros =
                        Value::from_f32(vec![0.0; more * width], &[more, width], device).held_in(self.precision);
                    Value::concat(&[whole, zeros], 0)?
                }
                None => whole.rows(0..rows),
            }; // [rows, width]
            let each = RowChunks::rows_per_chunk(width, device.max_buffer_bytes());
            let chunks = (0..rows).step_by(each.max(1)).map(|start| whole.rows(start..rows.min(start + each)));
            loaded.insert(id, Weight::Rows(RowChunks::new(chunks.collect())));
            files.iter_mut().filter(|file| file.uses == [id]).for_each(|file| file.shape = vec![rows, width]);
        }
        let (overlay, files) = (Overlay::default(), Arc::new(files));
        Ok(Weights { loaded: Arc::new(loaded), overlay, files, ..*self })
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

    /// Bytes of device memory of what was loaded; shared handles count once.
    pub fn loaded_bytes(&self) -> u64 {
        let shared = |id: &WeightId| self.tied && id.role == Role::W_U;
        self.loaded.iter().filter(|(id, _)| !shared(id)).map(|(_, weight)| weight.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    fn matrix(from: f32, rows: usize, width: usize) -> Value {
        let data = (0..rows * width).map(|i| from + i as f32).collect();
        Value::from_f32(data, &[rows, width], &Device::cpu())
    }

    fn weights() -> Weights {
        let embedding = RowChunks::new(vec![matrix(0.0, 2, 3), matrix(6.0, 1, 3)]);
        let id = WeightId::block(0, Role::W_Q);
        let loaded = [(WeightId::global(Role::W_E), Weight::Rows(embedding)), (id, Weight::Dense(matrix(0.0, 3, 3)))];
        Weights::new(loaded.into_iter().collect(), Vec::new(), true, Precision::F32)
    }

    #[test]
    fn an_edit_stands_in_front_and_can_be_taken_away() {
        let mut edited = weights();
        let id = WeightId::block(0, Role::W_Q);
        let before = edited.clone();
        edited.replace(id, matrix(100.0, 3, 3)).unwrap();
        let first = |weights: &Weights| weights.get(id).unwrap().whole().unwrap().read_f32().unwrap()[0];
        assert_eq!((first(&before), first(&edited)), (0.0, 100.0));
        assert_eq!(edited.overlay().ids(), [id]);
        let mut overlay = edited.overlay().clone();
        assert!(overlay.remove(id) && !overlay.remove(id));
        assert_eq!(first(&Weights { overlay, ..edited.clone() }), 0.0);
    }

    #[test]
    fn vocabulary_matrices_stay_split() {
        let mut weights = weights();
        let id = WeightId::global(Role::W_U);
        weights.replace(id, matrix(50.0, 3, 3)).unwrap();
        let Some(Weight::Rows(chunks)) = weights.get(id) else { panic!() };
        assert_eq!(chunks.chunks().iter().map(|chunk| chunk.shape()[0]).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(weights.get(id).unwrap().whole().unwrap().read_f32().unwrap()[8], 58.0);
        assert_eq!(weights.get(WeightId::global(Role::W_E)).unwrap().whole().unwrap().read_f32().unwrap()[8], 8.0);
    }

    #[test]
    fn a_value_of_another_shape_is_refused() {
        assert_eq!(
            weights().replace(WeightId::block(0, Role::W_Q), matrix(0.0, 2, 3)).unwrap_err().to_string(),
            "blocks.0.attn.W_Q: shapes [2, 3] and [3, 3] do not fit together"
        );
    }
}
