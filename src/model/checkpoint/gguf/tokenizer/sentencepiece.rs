//! SentencePiece BPE (Llama 2, Mistral, Gemma): tokens with scores instead of merges, and a token for each byte.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::{Parts, Strip, TokenType, Vocabulary, ends};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::{LoadError, NoTokenizer};

const SPACE: char = '▁';

/// Work that merges of real vocabularies take a thousandth of: the sum of squared lengths of tokens.
const MOST_WORK: usize = 1 << 33;

pub fn json(facts: &Facts, vocabulary: &Vocabulary) -> Result<Result<Json, NoTokenizer>, LoadError> {
    let vocabulary = &spaces_put_back(vocabulary);
    let work = vocabulary.tokens.iter().try_fold(0usize, |sum, token| sum.checked_add(token.len().checked_pow(2)?));
    if work.is_none_or(|work| work > MOST_WORK) {
        return Ok(Err(NoTokenizer::TooMuchWork));
    }
    let unknown = vocabulary.id(facts, "unknown")?.or(Some(0).filter(|_| vocabulary.types[0] == TokenType::Unknown));
    let prefix = facts.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    // Nothing in the file says so, but the markers of Phi-3's chats take the space after them.
    let phi3 = facts.architecture == "phi3" && facts.name().to_lowercase().replace(' ', "-").contains("phi-3");
    let strip = |token: &str| Strip { left: false, right: phi3 && !matches!(token, "<unk>" | "<s>" | "<|endoftext|>") };
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let mut normalizers = vec![replace];
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let parts = Parts {
        added: vocabulary.added(strip),
        normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
        pre_tokenizer: Json::Null,
        post_processor: ends(facts, vocabulary, true)?,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        model: vocabulary.pairs(merges(vocabulary), unknown, true, false),
    };
    Ok(Ok(parts.json()))
}

/// Gemma's tokens of several spaces are stored as such, and as if they were found before the text is split. They are
/// pieces like others, of the best score.
fn spaces_put_back(vocabulary: &Vocabulary) -> Vocabulary {
    let mut changed = vocabulary.clone();
    for (id, token) in changed.tokens.iter_mut().enumerate() {
        if changed.types[id] == TokenType::UserDefined && token.bytes().all(|byte| byte == b' ') {
            *token = token.replace(' ', &SPACE.to_string());
            (changed.types[id], changed.scores[id]) = (TokenType::Normal, 0.0);
        }
    }
    changed
}

/// Each piece, from any two pieces that it can be made of; better scores first, then longer left sides, as transformers
/// makes them.
fn merges(vocabulary: &Vocabulary) -> Vec<Json> {
    let normal = |id: &usize| matches!(vocabulary.types[*id], TokenType::Normal | TokenType::Unused);
    let pieces: HashMap<&str, usize> = (0..vocabulary.tokens.len())
        .filter(normal)
        .filter(|id| !vocabulary.is_filler(*id))
        .map(|id| (vocabulary.tokens[id].as_str(), id))
        .collect();
    let mut merges = Vec::new();
    for id in (0..vocabulary.tokens.len()).filter(normal) {
        let token = vocabulary.tokens[id].as_str();
        let mut ways: Vec<(usize, usize, usize)> = token
            .char_indices()
            .skip(1)
            .filter_map(|(at, _)| Some((*pieces.get(&token[..at])?, *pieces.get(&token[at..])?, at)))
            .collect();
        ways.sort_unstable();
        merges.extend(ways.into_iter().map(|(_, _, at)| (id, at)));
    }
    let length = |text: &str| text.chars().count();
    let rank = |&(id, at): &(usize, usize)| {
        let token = vocabulary.tokens[id].as_str();
        (vocabulary.scores[id], length(&token[..at]), length(&token[at..]))
    };
    merges.sort_by(|a, b| {
        let ((a, al, ar), (b, bl, br)) = (rank(a), rank(b));
        b.total_cmp(&a).then(bl.cmp(&al)).then(br.cmp(&ar))
    });
    merges.into_iter().map(|(id, at)| json!([vocabulary.tokens[id][..at], vocabulary.tokens[id][at..]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_made_of_pieces_best_first() {
        let tokens = ["a", "b", "c", "ab", "bc", "abc", "<s>"];
        let vocabulary = Vocabulary {
            tokens: tokens.map(String::from).to_vec(),
            types: vec![TokenType::Normal; 6].into_iter().chain([TokenType::Control]).collect(),
            scores: vec![0.0, 0.0, 0.0, -2.0, -1.0, -3.0, 0.0],
        };
        let expected = [["b", "c"], ["a", "b"], ["ab", "c"], ["a", "bc"]];
        assert_eq!(json!(merges(&vocabulary)), json!(expected));
    }

    #[test]
    fn runs_of_spaces_are_pieces() {
        let vocabulary = Vocabulary {
            tokens: vec!["▁".into(), "  ".into()],
            types: vec![TokenType::Normal, TokenType::UserDefined],
            scores: vec![-5.0, -1000.0],
        };
        let back = spaces_put_back(&vocabulary);
        assert_eq!((back.tokens[1].as_str(), back.types[1]), ("▁▁", TokenType::Normal));
        assert_eq!(json!(merges(&back)), json!([["▁", "▁"]]));
    }
}
