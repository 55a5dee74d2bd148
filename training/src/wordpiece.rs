//! BERT's kind of tokenizer, lower-case WordPiece, whose vocabulary is the words of the reviews plus single letters.

use crate::reviews;
use crate::rng::Rng;
use serde_json::{Map, json};
use std::collections::BTreeSet;
use tokenizers::Tokenizer;

pub const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

pub fn build(seed: u64) -> Tokenizer {
    let mut rng = Rng::new(seed);
    let mut words = BTreeSet::new();
    for _ in 0..4000 {
        let text = reviews::train(&mut rng).text.to_lowercase();
        let split = text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 1);
        words.extend(split.map(str::to_string));
    }
    let letters = || ('a'..='z').chain('0'..='9');
    let all = SPECIAL
        .iter()
        .map(|s| s.to_string())
        .chain("!\"'(),-.:;?".chars().map(String::from))
        .chain(letters().map(String::from))
        .chain(letters().map(|c| format!("##{c}")))
        .chain(words);
    let vocab: Map<_, _> = all.enumerate().map(|(id, word)| (word, json!(id))).collect();
    let added: Vec<_> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, s)| {
            json!({"id": id, "content": s, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let special = |name: &str, id: usize| json!({"id": name, "ids": [id], "tokens": [name]});
    let marker = |name: &str, kind: usize| json!({"SpecialToken": {"id": name, "type_id": kind}});
    let text = |name: &str, kind: usize| json!({"Sequence": {"id": name, "type_id": kind}});
    let single = json!([marker("[CLS]", 0), text("A", 0), marker("[SEP]", 0)]);
    let pair = json!([marker("[CLS]", 0), text("A", 0), marker("[SEP]", 0), text("B", 1), marker("[SEP]", 1)]);
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {"[CLS]": special("[CLS]", 2), "[SEP]": special("[SEP]", 3)}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab}
    });
    file.to_string().parse().expect("tokenizer file is valid")
}
