//! DistilBERT: BERT without token types and pooler, with an epsilon that no configuration mentions.

use super::encoder::{EncoderHead, encoder, first, transform};
use super::prelude::*;

static FILES: Files = Files {
    body: "distilbert.",
    before: &[
        weight("embeddings.word_embeddings", W_E),
        weight("embeddings.position_embeddings", W_pos),
        both("embeddings.LayerNorm", EmbedLnW, EmbedLnB),
    ],
    blocks: "transformer.layer",
    block: &[&[
        both("attention.q_lin", W_Q, b_Q),
        both("attention.k_lin", W_K, b_K),
        both("attention.v_lin", W_V, b_V),
        both("attention.out_lin", W_O, b_O),
        both("sa_layer_norm", Ln1W, Ln1B),
        both("ffn.lin1", W_in, b_in),
        both("ffn.lin2", W_out, b_out),
        both("output_layer_norm", Ln2W, Ln2B),
    ]],
    linear: Layout::OutIn,
    after: &[],
    heads: &[
        both("vocab_transform", MlmW, MlmB),
        both("vocab_layer_norm", MlmLnW, MlmLnB),
        both("vocab_projector", W_U, b_U),
        pooler(SEQUENCE, "pre_classifier"),
        classes(SEQUENCE_OR_TOKEN, "classifier"),
        classes(QUESTION, "qa_outputs"),
    ],
    elsewhere: &[],
};

pub static FAMILY: Family = Family::new(&["distilbert"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // The table is stored whether its rows are sines or were learned.
    config.note_read(&["sinusoidal_pos_embds", "tie_weights_"]);
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 512, ..Rules::GPT2 })?;
    let act = act(config, "activation", Act::Gelu)?;
    let norm = Norm::layer_norm(1e-12);
    let heads = EncoderHead {
        class: "DistilBert",
        masked: transform(act, norm),
        bias: true,
        pooled: first(Act::Relu),
        token: None,
    };
    Ok(encoder("distilbert", &sizes, norm, act, Count::Seen, heads.read(from, &FILES)?))
}
