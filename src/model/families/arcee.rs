//! Arcee: Llama with squared relu in a plain MLP.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["arcee"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 4096, ..Rules::LLAMA })?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let bias = config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::Relu2)?, bias, out_bias: bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("arcee", &sizes, norm, DecoderHead::of("Arcee").read(from, &llama::FILES)?)
    })
}
