//! OLMoE: Llama with mixtures of experts and norms of all queries and all keys together.

use super::prelude::*;
use super::{llama, olmo};

static FILES: Files =
    Files { block: &[llama::NORMS, llama::ATTENTION, llama::QK_NORMS, llama::EXPERTS], ..llama::NAMES };

pub static FAMILY: Family = Family::new(&["olmoe"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let rules = Rules { head_dim: HeadDim::Even, max_positions: 4096, ..Rules::LLAMA };
    let sizes = Sizes::read(config, &rules)?;
    let all = Experts {
        count: config.opt_size(&["num_experts", "num_local_experts"])?.unwrap_or(64),
        chosen: config.opt_size(&["num_experts_per_tok"])?.unwrap_or(8),
        width: sizes.d_mlp,
        router: Router { normalize: config.flag(&["norm_topk_prob"], false)?, ..Router::default() },
        shared: None,
        ..Experts::default()
    };
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let heads = DecoderHead { pad: Some(1), tasks: Task::NO_CLASSES, ..DecoderHead::of("Olmoe") };
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::All });
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qk_norm, clip: olmo::clip(config)?, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), experts: true, ..layer }),
        ..decoder("olmoe", &sizes, norm, heads.read(from, &FILES)?)
    })
}
