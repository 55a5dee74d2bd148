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

/// Granite: Llama with multipliers.
pub fn granite(facts: &Facts) -> Result<Description, LoadError> {
    let description = pairs(facts, "granite", "GraniteForCausalLM")?;
    // Without a scale it is the usual one; zero means none, here and below.
    let description = description.set("attention_multiplier", 1.0 / (facts.head_dim()?.max(1) as f64).sqrt());
    let names = [
        ("attention_multiplier", "attention.scale"),
        ("embedding_multiplier", "embedding_scale"),
        ("residual_multiplier", "residual_scale"),
        ("logits_scaling", "logit_scale"),
    ];
    names.into_iter().try_fold(description, |description, (key, name)| {
        Ok(description.set_some(key, facts.arch_number(name)?.filter(|value| *value != 0.0)))
    })
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

fn pairs(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
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
