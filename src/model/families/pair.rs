//! An encoder and a decoder in one checkpoint: two tables of names, and one embedding or two.

use super::names::{Ignored, TensorNames, Wanted};
use super::{Files, Sources};
use crate::model::error::LoadError;
use crate::model::role::{Role, Stack};
use crate::model::spec::{Attention, Encoder, ModelSpec};

/// Where a family that has both keeps the weights of each. Entries of the embedding come in the order in which they count.
pub struct Pair {
    pub encoder: Files,
    pub decoder: Files,
}

impl Pair {
    /// The encoder of a specification, as a part of that of its decoder.
    pub fn encoder(&self, from: &Sources, spec: ModelSpec, cross_scale: f64) -> Option<Box<Encoder>> {
        let spec = ModelSpec { attention: Attention { causal: false, ..spec.attention }, ..spec };
        let [ours, theirs] = [&self.encoder, &self.decoder].map(|files| files.embedding_in(from.checkpoint));
        let shares_embedding = match (ours, theirs) {
            (Some(ours), Some(theirs)) => ours == theirs || from.checkpoint.same_values(&ours, &theirs),
            _ => true,
        };
        Some(Box::new(Encoder { spec, shares_embedding, cross_scale }))
    }

    /// The tensors of both; of an encoder alone where there is no decoder.
    pub fn names(&self, spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
        let Some(encoder) = &spec.encoder else { return self.encoder.names(spec, from) };
        let mut names = self.decoder.names(spec, from)?;
        let own = self.encoder.names(&encoder.spec, from)?.wanted.into_iter();
        let own = own.filter(|wanted| !encoder.shares_embedding || wanted.id.role != Role::W_E);
        let own: Vec<Wanted> = own.map(|wanted| Wanted { id: wanted.id.of(Stack::Encoder), ..wanted }).collect();
        names.wanted.splice(0..0, own);
        let wanted = |name: &str| names.wanted.iter().any(|wanted| wanted.source.name == name);
        let mut ignored = std::mem::take(&mut names.ignored);
        ignored.retain(|tensor| !wanted(&tensor.name));
        // A file may hold the embedding under several names, of which each half reads the first that is its own.
        for files in [&self.encoder, &self.decoder] {
            for name in files.embeddings_in(from.checkpoint) {
                if !wanted(&name) && ignored.iter().all(|tensor| tensor.name != name) {
                    let reason = "a token embedding under a name that neither half of the model reads".to_owned();
                    ignored.push(Ignored { name, reason });
                }
            }
        }
        names.ignored = ignored;
        Ok(names)
    }
}
