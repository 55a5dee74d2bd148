//! Mistral: Llama with a sliding window. Ministral chooses it layer by layer.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["mistral", "ministral"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let by_layer = config.model_type()? == "ministral";
    let rules = Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(8) };
    let sizes = Sizes::read(config, &rules)?;
    let window = config.size_or(&["sliding_window"], Some(4096))?;
    let sliding = sliding_layers(config, sizes.n_layers, |_| window.is_some())?;
    if !by_layer && sliding.iter().any(|sliding| *sliding != window.is_some()) {
        let why = "mistral has the same window in all layers; ministral chooses it layer by layer";
        return Err(config.unsupported("layer_types", "...", why));
    }
    let reach = reach(config, &sliding, window)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let (family, class) = if by_layer { ("ministral", "Ministral") } else { ("mistral", "Mistral") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], ..layer }),
        ..decoder(family, &sizes, norm, DecoderHead::of(class).read(from, &llama::FILES)?)
    })
}
