//! Promises: what the tokenizer did is told, padding stands where it was asked for and changes nothing, and tokenizers of
//! older repositories work.

use std::path::Path;

use serde_json::Value as Json;

use crate::common::{batch, json};
use crate::parity::fixture;

fn path(name: &str) -> String {
    fixture(name).display().to_string()
}

#[test]
fn info_tokens_tells_bytes_offsets_words_and_what_is_special() {
    let (objects, _) = json(&path("bert-seqcls"), &["-p", "The dogs [MASK]", "-ex", "info tokens"]);
    let tokens = objects[0]["tokens"].as_array().unwrap();
    let field = |key: &str| tokens.iter().map(|token| token[key].clone()).collect::<Vec<Json>>();
    assert_eq!(tokens[1]["text"], "the");
    assert_eq!(tokens[1]["offsets"], serde_json::json!([0, 3]));
    assert_eq!(tokens[1]["bytes"], serde_json::json!([116, 104, 101]));
    assert_eq!(field("special").iter().filter(|special| **special == true).count(), 3);
    assert_eq!(tokens[0]["offsets"], Json::Null);
    assert_eq!((&tokens[1]["word"], &tokens[2]["word"]), (&Json::from(0), &Json::from(1)));
    let told = batch(&path("bert-seqcls"), &["-p", "The dogs [MASK]", "-ex", "info tokens"]).out;
    assert!(told.contains("the text was normalized to \"the dogs [MASK]\""), "{told}");
    assert!(told.contains("taken as tokens of their own in the text: \"[MASK]\""), "{told}");
    // Tokens that were given have no text, and those that were changed no longer theirs.
    let (given, _) = json(&path("gpt2"), &["--tokens", "5,6", "-ex", "info tokens"]);
    assert_eq!(given[0]["tokens"][0]["offsets"], Json::Null);
    let (changed, _) = json(&path("gpt2"), &["-p", "the king", "-ex", "set tokens[1] = 5", "-ex", "info tokens"]);
    assert_eq!(changed.last().unwrap()["tokens"][0]["offsets"], Json::Null);
}

#[test]
fn padding_stands_on_either_side_and_changes_no_value() {
    let last = |arguments: &[&str], row: usize, pos: usize| {
        let (focus, expr) = (format!("focus row={row}"), format!("output/r logits[{pos}, 0:4]"));
        let commands = ["-ex", "run", "-ex", &focus, "-ex", &expr];
        let (objects, ran) = json(&path("llama"), &[arguments, &commands].concat());
        let data = objects.last().unwrap()["value"]["data"].as_array().cloned();
        let numbers = data.unwrap_or_else(|| panic!("{} {}", ran.out, ran.err));
        numbers.iter().map(|x| x.as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let alone = last(&["-p", "the dog"], 0, 2);
    let rows = ["-p", "the king went to the", "-p", "the dog", "--pad-side"];
    for side in ["left", "right"] {
        let arguments = [&rows[..], &[side]].concat();
        let tokens = json(&path("llama"), &[&arguments[..], &["-ex", "focus row=1", "-ex", "info tokens"]].concat()).0;
        let tokens = tokens.last().unwrap()["tokens"].as_array().unwrap().clone();
        let real: Vec<bool> = tokens.iter().map(|token| token["real"] != false).collect();
        let first = real.iter().position(|real| *real).unwrap();
        assert_eq!(first == 0, side == "right", "{tokens:?}");
        let padded = last(&arguments, 1, first + 2);
        // Sums over masked keys add zeros in another order: rounding of f32 and no more.
        for (a, b) in alone.iter().zip(&padded) {
            assert!((a - b).abs() < 2e-5, "{side}: {alone:?} {padded:?}");
        }
    }
}

#[test]
fn tokens_are_inserted_and_erased_where_they_stand_in_a_row_padded_on_the_left() {
    let rows = ["-p", "the king went to the", "-p", "the dog", "--pad-side", "left", "-ex", "focus row=1"];
    let ran = |commands: &[&str]| {
        let commands: Vec<&str> = commands.iter().flat_map(|line| ["-ex", *line]).collect();
        json(&path("llama"), &[&rows[..], &commands].concat()).0
    };
    let texts = |object: &Json| -> Vec<(String, bool)> {
        let tokens = object["tokens"].as_array().unwrap();
        tokens.iter().map(|token| (token["text"].as_str().unwrap().to_string(), token["real"] != false)).collect()
    };
    let before = texts(ran(&["info tokens"]).last().unwrap());
    let first = before.iter().position(|(_, real)| *real).unwrap();
    let after = texts(ran(&[&format!("tokens erase {first}"), "info tokens"]).last().unwrap());
    assert_eq!(after[first + 1..], before[first + 1..]);
    assert!(!after[first].1);
    let (_, refused) = json(&path("llama"), &[&rows[..], &["-ex", "tokens erase 0"]].concat());
    assert!(refused.err.contains("no token at position 0: the text stands at"), "{}", refused.err);
}

#[test]
fn models_with_a_vocabulary_and_merges_instead_of_a_tokenizer_file_read_text() {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture("gpt2")).unwrap().flatten() {
        if !file.file_name().to_string_lossy().starts_with("tokenizer") {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let place = folder.path().display().to_string();
    let none = batch(&place, &["-p", "the king", "-ex", "run"]);
    assert!(none.err.contains("no tokenizer.json"), "{}", none.err);
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers/gpt2-bare");
    for name in ["vocab.json", "merges.txt"] {
        std::fs::copy(files.join(name), folder.path().join(name)).unwrap();
    }
    let arguments = ["-p", "The king said 😀", "-ex", "run", "-ex", "output/r logits[-1, 0:8]"];
    let (separate, whole) = (batch(&place, &arguments), batch(&path("gpt2"), &arguments));
    assert_eq!((separate.status, &separate.out), (0, &whole.out), "{}", separate.err);
}
