//! BLOOM: linear biases instead of positions, a norm on the embedding.

use super::gpt2;
use super::prelude::*;

static FILES: Files = Files {
    before: &[weight("word_embeddings", W_E), both("word_embeddings_layernorm", EmbedLnW, EmbedLnB)],
    block: &[BLOCK, &[Entry::Qkv("self_attention.query_key_value", Split::PerHead)]],
    ..gpt2::NAMES
};

/// The modules of a block apart from queries, keys and values; those of Falcon too.
pub const BLOCK: &[Entry] = &[
    both("input_layernorm", Ln1W, Ln1B),
    both("self_attention.dense", W_O, b_O),
    both("post_attention_layernorm", Ln2W, Ln2B),
    both("mlp.dense_h_to_4h", W_in, b_in),
    both("mlp.dense_4h_to_h", W_out, b_out),
];

pub static FAMILY: Family = Family::new(&["bloom"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::GPT2)?;
    let sizes = Sizes { d_mlp: 4 * sizes.d_model, ..sizes };
    let norm = Norm::layer_norm(eps(config, "layer_norm_epsilon", 1e-5)?);
    let heads = DecoderHead { tied: true, ..DecoderHead::of("Bloom") };
    let from_norm = config.flag(&["apply_residual_connection_post_layernorm"], false)?;
    Ok(ModelSpec {
        embed: Embed { norm: true, ..Embed::plain(sizes.d_model) },
        positions: Positions::Alibi(Alibi::Bloom),
        attention: attention_with_bias(true),
        mlp: Mlp { gated: false, act: Act::GeluTanh, bias: true, out_bias: true },
        residual: Residual { from_norm, ..Residual::default() },
        ..decoder("bloom", &sizes, norm, heads.read(from, &FILES)?)
    })
}
