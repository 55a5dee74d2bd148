//! Decoders whose tensors are named nearly like Llama's and whose rows llama.cpp leaves where they are.

use serde_json::Value as Json;

use super::{Description, Done, decoder, layer_eps, rms_decoder, window_layers};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

/// Qwen 2 and 2.5. The windows that a configuration can ask for are not in the file.
pub fn qwen2(facts: &Facts) -> Result<Description, LoadError> {
    let description = rms_decoder(facts, "qwen2", "Qwen2ForCausalLM")?;
    Ok(description.set("hidden_act", "silu").set("use_sliding_window", false))
}

pub fn qwen3(facts: &Facts) -> Result<Description, LoadError> {
    Ok(rms_decoder(facts, "qwen3", "Qwen3ForCausalLM")?
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("use_sliding_window", false))
}

/// Hunyuan, dense. Its converter makes the base of the rotation larger itself.
pub fn hunyuan(facts: &Facts) -> Result<Description, LoadError> {
    Ok(rms_decoder(facts, "hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM")?
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .name(&[
            ("blk.{}.attn_q_norm", "model.layers.{}.self_attn.query_layernorm"),
            ("blk.{}.attn_k_norm", "model.layers.{}.self_attn.key_layernorm"),
        ]))
}

/// Apertus: no gates, and the numbers of the activation of each block in the metadata.
pub fn apertus(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = rms_decoder(facts, "apertus", "ApertusForCausalLM")?
        .set("hidden_act", "xielu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("mlp_bias", facts.has("blk.0.ffn_down.bias"))
        .name(&[
            ("blk.{}.attn_norm", "model.layers.{}.attention_layernorm"),
            ("blk.{}.ffn_norm", "model.layers.{}.feedforward_layernorm"),
        ]);
    // Whose key does not begin with the architecture.
    for (name, shape) in [("alpha_p", vec![1]), ("alpha_n", vec![1]), ("beta", vec![]), ("eps", vec![])] {
        for (block, range) in facts.places(&format!("xielu.{name}"), facts.blocks()?)?.into_iter().enumerate() {
            description.given.push((format!("model.layers.{block}.mlp.act_fn.{name}"), shape.clone(), range));
        }
    }
    Ok(description)
}

/// Phi 1, 1.5 and 2.
pub fn phi(facts: &Facts) -> Result<Description, LoadError> {
    Ok(decoder(facts, "phi", "PhiForCausalLM")?
        .set("layer_norm_eps", layer_eps(facts)?)
        .set("hidden_act", "gelu_new")
        .set("partial_rotary_factor", facts.rotary_part()?)
        .set("qk_layernorm", facts.has("blk.0.attn_q_norm.weight"))
        .name(&[
            ("output_norm", "model.final_layernorm"),
            ("blk.{}.attn_output", "model.layers.{}.self_attn.dense"),
            ("blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_layernorm"),
            ("blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_layernorm"),
            ("blk.{}.ffn_up", "model.layers.{}.mlp.fc1"),
            ("blk.{}.ffn_down", "model.layers.{}.mlp.fc2"),
        ]))
}

/// Phi 3, 3.5 and 4: fused projections as transformers has them.
pub fn phi3(facts: &Facts) -> Result<Description, LoadError> {
    let description = rms_decoder(facts, "phi3", "Phi3ForCausalLM")?;
    let length = facts.need_size("context_length")?;
    let original = facts.arch_size("rope.scaling.original_context_length")?.unwrap_or(length);
    Ok(description
        .set("hidden_act", "silu")
        .set("attention_bias", false)
        .set("partial_rotary_factor", facts.rotary_part()?)
        .set("original_max_position_embeddings", original)
        .set("sliding_window", facts.window()?)
        .name(&[
            ("blk.{}.attn_qkv", "model.layers.{}.self_attn.qkv_proj"),
            ("blk.{}.ffn_up", "model.layers.{}.mlp.gate_up_proj"),
        ]))
}

/// StableLM. The norms of the heads, which transformers has one by one, are stacked.
pub fn stablelm(facts: &Facts) -> Result<Description, LoadError> {
    let norms = ["blk.{}.attn_q_norm", "blk.{}.attn_k_norm"];
    Ok(decoder(facts, "stablelm", "StableLmForCausalLM")?
        .set("layer_norm_eps", layer_eps(facts)?)
        .set("hidden_act", "silu")
        .set("partial_rotary_factor", facts.rotary_part()?)
        .set("use_qkv_bias", facts.has("blk.0.attn_q.bias"))
        .set("qk_layernorm", facts.has("blk.0.attn_q_norm.weight"))
        .set("use_parallel_residual", facts.flag(&facts.key("use_parallel_residual"))?.unwrap_or(false))
        .name(&[
            (norms[0], "model.layers.{}.self_attn.q_layernorm.norms.{e}"),
            (norms[1], "model.layers.{}.self_attn.k_layernorm.norms.{e}"),
        ])
        .done(&norms, &Done::Stacked))
}

/// StarCoder 2, whose window llama.cpp does not read.
pub fn starcoder2(facts: &Facts) -> Result<Description, LoadError> {
    Ok(decoder(facts, "starcoder2", "Starcoder2ForCausalLM")?
        .set("norm_epsilon", layer_eps(facts)?)
        .set("hidden_act", "gelu_pytorch_tanh")
        .set("use_bias", true)
        .set("sliding_window", Json::Null)
        .name(&[("blk.{}.ffn_up", "model.layers.{}.mlp.c_fc"), ("blk.{}.ffn_down", "model.layers.{}.mlp.c_proj")]))
}

/// OLMo 2, and OLMo 3 where there are windows.
pub fn olmo2(facts: &Facts) -> Result<Description, LoadError> {
    let names = [
        ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm"),
        ("blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm"),
    ];
    let description = match facts.window()? {
        None => rms_decoder(facts, "olmo2", "Olmo2ForCausalLM")?,
        Some(window) => rms_decoder(facts, "olmo3", "Olmo3ForCausalLM")?
            .set("sliding_window", window)
            .set("layer_types", window_layers(facts, 4)?),
    };
    Ok(description.set("hidden_act", "silu").set("attention_bias", facts.has("blk.0.attn_q.bias")).name(&names))
}

pub fn cohere(facts: &Facts) -> Result<Description, LoadError> {
    let description = command(facts, "cohere", "CohereForCausalLM")?;
    Ok(description.set("use_qk_norm", facts.has("blk.0.attn_q_norm.weight")))
}

/// Command R7B and Command A: a window in three of four layers.
pub fn cohere2(facts: &Facts) -> Result<Description, LoadError> {
    Ok(command(facts, "cohere2", "Cohere2ForCausalLM")?
        .set("sliding_window", facts.need_size("attention.sliding_window")?)
        .set("layer_types", window_layers(facts, 4)?))
}

fn command(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    Ok(decoder(facts, model_type, class)?
        .set("layer_norm_eps", layer_eps(facts)?)
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("logit_scale", facts.need_number("logit_scale")?)
        .set("tie_word_embeddings", true))
}

/// GLM-4: norms after attention and MLP, a fused gate.
pub fn glm4(facts: &Facts) -> Result<Description, LoadError> {
    let description = rms_decoder(facts, "glm4", "Glm4ForCausalLM")?;
    if facts.numbers(&facts.key("rope.dimension_sections"))?.iter().any(|section| *section != 0.0) {
        return Err(facts.bad("its positions have several axes, which cannot be represented"));
    }
    Ok(description
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("partial_rotary_factor", facts.rotary_part()?)
        .name(&[
            ("blk.{}.post_attention_norm", "model.layers.{}.post_self_attn_layernorm"),
            ("blk.{}.post_ffw_norm", "model.layers.{}.post_mlp_layernorm"),
            ("blk.{}.ffn_up", "model.layers.{}.mlp.gate_up_proj"),
        ]))
}

/// Nemotron: gains are stored with the 1 that the model adds.
pub fn nemotron(facts: &Facts) -> Result<Description, LoadError> {
    Ok(decoder(facts, "nemotron", "NemotronForCausalLM")?
        .set("norm_eps", layer_eps(facts)?)
        .set("hidden_act", "relu2")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("mlp_bias", facts.has("blk.0.ffn_down.bias"))
        .set("partial_rotary_factor", facts.rotary_part()?)
        .done(&["output_norm", "blk.{}.attn_norm", "blk.{}.ffn_norm"], &Done::OneAdded))
}

/// GLM-4 of 2024 and ChatGLM 2 and 3, whose converter calls the length of a text what it likes.
pub fn chatglm(facts: &Facts) -> Result<Description, LoadError> {
    Ok(rms_decoder(facts, "glm", "GlmForCausalLM")?
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias") || facts.has("blk.0.attn_qkv.bias"))
        .set("partial_rotary_factor", facts.rotary_part()?)
        .name(&[("blk.{}.ffn_up", "model.layers.{}.mlp.gate_up_proj")]))
}

/// EXAONE 4. Only the 32B, which is known by its number of layers, has windows in llama.cpp, and layers that do not rotate.
pub fn exaone4(facts: &Facts) -> Result<Description, LoadError> {
    const WITH_WINDOWS: usize = 64;
    let description = rms_decoder(facts, "exaone4", "Exaone4ForCausalLM")?.set("hidden_act", "silu").name(&[
        ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm"),
        ("blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm"),
    ]);
    if facts.blocks()? != WITH_WINDOWS {
        return Ok(description.set("sliding_window", Json::Null));
    }
    let window = facts.arch_size("attention.sliding_window")?.unwrap_or(4096);
    Ok(description.set("sliding_window", window).set("layer_types", window_layers(facts, 4)?))
}

pub fn ernie4_5(facts: &Facts) -> Result<Description, LoadError> {
    let description = rms_decoder(facts, "ernie4_5", "Ernie4_5ForCausalLM")?;
    Ok(description.set("hidden_act", "silu").set("use_bias", facts.has("blk.0.attn_q.bias")))
}

/// Jais 2: layer norms, and a plain MLP with squared ReLU.
pub fn jais2(facts: &Facts) -> Result<Description, LoadError> {
    Ok(decoder(facts, "jais2", "Jais2ForCausalLM")?
        .set("layer_norm_eps", layer_eps(facts)?)
        .set("hidden_act", "relu2")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("mlp_bias", facts.has("blk.0.ffn_down.bias")))
}

/// Seed-OSS: the norm in front of the MLP has the name that others give to one behind the attention.
pub fn seed_oss(facts: &Facts) -> Result<Description, LoadError> {
    Ok(rms_decoder(facts, "seed_oss", "SeedOssForCausalLM")?
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("attention_out_bias", facts.has("blk.0.attn_output.bias"))
        .set("mlp_bias", facts.has("blk.0.ffn_down.bias"))
        .name(&[("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm")]))
}
