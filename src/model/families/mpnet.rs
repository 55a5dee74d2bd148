//! MPNet: BERT without token types, with RoBERTa's positions, and with a number for each distance and head that all layers
//! add to their scores.

use super::encoder::{EncoderHead, encoder, first, only_encoder, transform};
use super::prelude::*;

static FILES: Files = Files {
    body: "mpnet.",
    before: &[
        weight("embeddings.word_embeddings", W_E),
        weight("embeddings.position_embeddings", W_pos),
        both("embeddings.LayerNorm", EmbedLnW, EmbedLnB),
        weight("encoder.relative_attention_bias", W_rel),
    ],
    blocks: "encoder.layer",
    block: &[&[
        both("attention.attn.q", W_Q, b_Q),
        both("attention.attn.k", W_K, b_K),
        both("attention.attn.v", W_V, b_V),
        both("attention.attn.o", W_O, b_O),
        both("attention.LayerNorm", Ln1W, Ln1B),
        both("intermediate.dense", W_in, b_in),
        both("output.dense", W_out, b_out),
        both("output.LayerNorm", Ln2W, Ln2B),
    ]],
    linear: Layout::OutIn,
    after: &[],
    heads: &[
        both("lm_head.dense", MlmW, MlmB),
        both("lm_head.layer_norm", MlmLnW, MlmLnB),
        Entry::One("lm_head", None, Some(b_U)),
        both("lm_head.decoder", W_U, b_U),
        pooler(SEQUENCE, "classifier.dense"),
        classes(SEQUENCE, "classifier.out_proj"),
        classes(TOKEN, "classifier"),
        classes(QUESTION, "qa_outputs"),
    ],
    elsewhere: &[("pooler.dense.", "the pooler, which no architecture of this family uses")],
};

pub static FAMILY: Family = Family::new(&["mpnet"], &FILES, spec);

/// Positions are counted from the row after this one, whatever the id of the pad token is.
const PAD: u32 = 1;

/// The buckets of transformers, whatever the configuration says; that only says how many rows the table has.
const BUCKETS: Buckets = Buckets::Halves { count: 32, farthest: 128 };

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    const ROWS: &str = "relative_attention_num_buckets";
    let config = from.config;
    only_encoder(config)?;
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 512, ..Rules::GPT2 })?;
    let act = act(config, "hidden_act", Act::Gelu)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-12)?);
    if sizes.max_positions <= PAD as usize + 1 {
        return Err(config.bad("there are no positions after the two that are not used"));
    }
    let rows = config.opt_size(&[ROWS])?.unwrap_or(32);
    if rows < 32 {
        return Err(config.unsupported(ROWS, rows, "distances are put into 32 buckets, each with a row"));
    }
    // The masked-LM head has gelu whatever the blocks have.
    let heads = EncoderHead {
        class: "MPNet",
        masked: transform(Act::Gelu, norm),
        bias: true,
        pooled: first(Act::Tanh),
        token: None,
    };
    let spec = encoder("mpnet", &sizes, norm, act, Count::ById { pad: PAD }, heads.read(from, &FILES)?);
    Ok(ModelSpec { relative: Some(Relative { rows, buckets: BUCKETS, adds: Adds::Numbers }), ..spec })
}
