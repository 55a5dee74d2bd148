//! Qwen3-MoE: Qwen3 with mixtures of experts; some layers may have a dense MLP.

use super::llama;
use super::prelude::*;

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
    weight("mlp.gate", W_router),
    Entry::Experts("mlp.experts", ["gate_proj", "up_proj", "down_proj"]),
    Entry::Merged("mlp.experts"),
]);

pub static FAMILY: Family = Family::new(&["qwen3_moe"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 32768, ..Rules::LLAMA.kv(4) })?;
    let reach = window_if_used(config, Some(4096))?.map(|window| window - 1);
    let width = |key, default| Ok::<_, LoadError>(config.opt_size(&[key])?.unwrap_or(default));
    let all = Experts {
        count: config.opt_size(&["num_experts", "num_local_experts"])?.unwrap_or(128),
        chosen: width("num_experts_per_tok", 8)?,
        width: width("moe_intermediate_size", 768)?,
        normalize: config.flag(&["norm_topk_prob"], false)?,
        shared: None,
    };
    config.note_read(&["max_window_layers"]);
    let sparse = sparse_layers(config, sizes.n_layers)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let bias = config.flag(&["attention_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qk_norm: Some(QkNorm { norm, over: QkNormOver::Head }), ..attention_with_bias(bias) },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach, experts: sparse[i], ..layer }),
        ..decoder("qwen3_moe", &sizes, norm, DecoderHead::of("Qwen3Moe").read(from, &FILES)?)
    })
}
