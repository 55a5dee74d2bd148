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
    assert_eq!(compared, 13 * 11);
}

#[test]
fn what_cannot_be_put_together_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let config = r#"{"model_type": "llama"}"#;
    let shown = dir.path().display().to_string();
    let why = |config: &str| made(dir.path(), config).unwrap_err().to_string().replace(&shown, "DIR");
    assert_eq!(why(config), "no tokenizer.json in DIR");
    write("tokenizer.model", "x");
    assert_eq!(
        why(config),
        "no tokenizer.json in DIR; tokenizer.model cannot be read here, but \
         AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers writes a tokenizer.json from it"
    );
    write("vocab.json", "{}");
    assert!(why(config).contains("vocab.json and tokenizer.model alone does not say"), "{}", why(config));
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
