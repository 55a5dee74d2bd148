//! SentencePiece unigram models (XLM-RoBERTa): tokens with scores, of which the best sum is taken.

use serde_json::{Value as Json, json};

use super::{Parts, Strip, TokenType, Vocabulary};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::checkpoint::gguf::reader::Value;
use crate::model::error::{LoadError, NoTokenizer};
use crate::model::tokenizer::parts::base64;

pub fn json(facts: &Facts, vocabulary: &Vocabulary) -> Result<Result<Json, NoTokenizer>, LoadError> {
    let unknown = (0..vocabulary.tokens.len()).find(|id| vocabulary.types[*id] == TokenType::Unknown);
    let Some(unknown) = vocabulary.id(facts, "unknown")?.or(unknown) else {
        return Ok(Err(NoTokenizer::NoUnknownToken));
    };
    let vocab: Vec<Json> = vocabulary
        .tokens
        .iter()
        .zip(&vocabulary.scores)
        .map(|(token, score)| json!([token, f64::from(if score.is_finite() { *score } else { 0.0 })]))
        .collect();
    let prefix = facts.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let metaspace = json!({
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": if prefix { "always" } else { "never" },
        "split": true,
    });
    let bytes: Vec<u8> = facts
        .values("tokenizer.ggml.precompiled_charsmap")?
        .filter_map(|value| match value {
            Value::Unsigned(byte) => u8::try_from(byte).ok(),
            Value::Negative(byte) => i8::try_from(byte).ok().map(|byte| byte as u8),
            _ => None,
        })
        .collect();
    let normalizer = match bytes.is_empty() {
        true => json!({"type": "NFKC"}),
        false => json!({"type": "Precompiled", "precompiled_charsmap": base64(&bytes)}),
    };
    let post_processor = match (vocabulary.id(facts, "bos")?, vocabulary.id(facts, "eos")?) {
        (Some(bos), Some(eos)) => super::around(vocabulary.part(bos, 0), vocabulary.part(eos, 0), 2),
        _ => Json::Null,
    };
    let strip = |token: &str| Strip { left: token == "<mask>", right: false };
    let parts = Parts {
        added: vocabulary.added(strip),
        normalizer,
        pre_tokenizer: json!({
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace],
        }),
        post_processor,
        decoder: metaspace,
        model: json!({"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": false}),
    };
    Ok(Ok(parts.json()))
}
