//! Qwen2-MoE: Qwen2 with mixtures of experts and a shared expert; some layers may have a dense MLP.

use super::llama;
use super::prelude::*;

static FILES: Files = llama::files(&[
    both("input_layernorm", Ln1W, Ln1B),
    both("self_attn.q_proj", W_Q, b_Q),
    both("self_attn.k_proj", W_K, b_K),
    both("self_attn.v_proj", W_V, b_V),
    weight("self_attn.o_proj", W_O),
    both("post_attention_layernorm", Ln2W, Ln2B),
    weight("mlp.gate_proj", W_gate),
    weight("mlp.up_proj", W_in),
    weight("mlp.down_proj", W_out),
    weight("mlp.gate", W_router),
    Entry::Experts("mlp.experts", ["gate_proj", "up_proj", "down_proj"]),
    Entry::Merged("mlp.experts"),
    weight("mlp.shared_expert.gate_proj", SharedGate),
    weight("mlp.shared_expert.up_proj", SharedIn),
    weight("mlp.shared_expert.down_proj", SharedOut),
    weight("mlp.shared_expert_gate", SharedMix),
]);

pub static FAMILY: Family = Family::new(&["qwen2_moe"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 32768, ..Rules::LLAMA.kv(16) })?;
    let window = window_if_used(config, Some(4096))?;
    let below = config.opt_count(&["max_window_layers"])?.unwrap_or(28);
    let alternating = |i: usize| window.is_some() && i.is_multiple_of(2) && i < below;
    let sliding = sliding_layers(config, sizes.n_layers, alternating)?;
    let reach = reach(config, &sliding, window)?;
    let width = |key, default| Ok::<_, LoadError>(config.opt_size(&[key])?.unwrap_or(default));
    let all = Experts {
        count: width("num_experts", 60)?,
        chosen: width("num_experts_per_tok", 4)?,
        width: width("moe_intermediate_size", 1408)?,
        normalize: config.flag(&["norm_topk_prob"], false)?,
        shared: Some(SharedExpert { width: width("shared_expert_intermediate_size", 5632)? }),
    };
    let sparse = sparse_layers(config, sizes.n_layers)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qkv_bias: config.flag(&["qkv_bias"], true)?, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], experts: sparse[i], ..layer }),
        ..decoder("qwen2_moe", &sizes, norm, DecoderHead::of("Qwen2Moe").read(from, &FILES)?)
    })
}
