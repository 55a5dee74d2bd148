//! What templates make, against transformers (`tools/fixtures/chat.py`), and templates that mean harm.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::*;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat")
}

fn template(text: &str) -> Template {
    Template { name: "default".into(), source: "t".into(), text: text.into() }
}

fn run(text: &str) -> Result<String, ChatError> {
    render(&template(text), &Conversation::of_user("hi", None), &BTreeMap::new(), true)
}

/// Templates in the styles of ChatML, Llama 3, Mistral, Gemma and Zephyr, and one that uses macros, namespaces, loop
/// controls, methods of Python and JSON, over conversations of every shape.
#[test]
fn every_text_is_that_of_transformers_and_what_it_refuses_is_refused() {
    let expected: Value = serde_json::from_slice(&std::fs::read(folder().join("expected.json")).unwrap()).unwrap();
    let tokens: BTreeMap<String, String> = serde_json::from_value(expected["tokens"].clone()).unwrap();
    let (mut compared, mut refused) = (0, 0);
    for case in expected["cases"].as_array().unwrap() {
        let name = case["template"].as_str().unwrap();
        let text = std::fs::read_to_string(folder().join(format!("{name}.jinja"))).unwrap();
        let conversation = expected["conversations"][case["conversation"].as_str().unwrap()].to_string();
        let conversation = Conversation::parse("expected.json", conversation.as_bytes()).unwrap();
        let prompt = case["add_generation_prompt"].as_bool().unwrap();
        let found = render(&template(&text), &conversation, &tokens, prompt);
        match (case["text"].as_str(), found) {
            (Some(wanted), Ok(found)) => assert_eq!(found, wanted, "{name}, {}", case["conversation"]),
            (None, Err(_)) => refused += 1,
            (_, found) => panic!("{name}, {}: {found:?}, transformers: {case}", case["conversation"]),
        }
        compared += 1;
    }
    assert!(compared > 200 && refused > 20, "{compared} compared, {refused} refused");
}

#[test]
fn what_a_template_refuses_is_said_in_its_own_words() {
    let message = run("{{ raise_exception('only in pairs') }}").unwrap_err().to_string();
    assert_eq!(message, "the chat template refuses this conversation: only in pairs");
    let message = run("{{ messages[0].content }}\n{% if %}").unwrap_err().to_string();
    assert!(message.starts_with("the chat template of t fails in line 2: "), "{message}");
}

#[test]
fn templates_that_never_end_or_grow_without_end_are_stopped() {
    for hostile in [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor \
         %}{{ ns.x }}",
        "{% for i in range(1000000) %}{{ 'a' * 1000 }}{% endfor %}",
    ] {
        let begin = Instant::now();
        let message = run(hostile).unwrap_err().to_string();
        assert!(begin.elapsed() < Duration::from_secs(20), "{hostile}");
        assert!(message.contains("was stopped") || message.contains("fails"), "{hostile}: {message}");
    }
}
