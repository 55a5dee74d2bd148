//! Mistral: Llama with a sliding window. Ministral chooses it layer by layer, and so does CWM.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["mistral", "ministral", "cwm"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let (family, class, by_layer) = match config.model_type()? {
        "ministral" => ("ministral", "Ministral", true),
        "cwm" => ("cwm", "Cwm", true),
        _ => ("mistral", "Mistral", false),
    };
    let rules = Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(8) };
    let rules = if family == "cwm" { rules.head_dim(128) } else { rules };
    let sizes = Sizes::read(config, &rules)?;
    let window = config.size_or(&["sliding_window"], Some(if family == "cwm" { 8192 } else { 4096 }))?;
    // One layer in four of CWM sees everything, the first among them.
    let has_window = |layer: usize| window.is_some() && !(family == "cwm" && layer.is_multiple_of(4));
    let sliding = sliding_layers(config, sizes.n_layers, has_window)?;
    if !by_layer && sliding.iter().any(|sliding| *sliding != window.is_some()) {
        let why = "mistral has the same window in all layers; ministral chooses it layer by layer";
        return Err(config.unsupported("layer_types", "...", why));
    }
    let reach = reach(config, &sliding, window)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], ..layer }),
        ..decoder(family, &sizes, norm, DecoderHead::of(class).read(from, &llama::FILES)?)
    })
}
