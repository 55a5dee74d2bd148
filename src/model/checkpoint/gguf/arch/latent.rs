//! DeepSeek 2 and 3 and what is built like them: keys and values are made of a short vector.

use serde_json::json;

use super::{Description, Done, LLAMA_NAMES, body, moe};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

/// The factor on scores that comes with a stretched rotation, as files have it: this much of `mscale_all_dim`.
const PER_MSCALE: f64 = 0.1;

/// What makes keys and values is in one matrix in files until spring 2025, and since then in two stacks of matrices, of which
/// those of keys are turned for each head; widths of heads have other names then.
pub fn deepseek2(facts: &Facts) -> Result<Description, LoadError> {
    let apart = facts.has("blk.0.attn_k_b.weight");
    let (of_keys, of_values) = match apart {
        true => ("attention.key_length_mla", "attention.value_length_mla"),
        false => ("attention.key_length", "attention.value_length"),
    };
    let dense = facts.arch_size("leading_dense_block_count")?.unwrap_or(0);
    let heads = facts.need_size("attention.head_count")?;
    let (key, turning) = (facts.need_size(of_keys)?, facts.need_size("rope.dimension_count")?);
    let Some(own) = key.checked_sub(turning).filter(|own| *own > 0) else {
        return Err(facts.bad(format!("{turning} of the {key} features of a key rotate")));
    };
    let sigmoids = facts.arch_size(moe::GATING)?.unwrap_or(0) == moe::SIGMOID;
    let (model_type, class) = match sigmoids {
        true => ("deepseek_v3", "DeepseekV3ForCausalLM"),
        false => ("deepseek_v2", "DeepseekV2ForCausalLM"),
    };
    let short = facts.has("blk.0.attn_q_a.weight");
    let queries = if short { Some(facts.need_size("attention.q_lora_rank")?) } else { None };
    facts.note_read(&["attention.q_lora_rank", "attention.head_count_kv"]);
    facts.note_read(&["attention.key_length", "attention.value_length"]);
    let description = body(facts, model_type, class)?
        .set("num_key_value_heads", heads)
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("tie_word_embeddings", !facts.has("output.weight"))
        .set("rms_norm_eps", facts.need_number("attention.layer_norm_rms_epsilon")?)
        .set("q_lora_rank", json!(queries))
        .set("kv_lora_rank", facts.need_size("attention.kv_lora_rank")?)
        .set("qk_nope_head_dim", own)
        .set("qk_rope_head_dim", turning)
        .set("v_head_dim", facts.need_size(of_values)?)
        .set("first_k_dense_replace", dense)
        .set("rope_theta", facts.theta()?)
        .set_some("rope_scaling", stretched(facts)?)
        .name(LLAMA_NAMES)
        .name(&[
            ("blk.{}.attn_q_a", "model.layers.{}.self_attn.q_a_proj"),
            ("blk.{}.attn_q_a_norm", "model.layers.{}.self_attn.q_a_layernorm"),
            ("blk.{}.attn_q_b", "model.layers.{}.self_attn.q_b_proj"),
            ("blk.{}.attn_kv_a_mqa", "model.layers.{}.self_attn.kv_a_proj_with_mqa"),
            ("blk.{}.attn_kv_a_norm", "model.layers.{}.self_attn.kv_a_layernorm"),
            ("blk.{}.attn_kv_b", "model.layers.{}.self_attn.kv_b_proj"),
            ("blk.{}.attn_k_b", "model.layers.{}.self_attn.k_b_proj"),
            ("blk.{}.attn_v_b", "model.layers.{}.self_attn.v_b_proj"),
        ])
        .done(&["blk.{}.attn_v_b"], &Done::Level);
    // Groups are weighed by their two best experts, as in DeepSeek 3; those of DeepSeek 2 are refused with other keys.
    let description = match (sigmoids, facts.arch_size("expert_group_used_count")?) {
        (true, Some(kept)) => {
            description.set("n_group", facts.need_size("expert_group_count")?).set("topk_group", kept)
        }
        _ => description.set("n_group", 1).set("topk_group", 1),
    };
    moe::routed(facts, description)
}

/// YaRN, whose factors on cosine and sine are 1, and on scores follow from a number of the file.
fn stretched(facts: &Facts) -> Result<Option<serde_json::Value>, LoadError> {
    let key = facts.key("rope.scaling.type");
    let factor = facts.arch_number("rope.scaling.factor")?.filter(|factor| *factor != 1.0);
    let original = facts.arch_number("rope.scaling.original_context_length")?;
    let log = facts.arch_number("rope.scaling.yarn_log_multiplier")?.unwrap_or(0.0);
    match (facts.text(&key)?, factor) {
        (None | Some("none"), _) | (_, None) => Ok(None),
        (Some("yarn"), Some(factor)) => {
            let Some(original) = original.filter(|original| *original > 0.0) else {
                return Err(facts.bad("its metadata does not say the length that it was first trained for"));
            };
            for (name, usual) in [("yarn_beta_fast", 32.0), ("yarn_beta_slow", 1.0), ("yarn_attn_factor", 1.0)] {
                let name = format!("rope.scaling.{name}");
                if let Some(other) = facts.arch_number(&name)?.filter(|number| *number != usual) {
                    return Err(facts.unsupported(&facts.key(&name), other, "YaRN has its usual numbers here"));
                }
            }
            let mscale = log / PER_MSCALE;
            Ok(Some(json!({
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": original,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": mscale,
                "mscale_all_dim": mscale,
            })))
        }
        (Some(other), _) => Err(facts.unsupported(&key, other, "only yarn is")),
    }
}
