//! StableLM: Llama with layer norms, of whose heads a part rotates; attention and MLP may be side by side.

use super::llama;
use super::prelude::*;

const QK_NORMS: &[Entry] =
    &[Entry::Each("self_attn.q_layernorm.norms", QNormW), Entry::Each("self_attn.k_layernorm.norms", KNormW)];
static FILES: Files = Files { block: &[llama::NORMS, llama::ATTENTION, QK_NORMS, llama::MLP], ..llama::NAMES };

pub static FAMILY: Family = Family::new(&["stablelm"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let rules = Rules { head_dim: HeadDim::Even, max_positions: 4096, ..Rules::LLAMA.kv(32) };
    let sizes = Sizes::read(config, &rules)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-5)?);
    let normed = config.flag(&["qk_layernorm"], false)?;
    let qk_norm = normed.then_some(QkNorm { norm: norm.without_bias(), over: QkNormOver::EachHead });
    let parallel = config.flag(&["use_parallel_residual"], false)?;
    let heads = DecoderHead { tasks: Task::NO_QUESTION, ..DecoderHead::of("StableLm") };
    Ok(ModelSpec {
        placement: if parallel { Placement::ParallelOne } else { Placement::Pre },
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.25))?],
        attention: Attention { qkv_bias: config.flag(&["use_qkv_bias"], false)?, qk_norm, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("stablelm", &sizes, norm, heads.read(from, &FILES)?)
    })
}
