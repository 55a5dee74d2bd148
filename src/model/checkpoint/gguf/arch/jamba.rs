//! Jamba: state spaces, with attention in every so many layers and mixtures of experts in every so many.

use super::spaces::{converted, expansion, space};
use super::{Description, Done, LLAMA_NAMES, body};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

const STACKS: [&str; 3] = ["blk.{}.ffn_gate_exps", "blk.{}.ffn_up_exps", "blk.{}.ffn_down_exps"];

pub fn jamba(facts: &Facts) -> Result<Description, LoadError> {
    let blocks = facts.blocks()?;
    let attends = facts.attends()?.unwrap_or_else(|| vec![true; blocks]);
    let sparse: Vec<bool> = (0..blocks).map(|block| facts.has(&format!("blk.{block}.ffn_gate_inp.weight"))).collect();
    let (attention, experts) = (every(facts, &attends, "attention")?, every(facts, &sparse, "experts")?);
    let dense = sparse.iter().position(|sparse| !sparse);
    let width = dense
        .and_then(|block| facts.axis(&format!("blk.{block}.ffn_down.weight"), 1))
        .or_else(|| facts.axis("blk.0.ffn_down_exps.weight", 2));
    let description = body(facts, "jamba", "JambaForCausalLM")?
        .set("num_key_value_heads", facts.heads()?.1)
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("rms_norm_eps", facts.need_number("attention.layer_norm_rms_epsilon")?)
        .set("tie_word_embeddings", !facts.has("output.weight"))
        .set("hidden_act", "silu")
        .set_some("intermediate_size", width)
        .set("attn_layer_period", attention.0)
        .set("attn_layer_offset", attention.1)
        .set("expert_layer_period", experts.0)
        .set("expert_layer_offset", experts.1)
        .set("num_experts", facts.arch_size("expert_count")?.filter(|count| *count > 0).unwrap_or(1))
        .set("num_experts_per_tok", facts.arch_size("expert_used_count")?.filter(|count| *count > 0).unwrap_or(1))
        .set("mamba_expand", expansion(facts)?)
        .set("mamba_d_state", facts.need_size("ssm.state_size")?)
        .set("mamba_d_conv", facts.need_size("ssm.conv_kernel")?)
        .set("mamba_dt_rank", facts.need_size("ssm.time_step_rank")?)
        // llama.cpp refuses a file without them.
        .set("mamba_conv_bias", true)
        .set("mamba_proj_bias", false)
        .name(LLAMA_NAMES)
        .name(space!("model.layers.{}.mamba"))
        .name(&[
            ("output_norm", "model.final_layernorm"),
            ("blk.{}.ssm_dt", "model.layers.{}.mamba.dt_proj"),
            ("blk.{}.ssm_dt_norm", "model.layers.{}.mamba.dt_layernorm"),
            ("blk.{}.ssm_b_norm", "model.layers.{}.mamba.b_layernorm"),
            ("blk.{}.ssm_c_norm", "model.layers.{}.mamba.c_layernorm"),
            ("blk.{}.ffn_norm", "model.layers.{}.pre_ff_layernorm"),
            ("blk.{}.ffn_gate", "model.layers.{}.feed_forward.gate_proj"),
            ("blk.{}.ffn_up", "model.layers.{}.feed_forward.up_proj"),
            ("blk.{}.ffn_down", "model.layers.{}.feed_forward.down_proj"),
            ("blk.{}.ffn_gate_inp", "model.layers.{}.feed_forward.router"),
            (STACKS[0], "model.layers.{}.feed_forward.experts.{e}.gate_proj"),
            (STACKS[1], "model.layers.{}.feed_forward.experts.{e}.up_proj"),
            (STACKS[2], "model.layers.{}.feed_forward.experts.{e}.down_proj"),
        ])
        .done(&STACKS, &Done::Stacked);
    Ok(converted(description))
}

/// Layers that have something, as a period and the first of them; those that have it never have a period beyond the last.
fn every(facts: &Facts, has: &[bool], what: &str) -> Result<(usize, usize), LoadError> {
    let Some(first) = has.iter().position(|has| *has) else { return Ok((has.len() + 1, has.len())) };
    let next = has[first + 1..].iter().position(|has| *has);
    let period = next.map_or(has.len(), |next| next + 1).max(first + 1);
    match has.iter().enumerate().all(|(layer, has)| *has == (layer % period == first)) {
        true => Ok((period, first)),
        false => Err(facts.bad(format!("its layers with {what} do not come in equal distances"))),
    }
}
