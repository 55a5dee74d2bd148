//! GLM-4.5 to 4.7: half of each head rotates, by halves; mixtures of experts as DeepSeek-V3 has them, after a few layers
//! with a dense MLP.

use super::llama;
use super::prelude::*;

static FILES: Files = Files {
    block: &[llama::NORMS, llama::ATTENTION, llama::QK_NORMS, llama::MLP, llama::EXPERTS, llama::CHOICE, llama::SHARED],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["glm4_moe"], &FILES, spec);

const EXPERTS: SigmoidRules = SigmoidRules {
    count: Some(128),
    chosen: Some(8),
    width: 1408,
    shared: Some(1),
    normalize: true,
    scale: 1.0,
    groups: 1,
    kept: 1,
};

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(8) })?;
    let sparse = dense_first(config, sizes.n_layers, 1)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let qk_norm = config.flag(&["use_qk_norm"], false)?.then_some(QkNorm { norm, over: QkNormOver::Head });
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("Glm4Moe") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.5).odd())?],
        attention: Attention { qkv_bias: config.flag(&["attention_bias"], false)?, qk_norm, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(by_sigmoids(config, &EXPERTS)?),
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), experts: sparse[i], ..layer }),
        ..decoder("glm4_moe", &sizes, norm, heads.read(from, &FILES)?)
    })
}
