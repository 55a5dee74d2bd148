//! Nomic BERT: BERT with rotary positions instead of a table, and a gated MLP without biases. Configurations have GPT-2's
//! keys, or those of transformers 5.

use super::encoder::{EncoderHead, encoder, first, transform};
use super::prelude::*;

static FILES: Files = Files {
    body: "nomic_bert.",
    before: &[
        weight("embeddings.word_embeddings", W_E),
        weight("embeddings.token_type_embeddings", W_type),
        both("emb_ln", EmbedLnW, EmbedLnB),
    ],
    blocks: "encoder.layers",
    block: &[&[
        Entry::Qkv("attn.Wqkv", Split::Concat),
        weight("attn.out_proj", W_O),
        both("norm1", Ln1W, Ln1B),
        weight("mlp.fc12", W_gate),
        weight("mlp.fc11", W_in),
        weight("mlp.fc2", W_out),
        both("norm2", Ln2W, Ln2B),
    ]],
    linear: Layout::OutIn,
    after: &[both("pooler.dense", PoolerW, PoolerB)],
    heads: &[
        both("cls.predictions.transform.dense", MlmW, MlmB),
        both("cls.predictions.transform.layer_norm", MlmLnW, MlmLnB),
        Entry::One("cls.predictions", None, Some(b_U)),
        both("cls.predictions.decoder", W_U, b_U),
        classes(SEQUENCE_OR_TOKEN, "classifier"),
    ],
    elsewhere: &[],
};

pub static FAMILY: Family = Family::new(&["nomic_bert"], &FILES, spec);

/// Settings of the original code that would change the arithmetic.
const OTHERWISE: [&str; 10] = [
    "causal",
    "prenorm",
    "parallel_block",
    "qkv_proj_bias",
    "mlp_fc1_bias",
    "mlp_fc2_bias",
    "use_rms_norm",
    "rotary_emb_interleaved",
    "rotary_scaling_factor",
    "rotary_emb_scale_base",
];

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    for key in OTHERWISE {
        config.note_read(&[key]);
        if let Some(value) = config.json().get(key).filter(|value| !(value.is_null() || **value == false)) {
            return Err(config.unsupported(key, value, "this family is computed without it"));
        }
    }
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 2048, ..Rules::GPT2 })?;
    let act = match config.str(&["activation_function"])? {
        None => act(config, "hidden_act", Act::Silu)?,
        Some("swiglu") => Act::Silu,
        Some(other) => {
            return Err(config.unsupported("activation_function", other, "only swiglu is, which this family has"));
        }
    };
    let eps_key = if config.find(&["layer_norm_epsilon"]).is_some() { "layer_norm_epsilon" } else { "layer_norm_eps" };
    let norm = Norm::layer_norm(eps(config, eps_key, 1e-12)?);
    let rules = RopeRules {
        theta_key: "rotary_emb_base",
        partial_key: "rotary_emb_fraction",
        ..RopeRules::LLAMA.theta(1000.0)
    };
    let masked = transform(act, norm);
    let heads = EncoderHead { class: "NomicBert", masked, bias: true, pooled: first(Act::Tanh), token: None };
    let spec = encoder("nomic_bert", &sizes, norm, act, Count::Seen, heads.read(from, &FILES)?);
    let token_types = config.opt_size(&["type_vocab_size"])?.unwrap_or(2);
    Ok(ModelSpec {
        embed: Embed { token_types, ..spec.embed },
        positions: Positions::None,
        ropes: vec![rope(config, sizes.head_dim, &rules)?],
        attention: Attention { causal: false, ..attention_with_bias(false) },
        mlp: Mlp { gated: true, act, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..spec
    })
}
