//! The Gemmas: gains are stored with the 1 that the model adds; soft-caps, windows and two RoPE bases.

use serde_json::Value as Json;

use super::{Description, Done, layer_types, rms_decoder, window_layers};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

const NORMS: [&str; 7] = [
    "output_norm",
    "blk.{}.attn_norm",
    "blk.{}.ffn_norm",
    "blk.{}.post_attention_norm",
    "blk.{}.post_ffw_norm",
    "blk.{}.attn_q_norm",
    "blk.{}.attn_k_norm",
];

pub fn gemma(facts: &Facts) -> Result<Description, LoadError> {
    common(facts, "gemma", "GemmaForCausalLM", &[])
}

/// Gemma 2: soft-caps, and a window in every other layer.
pub fn gemma2(facts: &Facts) -> Result<Description, LoadError> {
    Ok(common(facts, "gemma2", "Gemma2ForCausalLM", POST_NORMS)?
        .set("attn_logit_softcapping", cap(facts, "attn_logit_softcapping", Some(50.0))?)
        .set("final_logit_softcapping", cap(facts, "final_logit_softcapping", Some(30.0))?)
        .set("query_pre_attn_scalar", scalar(facts, 46)?)
        .set("sliding_window", facts.arch_size("attention.sliding_window")?.unwrap_or(4096))
        .set("layer_types", window_layers(facts, 2)?))
}

/// Gemma 3: a window in five of six layers, which have their own RoPE base.
pub fn gemma3(facts: &Facts) -> Result<Description, LoadError> {
    let description = common(facts, "gemma3_text", "Gemma3ForCausalLM", POST_NORMS)?;
    let window = facts.window()?;
    Ok(two_rotations(facts, description)?
        .set("query_pre_attn_scalar", scalar(facts, 62)?)
        .set("final_logit_softcapping", cap(facts, "final_logit_softcapping", None)?)
        .set("sliding_window", window)
        .set("layer_types", if window.is_some() { window_layers(facts, 6)? } else { layer_types(facts.blocks()?, 1) }))
}

/// EmbeddingGemma: Gemma 3 without a head that attends in both directions, and with windows split between them.
pub fn embedding(facts: &Facts) -> Result<Description, LoadError> {
    let description = common(facts, "gemma3_text", "Gemma3TextModel", POST_NORMS)?;
    let mut description = two_rotations(facts, description)?
        .set("use_bidirectional_attention", true)
        .set("query_pre_attn_scalar", facts.head_dim()?)
        .set("sliding_window", facts.need_size("attention.sliding_window")?)
        .set("layer_types", window_layers(facts, 6)?);
    for layer in ["dense_2", "dense_3"] {
        description.aside.insert(layer, "a dense layer after the pooling, which is not computed");
        facts.note_read(&[&format!("{layer}_feat_in"), &format!("{layer}_feat_out")]);
    }
    Ok(description)
}

/// What Gemma 3 has instead of Gemma 2's soft-caps.
fn two_rotations(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    const ATTENTION: &str = "rope.scaling.attn_factor";
    if let Some(factor) = facts.arch_number(ATTENTION)?.filter(|factor| *factor != 1.0) {
        let why = "llama.cpp applies it to layers with a window too, which is not computed";
        return Err(facts.unsupported(&facts.key(ATTENTION), factor, why));
    }
    Ok(description
        .set("attn_logit_softcapping", Json::Null)
        .set("rope_local_base_freq", facts.arch_number("rope.freq_base_swa")?.unwrap_or(10000.0)))
}

/// Here the norm that Llama has before the MLP is after the attention.
pub const POST_NORMS: &[(&str, &str)] = &[
    ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm"),
    ("blk.{}.ffn_norm", "model.layers.{}.pre_feedforward_layernorm"),
    ("blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm"),
];

fn common(
    facts: &Facts,
    model_type: &str,
    class: &str,
    names: &[(&'static str, &'static str)],
) -> Result<Description, LoadError> {
    Ok(rms_decoder(facts, model_type, class)?
        .set("hidden_activation", "gelu_pytorch_tanh")
        .set("hidden_act", "gelu_pytorch_tanh")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("tie_word_embeddings", true)
        .name(names)
        .done(&NORMS, &Done::OneAdded))
}

fn cap(facts: &Facts, name: &str, usual: Option<f64>) -> Result<Option<f64>, LoadError> {
    Ok(facts.arch_number(name)?.or(usual).filter(|cap| *cap > 0.0))
}

/// What scores are divided by the root of. Files do not say; it is the width of a head, but in the model with the most
/// layers, the 27B, the width of the model by its heads.
fn scalar(facts: &Facts, most_layers: usize) -> Result<usize, LoadError> {
    if facts.blocks()? == most_layers {
        return Ok(facts.need_size("embedding_length")? / facts.heads()?.0);
    }
    facts.head_dim()
}
