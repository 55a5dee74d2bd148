//! Promise: `-batch` runs the commands in order and prints what they give; with `--json` each command gives one object of
//! the documented form.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{NURSE, batch, ex, json};
use crate::parity::fixture;

const COMMANDS: [&str; 7] = [
    "break L0.attn.pattern if max($) > 0.5",
    "run",
    "bt",
    "p/t $cursor[head=0,q=-1]",
    "set $cursor[head=0] = 0",
    "continue",
    "p/t logits[-1]",
];

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        Value::String(word) => vec![match word.as_str() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            other => panic!("{other} stands for no number"),
        }],
        Value::Bool(truth) => vec![f64::from(u8::from(*truth))],
        number => vec![number.as_f64().expect("a number")],
    }
}

#[test]
fn a_batch_stops_at_a_condition_edits_the_value_and_goes_on_with_the_edited_one() {
    let looks = ["p L0.attn.z[head=0]", "p sum(abs(L0.attn.z[head=1:]))", "p logits[-1]", "p L0.attn.pattern"];
    let mut commands = COMMANDS.to_vec();
    commands.extend(looks);
    let mut arguments = vec!["-p", NURSE];
    arguments.extend(ex(&commands));
    let (edited, ran) = json("gpt2", &arguments);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert_eq!(edited.iter().map(|object| object["cmd"].as_str().unwrap()).collect::<Vec<_>>(), commands);
    let kinds: Vec<&str> = edited.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..7], ["text", "stop", "table", "table", "text", "stop", "table"]);
    assert_eq!(
        edited[1]["stop"],
        json!({"reason": "breakpoint", "ids": [1], "site": "blocks.0.attn.pattern", "module": "blocks.0.attn", "op": 12, "pass": 0})
    );
    assert_eq!(edited[1]["pc"], json!({"op": 12, "site": "blocks.0.attn.z", "pass": 0}));
    let frames: Vec<&str> =
        edited[2]["table"]["rows"].as_array().unwrap().iter().map(|row| row[1].as_str().unwrap()).collect();
    assert_eq!(frames, ["blocks.0.attn.pattern", "blocks.0.attn", "blocks.0", "gpt2"]);
    assert_eq!(edited[5]["stop"]["reason"], "end");
    assert_eq!(edited[5]["pc"], json!({"op": 49, "site": "", "pass": 0}));

    // The head's row of the pattern is shown by falling weight, and the weights of a row sum to one.
    let rows = edited[3]["table"]["rows"].as_array().unwrap();
    assert_eq!(edited[3]["table"]["columns"], json!(["rank", "k", "token", "value"]));
    let weights: Vec<f64> = rows.iter().map(|row| row[3].as_f64().unwrap()).collect();
    assert!(weights.windows(2).all(|pair| pair[0] >= pair[1]));
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-6, "eight f32 weights of a softmax");
    let tokens = ["The", " n", "ur", "se", " and", " the", " do", "g"];
    assert!(rows.iter().all(|row| row[2] == tokens[row[1].as_u64().unwrap() as usize]));

    // What depends on the edit was computed from it, and on nothing else.
    assert_eq!(numbers(&edited[7]["value"]["data"]), vec![0.0; 64]);
    assert!(numbers(&edited[8]["value"]["data"])[0] > 1.0);
    let mut arguments = vec!["-p", NURSE];
    let plain = ["run", "p logits[-1]", "p L0.attn.pattern"];
    arguments.extend(ex(&plain));
    let (plain, _) = json("gpt2", &arguments);
    let (with, without) = (numbers(&edited[9]["value"]["data"]), numbers(&plain[1]["value"]["data"]));
    assert!(with.iter().zip(&without).any(|(a, b)| (a - b).abs() > 0.1));
    let (with, without) = (numbers(&edited[10]["value"]["data"]), numbers(&plain[2]["value"]["data"]));
    assert_eq!(with[..64], [0.0; 64]);
    assert_eq!(with[64..], without[64..]);
    let best = edited[6]["table"]["rows"][0].clone();
    assert_eq!(best[2].as_f64().unwrap(), numbers(&edited[9]["value"]["data"]).into_iter().fold(f64::MIN, f64::max));
}

#[test]
fn without_json_a_batch_prints_text_and_no_escape_sequences() {
    let mut arguments = vec!["-p", NURSE];
    arguments.extend(ex(&COMMANDS));
    let ran = batch("gpt2", &arguments);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(!ran.out.contains('\x1b'));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "Breakpoint 1 at L0.attn.pattern");
    assert!(lines[1].starts_with("Breakpoint 1, blocks.0.attn.pattern 4 heads x 8 q x 8 k  min 0  max 1  mean 0.125"));
    assert_eq!(lines[2], "at op 12 of 49 in blocks.0.attn, pass 0; next: blocks.0.attn.z");
    assert!(lines.contains(&"Changed blocks.0.attn.pattern."));
    assert!(lines.contains(&"at the end of pass 0 (op 49 of 49)"));
    assert!(lines.contains(&"$1 =") && lines.contains(&"$2 ="));
}

/// Panics unless `object` has exactly the keys that the schema names for its kind.
fn check_object(object: &Value) {
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let kind = object["kind"].as_str().expect("a kind");
    let required = ["cmd", "ok", "kind", kind, "pc", "ms"];
    for key in keys(object) {
        assert!(required.contains(&key.as_str()) || key == "printed", "{key} in {object}");
    }
    for key in required {
        assert!(object.get(key).is_some(), "no {key} in {object}");
    }
    assert!(object["cmd"].is_string() && object["ms"].is_number());
    assert_eq!(object["ok"] == json!(false), kind == "error", "{object}");
    if !object["pc"].is_null() {
        assert_eq!(keys(&object["pc"]), ["op", "site", "pass"]);
    }
    check_payload(kind, &object[kind]);
}

fn check_payload(kind: &str, payload: &Value) {
    let has = |required: &[&str], optional: &[&str]| {
        for key in payload.as_object().expect("an object").keys() {
            assert!(required.contains(&key.as_str()) || optional.contains(&key.as_str()), "{key} in {payload}");
        }
        for key in required {
            assert!(payload.get(*key).is_some(), "no {key} in {payload}");
        }
    };
    match kind {
        "text" => assert!(payload.is_string()),
        "error" => has(&["message"], &["column", "file", "line"]),
        "table" => {
            has(&["columns", "rows"], &[]);
            let columns = payload["columns"].as_array().unwrap().len();
            assert!(payload["rows"].as_array().unwrap().iter().all(|row| row.as_array().unwrap().len() == columns));
        }
        "tokens" => payload.as_array().expect("a list").iter().for_each(|token| {
            let text = token["text"].as_str().unwrap();
            let bytes: Vec<u8> =
                token["bytes"].as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8).collect();
            assert!(token["pos"].is_u64() && token["id"].is_u64() && !text.is_empty() && !bytes.is_empty());
        }),
        "value" | "map" => {
            match kind {
                "value" => has(&["shape", "axes", "dtype", "summary"], &["number", "data"]),
                _ => has(
                    &["title", "shape", "axes", "dtype", "summary", "data", "row_labels", "column_labels", "pool"],
                    &[],
                ),
            }
            let shape: Vec<usize> =
                payload["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
            assert_eq!(payload["axes"].as_array().unwrap().len(), shape.len());
            let summary = &payload["summary"];
            for key in ["count", "nan", "pos_inf", "neg_inf", "zeros"] {
                assert!(summary[key].is_u64(), "{key} in {summary}");
            }
            for key in ["min", "max", "mean", "std", "l2", "absmax"] {
                assert!(summary[key].is_number() || summary[key] == "NaN", "{key} in {summary}");
            }
            assert_eq!(summary["absmax_index"].as_array().unwrap().len(), shape.len());
            let count: usize = shape.iter().product();
            match payload.get("data") {
                Some(data) => assert_eq!(numbers(data).len(), count),
                None => assert!(count > 4096, "{payload}"),
            }
        }
        "stop" => {
            has(&["reason", "ids", "site", "module", "op", "pass"], &["value", "displays"]);
            if let Some(value) = payload.get("value") {
                check_payload("value", value);
            }
            for display in payload.get("displays").and_then(Value::as_array).into_iter().flatten() {
                assert!(display["number"].is_u64() && display["expression"].is_string());
                let kind = display["kind"].as_str().unwrap();
                check_payload(kind, &display[kind]);
            }
        }
        other => panic!("{other} is not a kind"),
    }
}

#[test]
fn every_command_gives_one_object_of_the_documented_form() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("look.ldb");
    std::fs::write(&script, "# looks\np 1 + 1\n\nfoo\nbt\n").unwrap();
    let cases = [
        ("info breakpoints", "text"),
        ("start", "stop"),
        ("display max($cursor)", "text"),
        ("step 3", "stop"),
        ("break L0.attn.pattern", "text"),
        ("info breakpoints", "table"),
        ("continue", "stop"),
        ("p L0.attn.scores", "value"),
        ("p $cursor > 0.5", "value"),
        ("p 1 / 3", "value"),
        ("p \"a\"", "text"),
        ("p/t $cursor[head=1]", "table"),
        ("p/h $cursor[head=1]", "map"),
        ("finish", "stop"),
        ("continue", "stop"),
        ("p logits", "value"),
        ("p tokens", "value"),
        ("info tokens", "tokens"),
        ("printf \"%d\\n\", 3", "text"),
        ("echo hello", "text"),
        ("p nothing", "error"),
        ("assert 1 > 2", "error"),
        ("bogus", "error"),
        ("reverse-step 100", "stop"),
        ("save activations", "error"),
        ("help", "table"),
    ];
    let commands: Vec<&str> = cases.iter().map(|(command, _)| *command).collect();
    let mut arguments = vec!["--keep-going", "-p", "Zoë said: the end 😀"];
    arguments.extend(ex(&commands));
    arguments.extend(["-x", script.to_str().unwrap(), "-ex", "quit 5"]);
    let (objects, ran) = json("gpt2", &arguments);
    objects.iter().for_each(check_object);
    let given: Vec<&str> = objects.iter().map(|object| object["cmd"].as_str().unwrap()).collect();
    let mut wanted = commands;
    wanted.extend(["p 1 + 1", "foo", "bt", "quit 5"]);
    assert_eq!(given, wanted);
    for (object, (command, kind)) in objects.iter().zip(cases) {
        assert_eq!(object["kind"], kind, "{command}: {object}");
    }
    assert!(objects[0]["pc"].is_null(), "nothing runs yet");
    assert!(objects[3]["stop"]["displays"][0]["value"]["data"].is_number());
    let scores = &objects[7]["value"];
    assert_eq!(scores["data"][0][0][1], "-Infinity", "what the mask hides");
    assert_eq!(scores["summary"]["neg_inf"], 4 * 13 * 12 / 2);
    assert_eq!(objects[8]["value"]["dtype"], "bool");
    assert!(objects[8]["value"]["data"][0][0][0].is_boolean());
    assert_eq!(objects[9]["value"]["data"].as_f64(), Some(1.0 / 3.0), "numbers are 64-bit");
    assert!(objects[13]["stop"]["value"]["shape"].is_array(), "finish shows the output");
    assert!(objects[15]["value"].get("data").is_none(), "13 x 384 elements are more than 4096");
    assert_eq!(objects[17]["tokens"][10]["bytes"], json!([32, 240, 159]), "half an emoji");
    let failed = objects.iter().find(|object| object["cmd"] == "foo").unwrap();
    assert_eq!(failed["error"]["line"], 4);
    assert_eq!(failed["error"]["file"], script.to_str().unwrap());
    assert_eq!(failed["error"]["column"], 1);
    assert_eq!(ran.status, 5, "quit decides");
}

#[test]
fn with_json_alone_commands_come_from_the_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llmdbg"))
        .args(["--json", "-nx", "--device", "cpu", "-p", NURSE])
        .arg(fixture("llama"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"run\np shape(logits)\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter().for_each(check_object);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["stop"]["reason"], "end");
    assert!(output.status.success());
}

/// A condition that cannot be evaluated stops as in gdb, what comes after it runs, and the status tells.
#[test]
fn a_condition_that_fails_stops_and_makes_the_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.ldb");
    for line in [
        "break L0.attn.pattern if $ > 0.5",
        "break L0.attn.z if max(logits) > 0",
        "tbreak L0.attn.z if max(logits) > 0",
        "watch max(L0.attn.z[head=0]) if max(logits) > 0",
        "trace L0.attn.z max(logits)",
    ] {
        let commands = ["-p", NURSE, "-ex", line, "-ex", "run", "-ex", "print 7"];
        let ran = batch("gpt2", &commands);
        if line.starts_with("trace") && !ran.out.contains("Error in") {
            continue;
        }
        assert!(ran.out.contains("Error in testing the condition of"), "{line}: {} {}", ran.out, ran.err);
        assert!(ran.out.contains("$1 = 7"), "{line}: the run goes on: {}", ran.out);
        assert_eq!(ran.status, 1, "{line}");
        std::fs::write(&script, format!("{line}\nrun\nprint 7\n")).unwrap();
        let ran = batch("gpt2", &["-p", NURSE, "-x", script.to_str().unwrap()]);
        assert!(ran.out.contains("$1 = 7") && ran.status == 1, "{line}: {} {}", ran.status, ran.out);
    }
    let (objects, ran) = json("gpt2", &["-p", NURSE, "-ex", "break L0.attn.pattern if $ > 0.5", "-ex", "run"]);
    let error = objects[1]["stop"]["errors"][0].as_str().unwrap();
    assert!(
        error.contains("a condition needs one truth value") && objects[1]["ok"] == true && ran.status == 1,
        "{error}"
    );
    // One that holds, or does not, is no failure; an assert keeps its own status.
    let ran = batch("gpt2", &["-p", NURSE, "-ex", "break L0.attn.pattern if max($) > 0.5", "-ex", "run"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let ran = batch("gpt2", &["-p", NURSE, "-ex", "break L0.attn.pattern if $ > 0.5", "-ex", "run", "-ex", "assert 0"]);
    assert_eq!(ran.status, 3);
}
