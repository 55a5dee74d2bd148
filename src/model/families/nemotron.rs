//! Nemotron and Minitron: layer norms with gains of 1 + weight, squared relu in a plain MLP, half of each head rotates.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["nemotron"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // An early name of the share that rotates, next to today's.
    config.note_read(&["rope_percent", "kv_channels"]);
    let sizes = Sizes::read(config, &Rules { max_positions: 4096, ..Rules::LLAMA })?;
    let norm = Norm { gain: Gain::OnePlus, ..Norm::layer_norm(eps(config, "norm_eps", 1e-5)?) };
    let bias = config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.5).odd())?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::Relu2)?, bias, out_bias: bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("nemotron", &sizes, norm, DecoderHead::of("Nemotron").read(from, &llama::FILES)?)
    })
}
