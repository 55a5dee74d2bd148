//! OLMo: Llama with layer norms that have no weights, and a bound on queries, keys and values.

use super::llama;
use super::prelude::*;

pub const TASKS: &[Task] = &[Task::Causal, Task::Sequence, Task::Bare];

pub static FAMILY: Family = Family::new(&["olmo"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm { gain: Gain::None, bias: false, ..Norm::layer_norm(1e-5) };
    let heads = DecoderHead { pad: Some(1), tasks: TASKS, ..DecoderHead::of("Olmo") };
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { clip: clip(config)?, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("olmo", &sizes, norm, heads.read(from, &llama::FILES)?)
    })
}

pub fn clip(config: &HfConfig) -> Result<Option<f64>, LoadError> {
    config.number_or(&["clip_qkv"], None)
}
