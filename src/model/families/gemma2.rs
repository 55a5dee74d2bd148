//! Gemma 2: Gemma with norms around attention and MLP, soft caps on scores and logits, a window in every other layer.

use super::prelude::*;
use super::{gemma, llama};

static FILES: Files = llama::files(BLOCK);

/// The modules of a block; those of Gemma 3 too.
pub const BLOCK: &[Entry] = &[
    weight("input_layernorm", Ln1W),
    both("self_attn.q_proj", W_Q, b_Q),
    both("self_attn.k_proj", W_K, b_K),
    both("self_attn.v_proj", W_V, b_V),
    weight("self_attn.q_norm", QNormW),
    weight("self_attn.k_norm", KNormW),
    both("self_attn.o_proj", W_O, b_O),
    weight("post_attention_layernorm", AttnPostLnW),
    weight("pre_feedforward_layernorm", Ln2W),
    weight("mlp.gate_proj", W_gate),
    weight("mlp.up_proj", W_in),
    weight("mlp.down_proj", W_out),
    weight("post_feedforward_layernorm", MlpPostLnW),
];

pub static FAMILY: Family = Family::new(&["gemma2"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    gemma::causal_only(config)?;
    config.note_read(&["hidden_act"]);
    let sizes = Sizes::read(config, &Rules { max_positions: 8192, ..Rules::LLAMA.kv(4).head_dim(256) })?;
    let window = config.size_or(&["sliding_window"], Some(4096))?;
    let sliding = sliding_layers(config, sizes.n_layers, |i| i.is_multiple_of(2))?;
    let reach = reach(config, &sliding, window)?;
    let scale = query_scale(config)?;
    let heads = DecoderHead { tied: true, pad: Some(0), tasks: gemma::TASKS, ..DecoderHead::of("Gemma2") };
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
        placement: Placement::Sandwich,
        embed: gemma::embed(&sizes),
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { softcap, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_activation", Act::GeluTanh)?, bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], scale, ..layer }),
        ..decoder("gemma2", &sizes, gemma::norm(config)?, head)
    })
}
