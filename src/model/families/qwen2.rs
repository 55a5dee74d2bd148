//! Qwen2: Llama with biases on queries, keys and values; upper layers may have a window.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["qwen2"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 32768, ..Rules::LLAMA.kv(32) })?;
    let reach = upper_layers(from, &sizes)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qkv_bias: true, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], ..layer }),
        ..decoder("qwen2", &sizes, norm, DecoderHead::of("Qwen2").read(from, &llama::FILES)?)
    })
}

/// The window of Qwen2 and Qwen3: off unless `use_sliding_window`, and then from layer `max_window_layers` on.
pub fn upper_layers(from: &Sources, sizes: &Sizes) -> Result<Vec<Option<Reach>>, LoadError> {
    let config = from.config;
    let window = window_if_used(config, Some(4096))?;
    let first = config.opt_count(&["max_window_layers"])?.unwrap_or(28);
    let sliding = sliding_layers(config, sizes.n_layers, |i| window.is_some() && i >= first)?;
    reach(config, &sliding, window)
}
