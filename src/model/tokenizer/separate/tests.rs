//! Tokenizers put together of separate files.

use super::*;
use crate::model::tokenizer::Tokenizer;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers").join(name)
}

fn made(folder: &Path, config: &str) -> Result<Tokenizer, Box<dyn std::error::Error>> {
    let files = CheckpointFiles::at(folder).unwrap();
    let config = HfConfig::parse("config.json", config.as_bytes()).unwrap();
    let made = json(&files, &config)??;
    Ok(Tokenizer::from_bytes(&made.path, made.json.to_string().as_bytes())?)
}

/// Made with transformers by `tools/fixtures/tokenizers.py`; numbers are compared exactly.
#[test]
fn texts_and_pairs_become_the_tokens_of_transformers() {
    let mut compared = 0;
    for entry in std::fs::read_dir(folder("")).unwrap() {
        let folder = entry.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        let config = read("config.json").unwrap_or_else(|_| r#"{"model_type": "llama"}"#.into());
        let tokenizer = made(&folder, &config).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
        let expected: Json = serde_json::from_str(&read("expected.json").unwrap()).unwrap();
        assert_eq!(json!(tokenizer.vocab_size()), expected["vocabulary"], "{}", folder.display());
        for case in expected["cases"].as_array().unwrap() {
            let texts: Vec<&str> = case["texts"].as_array().unwrap().iter().map(|x| x.as_str().unwrap()).collect();
            let tokens = match texts[..] {
                [text] => tokenizer.encode(text, true).unwrap(),
                [a, b] => tokenizer.encode_pair(a, b, true).unwrap(),
                _ => panic!("{texts:?}"),
            };
            let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
            assert_eq!(json!(ids), case["ids"], "{} {texts:?}", folder.display());
            let types: Vec<u32> = tokens.iter().map(|token| token.type_id).collect();
            assert_eq!(json!(types), case["types"], "{} {texts:?}", folder.display());
            compared += 1;
        }
    }
    assert_eq!(compared, 25 * 11);
}

#[test]
fn what_cannot_be_put_together_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let config = r#"{"model_type": "llama"}"#;
    let shown = dir.path().display().to_string();
    let why = |config: &str| made(dir.path(), config).unwrap_err().to_string().replace(&shown, "DIR");
    assert_eq!(why(config), "no tokenizer.json in DIR");
    write("qwen.tiktoken", "x");
    assert_eq!(
        why(config),
        "no tokenizer.json in DIR; qwen.tiktoken cannot be read here, but \
         AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers writes a tokenizer.json from it"
    );
    write("vocab.json", "{}");
    assert!(why(config).contains("vocab.json and qwen.tiktoken alone does not say"), "{}", why(config));
    write("merges.txt", "#version: 0.2\na b c\n");
    assert!(why(config).contains("not known for its tokenizer_class (none in tokenizer_config.json)"));
    assert_eq!(
        why(r#"{"model_type": "gpt2"}"#),
        "DIR/merges.txt is not a usable tokenizer: line 2 is not a pair of tokens: \"a b c\"; get it again, or move it \
         away and give token ids with --tokens"
    );
    write("merges.txt", "a b\n");
    write("vocab.json", r#"{"a": -1}"#);
    assert!(why(r#"{"model_type": "gpt2"}"#).contains("the number of \"a\" is -1"));
    write("tokenizer_config.json", r#"{"tokenizer_class": "BertTokenizer"}"#);
    assert_eq!(
        why(r#"{"model_type": "gpt2"}"#),
        "no tokenizer.json in DIR, and vocab.json does not go with its tokenizer_class"
    );
}

/// A field of a message in the format of protocol buffers: a text, or another message.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, value.len() as u8], value].concat()
}

fn piece(text: &str, kind: u8) -> Vec<u8> {
    field(1, &[field(1, text.as_bytes()), vec![0x15, 0, 0, 0x80, 0xbf, 0x18, kind]].concat())
}

#[test]
fn what_sentencepiece_and_tekken_lack_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let shown = dir.path().display().to_string();
    let why = |config: &str| match made(dir.path(), config) {
        Ok(_) => String::new(),
        Err(error) => error.to_string().replace(&shown, "DIR"),
    };
    let llama = r#"{"model_type": "llama"}"#;
    write("tokenizer.model", b"IQ== 0\n");
    assert!(
        why(llama).contains("DIR/tokenizer.model is not a usable tokenizer: it ends within a field"),
        "{}",
        why(llama)
    );
    let pieces = [piece("<unk>", 2), piece("<s>", 3), piece("</s>", 3), piece("a", 1)].concat();
    let algorithm = |number: u8| [pieces.clone(), field(2, &[0x18, number])].concat();
    write("tokenizer.model", &algorithm(2));
    assert_eq!(why(llama), "");
    write("tokenizer.model", &algorithm(3));
    assert!(why(llama).contains("its pieces are of the unknown kind 3"), "{}", why(llama));
    write("tokenizer.model", &[piece("a", 1), field(2, &[0xc0, 2, 9])].concat());
    assert!(why(llama).contains("it has no piece for unknown text"), "{}", why(llama));
    let endless: Vec<u8> = pieces.iter().map(|byte| if *byte == 0xbf { 0x7f } else { *byte }).collect();
    write("tokenizer.model", &endless);
    assert!(why(llama).contains("the score of \"<unk>\" is inf"), "{}", why(llama));
    write("tokenizer.model", &algorithm(1));
    assert_eq!(
        why(r#"{"model_type": "gpt-sw3"}"#),
        "no tokenizer.json in DIR, and what GPTSw3Tokenizer makes of tokenizer.model is not known here; \
         AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers writes a tokenizer.json from it"
    );
    assert!(why(r#"{"model_type": "qwen2"}"#).contains("what Qwen2Tokenizer makes"));
    std::fs::remove_file(dir.path().join("tokenizer.model")).unwrap();
    for text in [
        "{}",
        r#"{"config": {"pattern": "."}, "vocab": [{"token_bytes": "é"}]}"#,
        r#"{"config": {"pattern": ".", "default_num_special_tokens": 99999999}, "vocab": []}"#,
    ] {
        write("tekken.json", text.as_bytes());
        assert!(why(llama).contains("it is not laid out as Mistral's tekken.json"), "{}", why(llama));
    }
    write("tekken.json", br#"{"config": {"pattern": "."}, "vocab": [{"token_bytes": "YQ=="}]}"#);
    assert_eq!(why(llama), "");
}

/// Pieces that are made of each other in every way would have merges of more bytes than any memory.
#[test]
fn a_vocabulary_with_too_many_pairs_is_refused() {
    let pieces: Vec<String> = (1..4000).map(|length| "a".repeat(length)).collect();
    assert!(pairs(pieces.iter().map(|piece| (piece.as_str(), 0.0)).collect()).is_none());
    let few = pairs(vec![("a", 3.0), ("b", 2.0), ("ab", 1.0), ("aab", 0.0)]).unwrap();
    assert_eq!(json!(few), json!([["a", "ab"], ["a", "b"]]));
}
