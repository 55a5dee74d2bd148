//! Tokens are those of transformers, and their bytes are exact.

use super::*;
use crate::model::Token;

fn encode(model: &Model, text: &str) -> Vec<Token> {
    model.tokenizer.as_ref().unwrap().encode(text, true).unwrap()
}

#[test]
fn every_prompt_of_every_fixture_is_tokenised_as_transformers_does() {
    for name in fixtures() {
        let model = model(&name);
        let tokenizer = model.tokenizer.as_ref().unwrap();
        let reference = json(&fixture(&name).join("reference.json"));
        for prompt in reference["prompts"].as_array().unwrap() {
            let numbers = |key: &str| -> Vec<u32> {
                prompt[key]
                    .as_array()
                    .map(|list| list.iter().map(|x| x.as_u64().unwrap() as u32).collect())
                    .unwrap_or_default()
            };
            let text = prompt["text"].as_str().unwrap();
            // Of an encoder and a decoder, the text is what the encoder reads.
            let source = numbers("source_ids");
            if !source.is_empty() {
                let ids: Vec<u32> = tokenizer.encode(text, true).unwrap().iter().map(|token| token.id).collect();
                let real = numbers("source_mask").iter().filter(|mask| **mask == 1).count();
                assert_eq!(ids, source[..real], "{name} {text:?}");
                continue;
            }
            let tokens = match prompt["second_text"].as_str() {
                Some(second) => tokenizer.encode_pair(text, second, true).unwrap(),
                None => tokenizer.encode(text, true).unwrap(),
            };
            // Padding is after the text, or before it.
            let mask = numbers("attention_mask");
            let start = mask.iter().position(|mask| *mask == 1).unwrap();
            let real = start..mask.iter().rposition(|mask| *mask == 1).unwrap() + 1;
            let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
            assert_eq!(ids, numbers("token_ids")[real.clone()], "{name} {text:?}");
            if let Some(types) = numbers("token_type_ids").get(real.clone()) {
                assert_eq!(tokens.iter().map(|token| token.type_id).collect::<Vec<_>>(), types, "{name} {text:?}");
            }
            let spelled: Vec<String> = ids.iter().map(|id| tokenizer.spelling(*id).unwrap()).collect();
            let expected: Vec<&str> =
                prompt["tokens"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
            assert_eq!(spelled, expected[real], "{name} {text:?}");
        }
    }
}

#[test]
fn the_bytes_of_the_tokens_are_the_bytes_of_the_text() {
    let texts = ["Zoë said: the end 😀", "  two  spaces\n\ttab ", "日本語 ñandú €12", "a", "x\u{0301}y 👩‍👩‍👧", "the"];
    for name in ["gpt2", "gpt2-f16", "llama", "llama-legacy"] {
        let model = model(name);
        for text in texts {
            let tokens = encode(&model, text);
            let bytes: Vec<u8> =
                tokens.into_iter().filter(|token| !token.special).flat_map(|token| token.bytes).collect();
            assert_eq!(String::from_utf8_lossy(&bytes), text, "{name}");
        }
    }
}

#[test]
fn tokens_are_shown_by_their_bytes() {
    let show = |name: &str, text: &str| -> Vec<String> {
        encode(&model(name), text).into_iter().map(|token| token.text).collect()
    };
    assert_eq!(show("gpt2", "Zoë 😀"), ["Z", "o", "\\xC3", "\\xAB", " \\xF0\\x9F", "\\x98", "\\x80"]);
    assert_eq!(show("llama-legacy", "The dog €"), ["<s>", " The", " do", "g", " ", "\\xE2", "\\x82", "\\xAC"]);
    assert_eq!(show("bert-mlm", "Zoë [MASK]"), ["[CLS]", "z", "o", "e", "[MASK]", "[SEP]"]);
}

#[test]
fn tokens_are_found_by_bytes_then_by_spelling() {
    let id = |name: &str, text: &str| model(name).tokenizer.unwrap().id_of(text);
    assert_eq!((id("gpt2", " said"), id("gpt2", "Ġsaid"), id("gpt2", " Mary Jane")), (Some(341), Some(341), None));
    assert_eq!(id("gpt2", "<|endoftext|>"), Some(383));
    assert_eq!(
        (id("llama-legacy", " the"), id("llama-legacy", "▁the"), id("llama-legacy", "<0xE2>")),
        (Some(328), Some(328), Some(229))
    );
    assert_eq!((id("bert-mlm", "[MASK]"), id("bert-mlm", "##o"), id("bert-mlm", "the")), (Some(4), Some(84), Some(96)));
}

#[test]
fn every_token_is_found_by_its_own_spelling_and_has_bytes() {
    for name in fixtures() {
        let tokenizer = model(&name).tokenizer.unwrap();
        for id in 0..tokenizer.vocab_size() as u32 {
            let spelling = tokenizer.spelling(id).unwrap();
            let bytes = tokenizer.token_bytes(id);
            assert!(!bytes.is_empty(), "{name} {spelling:?}");
            let found = tokenizer.id_of(&spelling).unwrap();
            assert!(found == id || tokenizer.token_bytes(found) == spelling.as_bytes(), "{name} {spelling:?}");
        }
        assert!(!tokenizer.has(10_000) && tokenizer.token_bytes(10_000).is_empty());
        assert_eq!(tokenizer.token_text(10_000), "<10000>");
    }
}

#[test]
fn special_tokens_can_be_left_out_and_text_decoded() {
    let model = model("llama-legacy");
    let tokenizer = model.tokenizer.unwrap();
    let tokens = tokenizer.encode("The dog", false).unwrap();
    assert!(tokens.iter().all(|token| !token.special));
    assert_eq!((tokens[0].offsets.clone(), tokens[1].offsets.clone()), (0..3, 3..6));
    let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
    assert_eq!(tokenizer.decode(&ids, true), "The dog");
}

#[test]
fn text_needs_a_tokenizer() {
    let mut model = model("gpt2");
    model.tokenizer = None;
    model.no_tokenizer = "no tokenizer.json in x".into();
    assert_eq!(
        crate::model::Input::from_texts(&model, &["hi"], true).unwrap_err().to_string(),
        "no tokenizer.json in x, so text cannot be tokenised: give token ids with --tokens"
    );
}
