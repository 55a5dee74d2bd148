//! Mistral: Llama with a sliding window. Ministral chooses it layer by layer, and so does CWM. The queries of Ministral 3
//! grow with their positions.

use serde_json::json;

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["mistral", "ministral", "ministral3", "cwm"], &llama::FILES, spec);

const CWM: &str = "cwm";
const MINISTRAL3: &str = "ministral3";

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let (family, class, by_layer) = match from.config.model_type()? {
        "ministral" => ("ministral", "Ministral", true),
        CWM => (CWM, "Cwm", true),
        MINISTRAL3 => (MINISTRAL3, "Ministral3", false),
        _ => ("mistral", "Mistral", false),
    };
    let third = family == MINISTRAL3;
    let config = &if third { with_rope_of_ministral3(from.config)? } else { from.config.clone() };
    let rules = Rules { max_positions: if third { 1 << 18 } else { 1 << 17 }, ..Rules::LLAMA.kv(8) };
    let rules = if family == CWM || third { rules.head_dim(128) } else { rules };
    let sizes = Sizes::read(config, &rules)?;
    let usual = match family {
        CWM => Some(8192),
        MINISTRAL3 => None,
        _ => Some(4096),
    };
    let window = config.size_or(&["sliding_window"], usual)?;
    // One layer in four of CWM sees everything, the first among them.
    let has_window = |layer: usize| window.is_some() && !(family == CWM && layer.is_multiple_of(4));
    let sliding = sliding_layers(config, sizes.n_layers, has_window)?;
    if !by_layer && sliding.iter().any(|sliding| *sliding != window.is_some()) {
        let why = format!("{family} has the same window in all layers; ministral chooses it layer by layer");
        return Err(config.unsupported("layer_types", "...", why));
    }
    let reach = reach(config, &sliding, window)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", if third { 1e-5 } else { 1e-6 })?);
    let growth = if third { Some(growth(config)?) } else { None };
    let heads = DecoderHead { pad: third.then_some(11), ..DecoderHead::of(class) };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { growth, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], ..layer }),
        ..decoder(family, &sizes, norm, heads.read(&Sources { config, ..*from }, &llama::FILES)?)
    })
}

/// The rotation that Ministral 3 has where its configuration does not say.
fn with_rope_of_ministral3(config: &HfConfig) -> Result<HfConfig, LoadError> {
    Ok(config.with_default_rope(json!({
        "type": "yarn",
        "rope_theta": 1e6,
        "factor": 16.0,
        "original_max_position_embeddings": 16384,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale_all_dim": 1.0,
        "mscale": 1.0,
        "llama_4_scaling_beta": 0.1,
    })))
}

/// How queries grow, which stands among the parameters of the rotation.
fn growth(config: &HfConfig) -> Result<Growth, LoadError> {
    const LENGTH: &str = "original_max_position_embeddings";
    let older = config.object("rope_scaling")?.filter(|section| !section.json().is_empty());
    let Some(section) = older.map_or_else(|| config.object("rope_parameters"), |older| Ok(Some(older)))? else {
        return Err(config.missing(&["rope_parameters"]));
    };
    // Written there by mistake of the first files; it says nothing.
    section.note_read(&["max_position_embeddings"]);
    let every = match config.opt_number(&[LENGTH])? {
        Some(outer) => outer,
        None => section.need_number(LENGTH)?,
    };
    if every <= 0.0 {
        return Err(section.bad(format!("{LENGTH:?} is {every}, not above zero")));
    }
    Ok(Growth { beta: section.need_number("llama_4_scaling_beta")?, every, first: 0.0, by_column: false })
}
