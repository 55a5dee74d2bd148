//! Gemma 2: Gemma with norms around attention and MLP, soft caps on scores and logits, a window in every other layer.
//! VaultGemma leaves out the norms of what attention and MLP add.

use super::prelude::*;
use super::{gemma, llama, olmo2};

static FILES: Files = Files { block: BLOCK, ..llama::NAMES };

/// The modules of a block; those of Gemma 3 too.
pub const BLOCK: &[&[Entry]] = &[NORMS, olmo2::NORMS, llama::ATTENTION, llama::QK_NORMS, llama::MLP];
const NORMS: &[Entry] = &[weight("input_layernorm", Ln1W), weight("pre_feedforward_layernorm", Ln2W)];

const VAULT: &str = "vaultgemma";

pub static FAMILY: Family = Family::new(&["gemma2", VAULT], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    gemma::causal_only(config)?;
    config.note_read(&["hidden_act"]);
    let sizes = Sizes::read(config, &Rules { max_positions: 8192, ..Rules::LLAMA.kv(4).head_dim(256) })?;
    let window = config.size_or(&["sliding_window"], Some(4096))?;
    let sliding = sliding_layers(config, sizes.n_layers, |i| i.is_multiple_of(2))?;
    let reach = reach(config, &sliding, window)?;
    let scale = query_scale(config)?;
    let vault = config.model_type()? == VAULT;
    let (family, class, tasks) = match vault {
        true => (VAULT, "VaultGemma", Task::NO_CLASSES),
        false => ("gemma2", "Gemma2", Task::NO_QUESTION),
    };
    let heads = DecoderHead { tied: true, pad: Some(0), tasks, ..DecoderHead::of(class) };
    let head = match heads.read(from, &FILES)? {
        Head::CausalLm(logits) => {
            let softcap = config.number_or(&["final_logit_softcapping"], Some(30.0))?;
            Head::CausalLm(Logits { softcap, ..logits })
        }
        other => other,
    };
    // Caps of heads that are not there have no bearing.
    config.note_read(&["final_logit_softcapping"]);
    let softcap = config.number_or(&["attn_logit_softcapping"], Some(50.0))?;
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        placement: if vault { Placement::Pre } else { Placement::Sandwich },
        embed: gemma::embed(&sizes),
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { softcap, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_activation", Act::GeluTanh)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], scale, ..layer }),
        ..decoder(family, &sizes, gemma::norm(config)?, head)
    })
}
