//! Mixtures of experts: the matrices of all experts of a block are stacked in one tensor each.

use serde_json::Value as Json;

use super::{Description, Done, further_blocks, rms_decoder};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

const STACKS: [&str; 3] = ["blk.{}.ffn_gate_exps", "blk.{}.ffn_up_exps", "blk.{}.ffn_down_exps"];

/// What Mixtral has besides Llama. Files of 2023 have one tensor for each expert.
pub fn mixtral(facts: &Facts, description: Description, experts: usize) -> Result<Description, LoadError> {
    let width = width(facts, 0).or(facts.axis("blk.0.ffn_down.0.weight", 1));
    Ok(description
        .set("num_local_experts", experts)
        .set("num_experts_per_tok", facts.need_size("expert_used_count")?)
        .set_some("intermediate_size", width)
        .name(&[
            ("blk.{}.ffn_gate_inp", "model.layers.{}.block_sparse_moe.gate"),
            (STACKS[0], "model.layers.{}.block_sparse_moe.experts.{e}.w1"),
            (STACKS[1], "model.layers.{}.block_sparse_moe.experts.{e}.w3"),
            (STACKS[2], "model.layers.{}.block_sparse_moe.experts.{e}.w2"),
            ("blk.{}.ffn_gate.{e}", "model.layers.{}.block_sparse_moe.experts.{e}.w1"),
            ("blk.{}.ffn_up.{e}", "model.layers.{}.block_sparse_moe.experts.{e}.w3"),
            ("blk.{}.ffn_down.{e}", "model.layers.{}.block_sparse_moe.experts.{e}.w2"),
        ])
        .done(&STACKS, &Done::Stacked))
}

/// What a Granite with experts has besides the dense one.
pub fn granite(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    Ok(description
        .set("num_local_experts", facts.need_size("expert_count")?)
        .set("num_experts_per_tok", facts.need_size("expert_used_count")?)
        .set_some("intermediate_size", width(facts, 0))
        .name(&[
            ("blk.{}.ffn_gate_inp", "model.layers.{}.block_sparse_moe.router.layer"),
            (STACKS[0], "model.layers.{}.block_sparse_moe.experts.{e}.w1"),
            (STACKS[1], "model.layers.{}.block_sparse_moe.experts.{e}.w3"),
            (STACKS[2], "model.layers.{}.block_sparse_moe.experts.{e}.w2"),
        ])
        .done(&STACKS, &Done::Stacked))
}

/// Qwen2-MoE: a shared expert in addition to the others; weights of the chosen ones are not normalised.
pub fn qwen2_moe(facts: &Facts) -> Result<Description, LoadError> {
    Ok(qwen2_moe_like(facts, "qwen2_moe", "Qwen2MoeForCausalLM")?
        .set("norm_topk_prob", false)
        .set("use_sliding_window", false))
}

/// Experts and one that is mixed with them.
pub fn qwen2_moe_like(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    let shared = facts.axis("blk.0.ffn_down_shexp.weight", 1);
    Ok(experts(facts, model_type, class)?
        .set_some("shared_expert_intermediate_size", shared.or(facts.arch_size("expert_shared_feed_forward_length")?))
        .name(&[
            ("blk.{}.ffn_gate_inp_shexp", "model.layers.{}.mlp.shared_expert_gate"),
            ("blk.{}.ffn_gate_shexp", "model.layers.{}.mlp.shared_expert.gate_proj"),
            ("blk.{}.ffn_up_shexp", "model.layers.{}.mlp.shared_expert.up_proj"),
            ("blk.{}.ffn_down_shexp", "model.layers.{}.mlp.shared_expert.down_proj"),
        ])
        .done(&["blk.{}.ffn_gate_inp_shexp"], &Done::Flattened))
}

/// Qwen3-MoE: norms on queries and keys; weights of the chosen experts are normalised.
pub fn qwen3_moe(facts: &Facts) -> Result<Description, LoadError> {
    Ok(experts(facts, "qwen3_moe", "Qwen3MoeForCausalLM")?
        .set("norm_topk_prob", true)
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("use_sliding_window", false))
}

/// OLMoE: norms on queries and keys over all heads; weights of the chosen experts are not normalised.
pub fn olmoe(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = experts(facts, "olmoe", "OlmoeForCausalLM")?;
    // OLMoE calls the width of one expert by the name that others have for a dense MLP.
    let width = description.config.remove("moe_intermediate_size");
    Ok(description
        .set_some("intermediate_size", width)
        .set("norm_topk_prob", false)
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("clip_qkv", facts.clip()?))
}

/// GLM-4.5 to 4.7: dense layers first, then experts by sigmoids with numbers that are added for the choice.
pub fn glm4_moe(facts: &Facts) -> Result<Description, LoadError> {
    let description = further_blocks(facts, rms_decoder(facts, "glm4_moe", "Glm4MoeForCausalLM")?)?;
    Ok(by_sigmoids(facts, description)?
        .set("use_qk_norm", facts.has("blk.0.attn_q_norm.weight"))
        .name(&[("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm")]))
}

/// dots.llm1, whose windows llama.cpp does not read.
pub fn dots1(facts: &Facts) -> Result<Description, LoadError> {
    let description = rms_decoder(facts, "dots1", "Dots1ForCausalLM")?.set("sliding_window", Json::Null);
    by_sigmoids(facts, description)
}

/// Scores of experts as files have them: softmax over all, or a sigmoid of each.
pub const SIGMOID: usize = 2;
pub const GATING: &str = "expert_gating_func";

/// Experts by sigmoids with numbers that are added for the choice, and a shared one, after dense layers.
fn by_sigmoids(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    if let Some(other) = facts.arch_size(GATING)?.filter(|gating| ![0, SIGMOID].contains(gating)) {
        return Err(facts.unsupported(&facts.key(GATING), other, "scores of this family are sigmoids"));
    }
    routed(facts, description.set("n_group", 1).set("topk_group", 1))
}

/// Experts and a shared one, after dense layers, in the words of DeepSeek.
pub fn routed(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    let dense = facts.arch_size("leading_dense_block_count")?.unwrap_or(0);
    let norm = facts.flag(&facts.key("expert_weights_norm"))?.unwrap_or(false);
    Ok(description
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("n_routed_experts", facts.need_size("expert_count")?)
        .set("num_experts_per_tok", facts.need_size("expert_used_count")?)
        .set("n_shared_experts", facts.arch_size("expert_shared_count")?.unwrap_or(1))
        .set("first_k_dense_replace", dense)
        .set("routed_scaling_factor", facts.arch_number("expert_weights_scale")?.filter(|x| *x != 0.0).unwrap_or(1.0))
        .set("norm_topk_prob", norm)
        .set_some("moe_intermediate_size", width(facts, dense))
        .name(&[
            ("blk.{}.ffn_gate_inp", "model.layers.{}.mlp.gate"),
            ("blk.{}.exp_probs_b", "model.layers.{}.mlp.gate.e_score_correction_bias"),
            ("blk.{}.ffn_gate_shexp", "model.layers.{}.mlp.shared_experts.gate_proj"),
            ("blk.{}.ffn_up_shexp", "model.layers.{}.mlp.shared_experts.up_proj"),
            ("blk.{}.ffn_down_shexp", "model.layers.{}.mlp.shared_experts.down_proj"),
            (STACKS[0], "model.layers.{}.mlp.experts.{e}.gate_proj"),
            (STACKS[1], "model.layers.{}.mlp.experts.{e}.up_proj"),
            (STACKS[2], "model.layers.{}.mlp.experts.{e}.down_proj"),
        ])
        .done(&["blk.{}.exp_probs_b"], &Done::Alone)
        .done(&STACKS, &Done::Stacked))
}

/// gpt-oss: sinks, biases everywhere, a window in every other layer; the converter takes gate and up projections apart.
pub fn gpt_oss(facts: &Facts) -> Result<Description, LoadError> {
    let description = experts(facts, "gpt_oss", "GptOssForCausalLM")?;
    let (description, width) = without_widths(description);
    Ok(description
        .set_some("intermediate_size", width)
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("sliding_window", facts.need_size("attention.sliding_window")?)
        .name(&[
            ("blk.{}.attn_sinks", "model.layers.{}.self_attn.sinks"),
            ("blk.{}.ffn_gate_inp", "model.layers.{}.mlp.router"),
            ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm"),
        ]))
}

/// Llama 4: what its file does not say, the length of chunks and the growth of queries, is as in llama.cpp. The 128 experts of
/// Maverick stand for queries and keys without a norm.
pub fn llama4(facts: &Facts) -> Result<Description, LoadError> {
    const WINDOW: &str = "attention.sliding_window";
    const CHUNK: usize = 8192;
    let count = facts.arch_size("expert_count")?.unwrap_or(0);
    let every = facts.need_size("interleave_moe_layer_step")?;
    if count == 0 || every == 0 {
        return Err(facts.bad("it is a Llama 4 without experts, which cannot be represented"));
    }
    // Zero means that all layers see everything and rotate.
    let whole = match facts.arch_size(WINDOW)? {
        Some(0) => true,
        None | Some(CHUNK) => false,
        Some(other) => {
            let why = format!("llama.cpp computes chunks of {CHUNK}, or none with 0");
            return Err(facts.unsupported(&facts.key(WINDOW), other, &why));
        }
    };
    let blocks = facts.blocks()?;
    let rotates = |layer: usize| i32::from(whole || !(layer + 1).is_multiple_of(4));
    Ok(rms_decoder(facts, "llama4_text", "Llama4ForCausalLM")?
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("intermediate_size_mlp", facts.mlp_width()?)
        .set("intermediate_size", facts.need_size("expert_feed_forward_length")?)
        .set("num_local_experts", count)
        .set("num_experts_per_tok", facts.need_size("expert_used_count")?)
        .set("interleave_moe_layer_step", every)
        .set("no_rope_layers", (0..blocks).map(rotates).collect::<Vec<i32>>())
        .set("attention_chunk_size", if whole { Json::Null } else { CHUNK.into() })
        .set("use_qk_norm", count != 128)
        .name(&[
            ("blk.{}.ffn_gate", "model.layers.{}.feed_forward.gate_proj"),
            ("blk.{}.ffn_up", "model.layers.{}.feed_forward.up_proj"),
            ("blk.{}.ffn_down", "model.layers.{}.feed_forward.down_proj"),
            ("blk.{}.ffn_gate_inp", "model.layers.{}.feed_forward.router"),
            ("blk.{}.ffn_gate_shexp", "model.layers.{}.feed_forward.shared_expert.gate_proj"),
            ("blk.{}.ffn_up_shexp", "model.layers.{}.feed_forward.shared_expert.up_proj"),
            ("blk.{}.ffn_down_shexp", "model.layers.{}.feed_forward.shared_expert.down_proj"),
            (STACKS[0], "model.layers.{}.feed_forward.experts.{e}.gate_proj"),
            (STACKS[1], "model.layers.{}.feed_forward.experts.{e}.up_proj"),
            (STACKS[2], "model.layers.{}.feed_forward.experts.{e}.down_proj"),
        ])
        .done(&STACKS, &Done::Stacked))
}

/// Without the words that other mixtures have for widths and dense layers; the width of an expert.
fn without_widths(mut description: Description) -> (Description, Option<serde_json::Value>) {
    let [width, ..] = ["moe_intermediate_size", "decoder_sparse_step", "mlp_only_layers", "intermediate_size"]
        .map(|key| description.config.remove(key));
    (description, width)
}

fn experts(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    let (description, blocks) = (rms_decoder(facts, model_type, class)?, facts.blocks()?);
    let dense: Vec<usize> = (0..blocks).filter(|layer| facts.has(&format!("blk.{layer}.ffn_gate.weight"))).collect();
    let dense_width = dense.first().and_then(|first| facts.axis(&format!("blk.{first}.ffn_down.weight"), 1));
    let width = match (0..blocks).find_map(|layer| width(facts, layer)) {
        Some(width) => width,
        None => facts.need_size("expert_feed_forward_length")?,
    };
    Ok(description
        .set("hidden_act", "silu")
        .set("num_experts", facts.need_size("expert_count")?)
        .set("num_experts_per_tok", facts.need_size("expert_used_count")?)
        .set("decoder_sparse_step", 1)
        .set("mlp_only_layers", dense)
        .set("moe_intermediate_size", width)
        .set_some("intermediate_size", dense_width)
        .name(&[
            ("blk.{}.ffn_gate_inp", "model.layers.{}.mlp.gate"),
            (STACKS[0], "model.layers.{}.mlp.experts.{e}.gate_proj"),
            (STACKS[1], "model.layers.{}.mlp.experts.{e}.up_proj"),
            (STACKS[2], "model.layers.{}.mlp.experts.{e}.down_proj"),
        ])
        .done(&STACKS, &Done::Stacked))
}

/// Width of one expert of a layer's stack `[experts, d, width]`.
fn width(facts: &Facts, layer: usize) -> Option<usize> {
    facts.axis(&format!("blk.{layer}.ffn_down_exps.weight"), 2)
}
