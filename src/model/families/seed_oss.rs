//! Seed-OSS: Qwen2 with heads of their own width, and settings for each bias.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["seed_oss"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 19, ..Rules::LLAMA.kv(8).head_dim(128) })?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let (qkv_bias, out_bias) = (config.flag(&["attention_bias"], true)?, config.flag(&["attention_out_bias"], false)?);
    let bias = config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qkv_bias, out_bias, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias, out_bias: bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("seed_oss", &sizes, norm, DecoderHead::of("SeedOss").read(from, &llama::FILES)?)
    })
}
