//! GLM and GLM-4: half of each head rotates, by neighbouring features; GLM-4 has norms around attention and MLP.

use super::llama;
use super::prelude::*;

const NORMS: &[Entry] = &[weight("post_self_attn_layernorm", AttnPostLnW), weight("post_mlp_layernorm", MlpPostLnW)];
const MLP: &[Entry] = &[Entry::GateUp("mlp.gate_up_proj"), weight("mlp.down_proj", W_out)];
static FILES: Files = Files { block: &[llama::NORMS, llama::ATTENTION, NORMS, MLP], ..llama::NAMES };

pub static FAMILY: Family = Family::new(&["glm", "glm4"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sandwich = config.model_type()? == "glm4";
    let (family, class) = if sandwich { ("glm4", "Glm4") } else { ("glm", "Glm") };
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(2).head_dim(128) })?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1.5625e-7)?);
    let heads = DecoderHead { pad: Some(151_329), tasks: Task::NO_QUESTION, ..DecoderHead::of(class) };
    Ok(ModelSpec {
        placement: if sandwich { Placement::Sandwich } else { Placement::Pre },
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.5).interleaved().odd())?],
        attention: Attention { qkv_bias: config.flag(&["attention_bias"], true)?, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder(family, &sizes, norm, heads.read(from, &FILES)?)
    })
}
