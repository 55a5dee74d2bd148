//! Jais 2: Llama with layer norms and biases, and an MLP without a gate that squares what is above zero.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["jais2"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 8192, ..Rules::LLAMA })?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-5)?);
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("Jais2") };
    let bias = config.flag(&["mlp_bias"], true)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(config.flag(&["attention_bias"], true)?),
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::Relu2)?, bias, out_bias: bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("jais2", &sizes, norm, heads.read(from, &llama::FILES)?)
    })
}
