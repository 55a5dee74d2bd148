//! Hunyuan, dense: Llama with norms of each query and key after the rotation.

use super::llama;
use super::prelude::*;

static FILES: Files = Files { block: &[llama::NORMS, llama::ATTENTION, QK_NORMS, llama::MLP], ..llama::NAMES };

const QK_NORMS: &[Entry] = &[weight("self_attn.query_layernorm", QNormW), weight("self_attn.key_layernorm", KNormW)];

pub static FAMILY: Family = Family::new(&["hunyuan_v1_dense"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let tasks = &[Task::Causal, Task::Sequence, Task::Bare];
    let heads = DecoderHead { pad: Some(0), tasks, ..DecoderHead::of("HunYuanDenseV1") };
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::Head });
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules { alpha: true, ..RopeRules::LLAMA })?],
        attention: Attention { qk_norm, rotates_first: true, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("hunyuan_v1_dense", &sizes, norm, heads.read(from, &FILES)?)
    })
}
