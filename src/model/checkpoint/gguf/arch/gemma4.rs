//! Gemma 4: two widths of heads, keys and values that layers share, a second embedding, and experts next to the MLPs.

use serde_json::{Map, Value as Json, json};

use super::gemma::POST_NORMS;
use super::{Description, Done, LLAMA_NAMES, window_layers};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::checkpoint::gguf::reader::Value;
use crate::model::error::LoadError;

const STACKS: [&str; 2] = ["blk.{}.ffn_gate_exps", "blk.{}.ffn_up_exps"];

pub fn gemma4(facts: &Facts) -> Result<Description, LoadError> {
    let blocks = facts.blocks()?;
    let kinds = window_layers(facts, 6)?;
    let full: Vec<bool> =
        kinds.as_array().into_iter().flatten().map(|kind| kind.as_str() == Some("full_attention")).collect();
    if full.len() < blocks {
        return Err(facts.bad("its metadata does not say of every block whether it has a window"));
    }
    let heads = facts.need_size("attention.head_count")?;
    let width = match facts.arch_size("attention.key_length")? {
        Some(width) => width,
        None => facts.need_size("embedding_length")? / heads.max(1),
    };
    let narrow = facts.arch_size("attention.key_length_swa")?.unwrap_or(width);
    for (name, width) in [
        ("attention.value_length", width),
        ("attention.value_length_swa", narrow),
        ("rope.dimension_count", width),
        ("rope.dimension_count_swa", narrow),
    ] {
        if let Some(other) = facts.arch_size(name)?.filter(|other| *other != width) {
            let why = format!("keys of the same layers are {width} wide, values too, and all of a key rotates");
            return Err(facts.unsupported(&facts.key(name), other, &why));
        }
    }
    let keys = keys_of(facts, heads, blocks)?;
    let shared = facts.arch_size("attention.shared_kv_layers")?.unwrap_or(0);
    let own = |layer: usize| layer + shared < blocks;
    let raw = |layer: usize| full[layer] && own(layer) && !facts.has(&format!("blk.{layer}.attn_v.weight"));
    let windowed = (0..blocks).find(|layer| !full[*layer]);
    let usual = keys[windowed.unwrap_or(0)];
    let differences = |layer: usize| {
        let mut own = Map::new();
        if width != narrow {
            own.insert("head_dim".into(), width.into());
        }
        if keys[layer] != usual {
            own.insert("num_key_value_heads".into(), keys[layer].into());
        }
        Some((layer.to_string(), Json::Object(own))).filter(|(_, own)| *own != json!({}))
    };
    let each: Map<String, Json> = (0..blocks).filter(|layer| full[*layer]).filter_map(differences).collect();
    let down = |layer: usize| facts.axis(&format!("blk.{layer}.ffn_down.weight"), 1);
    let wide = shared > 0 && down(blocks - 1).zip(down(0)).is_some_and(|(last, first)| last == 2 * first);
    let inputs = facts.arch_size("embedding_length_per_layer_input")?.unwrap_or(0);
    facts.note_read(&["feed_forward_length"]);
    let mut description = Description::new("gemma4_text", "Gemma4ForCausalLM")
        .set("hidden_size", facts.need_size("embedding_length")?)
        .set("num_hidden_layers", blocks)
        .set("num_attention_heads", heads)
        .set("intermediate_size", facts.mlp_width()?)
        .set("vocab_size", facts.vocab()?)
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("rms_norm_eps", facts.need_number("attention.layer_norm_rms_epsilon")?)
        .set("head_dim", narrow)
        .set("num_key_value_heads", usual)
        .set("per_layer_config", each)
        .set("attention_k_eq_v", (0..blocks).any(raw))
        .set("num_kv_shared_layers", shared)
        .set("use_double_wide_mlp", wide)
        .set("layer_types", kinds)
        .set("sliding_window", facts.need_size("attention.sliding_window")?)
        .set("hidden_size_per_layer_input", inputs)
        .set_some("vocab_size_per_layer_input", facts.axis("per_layer_token_embd.weight", 0))
        .set("hidden_activation", "gelu_pytorch_tanh")
        .set("final_logit_softcapping", facts.arch_number("final_logit_softcapping")?.filter(|cap| *cap > 0.0))
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("tie_word_embeddings", !facts.has("output.weight"))
        .set("rope_parameters", rotations(facts, width)?)
        .set("enable_moe_block", false)
        .name(LLAMA_NAMES)
        .name(POST_NORMS)
        .name(NAMES)
        .done(&["blk.{}.layer_output_scale"], &Done::Alone);
    description.aside.insert("rope_freqs", "RoPE factors, read as part of the configuration");
    let count = facts.arch_size("expert_count")?.unwrap_or(0);
    if count == 0 {
        return Ok(description);
    }
    Ok(description
        .set("enable_moe_block", true)
        .set("num_experts", count)
        .set("top_k_experts", facts.need_size("expert_used_count")?)
        .set_some("moe_intermediate_size", facts.axis("blk.0.ffn_down_exps.weight", 2))
        .name(EXPERTS)
        .done(&["blk.{}.ffn_gate_up_exps", "blk.{}.ffn_down_exps"], &Done::Alone)
        .done(&STACKS, &Done::Stacked))
}

const NAMES: &[(&str, &str)] = &[
    ("per_layer_token_embd", "model.embed_tokens_per_layer"),
    ("per_layer_model_proj", "model.per_layer_model_projection"),
    ("per_layer_proj_norm", "model.per_layer_projection_norm"),
    ("blk.{}.inp_gate", "model.layers.{}.per_layer_input_gate"),
    ("blk.{}.proj", "model.layers.{}.per_layer_projection"),
    ("blk.{}.post_norm", "model.layers.{}.post_per_layer_input_norm"),
    ("blk.{}.layer_output_scale", "model.layers.{}.layer_scalar"),
];

const EXPERTS: &[(&str, &str)] = &[
    ("blk.{}.ffn_gate_inp", "model.layers.{}.router.proj"),
    ("blk.{}.ffn_gate_inp.scale", "model.layers.{}.router.scale"),
    ("blk.{}.ffn_down_exps.scale", "model.layers.{}.router.per_expert_scale"),
    ("blk.{}.post_ffw_norm_1", "model.layers.{}.post_feedforward_layernorm_1"),
    ("blk.{}.pre_ffw_norm_2", "model.layers.{}.pre_feedforward_layernorm_2"),
    ("blk.{}.post_ffw_norm_2", "model.layers.{}.post_feedforward_layernorm_2"),
    ("blk.{}.ffn_gate_up_exps", "model.layers.{}.experts.gate_up_proj"),
    ("blk.{}.ffn_down_exps", "model.layers.{}.experts.down_proj"),
    (STACKS[0], "model.layers.{}.experts.{e}.gate_proj"),
    (STACKS[1], "model.layers.{}.experts.{e}.up_proj"),
];

/// Key/value heads of each block: a list, or one number for all.
fn keys_of(facts: &Facts, heads: usize, blocks: usize) -> Result<Vec<usize>, LoadError> {
    let key = facts.key("attention.head_count_kv");
    if !matches!(facts.get(&key), Some(Value::Array { .. })) {
        return Ok(vec![facts.size(&key)?.unwrap_or(heads); blocks]);
    }
    let all: Vec<usize> = facts.numbers(&key)?.into_iter().map(|count| count as usize).collect();
    match all.len() >= blocks && all.iter().all(|count| *count > 0) {
        true => Ok(all),
        false => Err(facts.bad(format!("{key:?} of its metadata is not a number for every block"))),
    }
}

/// The two rotations. Of layers without a window only some pairs turn: the file divides the frequencies of the others by a
/// number without end.
fn rotations(facts: &Facts, width: usize) -> Result<Json, LoadError> {
    const ENDLESS: f32 = 1e29;
    for name in ["rope.scaling.factor", "rope.scaling.attn_factor", "rope.scale_linear"] {
        if let Some(factor) = facts.arch_number(name)?.filter(|factor| *factor != 1.0) {
            return Err(facts.unsupported(&facts.key(name), factor, "rotations of this family are not stretched"));
        }
    }
    let Some(factors) = facts.floats("rope_freqs.weight")? else {
        return Err(facts.bad("it has no tensor \"rope_freqs.weight\", which says what pairs of features rotate"));
    };
    let turning = factors.iter().take_while(|factor| **factor == 1.0).count();
    if factors.len() != width / 2 || !factors[turning..].iter().all(|factor| *factor >= ENDLESS) {
        return Err(facts.bad("its tensor \"rope_freqs.weight\" does more than to leave some pairs where they are"));
    }
    let part = 2.0 * turning as f64 / width.max(1) as f64;
    Ok(json!({
        "full_attention": {"rope_type": "proportional", "partial_rotary_factor": part, "rope_theta": facts.theta()?},
        "sliding_attention": {
            "rope_type": "default",
            "rope_theta": facts.arch_number("rope.freq_base_swa")?.unwrap_or(10000.0),
        },
    }))
}
