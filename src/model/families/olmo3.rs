//! OLMo 3: OLMo 2 with a window in three of four layers; only the others have their rotation stretched.

use super::prelude::*;
use super::{olmo, olmo2};

/// transformers reads the old key for layers with full attention only.
const ROPES: ByLayerTypeRules =
    ByLayerTypeRules { full: ("rope_theta", 5e5), sliding: ("", 5e5), scaling_of_both: false };

pub static FAMILY: Family = Family::new(&["olmo3"], &olmo2::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let window = config.size_or(&["sliding_window"], Some(4096))?;
    let sliding = sliding_layers(config, sizes.n_layers, |i| !(i + 1).is_multiple_of(4))?;
    let reach = reach(config, &sliding, window)?;
    let ByLayerType { full, sliding: local } = by_layer_type(config, sizes.head_dim, &ROPES)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let heads = DecoderHead { pad: Some(1), tasks: olmo::TASKS, ..DecoderHead::of("Olmo3") };
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        placement: Placement::Output,
        ropes: vec![full, local],
        attention: Attention { qk_norm: Some(QkNorm { norm, over: QkNormOver::All }), ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| {
            let rope = Some(usize::from(sliding[i]));
            Layer { rope, reach: reach[i], ..layer }
        }),
        ..decoder("olmo3", &sizes, norm, heads.read(from, &olmo2::FILES)?)
    })
}
