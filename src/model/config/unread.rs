//! What to make of keys that a family did not ask for.

use std::collections::HashSet;
use std::sync::PoisonError;

use serde_json::{Map, Value};

use super::HfConfig;
use crate::model::error::LoadError;
use crate::model::text::has_word;

/// Keys that have no bearing on what a model computes: training, generation, bookkeeping, and what other files say too.
const HARMLESS: &str = "
    _attn_implementation _attn_implementation_autoset _commit_hash _model_name_or_path _name_or_path _num_labels
    _remove_final_layer_norm adapters add_bos_token architectures attention_probs_dropout_prob attention_softmax_in_fp32
    attn_impl attn_implementation attn_pdrop attn_uses_sequence_id auto_map aux_loss_alpha begin_suppress_tokens
    cache_implementation chunk_size_feed_forward classifier_dropout classifier_dropout_prob classifier_proj_size
    directionality do_sample dropout dtype early_stopping emb_pdrop embd_pdrop embed_dropout embedding_dropout
    encoder_no_repeat_ngram_size exponential_decay_length_penalty finetuning_task forced_bos_token_id
    forced_eos_token_id fused_qkv gradient_checkpointing hidden_dropout hidden_dropout_prob id2label init_device
    init_std initializer_cutoff_factor initializer_factor initializer_range interpolate_pos_encoding is_encoder_decoder
    keys_to_ignore_at_inference label2id language layer_norm_elementwise_affine_eps layerdrop length_penalty max_length
    min_length mlp_dropout model_type mrope_interleaved mrope_section n_ctx no_repeat_ngram_size num_beam_groups
    num_beams num_labels num_return_sequences output_attentions output_hidden_states output_past output_router_logits
    output_scores pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type prefix
    pretraining_tp problem_type pruned_heads qa_dropout reference_compile remove_invalid_values reorder_and_upcast_attn
    repad_logits_with_grad repetition_penalty resid_dropout resid_pdrop residual_dropout return_dict
    return_dict_in_generate router_aux_loss_coef router_jitter_noise scale_attention_softmax_in_fp32 sep_token_id
    seq_classif_dropout slow_but_exact sparse_pred_ignore_index sparse_prediction summary_activation
    summary_first_dropout summary_last_dropout summary_proj_to_labels summary_type summary_use_proj suppress_tokens
    task_specific_params temperature tf_legacy_loss tie_encoder_decoder tokenizer_class top_k top_p torch_dtype
    torchscript transformers_version typical_p unsloth_fixed unsloth_version use_bfloat16 use_cache verbose vocab_size
";

/// Keys that change arithmetic in the families that have them. A family that does not read one of them does not have
/// the setting, and a checkpoint that has it is not of that family.
const ARITHMETIC: &str = "
    add_cross_attention alibi apply_residual_connection_post_layernorm attention_bias attention_chunk_size
    attention_multiplier attn_config attn_logit_softcapping attn_temperature_tuning clip_qkv compression_config
    cross_layer_sharing decoder_sparse_step embedding_multiplier embedding_size final_logit_softcapping
    first_k_dense_replace is_decoder kv_lora_rank layer_types llama_4_scaling_beta local_attention logit_scale
    logits_scaling mlp_bias moe_intermediate_size n_routed_experts n_shared_experts no_rope_layers num_experts
    num_local_experts parallel_attn partial_rotary_factor per_layer_config position_embedding_type q_lora_rank
    qk_layernorm qk_norm quantization quantization_config query_pre_attn_scalar residual_multiplier rope_parameters
    rope_scaling rotary_dim rotary_pct scale_attn_by_inverse_layer_idx scale_embedding shared_expert_intermediate_size
    sliding_window sliding_window_pattern use_bidirectional_attention use_parallel_residual use_qk_norm use_qkv_bias
    use_sliding_window word_embed_proj_dim
";

/// Endings of keys that are harmless.
const HARMLESS_ENDINGS: &[&str] = &["_dropout", "_pdrop", "_token_id", "_token_index", "_loss_coef", "_token_ids"];

/// Whether a value leaves things as they are without the setting.
pub fn is_neutral(key: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64().is_some_and(|x| x == 0.0 || x == 1.0),
        Value::String(text) => matches!(text.as_str(), "absolute" | "none" | ""),
        Value::Array(list) => list.iter().all(|entry| entry == "full_attention") || list.is_empty(),
        Value::Object(map) => {
            let kind = map.get("rope_type").or_else(|| map.get("type")).and_then(Value::as_str);
            map.is_empty() || (key.starts_with("rope_") && kind == Some("default"))
        }
        Value::Bool(true) => false,
    }
}

impl HfConfig {
    /// Looks at the keys that were not read, those of sections that were opened too: one that would change arithmetic
    /// is refused, and the others that are not known are returned, to be reported.
    pub fn unread(&self, family: &str) -> Result<Vec<String>, LoadError> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut unknown = Vec::new();
        self.unread_in(&self.root, "", &read, family, &mut unknown)?;
        Ok(unknown)
    }

    fn unread_in(
        &self,
        section: &Map<String, Value>,
        prefix: &str,
        read: &HashSet<String>,
        family: &str,
        unknown: &mut Vec<String>,
    ) -> Result<(), LoadError> {
        for (key, value) in section {
            let name = format!("{prefix}{key}");
            match value {
                Value::Object(inner) if read.contains(&format!("{name}.")) => {
                    self.unread_in(inner, &format!("{name}."), read, family, unknown)?;
                }
                _ if read.contains(&name) || value.is_null() => {}
                _ if has_word(QUANTISED, key) && is_known_quantisation(value) => {}
                _ if has_word(ARITHMETIC, key) => {
                    if !is_neutral(key, value) && !is_off(section, key, value) {
                        return Err(self.changes(&name, key, value, family));
                    }
                }
                _ if is_harmless(key) => {}
                _ => unknown.push(name),
            }
        }
        Ok(())
    }

    /// The refusal of a setting that changes arithmetic.
    fn changes(&self, name: &str, key: &str, value: &Value, family: &str) -> LoadError {
        let shown = match value {
            Value::Object(_) | Value::Array(_) => "...".to_owned(),
            other => other.to_string(),
        };
        let why = match key {
            "quantization_config" | "quantization" | "compression_config" => {
                "of quantised weights, those of GGUF files, fp8, bitsandbytes, GPTQ, AWQ, MLX and MXFP4 can be loaded, in their usual \
                 forms"
                    .to_owned()
            }
            _ => format!("{family} has no such setting, so the checkpoint computes something else"),
        };
        self.unsupported(name, shown, why)
    }
}

/// Keys that describe quantised weights.
const QUANTISED: &str = "quantization_config quantization";

/// Whether weights that are described so can be loaded: those that cannot be told from their tensors alone are refused.
fn is_known_quantisation(value: &Value) -> bool {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
    match text("quant_method") {
        Some("mxfp4") => true,
        Some("bitsandbytes") => flag("load_in_4bit") || flag("load_in_8bit"),
        // In the second format zeros are what they say.
        Some("gptq") => {
            number("bits").is_some_and(|bits| [2, 4, 8].contains(&bits)) && text("checkpoint_format") != Some("gptq_v2")
        }
        Some("awq") => {
            number("bits") == Some(4) && text("version").is_none_or(|version| version.eq_ignore_ascii_case("gemm"))
        }
        Some(_) => eight_bit_floats(value),
        // MLX, with the same numbers for all matrices.
        None => {
            let sections =
                value.as_object().is_some_and(|all| all.values().any(|value| value.is_object() || *value == false));
            let affine = text("mode").is_none_or(|mode| mode == "affine");
            number("group_size").is_some()
                && number("bits").is_some_and(|bits| [2, 4, 8].contains(&bits))
                && affine
                && !sections
        }
    }
}

/// Whether a `quantization_config` describes weights of eight-bit floats with scales, which the checkpoint has next to
/// them.
fn eight_bit_floats(value: &Value) -> bool {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let blocks = |value: &Value| value.is_null() || *value == serde_json::json!([128, 128]);
    match text("quant_method") {
        Some("fp8") => text("fmt").is_none_or(|fmt| fmt == "e4m3") && value.get("weight_block_size").is_none_or(blocks),
        Some("fbgemm_fp8") => true,
        Some("compressed-tensors") => {
            let groups = value.get("config_groups").and_then(Value::as_object);
            let is_float = |group: &Value| {
                let weights = group.get("weights");
                let get = |key: &str| weights.and_then(|weights| weights.get(key));
                get("type").and_then(Value::as_str) == Some("float")
                    && get("num_bits").and_then(Value::as_u64) == Some(8)
            };
            let plain = ["kv_cache_scheme", "sparsity_config"].iter().all(|key| {
                value.get(*key).is_none_or(|value| value.is_null() || value.as_object().is_some_and(Map::is_empty))
            });
            plain && groups.is_some_and(|groups| !groups.is_empty() && groups.values().all(is_float))
        }
        _ => false,
    }
}

/// Whether a key has no bearing on what a model computes.
fn is_harmless(key: &str) -> bool {
    has_word(HARMLESS, key) || HARMLESS_ENDINGS.iter().any(|end| key.ends_with(end))
}

/// Whether other keys of the same section leave a setting without effect: a window that is switched off, an embedding
/// as wide as the model.
fn is_off(section: &Map<String, Value>, key: &str, value: &Value) -> bool {
    match key {
        "sliding_window" => section.get("use_sliding_window") == Some(&Value::Bool(false)),
        "embedding_size" => section.get("hidden_size") == Some(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> HfConfig {
        HfConfig::parse("config.json", text.as_bytes()).unwrap()
    }

    #[test]
    fn what_changes_arithmetic_is_never_passed_over() {
        let refused = |text: &str| config(text).unread("llama").unwrap_err().to_string();
        assert_eq!(
            refused(r#"{"attn_logit_softcapping": 50.0}"#),
            "config.json: attn_logit_softcapping = 50.0 is not supported: llama has no such setting, so the checkpoint \
             computes something else"
        );
        assert!(refused(r#"{"layer_types": ["full_attention", "chunked_attention"]}"#).contains("layer_types = ..."));
        assert!(refused(r#"{"quantization_config": {"bits": 4}}"#).contains("GGUF"));
        let read = config(r#"{"attn_logit_softcapping": 50.0}"#);
        read.number(&["attn_logit_softcapping"], 0.0).unwrap();
        assert!(read.unread("gemma2").unwrap().is_empty());
    }

    #[test]
    fn what_says_nothing_is_let_through_and_what_is_unknown_is_told() {
        let text = r#"{"sliding_window": 4096, "use_sliding_window": false, "attention_dropout": 0.1, "alibi": false,
            "rope_scaling": null, "residual_multiplier": 1.0, "pad_token_id": 3, "flux_capacitor": 1.21,
            "layer_types": ["full_attention"]}"#;
        assert_eq!(config(text).unread("llama").unwrap(), ["flux_capacitor"]);
    }

    #[test]
    fn keys_of_sections_are_looked_at_like_those_outside() {
        let text = r#"{"rope_scaling": {"rope_type": "yarn", "attn_factor": 0.9, "finetuned": true},
            "text_config": {"hidden_size": 8, "warp": 9, "pad_token_id": 1}, "vision_config": {"depth": 4}}"#;
        let config = config(text);
        config.object("rope_scaling").unwrap().unwrap().str(&["rope_type"]).unwrap();
        config.nested("text_config").unwrap().unwrap().size(&["hidden_size"]).unwrap();
        config.note_read(&["vision_config"]);
        assert_eq!(
            config.unread("llama").unwrap(),
            ["rope_scaling.attn_factor", "rope_scaling.finetuned", "text_config.warp"]
        );
        let inner = self::config(r#"{"text_config": {"is_decoder": false, "num_experts": 8}}"#);
        inner.nested("text_config").unwrap();
        let refused = inner.unread("gemma3").unwrap_err().to_string();
        assert!(refused.starts_with("config.json: text_config.num_experts = 8 is not supported"), "{refused}");
    }
}
