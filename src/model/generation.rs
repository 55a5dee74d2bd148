//! `generation_config.json`: how its authors choose tokens. Of it only the tokens that end a text are used, by
//! [`SpecialTokens`](super::tokenizer::SpecialTokens); how tokens are chosen here is a matter of settings.

use super::checkpoint::CheckpointFiles;
use super::config::{HfConfig, is_neutral};
use super::error::LoadError;
use super::text::has_word;

/// Keys without a bearing on which token is chosen: lengths, what is returned, caches, bookkeeping.
const HARMLESS: &str = "
    _from_model_config cache_config cache_implementation chat_format compile_config disable_compile low_memory
    max_length max_new_tokens max_time max_window_size num_return_sequences output_attentions output_hidden_states
    output_logits output_scores prefill_chunk_size return_dict_in_generate return_legacy_cache transformers_version
    trust_remote_code use_cache
";

/// Keys that say how to draw a token, and nothing where none is drawn.
const DRAWING: &str = "temperature top_k top_p top_h min_p typical_p epsilon_cutoff eta_cutoff";

/// What to report about settings there that `generate` does not follow.
pub fn unread(files: &CheckpointFiles) -> Result<Option<String>, LoadError> {
    const NAME: &str = "generation_config.json";
    let Some(text) = files.read(NAME)? else { return Ok(None) };
    let config = HfConfig::parse(&files.path_of(NAME), &text)?;
    let draws = config.json().get("do_sample") == Some(&true.into());
    let followed =
        |key: &str| key.ends_with("_token_id") || has_word(HARMLESS, key) || (!draws && has_word(DRAWING, key));
    let asked: Vec<String> = config
        .json()
        .iter()
        .filter(|(key, value)| !followed(key) && !is_neutral(key, value))
        .map(|(key, value)| match value {
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => key.clone(),
            value => format!("{key} {value}"),
        })
        .collect();
    let note =
        || format!("not used of {}: {}; see info settings for how tokens are chosen", config.path(), asked.join(", "));
    Ok((!asked.is_empty()).then(note))
}
