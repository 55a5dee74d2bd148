//! Qwen3: Llama with norms of each query and key before the rotation; the heads together need not be as wide as the
//! model.

use super::prelude::*;
use super::{llama, qwen2};

static FILES: Files = Files { block: &[llama::NORMS, llama::ATTENTION, llama::QK_NORMS, llama::MLP], ..llama::NAMES };

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
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], ..layer }),
        ..decoder("qwen3", &sizes, norm, DecoderHead::of("Qwen3").read(from, &FILES)?)
    })
}
