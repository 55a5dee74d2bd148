//! OLMo 2: norms on what attention and MLP add instead of before them, and of all queries and all keys together.

use super::prelude::*;
use super::{llama, olmo};

pub static FILES: Files = Files { block: &[NORMS, llama::ATTENTION, llama::QK_NORMS, llama::MLP], ..llama::NAMES };

pub const NORMS: &[Entry] =
    &[weight("post_attention_layernorm", AttnPostLnW), weight("post_feedforward_layernorm", MlpPostLnW)];

pub static FAMILY: Family = Family::new(&["olmo2"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let heads = DecoderHead { pad: Some(1), tasks: olmo::TASKS, ..DecoderHead::of("Olmo2") };
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        placement: Placement::Output,
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qk_norm: Some(QkNorm { norm, over: QkNormOver::All }), ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("olmo2", &sizes, norm, heads.read(from, &FILES)?)
    })
}
