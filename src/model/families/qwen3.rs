//! Qwen3: Llama with norms of each query and key before the rotation; the heads together need not be as wide as the
//! model.

use super::prelude::*;
use super::{llama, qwen2};

static FILES: Files = llama::files(&[
    both("input_layernorm", Ln1W, Ln1B),
    both("self_attn.q_proj", W_Q, b_Q),
    both("self_attn.k_proj", W_K, b_K),
    both("self_attn.v_proj", W_V, b_V),
    weight("self_attn.q_norm", QNormW),
    weight("self_attn.k_norm", KNormW),
    both("self_attn.o_proj", W_O, b_O),
    both("post_attention_layernorm", Ln2W, Ln2B),
    weight("mlp.gate_proj", W_gate),
    weight("mlp.up_proj", W_in),
    weight("mlp.down_proj", W_out),
]);

pub static FAMILY: Family = Family::new(&["qwen3"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 32768, ..Rules::LLAMA.kv(32).head_dim(128) })?;
    let reach = qwen2::upper_layers(from, &sizes)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let bias = config.flag(&["attention_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qk_norm: Some(QkNorm { norm, over: QkNormOver::Head }), ..attention_with_bias(bias) },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], ..layer }),
        ..decoder("qwen3", &sizes, norm, DecoderHead::of("Qwen3").read(from, &FILES)?)
    })
}
