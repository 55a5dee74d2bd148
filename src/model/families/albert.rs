//! ALBERT: BERT whose blocks share weights, with an embedding narrower than the model.

use super::encoder::{EncoderHead, encoder, first, only_encoder, transform};
use super::prelude::*;

static FILES: Files = Files {
    body: "albert.",
    before: &[
        weight("embeddings.word_embeddings", W_E),
        weight("embeddings.position_embeddings", W_pos),
        weight("embeddings.token_type_embeddings", W_type),
        both("embeddings.LayerNorm", EmbedLnW, EmbedLnB),
        both("encoder.embedding_hidden_mapping_in", EmbedProjW, EmbedProjB),
    ],
    blocks: "encoder.albert_layer_groups",
    block: &[&[
        both("attention.query", W_Q, b_Q),
        both("attention.key", W_K, b_K),
        both("attention.value", W_V, b_V),
        both("attention.dense", W_O, b_O),
        both("attention.LayerNorm", Ln1W, Ln1B),
        both("ffn", W_in, b_in),
        both("ffn_output", W_out, b_out),
        both("full_layer_layer_norm", Ln2W, Ln2B),
    ]],
    linear: Layout::OutIn,
    after: &[both("pooler", PoolerW, PoolerB)],
    heads: &[
        both("predictions.dense", MlmW, MlmB),
        both("predictions.LayerNorm", MlmLnW, MlmLnB),
        Entry::One("predictions", None, Some(b_U)),
        both("predictions.decoder", W_U, b_U),
        classes(SEQUENCE_OR_TOKEN, "classifier"),
        classes(QUESTION, "qa_outputs"),
        // Of the pretraining, whose other head is the one that is computed.
        classes(&[], "sop_classifier.classifier"),
    ],
    elsewhere: &[],
};

pub static FAMILY: Family = Family::new(&["albert"], &FILES, spec).with_names(names);

fn names(spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
    let sharing = Sharing::read(from.config)?;
    let block = |layer: usize| {
        let (group, inner) = sharing.weights_of(layer);
        format!("{}.{group}.albert_layers.{inner}", FILES.blocks)
    };
    FILES.names_of_blocks(spec, from, &block)
}

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    only_encoder(config)?;
    config.note_read(&["net_structure_type", "num_memory_blocks", "gap_size", "down_scale_factor"]);
    let sharing = Sharing::read(config)?;
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 512, ..Rules::GPT2 })?;
    let sizes = Sizes { n_layers: config.blocks(sizes.n_layers, sharing.inner)?, ..sizes };
    let act = act(config, "hidden_act", Act::GeluTanh)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-12)?);
    let masked = transform(act, norm);
    let heads = EncoderHead { class: "Albert", masked, bias: true, pooled: first(Act::Tanh), token: None };
    let first_with = |i: usize| (0..i).find(|&j| sharing.weights_of(j) == sharing.weights_of(i)).unwrap_or(i);
    let spec = encoder("albert", &sizes, norm, act, Count::Seen, heads.read(from, &FILES)?);
    let width = config.opt_size(&["embedding_size"])?.unwrap_or(128);
    let token_types = config.opt_size(&["type_vocab_size"])?.unwrap_or(2);
    Ok(ModelSpec {
        embed: Embed { width, project: Some(Projection::OfSum), token_types, ..spec.embed },
        layers: sizes.layers(|i, layer| Layer { weights: first_with(i), ..layer }),
        ..spec
    })
}

/// Which blocks share weights: groups of layers, each a few blocks that run one after the other.
struct Sharing {
    layers: usize,
    groups: usize,
    inner: usize,
}

impl Sharing {
    fn read(config: &HfConfig) -> Result<Sharing, LoadError> {
        Ok(Sharing {
            layers: config.size(crate::model::config::N_LAYERS)?,
            groups: config.opt_size(&["num_hidden_groups"])?.unwrap_or(1),
            inner: config.opt_size(&["inner_group_num"])?.unwrap_or(1),
        })
    }

    fn weights_of(&self, block: usize) -> (usize, usize) {
        let per_group = self.layers as f64 / self.groups as f64;
        (((block / self.inner) as f64 / per_group) as usize, block % self.inner)
    }
}
