//! Promises: `--chat` gives a model its conversation as its template has it, with its special tokens, and no template can do harm.

use std::path::Path;
use std::process::Stdio;

use crate::common::{Ran, llmdbg_in};
use crate::parity::fixture;

/// A copy of the gpt2 fixture with a chat template.
fn model(template: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture("gpt2")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if !name.starts_with("reference") {
            std::fs::copy(file.path(), folder.path().join(name)).unwrap();
        }
    }
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let mut all = vec!["-batch", "-nx", "--device", "cpu", "."];
    all.extend(arguments);
    llmdbg_in(folder, &all, Stdio::null())
}

const TEMPLATE: &str = "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

#[test]
fn a_chat_is_the_prompt_that_the_template_makes() {
    let folder = model(TEMPLATE);
    let chat = run(
        folder.path(),
        &["--chat", "--system", "Be brief.", "-p", "the dog", "-ex", "run", "-ex", "output/r logits[-1]"],
    );
    assert_eq!(chat.status, 0, "{}", chat.err);
    let text = "[system]Be brief.\n[user]the dog\n[assistant]";
    let plain = run(folder.path(), &["-p", text, "-ex", "run", "-ex", "output/r logits[-1]"]);
    assert_eq!(chat.out, plain.out);
    std::fs::write(
        folder.path().join("chat.json"),
        r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]"#,
    )
    .unwrap();
    let turns = run(folder.path(), &["--chat-file", "chat.json", "-ex", "run"]);
    let plain = run(folder.path(), &["-p", "[user]a\n[assistant]b\n[user]c\n[assistant]", "-ex", "run"]);
    assert_eq!((turns.status, turns.out), (0, plain.out), "{}", turns.err);
    let told = run(folder.path(), &["-ex", "info template"]);
    assert!(told.out.contains("default (from") && told.out.contains("[{{ m.role }}]"), "{}", told.out);
}

/// The second turn is the conversation that --chat-file would have given, whose text is that of transformers (`model/chat/tests.rs`).
#[test]
fn a_second_turn_goes_on_from_what_was_generated() {
    let template = "{% for m in messages %}<{{ m.content }}>{% endfor %}{% if add_generation_prompt %}<{% endif %}";
    let folder = model(template);
    let script = [
        "generate 4",
        "chat and a cat",
        "run",
        "print/r tokens",
        "generate 2",
        "chat the end",
        "run",
        "print/r tokens",
    ];
    let commands: Vec<&str> = script.iter().flat_map(|line| ["-ex", *line]).collect();
    let chat = run(folder.path(), &[&["--chat", "--json", "-p", "the dog"][..], &commands].concat());
    assert_eq!(chat.status, 0, "{}{}", chat.out, chat.err);
    let answers: Vec<serde_json::Value> = chat.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = answers[1]["text"].as_str().unwrap();
    assert!(said.starts_with("Turn 2: \"and a cat\", ") && said.contains("branch edit1"), "{said}");
    let tokens = |at: usize| answers[at]["value"]["data"].clone();
    // The answer is what was generated, by what the debugger says of the passes.
    let passes = run(folder.path(), &["--chat", "--json", "-p", "the dog", "-ex", "generate 4", "-ex", "info tokens"]);
    let all: serde_json::Value = serde_json::from_str(passes.out.lines().nth(1).unwrap()).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_file(folder.path().join("tokenizer.json")).unwrap();
    let ids: Vec<u32> =
        all["tokens"].as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap() as u32).collect();
    let answer = tokenizer.decode(&ids[ids.len() - 4..], true).unwrap();
    let turns = serde_json::json!([
        {"role": "user", "content": "the dog"},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "and a cat"},
    ]);
    std::fs::write(folder.path().join("turns.json"), turns.to_string()).unwrap();
    let whole = run(folder.path(), &["--chat-file", "turns.json", "--json", "-ex", "run", "-ex", "print/r tokens"]);
    let whole: serde_json::Value = serde_json::from_str(whole.out.lines().nth(1).unwrap()).unwrap();
    assert_eq!(tokens(3), whole["value"]["data"]);
    assert!(answers[5]["text"].as_str().unwrap().starts_with("Turn 3: "));
    assert_ne!(tokens(7), tokens(3));
    let early = run(folder.path(), &["--chat", "-p", "the dog", "-ex", "chat more"]);
    assert!(early.err.contains("nothing has been generated yet"), "{}", early.err);
    // Of a plain prompt it is the first turn; a model without a template says so.
    let first = run(folder.path(), &["-p", "the dog", "-ex", "chat a cat"]);
    assert!(first.out.contains("Turn 1: \"a cat\""), "{}{}", first.out, first.err);
    let none = llmdbg_in(Path::new("."), &["-batch", "-nx", "-ex", "chat Hello"], Stdio::null());
    assert!(none.err.contains("the model has no chat template"), "{}", none.err);
}

#[test]
fn what_is_wrong_with_a_chat_is_said_before_anything_runs() {
    let folder = model("{{ raise_exception('no system here') }}");
    let refused = run(folder.path(), &["--chat", "-p", "a", "-ex", "run"]);
    assert_eq!(refused.status, 4);
    assert!(refused.err.contains("the chat template refuses this conversation: no system here"), "{}", refused.err);
    let none = llmdbg_in(Path::new("."), &["-batch", "-nx", "--chat", "-p", "a", "-ex", "run"], Stdio::null());
    assert_eq!(none.status, 4);
    assert!(none.err.contains("the model has no chat template"), "{}", none.err);
    let unnamed = run(folder.path(), &["--chat-template", "rag", "-p", "a"]);
    assert!(unnamed.err.contains("no chat template \"rag\""), "{}", unnamed.err);
    let empty = run(folder.path(), &["--chat"]);
    assert!(empty.err.contains("the conversation has no messages"), "{}", empty.err);
    let both = run(folder.path(), &["--chat", "--tokens", "1,2"]);
    assert_eq!(both.status, 2);
}

#[test]
fn a_hostile_template_is_ended_from_outside() {
    let loops = "{% for i in range(9999) %}".repeat(3);
    let folder = model(&format!("{loops}x{}", "{% endfor %}".repeat(3)));
    let ran = run(folder.path(), &["--chat", "-p", "a", "-ex", "run"]);
    assert_eq!(ran.status, 4, "{}", ran.out);
    assert!(ran.err.contains("it is broken or hostile"), "{}", ran.err);
}

#[test]
fn tokens_that_look_like_a_mistake_are_warned_about() {
    let folder = model(TEMPLATE);
    let told = run(folder.path(), &["-p", "the dog ", "-ex", "info tokens"]);
    assert!(told.out.contains("warning: the text ends with a space"), "{}", told.out);
    assert!(told.out.contains("note: the text was not put through the model's chat template"), "{}", told.out);
    let chat = run(folder.path(), &["--chat", "-p", "the dog", "-ex", "info tokens"]);
    assert!(!chat.out.contains("warning"), "{}", chat.out);
    let llama = fixture("llama");
    let arguments = |prompt: &'static str| ["-batch", "-nx", "--device", "cpu", llama.to_str().unwrap(), "-p", prompt];
    let ran = |prompt| {
        let mut all = arguments(prompt).to_vec();
        all.extend(["-ex", "info tokens"]);
        llmdbg_in(Path::new("."), &all, Stdio::null()).out
    };
    let once = ran("the dog");
    assert!(!once.contains("warning"), "{once}");
    let begin =
        once.lines().find(|line| line.trim_start().starts_with("0 ")).unwrap().split('"').nth(1).unwrap().to_string();
    let twice: &'static str = Box::leak(format!("{begin}the dog").into_boxed_str());
    let twice = ran(twice);
    assert!(twice.contains("twice: the tokenizer adds it"), "{twice}");
}

/// Special tokens that only special_tokens_map.json names, or that only the tokenizer's class in transformers has. `Hi` is rendered by
/// `apply_chat_template(tokenize=False)` of transformers 5.24 as `<|endoftext|>Hi<|endoftext|>` in both.
#[test]
fn templates_know_the_special_tokens_of_every_file() {
    let template = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}";
    let settings = |text: &str, map: Option<&str>| {
        let folder = model(template);
        std::fs::write(folder.path().join("tokenizer_config.json"), text).unwrap();
        if let Some(map) = map {
            std::fs::write(folder.path().join("special_tokens_map.json"), map).unwrap();
        }
        folder
    };
    let end = r#"{"bos_token": "<|endoftext|>", "eos_token": {"content": "<|endoftext|>", "lstrip": false}}"#;
    let expected =
        run(settings(end, None).path(), &["-p", "<|endoftext|>Hi<|endoftext|>", "-ex", "run", "-ex", "print tokens"])
            .out;
    let general = r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#;
    for folder in [settings(general, Some(end)), settings(r#"{"tokenizer_class": "GPT2Tokenizer"}"#, None)] {
        let chat = run(folder.path(), &["--chat", "-p", "Hi", "-ex", "run", "-ex", "print tokens"]);
        assert_eq!((chat.status, &chat.out), (0, &expected), "{}", chat.err);
    }
}
