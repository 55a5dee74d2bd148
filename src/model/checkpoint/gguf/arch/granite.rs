//! Granite: Llama with multipliers, in Granite 3 also with mixtures of experts, in Granite 4 also without rotations.

use serde_json::Value as Json;

use super::llama::pairs;
use super::{Description, moe, spaces};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

/// llama.cpp takes this key of a Granite for whether queries and keys rotate; they do where the file does not say.
const ROTATES: &str = "rope.scaling.finetuned";

/// Keys about state spaces, which say nothing where there are none.
const STATE_SPACE: &[&str] =
    &["ssm.conv_kernel", "ssm.group_count", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank"];

/// A dense Granite, or one with experts. One that does not rotate is of the fourth version.
pub fn granite(facts: &Facts) -> Result<Description, LoadError> {
    if facts.arch_size("expert_count")?.unwrap_or(0) > 0 {
        return mixture(facts);
    }
    facts.note_read(&["expert_used_count"]);
    if facts.flag(&facts.key(ROTATES))?.unwrap_or(true) {
        return factors(facts, pairs(facts, "granite", "GraniteForCausalLM")?);
    }
    let description = pairs(facts, "granitemoehybrid", "GraniteMoeHybridForCausalLM")?
        .set("shared_intermediate_size", facts.mlp_width()?)
        .set("num_local_experts", 0)
        .set("layer_types", vec!["attention"; facts.blocks()?])
        .set("position_embedding_type", Json::Null);
    factors(facts, description)
}

/// MiniCPM: a Granite whose scores have the usual scale.
pub fn minicpm(facts: &Facts) -> Result<Description, LoadError> {
    for name in ["embedding_scale", "residual_scale", "logit_scale"] {
        if facts.arch_number(name)?.is_none() {
            let key = facts.key(name);
            return Err(facts.bad(format!("its metadata has no {key:?}, which files of 2024 and before left out")));
        }
    }
    if facts.arch_size("expert_count")?.unwrap_or(0) > 0 {
        return Err(facts.bad("it is a MiniCPM with experts, which cannot be represented"));
    }
    // A scale of scores is not read.
    some_factors(facts, pairs(facts, "granite", "GraniteForCausalLM")?, &FACTORS[1..])
}

/// Granite with mixtures of experts, whose chosen weights add up to 1.
pub fn mixture(facts: &Facts) -> Result<Description, LoadError> {
    if facts.has("blk.0.ffn_gate_shexp.weight") {
        return Err(facts.bad("it has shared experts, which cannot be represented"));
    }
    if facts.flag(&facts.key(ROTATES))? == Some(false) {
        return Err(facts.unsupported(
            &facts.key(ROTATES),
            false,
            "mixtures of experts without rotation are not computed",
        ));
    }
    let description = pairs(facts, "granitemoe", "GraniteMoeForCausalLM")?;
    moe::granite(facts, factors(facts, description)?)
}

/// Granite 4, whose layers may have a state space instead of attention: then they have no keys and values.
pub fn hybrid(facts: &Facts) -> Result<Description, LoadError> {
    let Some(attends) = facts.attends()? else {
        facts.note_read(STATE_SPACE);
        return granite(facts);
    };
    let kinds: Vec<&str> =
        attends.iter().map(|attends| if *attends { "full_attention" } else { "linear_attention" }).collect();
    let rotates = facts.flag(&facts.key(ROTATES))?.unwrap_or(true);
    let experts = facts.arch_size("expert_count")?.unwrap_or(0);
    let shared = facts.axis("blk.0.ffn_down_shexp.weight", 1).or(facts.axis("blk.0.ffn_down.weight", 1));
    let Some(shared) = shared else {
        return Err(facts.bad("it has no MLP that all tokens pass, which cannot be represented"));
    };
    let description = pairs(facts, "granitemoehybrid", "GraniteMoeHybridForCausalLM")?
        .set("layer_types", kinds)
        .set("shared_intermediate_size", shared)
        .set("num_local_experts", experts)
        .set("mamba_expand", spaces::expansion(facts)?)
        .set("position_embedding_type", if rotates { Json::from("rope") } else { Json::Null });
    let description = spaces::beside_attention(facts, factors(facts, description)?)?;
    if experts == 0 {
        facts.note_read(&["expert_used_count"]);
        return Ok(description);
    }
    Ok(moe::granite(facts, description)?.name(&[
        ("blk.{}.ffn_gate_shexp", "model.layers.{}.mlp.gate_proj"),
        ("blk.{}.ffn_up_shexp", "model.layers.{}.mlp.up_proj"),
        ("blk.{}.ffn_down_shexp", "model.layers.{}.mlp.down_proj"),
    ]))
}

/// Names of factors in a configuration and in a file.
const FACTORS: [(&str, &str); 4] = [
    ("attention_multiplier", "attention.scale"),
    ("embedding_multiplier", "embedding_scale"),
    ("residual_multiplier", "residual_scale"),
    ("logits_scaling", "logit_scale"),
];

fn factors(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    some_factors(facts, description, &FACTORS)
}

fn some_factors(facts: &Facts, description: Description, names: &[(&str, &str)]) -> Result<Description, LoadError> {
    // Without a scale it is the usual one; zero means none, here and below.
    let description = description.set("attention_multiplier", 1.0 / (facts.head_dim()?.max(1) as f64).sqrt());
    names.iter().try_fold(description, |description, (key, name)| {
        Ok(description.set_some(key, facts.arch_number(name)?.filter(|value| *value != 0.0)))
    })
}
