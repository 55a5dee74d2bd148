//! Qwen2-MoE: Qwen2 with mixtures of experts and a shared expert; some layers may have a dense MLP.

use super::llama;
use super::prelude::*;

pub const SHARED: &[Entry] = &[
    weight("mlp.shared_expert.gate_proj", SharedGate),
    weight("mlp.shared_expert.up_proj", SharedIn),
    weight("mlp.shared_expert.down_proj", SharedOut),
    weight("mlp.shared_expert_gate", SharedMix),
];
static FILES: Files =
    Files { block: &[llama::NORMS, llama::ATTENTION, llama::MLP, llama::EXPERTS, SHARED], ..llama::NAMES };

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
        router: Router { normalize: config.flag(&["norm_topk_prob"], false)?, ..Router::default() },
        shared: Some(SharedExpert { width: width("shared_expert_intermediate_size", 5632)?, mixed: true }),
        ..Experts::default()
    };
    let sparse = sparse_layers(config, sizes.n_layers)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qkv_bias: config.flag(&["qkv_bias"], true)?, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], experts: sparse[i], ..layer }),
        ..decoder("qwen2_moe", &sizes, norm, DecoderHead::of("Qwen2Moe").read(from, &FILES)?)
    })
}
