//! Promises: what the tokenizer did is told, padding stands where it was asked for and changes nothing, and tokenizers of
//! older repositories work.

use std::path::Path;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

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
    assert!(told.contains("taken as separate tokens in the text: \"[MASK]\""), "{told}");
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
    assert!(refused.err.contains("no token at position 0: the text is at"), "{}", refused.err);
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

/// A copy of a fixture whose files are changed: objects by their file's name, whose keys are set, or taken away if null.
fn changed(name: &str, files: &[(&str, Json)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture(name)).unwrap().flatten() {
        if file.path().is_file() && !file.file_name().to_string_lossy().starts_with("reference") {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    for (file, keys) in files {
        let path = folder.path().join(file);
        let mut whole: Json =
            std::fs::read(&path).map_or_else(|_| json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
        for (key, value) in keys.as_object().unwrap() {
            match value.is_null() {
                true => drop(whole.as_object_mut().unwrap().shift_remove(key)),
                false => whole[key] = value.clone(),
            }
        }
        std::fs::write(path, whole.to_string()).unwrap();
    }
    folder
}

fn place(folder: &TempDir) -> String {
    folder.path().display().to_string()
}

/// The ids of a text.
fn ids(model: &str, text: &str) -> Vec<u64> {
    let (objects, ran) = json(model, &["-p", text, "-ex", "info tokens"]);
    let tokens = objects.iter().find_map(|object| object["tokens"].as_array().cloned());
    let tokens = tokens.unwrap_or_else(|| panic!("{} {}", ran.out, ran.err));
    tokens.iter().map(|token| token["id"].as_u64().unwrap()).collect()
}

fn told(model: &str, arguments: &[&str]) -> String {
    let ran = batch(model, &[arguments, &["-ex", "info tokens"]].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    ran.out
}

/// The ids are those of `AutoTokenizer.from_pretrained(FOLDER)(TEXT)` in transformers 5.24. The model has 384 rows, so each text is
/// refused with the token, the file that names it, and the ids.
#[test]
fn tokens_that_only_files_next_to_the_tokenizer_name_are_added_as_transformers_adds_them() {
    let text = "The<|im_start|>dog <tool>sat";
    let start = "<|im_start|>";
    let habits = json!({"content": start, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true});
    let one = "382 275 384 67 78 70 220 27 83 78 78 75 29 82 64 83";
    let both = "382 275 384 67 78 70 220 385 82 64 83";
    let (config, map, added) = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json");
    let cases = [
        (config, json!({"added_tokens_decoder": {"384": habits}}), one),
        (config, json!({"additional_special_tokens": [start]}), one),
        (config, json!({"extra_special_tokens": [start, "<tool>"]}), both),
        (config, json!({"pad_token": start}), one),
        (config, json!({"image_token": start}), one),
        (map, json!({"additional_special_tokens": [start]}), one),
        (map, json!({"mask_token": {"content": start, "lstrip": false, "normalized": false}}), one),
        (added, json!({start: 384, "<tool>": 385}), both),
    ];
    for (file, keys, expected) in cases {
        let folder = changed("llama", &[(file, keys.clone())]);
        let ran = batch(&place(&folder), &["-p", text, "-ex", "run"]);
        let message = format!(
            "token id 384 at position 2 is out of range: the vocabulary has 0..383; it is \"<|im_start|>\", a token that {file} \
             names and that the model has no row for (the tokens are {expected})"
        );
        assert!(ran.err.contains(&message), "{keys}: {}", ran.err);
        assert_eq!(ran.status, 4);
        // Texts without such a token are read and run as before.
        assert_eq!(ids(&place(&folder), "The dog"), [382, 275, 314, 70]);
    }
}

/// A token that the model has a row for, and that tokenizer.json lacks: found in a text, in expressions, and where texts end.
#[test]
fn a_token_that_another_file_names_is_a_token_like_others() {
    let whole = changed("llama", &[]);
    let tokenizer: Json = serde_json::from_slice(&std::fs::read(whole.path().join("tokenizer.json")).unwrap()).unwrap();
    let without: Vec<Json> =
        tokenizer["added_tokens"].as_array().unwrap().iter().filter(|token| token["id"] != 383).cloned().collect();
    let lacking = changed("llama", &[("tokenizer.json", json!({"added_tokens": without}))]);
    let text = "The<|end_of_text|>dog";
    assert_eq!(ids(&place(&lacking), text), ids(&place(&whole), text));
    let run = ["-p", text, "-ex", "run", "-ex", "output/r logits[-1, 0:6]", "-ex", "print prob(\"<|end_of_text|>\")"];
    let (ours, theirs) = (batch(&place(&lacking), &run), batch(&place(&whole), &run));
    assert_eq!((ours.status, &ours.out), (0, &theirs.out), "{}", ours.err);
    // tokenizer_config.json may give it another number, which transformers passes over.
    let habits = json!({"content": "<|end_of_text|>", "special": true});
    let other = json!({"added_tokens": without});
    let decoder = json!({"added_tokens_decoder": {"390": habits}});
    let other = changed("llama", &[("tokenizer.json", other), ("tokenizer_config.json", decoder)]);
    assert_eq!(ids(&place(&other), text), ids(&place(&whole), text));
    let said = batch(&place(&other), &["-ex", "info model"]).out;
    let note =
        "tokenizer_config.json gives \"<|end_of_text|>\" the id 390; here, as in transformers, it has the id 383";
    assert!(said.contains(note), "{said}");
}

/// A post-processor that ends every text with the end token.
fn ending() -> Json {
    let end = "<|endoftext|>";
    let (text, after) =
        (json!({"Sequence": {"id": "A", "type_id": 0}}), json!({"SpecialToken": {"id": end, "type_id": 0}}));
    json!({"post_processor": {
        "type": "TemplateProcessing",
        "single": [text, after],
        "pair": [text, {"Sequence": {"id": "B", "type_id": 1}}, after],
        "special_tokens": {end: {"id": end, "ids": [383], "tokens": [end]}},
    }})
}

/// As transformers 5.24 reads the same folders: its GPTNeoXTokenizer puts nothing around a text whatever tokenizer.json says, the
/// general class does as the file says.
#[test]
fn the_class_of_a_tokenizer_decides_what_stands_around_a_text() {
    let of = |class: Json, family: &str| {
        let settings = json!({"tokenizer_class": class, "add_eos_token": false});
        changed(family, &[("tokenizer.json", ending()), ("tokenizer_config.json", settings)])
    };
    let (without, with) = (vec![275, 314, 70, 324, 83], vec![275, 314, 70, 324, 83, 383]);
    for (class, family, expected) in [
        (json!("GPTNeoXTokenizer"), "gpt_neox", &without),
        (json!("GPTNeoXTokenizerFast"), "gpt_neox", &without),
        (Json::Null, "gpt_neox", &without),
        (json!("PreTrainedTokenizerFast"), "gpt_neox", &with),
        (json!("GPTNeoXTokenizer"), "olmo2", &with),
        (json!("GPT2Tokenizer"), "gpt2", &with),
    ] {
        let folder = of(class.clone(), family);
        assert_eq!(&ids(&place(&folder), "The dog sat"), expected, "{class} {family}");
        let warned = told(&place(&folder), &["-p", "The dog sat"]);
        assert_eq!(warned.contains("warning: the prompt ends with \"<|endoftext|>\""), expected == &with, "{warned}");
    }
    let said = batch(&place(&of(json!("GPTNeoXTokenizer"), "gpt_neox")), &["-ex", "info model"]).out;
    assert!(said.contains("puts other tokens around a text than GPTNeoXTokenizer"), "{said}");
    // A tokenizer of BERT that lost its post-processor.
    let lost = changed(
        "bert-seqcls",
        &[
            ("tokenizer.json", json!({"post_processor": null})),
            ("tokenizer_config.json", json!({"tokenizer_class": "BertTokenizer"})),
        ],
    );
    let whole = fixture("bert-seqcls").display().to_string();
    assert_eq!(ids(&place(&lost), "The dog sat"), ids(&whole, "The dog sat"));
}

#[test]
fn a_text_without_its_beginning_is_warned_about() {
    let folder = changed("llama", &[("tokenizer.json", json!({"post_processor": null}))]);
    let warned = told(&place(&folder), &["-p", "The dog"]);
    assert!(
        warned.contains("warning: the text does not begin with \"<|begin_of_text|>\", the tokenizer's bos_token"),
        "{warned}"
    );
    assert!(!told(&place(&folder), &["-p", "<|begin_of_text|>The dog"]).contains("warning"));
    // A tokenizer that says that it adds none was meant so.
    let meant = json!({"add_bos_token": false});
    let meant =
        changed("llama", &[("tokenizer.json", json!({"post_processor": null})), ("tokenizer_config.json", meant)]);
    assert!(!told(&place(&meant), &["-p", "The dog"]).contains("warning"));
    assert!(!told(&path("llama"), &["-p", "The dog"]).contains("warning"));
}

/// What transformers makes of ' dog' and 'Hello</s>dog' with the tokenizer that the file was made from: 1 385 302, and
/// 1 322 285 300 352 309 2 299 309 302.
#[test]
fn a_text_that_transformers_cuts_otherwise_is_warned_about() {
    let gguf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf/mistral.f32.gguf").display().to_string();
    for (text, message) in [
        (" dog", "3 tokens there, 4 here; at position 1 it has \" do\" \"g\""),
        ("Hello</s>dog", "10 tokens there, 9 here; at position 7 it has \"d\" \"o\" \"g\""),
    ] {
        let warned = told(&gguf, &["-p", text]);
        let whose =
            "LlamaTokenizer of transformers splits this text in another way than llama.cpp, which is followed here";
        assert!(warned.contains(whose) && warned.contains(message), "{warned}");
    }
    assert!(!told(&gguf, &["-p", "The dog sat"]).contains("in another way"));
    // SmolLM's tokenizer.json splits numbers into digits, which transformers' GPT2Tokenizer does not: it has
    // 382 64 65 301 17 18 19 20 for this text.
    let digits = json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    ]}});
    let folder = changed(
        "llama",
        &[("tokenizer.json", digits), ("tokenizer_config.json", json!({"tokenizer_class": "GPT2Tokenizer"}))],
    );
    assert_eq!(ids(&place(&folder), "ab 12345"), [382, 64, 65, 220, 16, 17, 18, 19, 20]);
    let warned = told(&place(&folder), &["-p", "ab 12345"]);
    assert!(
        warned.contains("GPT2Tokenizer of transformers splits this text in another way than tokenizer.json"),
        "{warned}"
    );
    assert!(warned.contains("8 tokens there, 9 here; at position 3 it has"), "{warned}");
    assert!(!told(&place(&folder), &["-p", "ab"]).contains("in another way"));
}
