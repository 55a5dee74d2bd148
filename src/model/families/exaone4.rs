//! EXAONE 4: norms on what attention and MLP add, and of each query and key; with a window in three of four layers,
//! only those rotate.

use super::olmo2;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["exaone4"], &olmo2::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA.kv(32))?;
    let window = config.size_or(&["sliding_window"], Some(4096))?;
    let every = pattern(config, sizes.n_layers)?;
    let sliding = sliding_layers(config, sizes.n_layers, |i| window.is_some() && every[i])?;
    let reach = reach(config, &sliding, window)?;
    let rope_of = |i: usize| (window.is_none() || sliding[i]).then_some(0);
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    Ok(ModelSpec {
        placement: Placement::Output,
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qk_norm: Some(QkNorm { norm, over: QkNormOver::Head }), ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: rope_of(i), reach: reach[i], ..layer }),
        ..decoder("exaone4", &sizes, norm, DecoderHead::of("Exaone4").read(from, &olmo2::FILES)?)
    })
}

/// `sliding_window_pattern`: all but every nth layer have a window, or letters for them, as in `LLLG`.
fn pattern(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    const KEY: &str = "sliding_window_pattern";
    let by_number = |every: usize| (0..n_layers).map(|i| !(i + 1).is_multiple_of(every)).collect();
    match config.find(&[KEY]) {
        Some((_, serde_json::Value::String(letters))) => {
            // transformers writes the layer types next to them, which then decide.
            if config.find(&["layer_types"]).is_some() {
                return Ok(by_number(4));
            }
            Err(config.unsupported(KEY, format!("{letters:?}"), "give the types of the layers in layer_types"))
        }
        _ => Ok(by_number(config.opt_count(&[KEY])?.unwrap_or(4).max(1))),
    }
}
