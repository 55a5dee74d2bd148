//! ERNIE 4.5: Llama with rotation of neighbouring features.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["ernie4_5"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(2).head_dim(128) })?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let bias = config.flag(&["use_bias"], false)?;
    let heads = DecoderHead { tied: true, tasks: Task::NO_CLASSES, ..DecoderHead::of("Ernie4_5") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(5e5).interleaved())?],
        attention: attention_with_bias(bias),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("ernie4_5", &sizes, norm, heads.read(from, &llama::FILES)?)
    })
}
