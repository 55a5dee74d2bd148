//! Promises: sentence embeddings are those of sentence-transformers, with what it does to texts before the model reads them, or it
//! is said why there is none.
//!
//! The values are those that sentence-transformers 6.2 computes over transformers 5.24 for the same files, unless another source
//! stands beside them.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::common::{batch, json};
use crate::parity::fixture;

/// Values are printed with six digits behind the point; the sums of both are in 32 bits, in other orders.
const TOLERANCE: f64 = 1e-5;

const TEXT: &str = "The dog sat on the mat and the cat ran away from the house.";

/// A copy of a fixture without its references.
pub fn copy(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut left = vec![(fixture(name), folder.path().to_owned())];
    while let Some((from, to)) = left.pop() {
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().flatten() {
            let target = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => left.push((entry.path(), target)),
                false if entry.file_name().to_string_lossy().starts_with("reference") => {}
                false => {
                    std::fs::copy(entry.path(), target).unwrap();
                }
            }
        }
    }
    folder
}

pub fn write(folder: &TempDir, name: &str, value: &Json) {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, value.to_string()).unwrap();
}

pub fn place(folder: &TempDir) -> String {
    folder.path().display().to_string()
}

/// The first numbers of the sentence embedding of a text.
fn sentence(model: &str, input: &[&str], count: usize) -> Vec<f64> {
    let expr = format!("output/r sentence[0:{count}]");
    let (objects, ran) = json(model, &[input, &["-ex", "run", "-ex", &expr]].concat());
    let data = objects.last().and_then(|object| object["value"]["data"].as_array().cloned());
    let data = data.unwrap_or_else(|| panic!("{} {}", ran.out, ran.err));
    data.iter().map(|x| x.as_f64().unwrap()).collect()
}

fn check(model: &str, input: &[&str], expected: &[f64]) {
    let found = sentence(model, input, expected.len());
    let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < TOLERANCE);
    assert!(same && found.len() == expected.len(), "{model} {input:?}: {found:?}, expected {expected:?}");
}

#[test]
fn texts_are_cut_off_where_sentence_transformers_cuts_them() {
    let folder = copy("bert-sentence");
    check(&place(&folder), &["-p", TEXT], &[0.531735, 0.063531, 2.116042, -1.53505]);
    write(&folder, "sentence_bert_config.json", &json!({"max_seq_length": 8, "do_lower_case": false}));
    check(&place(&folder), &["-p", TEXT], &[0.949019, 0.207982, 1.414467, -1.347239]);
    let told = batch(&place(&folder), &["-p", TEXT, "-ex", "info tokens", "-ex", "info model"]).out;
    assert!(
        told.contains("warning: the text has 27 tokens, and is cut off after 8, as sentence-transformers"),
        "{told}"
    );
    assert!(told.contains("max_seq_length of sentence_bert_config.json"), "{told}");
    let (tokens, _) = json(&place(&folder), &["-p", TEXT, "-ex", "info tokens"]);
    let ids: Vec<u64> = ids(&tokens[0]);
    assert_eq!(ids, [2, 96, 219, 50, 365, 110, 96, 3]);
    // Short texts are not touched, nor are tokens that are given.
    assert!(!batch(&place(&folder), &["-p", "The dog", "-ex", "info tokens"]).out.contains("warning"));
    let many = "2,96,219,50,365,110,96,44,365,3";
    let (tokens, _) = json(&place(&folder), &["--tokens", many, "-ex", "info tokens"]);
    assert_eq!(self::ids(&tokens[0]).len(), 10);
}

fn ids(object: &Json) -> Vec<u64> {
    object["tokens"].as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap()).collect()
}

#[test]
fn the_default_prompt_stands_in_front_of_texts_and_can_be_left_out_of_the_pooling() {
    let folder = copy("bert-sentence");
    let prompts = json!({"query": "query: ", "document": "passage: "});
    write(&folder, "config_sentence_transformers.json", &json!({"prompts": prompts, "default_prompt_name": "query"}));
    check(&place(&folder), &["-p", TEXT], &[1.03988, 0.115206, 1.599335, -1.410507]);
    let told = batch(&place(&folder), &["-p", TEXT, "-ex", "info tokens", "-ex", "info model"]).out;
    assert!(told.contains("sentence-transformers puts its prompt \"query\" before the text: \"query: \""), "{told}");
    assert!(told.contains("prompts of sentence-transformers that are not put before texts: document"), "{told}");
    // Offsets are those of the text that was given.
    let (objects, _) = json(&place(&folder), &["-p", "The dog", "-ex", "info tokens"]);
    let tokens = objects.last().unwrap()["tokens"].as_array().unwrap().clone();
    let the = tokens.iter().find(|token| token["text"] == "the").unwrap();
    assert_eq!(the["offsets"], json!([0, 3]));
    let pooling = json!({"pooling_mode": "mean", "embedding_dimension": 32, "include_prompt": false});
    write(&folder, "1_Pooling/config.json", &pooling);
    check(&place(&folder), &["-p", TEXT], &[1.035283, 0.118323, 1.618045, -1.416531]);
    // Without a default, nothing is put in front.
    write(&folder, "config_sentence_transformers.json", &json!({"prompts": prompts, "default_prompt_name": null}));
    check(&place(&folder), &["-p", TEXT], &[0.531735, 0.063531, 2.116042, -1.53505]);
    write(&folder, "config_sentence_transformers.json", &json!({"prompts": prompts, "default_prompt_name": "qery"}));
    let wrong = batch(&place(&folder), &["-p", TEXT, "-ex", "run"]);
    assert_eq!(wrong.status, 4);
    assert!(
        wrong.err.contains("\"default_prompt_name\" is \"qery\", which \"prompts\" does not have"),
        "{}",
        wrong.err
    );
}

#[test]
fn poolings_have_the_names_and_types_of_all_versions() {
    let folder = copy("bert-sentence");
    write(&folder, "1_Pooling/config.json", &json!({"embedding_dimension": 32, "pooling_mode": ["cls", "max"]}));
    check(&place(&folder), &["-p", TEXT], &[0.790853, -0.195243, 1.827868, -1.678654]);
    write(&folder, "1_Pooling/config.json", &json!({"embedding_dimension": 32, "pooling_mode": "mean"}));
    let modules = json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling",
         "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"},
    ]);
    write(&folder, "modules.json", &modules);
    let settings = json!({
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings",
    });
    write(&folder, "sentence_bert_config.json", &settings);
    check(&place(&folder), &["-p", TEXT], &[0.531735, 0.063531, 2.116042, -1.53505]);
    // What is not computed is named, and then there is no embedding.
    write(&folder, "sentence_bert_config.json", &json!({"config_args": {"hidden_act": "relu"}}));
    let told = batch(&place(&folder), &["-p", TEXT, "-ex", "info model", "-ex", "run", "-ex", "print sentence"]);
    assert!(told.out.contains("config_args in sentence_bert_config.json: this is not computed"), "{}", told.out);
    assert_eq!(told.status, 1, "{}", told.err);
}

/// A row of a batch that is padded on either side has the embedding that it has alone: a decoder counts real tokens, so only the
/// pooling could see the padding. The largest embedding is of unit length; sums over masked keys add zeros in another order.
#[test]
fn padding_is_not_pooled() {
    for mode in ["cls", "weightedmean", "mean", "max", "lasttoken"] {
        let folder = qwen3_embedding();
        write(&folder, "1_Pooling/config.json", &json!({"embedding_dimension": 32, "pooling_mode": mode}));
        let alone = sentence(&place(&folder), &["-p", "The dog"], 32);
        for side in ["left", "right"] {
            let rows = ["-p", TEXT, "-p", "The dog", "--pad-side", side, "-ex", "focus row=1"];
            let padded = sentence(&place(&folder), &rows, 32);
            let apart = alone.iter().zip(&padded).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < TOLERANCE, "{mode} {side}: {alone:?} {padded:?}");
        }
    }
}

/// The layout of Qwen3-Embedding: an architecture with a head, tensors without a prefix, and no head among them.
fn qwen3_embedding() -> TempDir {
    let folder = copy("qwen3");
    let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let body = tensors.tensors().into_iter().filter(|(name, _)| name != "lm_head.weight");
    let renamed = body.map(|(name, view)| (name.trim_start_matches("model.").to_owned(), view));
    safetensors::serialize_to_file(renamed, None, &folder.path().join("model.safetensors")).unwrap();
    let read =
        |name: &str| -> Json { serde_json::from_slice(&std::fs::read(folder.path().join(name)).unwrap()).unwrap() };
    let mut config = read("config.json");
    config["tie_word_embeddings"] = json!(true);
    write(&folder, "config.json", &config);
    let end = "<|endoftext|>";
    let (text, after) =
        (json!({"Sequence": {"id": "A", "type_id": 0}}), json!({"SpecialToken": {"id": end, "type_id": 0}}));
    let second = json!({"Sequence": {"id": "B", "type_id": 0}});
    let mut tokenizer = read("tokenizer.json");
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [text, after],
        "pair": [text, after, second, after],
        "special_tokens": {end: {"id": end, "ids": [383], "tokens": [end]}},
    });
    write(&folder, "tokenizer.json", &tokenizer);
    let modules = json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]);
    write(&folder, "modules.json", &modules);
    let pooling =
        json!({"word_embedding_dimension": 32, "pooling_mode_mean_tokens": false, "pooling_mode_lasttoken": true});
    write(&folder, "1_Pooling/config.json", &pooling);
    folder
}

#[test]
fn a_decoder_with_modules_has_a_sentence_embedding_instead_of_its_head() {
    let folder = qwen3_embedding();
    let expected = [0.133346, -0.102225, -0.095061, 0.062064, 0.258075];
    check(&place(&folder), &["-p", "The dog sat."], &expected);
    check(&place(&folder), &["-p", "Paris is the capital of France."], &[0.43448, -0.113905, -0.104978, 0.096586]);
    let told = batch(&place(&folder), &["-p", "The dog sat.", "-ex", "info model", "-ex", "info tokens"]).out;
    assert!(told.contains("so the head of Qwen3ForCausalLM is not computed"), "{told}");
    assert!(!told.contains("warning"), "{told}");
}

/// A file with more metadata. What is put in front of the tensors keeps them aligned.
fn with_metadata(file: &Path, numbers: &[(&str, u32)], to: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut added = Vec::new();
    for (key, number) in numbers {
        added.extend([text(key), 4u32.to_le_bytes().to_vec(), number.to_le_bytes().to_vec()].concat());
    }
    // A text of its own makes the rest a multiple of the alignment.
    let filler = [text("x.filler"), 8u32.to_le_bytes().to_vec()].concat();
    let length = (added.len() + filler.len() + 8).next_multiple_of(32) - added.len() - filler.len() - 8;
    added.extend([filler, text(&"x".repeat(length))].concat());
    let entries = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) + numbers.len() as u64 + 1;
    std::fs::write(to, [&bytes[..16], &entries.to_le_bytes(), &added, &bytes[24..]].concat()).unwrap();
}

fn gguf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf").join(name)
}

/// Values by llama.cpp (its `/embedding`, over a cache in f16: they agree to 3e-3).
#[test]
fn a_gguf_file_with_a_pooling_has_a_sentence_embedding_of_unit_length() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qwen3-embedding.gguf");
    with_metadata(&gguf("qwen3.f32.gguf"), &[("qwen3.pooling_type", 3)], &file);
    let place = file.display().to_string();
    let found = sentence(&place, &["--tokens", "5,17,33,60,101,7,250,12"], 32);
    for (a, b) in found.iter().zip([0.0217, 0.2164, -0.1650, -0.0616, 0.3940]) {
        assert!((a - b).abs() < 3e-3, "{found:?}");
    }
    assert!((found.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    let told = batch(&place, &["--tokens", "5,17", "-ex", "info model"]).out;
    assert!(told.contains("does not say whether sentence embeddings are divided by their length"), "{told}");
}
