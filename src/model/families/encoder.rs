//! What the encoders that came of BERT have in common: post-norm blocks, position and type tables, heads.

use super::files::{Entry, both, weight};
use super::read::{Sizes, Task, attention_with_bias, decoder, question};
use super::{Files, Layout, Sources};
use crate::model::config::HfConfig;
use crate::model::error::LoadError;
use crate::model::role::Role::*;
use crate::model::spec::{
    Act, Attention, Classes, Count, Embed, Head, Logits, Mlp, ModelSpec, Norm, Placement, Pool, Pooled, Positions,
    Transform,
};

const EMBEDDINGS: &[Entry] = &[
    weight("embeddings.word_embeddings", W_E),
    weight("embeddings.position_embeddings", W_pos),
    weight("embeddings.token_type_embeddings", W_type),
    both("embeddings.LayerNorm", EmbedLnW, EmbedLnB),
    both("embeddings_project", EmbedProjW, EmbedProjB),
];

/// The linear layers of a block.
pub const LINEAR: &[Entry] = &[
    both("attention.self.query", W_Q, b_Q),
    both("attention.self.key", W_K, b_K),
    both("attention.self.value", W_V, b_V),
    both("attention.output.dense", W_O, b_O),
    both("intermediate.dense", W_in, b_in),
    both("output.dense", W_out, b_out),
];

const NORMS: &[Entry] = &[both("attention.output.LayerNorm", Ln1W, Ln1B), both("output.LayerNorm", Ln2W, Ln2B)];

/// The names of BERT, for families that have other heads.
pub const FILES: Files = Files {
    body: "bert.",
    before: EMBEDDINGS,
    blocks: "encoder.layer",
    block: &[LINEAR, NORMS],
    linear: Layout::OutIn,
    after: &[],
    heads: &[],
    elsewhere: &[],
};

/// A post-norm encoder with a position table.
pub fn encoder(family: &str, sizes: &Sizes, norm: Norm, act: Act, count: Count, head: Head) -> ModelSpec {
    ModelSpec {
        placement: Placement::Post,
        final_norm: false,
        embed: Embed { norm: true, ..Embed::plain(sizes.d_model) },
        positions: Positions::Learned { rows: sizes.max_positions, count },
        attention: Attention { causal: false, ..attention_with_bias(true) },
        mlp: Mlp { gated: false, act, bias: true, out_bias: true },
        ..decoder(family, sizes, norm, head)
    }
}

/// Refuses what would make a decoder of an encoder, or give it other positions.
pub fn only_encoder(config: &HfConfig) -> Result<(), LoadError> {
    if let Some(kind) = config.str(&["position_embedding_type"])?.filter(|kind| *kind != "absolute") {
        let kind = format!("{kind:?}");
        return Err(config.unsupported("position_embedding_type", kind, "only \"absolute\" is"));
    }
    for key in ["is_decoder", "add_cross_attention"] {
        if config.flag(&[key], false)? {
            return Err(config.unsupported(key, true, "this family is computed as an encoder only"));
        }
    }
    Ok(())
}

/// Heads of encoders, of which families say what is their own.
pub struct EncoderHead<'a> {
    /// Name of the architectures without their ending, for messages.
    pub class: &'a str,
    /// Before the unembedding of a masked LM.
    pub masked: Transform,
    pub bias: bool,
    pub pooled: Pooled,
    /// Before the classes of tokens.
    pub token: Option<Transform>,
}

impl EncoderHead<'_> {
    /// Reads the head that the configuration asks for.
    pub fn read(&self, from: &Sources, files: &Files) -> Result<Head, LoadError> {
        let config = from.config;
        let classes = || Ok::<_, LoadError>(Classes { labels: config.labels()?, bias: true });
        config.note_read(&["tie_word_embeddings"]);
        Ok(match Task::read(from, files, self.class, Task::ENCODER, "ForMaskedLM")? {
            Task::Causal | Task::Masked => Head::MaskedLm {
                transform: Some(self.masked),
                logits: Logits { bias: self.bias, ..Logits::plain(files.tied(from, true)?) },
            },
            Task::Sequence => Head::Sequence { pooled: self.pooled, classes: classes()?, scores: None },
            Task::Token => Head::Token { transform: self.token, classes: classes()?, question: false },
            Task::Question => question(self.token),
            Task::Bare => Head::Bare { sentence: from.sentence.cloned() },
        })
    }
}

/// A dense layer on the first position, and an activation.
pub fn first(act: Act) -> Pooled {
    Pooled { pool: Pool::First, transform: Some(Transform { bias: true, act, norm: None }), late: false }
}

/// A dense layer, an activation and a norm.
pub fn transform(act: Act, norm: Norm) -> Transform {
    Transform { bias: true, act, norm: Some(norm) }
}
