//! How vocabularies spell bytes.
//!
//! Decoding a token alone with the tokenizer's own decoder drops leading spaces and breaks characters that are spread
//! over several tokens, so the spelling is inverted here instead.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::ModelWrapper;

/// How the tokens of a vocabulary are spelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spelling {
    /// Every byte is a printable character (GPT-2, Llama 3, Qwen).
    ByteLevel,
    /// A character stands for the space (SentencePiece), and with `bytes` there are tokens `<0xNN>`.
    Metaspace {
        space: char,
        bytes: bool,
    },
    /// A prefix marks what continues a word (BERT).
    WordPiece {
        prefix: String,
    },
    /// A suffix marks the end of a word (CLIP, GPT-1).
    WordEnd {
        suffix: String,
    },
    Plain,
}

impl Spelling {
    /// Reads it off the parts of a tokenizer.
    pub fn of(tokenizer: &tokenizers::Tokenizer) -> Spelling {
        let part = |value: Option<serde_json::Result<Value>>| value.and_then(Result::ok).unwrap_or(Value::Null);
        let decoder = part(tokenizer.get_decoder().map(serde_json::to_value));
        let splitter = part(tokenizer.get_pre_tokenizer().map(serde_json::to_value));
        let find = |kind: &str| typed(&decoder, kind).or_else(|| typed(&splitter, kind));
        if find("ByteLevel").is_some() {
            return Spelling::ByteLevel;
        }
        let metaspace = find("Metaspace").and_then(|part| part["replacement"].as_str()?.chars().next());
        let replaced = typed(&decoder, "Replace")
            .filter(|part| part["content"] == " ")
            .and_then(|part| part["pattern"]["String"].as_str()?.chars().next());
        let byte_fallback = match tokenizer.get_model() {
            ModelWrapper::BPE(model) => model.byte_fallback,
            _ => false,
        };
        let bytes = byte_fallback || typed(&decoder, "ByteFallback").is_some();
        if let Some(space) = metaspace.or(replaced) {
            return Spelling::Metaspace { space, bytes };
        }
        match tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => Spelling::WordPiece { prefix: model.continuing_subword_prefix.clone() },
            ModelWrapper::BPE(model) => match &model.end_of_word_suffix {
                Some(suffix) if !suffix.is_empty() => Spelling::WordEnd { suffix: suffix.clone() },
                _ => Spelling::Plain,
            },
            _ => Spelling::Plain,
        }
    }

    /// The bytes that a token stands for.
    pub fn bytes(&self, spelled: &str) -> Vec<u8> {
        let literal = || spelled.as_bytes().to_vec();
        match self {
            Spelling::ByteLevel => {
                let bytes: Option<Vec<u8>> = spelled.chars().map(|c| BYTE_OF.get(&c).copied()).collect();
                // A character outside the alphabet means that the token was never bytes.
                bytes.unwrap_or_else(literal)
            }
            Spelling::Metaspace { bytes: true, .. } if let Some(byte) = byte_token(spelled) => vec![byte],
            Spelling::Metaspace { space, .. } => spelled.replace(*space, " ").into_bytes(),
            Spelling::WordPiece { prefix } => {
                spelled.strip_prefix(prefix.as_str()).unwrap_or(spelled).as_bytes().to_vec()
            }
            Spelling::WordEnd { suffix } => {
                let word = spelled.strip_suffix(suffix.as_str());
                word.map_or_else(literal, |word| format!("{word} ").into_bytes())
            }
            Spelling::Plain => literal(),
        }
    }

    /// Which of several tokens with the same bytes is the ordinary one: 0 before 1.
    pub fn rank(&self, spelled: &str) -> u8 {
        let marked = match self {
            Spelling::Metaspace { bytes, .. } => *bytes && byte_token(spelled).is_some(),
            Spelling::WordPiece { prefix } => spelled.starts_with(prefix.as_str()),
            _ => false,
        };
        u8::from(marked)
    }
}

/// The byte that `<0xNN>` stands for.
fn byte_token(spelled: &str) -> Option<u8> {
    let digits = spelled.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// Bytes as byte-level vocabularies spell them.
pub fn of_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| CHAR_OF[usize::from(*byte)]).collect()
}

/// The part of a tokenizer that has this type, however deep in sequences.
pub fn typed<'a>(part: &'a Value, kind: &str) -> Option<&'a Value> {
    match part {
        Value::Object(map) if map.get("type").is_some_and(|found| found == kind) => Some(part),
        Value::Object(map) => map.values().find_map(|value| typed(value, kind)),
        Value::Array(list) => list.iter().find_map(|value| typed(value, kind)),
        _ => None,
    }
}

/// GPT-2's alphabet: printable bytes are themselves, the others follow from U+0100 on. The tokenizers crate keeps its
/// copy to itself.
static BYTE_OF: LazyLock<HashMap<char, u8>> = LazyLock::new(|| {
    let mut shifted = 0x100..;
    (0..=u8::MAX)
        .filter_map(|byte| {
            let printable = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
            let code = if printable { u32::from(byte) } else { shifted.next()? };
            Some((char::from_u32(code)?, byte))
        })
        .collect()
});

/// The same the other way round.
static CHAR_OF: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut chars = ['\0'; 256];
    for (&char, &byte) in BYTE_OF.iter() {
        chars[usize::from(byte)] = char;
    }
    chars
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_every_byte_once() {
        assert_eq!(BYTE_OF.len(), 256);
        let mut bytes: Vec<u8> = BYTE_OF.values().copied().collect();
        bytes.sort_unstable();
        assert!(bytes.iter().enumerate().all(|(i, byte)| i == usize::from(*byte)));
        assert_eq!(Spelling::ByteLevel.bytes("ĠðŁĺĢĊ"), " 😀\n".as_bytes());
        assert_eq!(Spelling::ByteLevel.bytes("日"), "日".as_bytes());
        assert_eq!(of_bytes(" 😀\n".as_bytes()), "ĠðŁĺĢĊ");
    }

    #[test]
    fn spaces_and_byte_tokens() {
        let spelling = Spelling::Metaspace { space: '▁', bytes: true };
        assert_eq!(spelling.bytes("▁the▁"), b" the ");
        assert_eq!(spelling.bytes("<0xE2>"), [0xE2]);
        assert_eq!(spelling.bytes("<0xE>"), b"<0xE>");
        assert_eq!(Spelling::Metaspace { space: '▁', bytes: false }.bytes("<0xE2>"), b"<0xE2>");
    }

    #[test]
    fn marks_of_words_are_taken_away() {
        assert_eq!(Spelling::WordPiece { prefix: "##".into() }.bytes("##ing"), b"ing");
        assert_eq!(Spelling::WordEnd { suffix: "</w>".into() }.bytes("ing</w>"), b"ing ");
    }
}
