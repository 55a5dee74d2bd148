//! Persimmon: layer norms with biases, norms of each query and key, squared relu, half of each head rotates.

use super::llama;
use super::prelude::*;

static FILES: Files = Files {
    after: &[both("final_layernorm", LnFinalW, LnFinalB)],
    block: &[&[
        both("input_layernorm", Ln1W, Ln1B),
        Entry::Qkv("self_attn.query_key_value", Split::PerHead),
        both("self_attn.q_layernorm", QNormW, QNormB),
        both("self_attn.k_layernorm", KNormW, KNormB),
        both("self_attn.dense", W_O, b_O),
        both("post_attention_layernorm", Ln2W, Ln2B),
        both("mlp.dense_h_to_4h", W_in, b_in),
        both("mlp.dense_4h_to_h", W_out, b_out),
    ]],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["persimmon"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    config.note_read(&["num_key_value_heads"]);
    let rules = Rules { kv: Kv::Heads, head_dim: HeadDim::Even, max_positions: 16384, ..Rules::LLAMA };
    let sizes = Sizes::read(config, &rules)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-5)?);
    let normed = config.flag(&["qk_layernorm"], true)?;
    let qk_norm = normed.then_some(QkNorm { norm, over: QkNormOver::Head });
    let heads = DecoderHead { tasks: Task::NO_QUESTION, ..DecoderHead::of("Persimmon") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.5))?],
        attention: Attention { qk_norm, ..attention_with_bias(true) },
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::Relu2)?, bias: true, out_bias: true },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("persimmon", &sizes, norm, heads.read(from, &FILES)?)
    })
}
