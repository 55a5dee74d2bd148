//! Helium: Llama with rotation of neighbouring features.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["helium"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 4096, ..Rules::LLAMA.kv(20).head_dim(128) })?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-8)?);
    let heads = DecoderHead { pad: Some(3), tasks: Task::NO_QUESTION, ..DecoderHead::of("Helium") };
    let bias = config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(1e5).interleaved())?],
        attention: Attention { qkv_bias: config.flag(&["attention_bias"], false)?, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias, out_bias: bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("helium", &sizes, norm, heads.read(from, &llama::FILES)?)
    })
}
