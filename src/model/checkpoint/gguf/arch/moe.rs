//! Mixtures of experts: the matrices of all experts of a block are stacked in one tensor each.

use serde_json::json;

use super::{Description, Done, decoder, rms_eps};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

const STACKS: [&str; 3] = ["blk.{}.ffn_gate_exps", "blk.{}.ffn_up_exps", "blk.{}.ffn_down_exps"];

/// What Mixtral has besides Llama. Files of 2023 have one tensor for each expert.
pub fn mixtral(facts: &Facts, description: &mut Description, experts: usize) -> Result<(), LoadError> {
    description
        .set("num_local_experts", experts)
        .set("num_experts_per_tok", facts.need_size("expert_used_count")?)
        .name(&[
            ("blk.{}.ffn_gate_inp", "model.layers.{}.block_sparse_moe.gate"),
            (STACKS[0], "model.layers.{}.block_sparse_moe.experts.{e}.w1"),
            (STACKS[1], "model.layers.{}.block_sparse_moe.experts.{e}.w3"),
            (STACKS[2], "model.layers.{}.block_sparse_moe.experts.{e}.w2"),
            ("blk.{}.ffn_gate.{e}", "model.layers.{}.block_sparse_moe.experts.{e}.w1"),
            ("blk.{}.ffn_up.{e}", "model.layers.{}.block_sparse_moe.experts.{e}.w3"),
            ("blk.{}.ffn_down.{e}", "model.layers.{}.block_sparse_moe.experts.{e}.w2"),
        ])
        .done(&STACKS, &Done::Stacked);
    if let Some(width) = width(facts, "blk.0.ffn_down_exps.weight").or(facts.axis("blk.0.ffn_down.0.weight", 1)) {
        description.set("intermediate_size", width);
    }
    Ok(())
}

/// Qwen2-MoE: a shared expert in addition to the others; weights of the chosen ones are not normalised.
pub fn qwen2_moe(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = experts(facts, "qwen2_moe", "Qwen2MoeForCausalLM")?;
    description
        .set("norm_topk_prob", false)
        .set("use_sliding_window", false)
        .name(&[
            ("blk.{}.ffn_gate_inp_shexp", "model.layers.{}.mlp.shared_expert_gate"),
            ("blk.{}.ffn_gate_shexp", "model.layers.{}.mlp.shared_expert.gate_proj"),
            ("blk.{}.ffn_up_shexp", "model.layers.{}.mlp.shared_expert.up_proj"),
            ("blk.{}.ffn_down_shexp", "model.layers.{}.mlp.shared_expert.down_proj"),
        ])
        .done(&["blk.{}.ffn_gate_inp_shexp"], &Done::Flattened);
    let shared = facts.axis("blk.0.ffn_down_shexp.weight", 1);
    if let Some(width) = shared.or(facts.arch_size("expert_shared_feed_forward_length")?) {
        description.set("shared_expert_intermediate_size", width);
    }
    Ok(description)
}

/// Qwen3-MoE: norms on queries and keys; weights of the chosen experts are normalised.
pub fn qwen3_moe(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = experts(facts, "qwen3_moe", "Qwen3MoeForCausalLM")?;
    description
        .set("norm_topk_prob", true)
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("use_sliding_window", false);
    Ok(description)
}

/// OLMoE: norms on queries and keys over all heads; weights of the chosen experts are not normalised.
pub fn olmoe(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = experts(facts, "olmoe", "OlmoeForCausalLM")?;
    let clip = facts.arch_number("attention.clamp_kqv")?.filter(|clip| *clip > 0.0);
    description
        .set("norm_topk_prob", false)
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("clip_qkv", clip.map_or(json!(null), |clip| json!(clip)));
    // OLMoE calls the width of one expert by the name that others have for a dense MLP.
    if let Some(width) = description.config.remove("moe_intermediate_size") {
        description.config.insert("intermediate_size".into(), width);
    }
    Ok(description)
}

fn experts(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    let mut description = decoder(facts, model_type, class)?;
    rms_eps(facts, &mut description)?;
    let count = facts.need_size("expert_count")?;
    let dense: Vec<usize> =
        (0..facts.blocks()?).filter(|layer| facts.has(&format!("blk.{layer}.ffn_gate.weight"))).collect();
    description
        .set("hidden_act", "silu")
        .set("num_experts", count)
        .set("num_experts_per_tok", facts.need_size("expert_used_count")?)
        .set("decoder_sparse_step", 1)
        .set("mlp_only_layers", json!(dense))
        .name(&[
            ("blk.{}.ffn_gate_inp", "model.layers.{}.mlp.gate"),
            (STACKS[0], "model.layers.{}.mlp.experts.{e}.gate_proj"),
            (STACKS[1], "model.layers.{}.mlp.experts.{e}.up_proj"),
            (STACKS[2], "model.layers.{}.mlp.experts.{e}.down_proj"),
        ])
        .done(&STACKS, &Done::Stacked);
    let first = (0..facts.blocks()?).find_map(|layer| width(facts, &format!("blk.{layer}.ffn_down_exps.weight")));
    let width = match first {
        Some(width) => width,
        None => facts.need_size("expert_feed_forward_length")?,
    };
    description.set("moe_intermediate_size", width);
    if let Some(first) = dense.first()
        && let Some(width) = facts.axis(&format!("blk.{first}.ffn_down.weight"), 1)
    {
        description.set("intermediate_size", width);
    }
    Ok(description)
}

/// Width of one expert of a stack `[experts, d, width]`.
fn width(facts: &Facts, stack: &str) -> Option<usize> {
    facts.axis(stack, 2)
}
