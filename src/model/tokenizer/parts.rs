//! The layout of a `tokenizer.json`, for tokenizers that are put together from other files.

use serde_json::{Value as Json, json};

/// The parts of a `tokenizer.json`; null for one that does nothing.
pub struct Parts {
    pub added: Vec<Json>,
    pub normalizer: Json,
    pub pre_tokenizer: Json,
    pub post_processor: Json,
    pub decoder: Json,
    pub model: Json,
}

impl Parts {
    pub fn json(self) -> Json {
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added,
            "normalizer": self.normalizer,
            "pre_tokenizer": self.pre_tokenizer,
            "post_processor": self.post_processor,
            "decoder": self.decoder,
            "model": self.model,
        })
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as text, as JSON has them.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

/// The bytes of such a text; `None` if it is none.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte).map(|value| value as u32);
        let bits = chunk.iter().try_fold(0u32, |bits, byte| Some(bits << 6 | digit(byte)?))? << (6 * (4 - chunk.len()));
        bytes.extend(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_base_64_and_read_again() {
        let bytes = [b"".as_slice(), b"f", b"fo", b"foo", b"foob", b"fooba", b"foobar"];
        let texts = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(bytes.map(base64), texts);
        assert_eq!(texts.map(|text| from_base64(text).unwrap()), bytes.map(<[u8]>::to_vec));
        assert_eq!(["Z", "Zg=", "Z===", "Zm9\n", "Zm9é"].map(from_base64), [const { None }; 5]);
    }
}
