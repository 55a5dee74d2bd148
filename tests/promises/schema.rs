//! Promise: what `--json` prints is what the schema in `docs/schema/output.json` says, for every command.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use boon::{Compiler, SchemaIndex, Schemas};
use llmdbg::commands::commands;
use serde_json::{Value, json};

use crate::common::{Ran, ex, json as json_of, llmdbg_in};

fn published() -> Value {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schema/output.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The schema with every object closed: users may meet new keys in later versions, the tests must know each.
fn closed(mut schema: Value) -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.values_mut().for_each(close);
                // The alternatives of `oneOf` add to an object that is closed already.
                if map.contains_key("type") && map.contains_key("properties") {
                    map.insert("additionalProperties".into(), json!(false));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn wrong(&self, object: &Value) -> Option<String> {
        self.schemas.validate(object, self.index).err().map(|error| format!("{error:#}"))
    }
}

fn validator() -> Validator {
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.add_resource("output.json", closed(published())).unwrap();
    let index = compiler.compile("output.json", &mut schemas).unwrap_or_else(|error| panic!("no schema: {error:#}"));
    Validator { schemas, index }
}

/// Panics with what is wrong with an object.
fn check(validator: &Validator, object: &Value) {
    if let Some(wrong) = validator.wrong(object) {
        panic!("{object}\n{wrong}");
    }
    for value in [&object["value"], &object["map"], &object["stop"]["value"]] {
        if let (Some(shape), Some(data)) = (value["shape"].as_array(), value.get("data")) {
            let shape: Vec<u64> = shape.iter().map(|length| length.as_u64().unwrap()).collect();
            assert_eq!(value["axes"].as_array().unwrap().len(), shape.len(), "{object}");
            assert!(fits(data, &shape), "the arrays of data are not of shape {shape:?}: {object}");
        }
    }
}

/// Whether arrays in arrays have these lengths.
fn fits(data: &Value, shape: &[u64]) -> bool {
    match (shape.split_first(), data.as_array()) {
        (None, None) => true,
        (Some((length, rest)), Some(items)) => {
            items.len() as u64 == *length && items.iter().all(|item| fits(item, rest))
        }
        _ => false,
    }
}

fn objects(ran: &Ran) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    ran.out.lines().map(object).collect()
}

#[test]
fn every_command_of_the_table_keeps_to_the_schema() {
    let validator = validator();
    let folder = tempfile::tempdir().unwrap();
    let mut kinds = BTreeSet::new();
    for command in commands() {
        for example in command.examples {
            let lines: Vec<&str> = std::iter::once("start").chain(example.lines()).collect();
            let mut arguments = vec!["-batch", "--json", "-nx", "--device", "cpu"];
            arguments.extend(ex(&lines));
            let ran = llmdbg_in(folder.path(), &arguments, Stdio::null());
            let objects = objects(&ran);
            assert!(objects.len() > 1, "{example}: {}", ran.err);
            for object in &objects {
                check(&validator, object);
                kinds.insert(object["kind"].as_str().unwrap().to_string());
            }
        }
    }
    let all = ["map", "stop", "table", "text", "value"].map(String::from);
    assert!(kinds.is_superset(&BTreeSet::from(all)), "only {kinds:?}");
}

#[test]
fn errors_stops_and_unusual_values_keep_to_the_schema() {
    let validator = validator();
    let (mut kinds, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    let commands = [
        "start",
        "print logitz",
        "print 1 +",
        "frobnicate",
        "set tokens[99] = 3",
        "assert 1 == 2, \"no\"",
        "break L0.attn.pattern",
        "watch norm(resid_post)",
        "display any(nan($cursor))",
        "display/3t logits[-1]",
        "continue",
        "step",
        "finish",
        "continue",
        "delete",
        "continue",
        "print/3t logits[-1]",
        "print/h L0.attn.pattern[head=0]",
        "print logits[-1, 0] / 0",
        "print L0.attn.scores[head=0, q=0]",
        "print shape(logits)",
        "print nan(logits[-1])",
        "print \"text\"",
        "print $nothing",
        "info tokens",
        "info branches",
        "echo a\\nb",
        "printf \"%d\\n\", 3",
        "set param(\"L1.mlp.W_out\")[0] = nan",
        "catch nan",
        "run",
        "print max(logits)",
    ];
    let mut arguments = vec!["--keep-going"];
    arguments.extend(["-p", crate::common::NURSE, "-p", "The dog"]);
    arguments.extend(ex(&commands));
    let (objects, ran) = json_of("gpt2", &arguments);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert_eq!(objects.len(), commands.len());
    for (object, command) in objects.iter().zip(commands) {
        check(&validator, object);
        assert_eq!(object["cmd"], command);
        kinds.insert(object["kind"].as_str().unwrap().to_string());
        reasons.extend(object["stop"]["reason"].as_str().map(String::from));
    }
    let all = ["error", "map", "stop", "table", "text", "tokens", "value"].map(String::from);
    assert_eq!(kinds, BTreeSet::from(all));
    let all = ["breakpoint", "catchpoint", "end", "start", "step", "watchpoint"].map(String::from);
    assert!(reasons.is_superset(&BTreeSet::from(all)), "only {reasons:?}");
}

#[test]
fn errors_of_scripts_keep_to_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.ldb"), "start\n\nprint logitz\n").unwrap();
    let arguments = ["-batch", "--json", "-nx", "--device", "cpu", "-x", "a.ldb"];
    let objects = objects(&llmdbg_in(folder.path(), &arguments, Stdio::null()));
    let validator = validator();
    objects.iter().for_each(|object| check(&validator, object));
    assert_eq!((&objects[1]["error"]["file"], &objects[1]["error"]["line"]), (&json!("a.ldb"), &json!(3)));
}

/// The objects that the manual shows, and some that are wrong: a schema that takes everything proves nothing.
#[test]
fn the_schema_takes_what_the_manual_shows_and_nothing_else() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let shown: Vec<Value> = blocks.map(|block| serde_json::from_str(block).unwrap()).collect();
    let validator = validator();
    shown.iter().for_each(|object| check(&validator, object));
    assert!(shown.len() >= 7);
    let text = shown.iter().find(|object| object["kind"] == "text").unwrap();
    let with = |key: &str, value: Value| {
        let mut object = text.clone();
        object[key] = value;
        object
    };
    for wrong in [
        with("kind", json!("value")),
        with("kind", json!("prose")),
        with("ok", json!(false)),
        with("text", json!(3)),
        with("pc", json!({"op": -1, "site": "", "pass": 0})),
        with("other", json!(1)),
        with("printed", json!([])),
        json!({}),
    ] {
        assert!(validator.wrong(&wrong).is_some(), "{wrong}");
    }
}
