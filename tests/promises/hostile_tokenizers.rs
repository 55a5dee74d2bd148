//! Promise: what a `tokenizer.json` asks for is done or refused in little time and memory, and never ends the session.
//!
//! The files are changed fixtures: by hand where a part of the library is known to grow, loop or panic, and at random, with
//! seeds. Each is opened by the program under the limits of `hostile`, with commands that take every way from texts to tokens
//! and back.

use std::fs;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::common::{Ran, ex};
use crate::hostile::{limited, limited_to};
use crate::parity::fixture;

/// Parts of a file that are changed.
const PARTS: [&str; 6] = ["normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens", "model"];

/// Every way from a text to tokens and back, and a command at the end that has to be answered whatever was refused before.
const COMMANDS: [&str; 7] = [
    "run",
    "print logit(\" the\")",
    "info tokens",
    "set prompt aaaa the dog",
    "probe prompts.txt",
    "generate 2",
    "echo still here\\n",
];

/// A fixture with another tokenizer.
fn with_tokenizer(model: &str, tokenizer: &Json) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer_config.json"] {
        fs::copy(fixture(model).join(file), folder.path().join(file)).unwrap();
    }
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    folder
}

fn tokenizer(model: &str) -> Json {
    serde_json::from_slice(&fs::read(fixture(model).join("tokenizer.json")).unwrap()).unwrap()
}

/// Opens the model and gives all commands, of which the last is answered unless the model was refused.
fn tried(folder: &Path, prompt: &str) -> Ran {
    let prompts = folder.join("prompts.txt");
    fs::write(&prompts, "aaaa the dog\n").unwrap();
    let probe = format!("probe {}", prompts.display());
    let commands = COMMANDS.map(|command| if command.starts_with("probe") { probe.as_str() } else { command });
    let mut arguments = vec!["--keep-going", "-p", prompt];
    arguments.extend(ex(&commands));
    let ran = limited(folder, &arguments);
    for word in ["internal error", "panicked", "memory allocation"] {
        assert!(!ran.err.contains(word) && !ran.out.contains(word), "{}{}", ran.out, ran.err);
    }
    assert!(ran.status == 4 && ran.out.is_empty() || ran.out.contains("still here"), "{}\n{}", ran.out, ran.err);
    ran
}

fn replace(pattern: Json, content: &str) -> Json {
    json!({"type": "Replace", "pattern": pattern, "content": content})
}

fn sequence(kind: &str, part: &Json, times: usize) -> Json {
    json!({"type": "Sequence", kind: vec![part.clone(); times]})
}

#[test]
fn texts_that_grow_without_end_are_stopped_and_the_session_goes_on() {
    let (plain, letter) = (tokenizer("gpt2"), json!({"String": "a"}));
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": false});
    for (part, grown) in [
        ("normalizer", sequence("normalizers", &replace(letter.clone(), &"a".repeat(10)), 8)),
        ("normalizer", sequence("normalizers", &replace(json!({"Regex": ""}), "ab"), 40)),
        ("normalizer", sequence("normalizers", &replace(json!({"String": ""}), &"a".repeat(1000)), 4)),
        ("normalizer", sequence("normalizers", &json!({"type": "ByteLevel"}), 60)),
        ("pre_tokenizer", sequence("pretokenizers", &byte_level, 60)),
    ] {
        let mut changed = plain.clone();
        changed[part] = grown;
        let folder = with_tokenizer("gpt2", &changed);
        let ran = tried(folder.path(), "a");
        assert_ne!(ran.status, 0, "{part}: {}{}", ran.out, ran.err);
        let said = ran.err.contains("was stopped: it needs too much memory") || ran.err.contains("more than 1048576");
        assert!(said, "{part}: {}", ran.err);
    }
    // The same where the prompt does not grow and a later text does.
    let mut changed = plain.clone();
    changed["normalizer"] = sequence("normalizers", &replace(letter, &"a".repeat(10)), 9);
    let ran = tried(with_tokenizer("gpt2", &changed).path(), "dog");
    assert!(ran.status != 0 && ran.err.contains("cannot tokenise \"aaaa the dog\": it was stopped"), "{}", ran.err);
}

#[test]
fn a_text_of_more_tokens_than_memory_holds_is_refused() {
    let mut changed = tokenizer("llama");
    changed["normalizer"] = sequence("normalizers", &replace(json!({"String": "a"}), &"a".repeat(10)), 2);
    let folder = with_tokenizer("llama", &changed);
    let ran = limited_to(900_000, folder.path(), &["-p", &"a".repeat(3000), "-ex", "run"]);
    assert_eq!(ran.status, 4, "{}", ran.out);
    assert!(ran.err.contains("tokens takes at least") && ran.err.contains("shorten the prompt"), "{}", ran.err);
}

#[test]
fn parts_that_are_not_sound_are_named_when_the_model_is_opened() {
    let plain = tokenizer("gpt2");
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let template = |single: Json| json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {"s": {"id": "s", "ids": [1], "tokens": ["s"]}}});
    for (part, wrong, why) in [
        (
            "pre_tokenizer",
            json!({"type": "FixedLength", "length": 0}),
            "FixedLength cuts texts into pieces of length 0",
        ),
        (
            "post_processor",
            template(json!([{"SpecialToken": {"id": "X", "type_id": 0}}, text])),
            "puts \"X\" around a text",
        ),
        ("post_processor", template(json!([{"SpecialToken": {"id": "s", "type_id": 0}}])), "something else of a text"),
    ] {
        let mut changed = plain.clone();
        changed[part] = wrong;
        let ran = tried(with_tokenizer("gpt2", &changed).path(), "a");
        assert_eq!(ran.status, 4, "{}", ran.out);
        assert!(ran.err.contains("tokenizer.json is not a usable tokenizer") && ran.err.contains(why), "{}", ran.err);
    }
    let mut changed = plain.clone();
    changed["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="});
    let ran = tried(with_tokenizer("gpt2", &changed).path(), "a");
    assert!(ran.status == 4 && ran.err.contains("the tokenizers library cannot go on"), "{}", ran.err);
    // What stands for unknown text is copied for each character of it.
    let mut long = tokenizer("llama");
    let unknown = "x".repeat(10_000_000);
    long["model"]["unk_token"] = json!(unknown);
    long["model"]["vocab"][&unknown] = json!(385);
    let ran = tried(with_tokenizer("llama", &long).path(), "a");
    assert!(ran.status == 4 && ran.err.contains("token 385 has 10000000 bytes"), "{}", ran.err);
    // Padding of a billion tokens is what the file asks for in batches, and not done here.
    let mut padded = plain.clone();
    padded["padding"] = json!({"strategy": {"Fixed": 1_000_000_000}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"});
    assert_eq!(tried(with_tokenizer("gpt2", &padded).path(), "a").status, 0);
    // Many tokens around a text are only many tokens.
    let mut around = plain;
    let mut pieces = vec![json!({"SpecialToken": {"id": "s", "type_id": 0}}); 10_000];
    pieces.push(text);
    around["post_processor"] = template(Json::Array(pieces));
    let ran = tried(with_tokenizer("gpt2", &around).path(), "a");
    assert!(ran.status == 4 && ran.err.contains("the model has positions for"), "{}{}", ran.out, ran.err);
}

/// A number below `end`.
fn below(random: &mut ChaCha8Rng, end: usize) -> usize {
    (random.next_u64() % end.max(1) as u64) as usize
}

/// Changes one thing somewhere below a value: mostly a string or a number, which leaves the part of its kind; or takes an entry
/// out, puts it in again and again, or in another's place.
fn change(value: &mut Json, random: &mut ChaCha8Rng) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            let (at, other) = (below(random, map.len()), below(random, map.len()));
            let key = map.keys().nth(at).unwrap().clone();
            match below(random, 24) {
                0 => _ = map.remove(&key),
                1 => _ = map.insert(key, Json::Null),
                2 => map[&key] = map.values().nth(other).unwrap().clone(),
                _ => change(&mut map[&key], random),
            }
        }
        Json::Array(list) if !list.is_empty() => {
            let (at, other) = (below(random, list.len()), below(random, list.len()));
            match below(random, 8) {
                0 => _ = list.remove(at),
                1 => {
                    let times = [2, 30, 3000][below(random, 3)];
                    list.splice(at..at, vec![list[at].clone(); times]);
                }
                2 => list[at] = list[other].clone(),
                _ => change(&mut list[at], random),
            }
        }
        Json::String(text) => {
            *text = match below(random, 7) {
                0 => String::new(),
                1 => text.repeat(3),
                2 => text.repeat(5000),
                3 => "\u{0}".into(),
                4 => "(a*)*b".into(),
                5 => "a".into(),
                _ => text.chars().rev().collect(),
            }
        }
        Json::Number(_) => *value = [0, 1, 2, 1_000_000, u32::MAX, 383][below(random, 6)].into(),
        Json::Bool(truth) => *truth = !*truth,
        _ => *value = [Json::Null, json!({}), json!([])][below(random, 3)].clone(),
    }
}

/// Parts that grow, loop or are rare, for the changes to work on.
fn enriched(model: &str, random: &mut ChaCha8Rng) -> Json {
    let mut whole = tokenizer(model);
    let parts = [
        ("normalizer", sequence("normalizers", &replace(json!({"String": "a"}), "aa"), 3)),
        ("normalizer", sequence("normalizers", &replace(json!({"Regex": "a+"}), "b"), 2)),
        (
            "normalizer",
            json!({"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Prepend", "prepend": "x"}, {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "Lowercase"}]}),
        ),
        (
            "pre_tokenizer",
            json!({"type": "Split", "pattern": {"Regex": "a|(b*)*c"}, "behavior": "Isolated", "invert": false}),
        ),
        (
            "pre_tokenizer",
            json!({"type": "Sequence", "pretokenizers": [{"type": "FixedLength", "length": 2}, {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": true}, {"type": "Digits", "individual_digits": true}]}),
        ),
        (
            "decoder",
            json!({"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}, {"type": "Strip", "content": " ", "start": 1, "stop": 1}, {"type": "Fuse"}]}),
        ),
    ];
    for (part, value) in parts {
        if below(random, 4) == 0 {
            whole[part] = value;
        }
    }
    whole
}

/// `LLMDBG_FUZZ_CASES=N` asks for more.
#[test]
fn files_changed_at_random_are_read_or_refused() {
    let cases = std::env::var("LLMDBG_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(120);
    let mut read = 0;
    for seed in 0..cases {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let model = ["gpt2", "llama", "gemma2", "albert"][below(&mut random, 4)];
        let mut changed = enriched(model, &mut random);
        for _ in 0..=below(&mut random, 3) {
            // The vocabulary is most of the file, and the least of what is done.
            let part = PARTS[below(&mut random, PARTS.len())];
            change(&mut changed[part], &mut random);
        }
        let folder = with_tokenizer(model, &changed);
        let ran = tried(folder.path(), "a b the dog");
        read += u64::from(ran.status != 4);
        println!("seed {seed} of {model}: status {} {}", ran.status, ran.err.lines().next().unwrap_or_default());
    }
    assert!(read > cases / 4, "only {read} of {cases} files were read: the rest say nothing about texts");
}
