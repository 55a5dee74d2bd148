//! Llama and those that llama.cpp converts like it: the rows of queries and keys are reordered, so that features that
//! rotate together are side by side.

use serde_json::Value as Json;

use super::{Description, Done, decoder, joined_projections, moe, rms_decoder};
use crate::model::checkpoint::arrange::RowOrder;
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

/// Llama, Mistral and Mixtral, which llama.cpp does not tell apart, and whose windows it does not read.
pub fn llama(facts: &Facts) -> Result<Description, LoadError> {
    match facts.arch_size("expert_count")?.unwrap_or(0) {
        0 => pairs(facts, "llama", "LlamaForCausalLM"),
        experts => {
            let description = pairs(facts, "mixtral", "MixtralForCausalLM")?.set("sliding_window", Json::Null);
            moe::mixtral(facts, description, experts)
        }
    }
}

/// Mistral Small 3.1 and later, whose file has the text part alone, and Ministral 3, whose queries grow with their
/// positions.
pub fn mistral3(facts: &Facts) -> Result<Description, LoadError> {
    if facts.arch_size("expert_count")?.unwrap_or(0) > 0 {
        return Err(facts.bad("it is a Mistral 3 with experts, which cannot be represented"));
    }
    const GROWTH: &str = "attention.temperature_scale";
    let Some(growth) = facts.arch_number(GROWTH)?.filter(|growth| *growth != 0.0) else {
        return Ok(pairs(facts, "mistral", "MistralForCausalLM")?.set("sliding_window", Json::Null));
    };
    let mut description = pairs(facts, "ministral3", "Ministral3ForCausalLM")?.set("sliding_window", Json::Null);
    let Some(scaling) = description.config.get_mut("rope_scaling") else {
        return Err(facts.unsupported(&facts.key(GROWTH), growth, "queries grow from the original length of YaRN on"));
    };
    scaling["llama_4_scaling_beta"] = growth.into();
    Ok(description)
}

/// SmolLM3: every fourth layer has no RoPE, which the file does not say.
pub fn smollm3(facts: &Facts) -> Result<Description, LoadError> {
    let rotates = |layer: usize| i32::from(!(layer + 1).is_multiple_of(4));
    Ok(pairs(facts, "smollm3", "SmolLM3ForCausalLM")?
        .set("no_rope_layer_interval", 4)
        .set("no_rope_layers", (0..facts.blocks()?).map(rotates).collect::<Vec<i32>>())
        .set("use_sliding_window", false))
}

/// Arcee: a plain MLP with squared ReLU.
pub fn arcee(facts: &Facts) -> Result<Description, LoadError> {
    Ok(pairs(facts, "arcee", "ArceeForCausalLM")?.set("hidden_act", "relu2"))
}

/// OLMo: norms without weights.
pub fn olmo(facts: &Facts) -> Result<Description, LoadError> {
    let description = side_by_side(facts, decoder(facts, "olmo", "OlmoForCausalLM")?)?;
    Ok(description.set("hidden_act", "silu").set("attention_bias", false).set("clip_qkv", facts.clip()?))
}

pub fn pairs(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    Ok(side_by_side(facts, rms_decoder(facts, model_type, class)?)?
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("mlp_bias", facts.has("blk.0.ffn_down.bias")))
}

fn side_by_side(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    let (heads, kv_heads) = facts.heads()?;
    let (queries, keys) = (RowOrder::Pairs { heads }, RowOrder::Pairs { heads: kv_heads });
    let description = description
        .done(&["blk.{}.attn_q"], &Done::Reordered(queries))
        .done(&["blk.{}.attn_k"], &Done::Reordered(keys));
    joined_projections(facts, description, queries, keys)
}
