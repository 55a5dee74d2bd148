//! dots.llm1: Qwen3 with mixtures of experts as DeepSeek-V3 has them, and a window in the upper layers.

use super::llama;
use super::prelude::*;

static FILES: Files = Files {
    block: &[llama::NORMS, llama::ATTENTION, llama::QK_NORMS, llama::MLP, llama::EXPERTS, llama::CHOICE, llama::SHARED],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["dots1"], &FILES, spec);

const EXPERTS: SigmoidRules = SigmoidRules {
    count: None,
    chosen: None,
    width: 1408,
    shared: None,
    normalize: false,
    scale: 1.0,
    groups: 1,
    kept: 1,
};

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA.kv(32))?;
    let window = config.size_or(&["sliding_window"], Some(4096))?;
    let below = config.opt_count(&["max_window_layers"])?.unwrap_or(62);
    let sliding = sliding_layers(config, sizes.n_layers, |layer| window.is_some() && layer >= below)?;
    let reach = reach(config, &sliding, window)?;
    let sparse = dense_first(config, sizes.n_layers, 0)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::Head });
    let bias = config.flag(&["attention_bias"], false)?;
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("Dots1") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { qk_norm, ..attention_with_bias(bias) },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(by_sigmoids(config, &EXPERTS)?),
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], experts: sparse[i], ..layer }),
        ..decoder("dots1", &sizes, norm, heads.read(from, &FILES)?)
    })
}
