//! Llama and those that llama.cpp converts like it: the rows of queries and keys are reordered, so that features that
//! rotate together are side by side.

use serde_json::{Value as Json, json};

use super::{Description, Done, decoder, joined_projections, moe, rms_eps};
use crate::model::checkpoint::arrange::RowOrder;
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

/// Llama, Mistral and Mixtral, which llama.cpp does not tell apart, and whose windows it does not read.
pub fn llama(facts: &Facts) -> Result<Description, LoadError> {
    let experts = facts.arch_size("expert_count")?.unwrap_or(0);
    let mut description = match experts {
        0 => pairs(facts, "llama", "LlamaForCausalLM")?,
        _ => pairs(facts, "mixtral", "MixtralForCausalLM")?,
    };
    if experts > 0 {
        description.set("sliding_window", Json::Null);
        moe::mixtral(facts, &mut description, experts)?;
    }
    biases(facts, &mut description);
    Ok(description)
}

/// Granite: Llama with multipliers.
pub fn granite(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = pairs(facts, "granite", "GraniteForCausalLM")?;
    // Without a scale it is the usual one; zero means none, here and below.
    description.set("attention_multiplier", 1.0 / (facts.head_dim()?.max(1) as f64).sqrt());
    for (key, name) in [
        ("attention_multiplier", "attention.scale"),
        ("embedding_multiplier", "embedding_scale"),
        ("residual_multiplier", "residual_scale"),
        ("logits_scaling", "logit_scale"),
    ] {
        if let Some(value) = facts.arch_number(name)?.filter(|value| *value != 0.0) {
            description.set(key, value);
        }
    }
    biases(facts, &mut description);
    Ok(description)
}

/// SmolLM3: every fourth layer has no RoPE, which the file does not say.
pub fn smollm3(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = pairs(facts, "smollm3", "SmolLM3ForCausalLM")?;
    let rotates = |layer: usize| i32::from(!(layer + 1).is_multiple_of(4));
    description
        .set("no_rope_layer_interval", 4)
        .set("no_rope_layers", (0..facts.blocks()?).map(rotates).collect::<Vec<i32>>())
        .set("use_sliding_window", false);
    biases(facts, &mut description);
    Ok(description)
}

/// Arcee: a plain MLP with squared ReLU.
pub fn arcee(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = pairs(facts, "arcee", "ArceeForCausalLM")?;
    description.set("hidden_act", "relu2");
    biases(facts, &mut description);
    Ok(description)
}

/// OLMo: norms without weights.
pub fn olmo(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = decoder(facts, "olmo", "OlmoForCausalLM")?;
    side_by_side(facts, &mut description)?;
    description.set("hidden_act", "silu").set("attention_bias", false);
    let clip = facts.arch_number("attention.clamp_kqv")?.filter(|clip| *clip > 0.0);
    description.set("clip_qkv", clip.map_or(Json::Null, |clip| json!(clip)));
    Ok(description)
}

fn pairs(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    let mut description = decoder(facts, model_type, class)?;
    rms_eps(facts, &mut description)?;
    side_by_side(facts, &mut description)?;
    description.set("hidden_act", "silu");
    Ok(description)
}

fn side_by_side(facts: &Facts, description: &mut Description) -> Result<(), LoadError> {
    let (heads, kv_heads) = facts.heads()?;
    let (queries, keys) = (RowOrder::Pairs { heads }, RowOrder::Pairs { heads: kv_heads });
    description.done(&["blk.{}.attn_q"], &Done::Reordered(queries));
    description.done(&["blk.{}.attn_k"], &Done::Reordered(keys));
    joined_projections(facts, description, queries, keys)
}

fn biases(facts: &Facts, description: &mut Description) {
    description.set("attention_bias", facts.has("blk.0.attn_q.bias"));
    description.set("mlp_bias", facts.has("blk.0.ffn_down.bias"));
}
