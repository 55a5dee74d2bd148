//! OLMoE: Llama with mixtures of experts and norms of all queries and all keys together.

use super::prelude::*;
use super::{llama, olmo};

static FILES: Files = llama::files(&[
    weight("input_layernorm", Ln1W),
    both("self_attn.q_proj", W_Q, b_Q),
    both("self_attn.k_proj", W_K, b_K),
    both("self_attn.v_proj", W_V, b_V),
    weight("self_attn.q_norm", QNormW),
    weight("self_attn.k_norm", KNormW),
    both("self_attn.o_proj", W_O, b_O),
    weight("post_attention_layernorm", Ln2W),
    weight("mlp.gate", W_router),
    Entry::Experts("mlp.experts", ["gate_proj", "up_proj", "down_proj"]),
    Entry::Merged("mlp.experts"),
]);

pub static FAMILY: Family = Family::new(&["olmoe"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let rules = Rules { head_dim: HeadDim::Even, max_positions: 4096, ..Rules::LLAMA };
    let sizes = Sizes::read(config, &rules)?;
    let all = Experts {
        count: config.opt_size(&["num_experts", "num_local_experts"])?.unwrap_or(64),
        chosen: config.opt_size(&["num_experts_per_tok"])?.unwrap_or(8),
        width: sizes.d_mlp,
        normalize: config.flag(&["norm_topk_prob"], false)?,
        shared: None,
    };
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let tasks = &[Task::Causal, Task::Bare];
    let heads = DecoderHead { pad: Some(1), tasks, ..DecoderHead::of("Olmoe") };
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::All });
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qk_norm, clip: olmo::clip(config)?, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), experts: true, ..layer }),
        ..decoder("olmoe", &sizes, norm, heads.read(from, &FILES)?)
    })
}
