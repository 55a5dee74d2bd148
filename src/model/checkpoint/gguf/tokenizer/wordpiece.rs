//! WordPiece (BERT). In the file what begins a word has a mark, and what continues it has none.

use serde_json::{Map, Value as Json, json};

use super::{Part, Parts, Strip, Template, TokenType, Vocabulary};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::{LoadError, NoTokenizer};

pub fn json(facts: &Facts, vocabulary: &Vocabulary) -> Result<Result<Json, NoTokenizer>, LoadError> {
    let words: Vec<String> = (0..vocabulary.tokens.len()).map(|id| word(vocabulary, id)).collect();
    let real = (0..words.len()).filter(|id| !vocabulary.is_filler(*id));
    let vocab: Map<String, Json> = real.map(|id| (words[id].clone(), json!(id))).collect();
    // Files do not say whether texts are lower-cased. A vocabulary of lower-cased texts has no capitals.
    let capitals = (0..words.len())
        .any(|id| vocabulary.types[id] == TokenType::Normal && words[id].chars().any(char::is_uppercase));
    let named = |id: Option<usize>, text: &str| id.or_else(|| vocabulary.tokens.iter().position(|token| token == text));
    let unknown = named(vocabulary.id(facts, "unknown")?, "[UNK]");
    let bos = named(vocabulary.id(facts, "bos")?.or(vocabulary.id(facts, "cls")?), "[CLS]");
    let sep = named(vocabulary.id(facts, "seperator")?, "[SEP]");
    let (Some(unknown), Some(bos), Some(sep)) = (unknown, bos, sep) else {
        return Ok(Err(NoTokenizer::NoWordPieceTokens));
    };
    let single = vec![vocabulary.part(bos, 0), Part::A, vocabulary.part(sep, 0)];
    let pair = [&single[..], &[Part::B(1), vocabulary.part(sep, 1)]].concat();
    let parts = Parts {
        added: vocabulary.added(|_| Strip::default()),
        normalizer: json!({
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": true,
            "strip_accents": null,
            "lowercase": !capitals,
        }),
        pre_tokenizer: json!({"type": "BertPreTokenizer"}),
        post_processor: Template { single, pair }.json(),
        decoder: json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        model: json!({
            "type": "WordPiece",
            "unk_token": words[unknown],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        }),
    };
    Ok(Ok(parts.json()))
}

/// A token as BERT's vocabulary spells it.
fn word(vocabulary: &Vocabulary, id: usize) -> String {
    let token = &vocabulary.tokens[id];
    if matches!(vocabulary.types[id], TokenType::Control | TokenType::Unknown) {
        return token.clone();
    }
    match token.strip_prefix('▁') {
        Some(word) => word.to_owned(),
        None => format!("##{token}"),
    }
}
