//! SmolLM3: Llama without rotation in every fourth layer.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["smollm3"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 32768, ..Rules::LLAMA.kv(4) })?;
    let rotates = rotating_layers(config, sizes.n_layers, 4)?;
    let used = config.flag(&["use_sliding_window"], false)?;
    let window = config.size_or(&["sliding_window"], None)?;
    let sliding = sliding_layers(config, sizes.n_layers, |i| used && window.is_some() && !rotates[i])?;
    let reach = reach(config, &sliding, window)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let heads = DecoderHead { tied: true, pad: Some(128_004), ..DecoderHead::of("SmolLM3") };
    let bias = config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(2e6))?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias, out_bias: bias },
        layers: sizes.layers(|i, layer| Layer { rope: rotates[i].then_some(0), reach: reach[i], ..layer }),
        ..decoder("smollm3", &sizes, norm, heads.read(from, &llama::FILES)?)
    })
}
