//! GPT-2 and the other decoders whose tensors are not named like Llama's.

use serde_json::{Value as Json, json};

use super::{Description, Done, layer_eps, rope};
use crate::model::checkpoint::arrange::RowOrder;
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

/// GPT-2: the matrices that it has as `[in, out]` are turned.
pub fn gpt2(facts: &Facts) -> Result<Description, LoadError> {
    let turned = ["blk.{}.attn_qkv", "blk.{}.attn_output", "blk.{}.ffn_up", "blk.{}.ffn_down"];
    let description = gpt2_like(facts, "gpt2", "GPT2LMHeadModel")?;
    Ok(description.set("activation_function", "gelu_new").done(&turned, &Done::Transposed))
}

/// StarCoder 1: the names of GPT-2, one key/value head.
pub fn gpt_bigcode(facts: &Facts) -> Result<Description, LoadError> {
    let description = gpt2_like(facts, "gpt_bigcode", "GPTBigCodeForCausalLM")?;
    Ok(description.set("activation_function", "gelu_pytorch_tanh").set("multi_query", facts.heads()?.1 == 1))
}

fn gpt2_like(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    let positions = facts.positions()?;
    Ok(Description::new(model_type, class)
        .set("n_embd", facts.need_size("embedding_length")?)
        .set("n_layer", facts.blocks()?)
        .set("n_head", facts.heads()?.0)
        .set("n_inner", facts.mlp_width()?)
        .set("n_positions", positions)
        .set("vocab_size", facts.vocab()?)
        .set("tie_word_embeddings", true)
        .name(&[
            ("token_embd", "transformer.wte"),
            ("position_embd", "transformer.wpe"),
            ("output_norm", "transformer.ln_f"),
            ("output", "lm_head"),
            ("blk.{}.attn_norm", "transformer.h.{}.ln_1"),
            ("blk.{}.attn_qkv", "transformer.h.{}.attn.c_attn"),
            ("blk.{}.attn_output", "transformer.h.{}.attn.c_proj"),
            ("blk.{}.ffn_norm", "transformer.h.{}.ln_2"),
            ("blk.{}.ffn_up", "transformer.h.{}.mlp.c_fc"),
            ("blk.{}.ffn_down", "transformer.h.{}.mlp.c_proj"),
        ])
        .set("layer_norm_epsilon", layer_eps(facts)?))
}

/// GPT-NeoX and Pythia: queries, keys and values of each head were together.
pub fn gpt_neox(facts: &Facts) -> Result<Description, LoadError> {
    let (heads, _) = facts.heads()?;
    let theta = facts.theta()?;
    Ok(rope::scaling(facts, Description::new("gpt_neox", "GPTNeoXForCausalLM"), theta)?
        .set("hidden_size", facts.need_size("embedding_length")?)
        .set("num_hidden_layers", facts.blocks()?)
        .set("num_attention_heads", heads)
        .set("intermediate_size", facts.mlp_width()?)
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("vocab_size", facts.vocab()?)
        .set("hidden_act", "gelu")
        .set("attention_bias", true)
        .set("rotary_pct", facts.rotary_part()?)
        .set("rotary_emb_base", theta)
        .set("use_parallel_residual", facts.flag(&facts.key("use_parallel_residual"))?.unwrap_or(true))
        .set("tie_word_embeddings", !facts.has("output.weight"))
        .name(&[
            ("token_embd", "gpt_neox.embed_in"),
            ("output_norm", "gpt_neox.final_layer_norm"),
            ("output", "embed_out"),
            ("blk.{}.attn_norm", "gpt_neox.layers.{}.input_layernorm"),
            ("blk.{}.attn_qkv", "gpt_neox.layers.{}.attention.query_key_value"),
            ("blk.{}.attn_output", "gpt_neox.layers.{}.attention.dense"),
            ("blk.{}.ffn_norm", "gpt_neox.layers.{}.post_attention_layernorm"),
            ("blk.{}.ffn_up", "gpt_neox.layers.{}.mlp.dense_h_to_4h"),
            ("blk.{}.ffn_down", "gpt_neox.layers.{}.mlp.dense_4h_to_h"),
        ])
        .done(&["blk.{}.attn_qkv"], &Done::Reordered(RowOrder::Grouped { heads, kv_heads: heads }))
        .set("layer_norm_eps", layer_eps(facts)?))
}

/// BLOOM: queries, keys and values of each head were together.
pub fn bloom(facts: &Facts) -> Result<Description, LoadError> {
    let (heads, _) = facts.heads()?;
    Ok(Description::new("bloom", "BloomForCausalLM")
        .set("hidden_size", facts.need_size("embedding_length")?)
        .set("n_layer", facts.blocks()?)
        .set("n_head", heads)
        .set("seq_length", facts.need_size("context_length")?)
        .set("vocab_size", facts.vocab()?)
        .set("tie_word_embeddings", true)
        .name(&[
            ("token_embd", "transformer.word_embeddings"),
            ("token_embd_norm", "transformer.word_embeddings_layernorm"),
            ("output_norm", "transformer.ln_f"),
            ("output", "lm_head"),
            ("blk.{}.attn_norm", "transformer.h.{}.input_layernorm"),
            ("blk.{}.attn_qkv", "transformer.h.{}.self_attention.query_key_value"),
            ("blk.{}.attn_output", "transformer.h.{}.self_attention.dense"),
            ("blk.{}.ffn_norm", "transformer.h.{}.post_attention_layernorm"),
            ("blk.{}.ffn_up", "transformer.h.{}.mlp.dense_h_to_4h"),
            ("blk.{}.ffn_down", "transformer.h.{}.mlp.dense_4h_to_h"),
        ])
        .done(&["blk.{}.attn_qkv"], &Done::Reordered(RowOrder::Grouped { heads, kv_heads: heads }))
        .set("layer_norm_epsilon", layer_eps(facts)?))
}

/// Falcon: the queries that share a key, the key and the value were together. A second norm identifies the newer
/// architecture.
pub fn falcon(facts: &Facts) -> Result<Description, LoadError> {
    let (heads, kv_heads) = facts.heads()?;
    if let Some(layout) = facts.text(&facts.key("tensor_data_layout"))?.filter(|layout| *layout != "jploski") {
        return Err(facts.bad(format!("the tensor layout {layout:?} of its metadata is not known")));
    }
    if facts.has("blk.0.ffn_norm.weight") {
        return Err(facts.bad("it is a Falcon with ALiBi, of which llama.cpp's files do not say enough"));
    }
    let two_norms = facts.has("blk.0.attn_norm_2.weight");
    let newer = two_norms || kv_heads > 1;
    let theta = facts.theta()?;
    let norm = if two_norms { "transformer.h.{}.ln_mlp" } else { "transformer.h.{}.input_layernorm" };
    Ok(rope::scaling(facts, Description::new("falcon", "FalconForCausalLM"), theta)?
        .set("hidden_size", facts.need_size("embedding_length")?)
        .set("num_hidden_layers", facts.blocks()?)
        .set("num_attention_heads", heads)
        .set("num_kv_heads", kv_heads)
        .set("ffn_hidden_size", facts.mlp_width()?)
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("vocab_size", facts.vocab()?)
        .set("activation", "gelu")
        .set("alibi", false)
        .set("bias", facts.has("blk.0.attn_qkv.bias"))
        .set("multi_query", true)
        .set("parallel_attn", true)
        .set("new_decoder_architecture", newer)
        .set("rope_theta", theta)
        .set("tie_word_embeddings", true)
        .set_some("num_ln_in_parallel_attn", newer.then_some(if two_norms { 2 } else { 1 }))
        .name(&[
            ("token_embd", "transformer.word_embeddings"),
            ("output_norm", "transformer.ln_f"),
            ("output", "lm_head"),
            ("blk.{}.attn_norm", norm),
            ("blk.{}.attn_norm_2", "transformer.h.{}.ln_attn"),
            ("blk.{}.attn_qkv", "transformer.h.{}.self_attention.query_key_value"),
            ("blk.{}.attn_output", "transformer.h.{}.self_attention.dense"),
            ("blk.{}.ffn_up", "transformer.h.{}.mlp.dense_h_to_4h"),
            ("blk.{}.ffn_down", "transformer.h.{}.mlp.dense_4h_to_h"),
        ])
        .done(&["blk.{}.attn_qkv"], &Done::Reordered(RowOrder::Grouped { heads, kv_heads }))
        .set("layer_norm_epsilon", layer_eps(facts)?))
}

/// MPT: ALiBi, and settings of the attention in a separate section.
pub fn mpt(facts: &Facts) -> Result<Description, LoadError> {
    let (heads, kv_heads) = facts.heads()?;
    let width = facts.need_size("embedding_length")?;
    let alibi = facts.need_number("attention.max_alibi_bias")?;
    if alibi <= 0.0 {
        return Err(facts.bad("it is an MPT without ALiBi, which cannot be represented"));
    }
    let clip = facts.clip()?;
    Ok(Description::new("mpt", "MptForCausalLM")
        .set("d_model", width)
        .set("n_layers", facts.blocks()?)
        .set("n_heads", heads)
        .set("expansion_ratio", whole_ratio(facts.mlp_width()?, width))
        .set("max_seq_len", facts.need_size("context_length")?)
        .set("vocab_size", facts.vocab()?)
        .set("no_bias", !facts.has("blk.0.attn_qkv.bias"))
        .set("tie_word_embeddings", true)
        .set(
            "attn_config",
            json!({
                "attn_type": if kv_heads == heads { "multihead_attention" } else { "grouped_query_attention" },
                "alibi": true,
                "alibi_bias_max": alibi,
                "clip_qkv": clip,
                "kv_n_heads": kv_heads,
                "qk_ln": false,
                "softmax_scale": null,
            }),
        )
        .name(&[
            ("token_embd", "transformer.wte"),
            ("output_norm", "transformer.norm_f"),
            ("output", "lm_head"),
            ("blk.{}.attn_norm", "transformer.blocks.{}.norm_1"),
            ("blk.{}.attn_qkv", "transformer.blocks.{}.attn.Wqkv"),
            ("blk.{}.attn_output", "transformer.blocks.{}.attn.out_proj"),
            ("blk.{}.ffn_norm", "transformer.blocks.{}.norm_2"),
            ("blk.{}.ffn_up", "transformer.blocks.{}.ffn.up_proj"),
            ("blk.{}.ffn_down", "transformer.blocks.{}.ffn.down_proj"),
        ])
        .set("layer_norm_epsilon", layer_eps(facts)?))
}

/// A ratio of widths, without a decimal point where it is whole.
fn whole_ratio(wide: usize, narrow: usize) -> Json {
    let narrow = narrow.max(1);
    if wide.is_multiple_of(narrow) { json!(wide / narrow) } else { json!(wide as f64 / narrow as f64) }
}
