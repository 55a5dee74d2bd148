//! Qwen3-MoE: Qwen3 with mixtures of experts; some layers may have a dense MLP.

use super::llama;
use super::prelude::*;

static FILES: Files =
    Files { block: &[llama::NORMS, llama::ATTENTION, llama::QK_NORMS, llama::MLP, llama::EXPERTS], ..llama::NAMES };

pub static FAMILY: Family = Family::new(&["qwen3_moe"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 32768, ..Rules::LLAMA.kv(4) })?;
    let reach = window_if_used(config, Some(4096))?.map(Reach::window);
    let width = |key, default| Ok::<_, LoadError>(config.opt_size(&[key])?.unwrap_or(default));
    let all = Experts {
        count: config.opt_size(&["num_experts", "num_local_experts"])?.unwrap_or(128),
        chosen: width("num_experts_per_tok", 8)?,
        width: width("moe_intermediate_size", 768)?,
        router: Router { normalize: config.flag(&["norm_topk_prob"], false)?, ..Router::default() },
        shared: None,
        ..Experts::default()
    };
    config.note_read(&["max_window_layers"]);
    let sparse = sparse_layers(config, sizes.n_layers)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let bias = config.flag(&["attention_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qk_norm: Some(QkNorm { norm, over: QkNormOver::Head }), ..attention_with_bias(bias) },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach, experts: sparse[i], ..layer }),
        ..decoder("qwen3_moe", &sizes, norm, DecoderHead::of("Qwen3Moe").read(from, &FILES)?)
    })
}
