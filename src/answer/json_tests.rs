//! Every kind of answer, checked against the schema of `docs/json.md` and for being one line that reads back.

use proptest::prelude::*;

use super::*;
use crate::answer::{Fault, Reason, Scale, Style};

/// Checks `value` against the schema, without the labels that make it a map.
fn check_value(value: &Value) {
    let shape: Vec<usize> = value["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    assert_eq!(value["axes"].as_array().unwrap().len(), shape.len());
    assert!(value["axes"].as_array().unwrap().iter().all(Value::is_string));
    assert!(["f32", "f16", "f64", "i64", "bool"].contains(&value["dtype"].as_str().unwrap()));
    let summary = &value["summary"];
    for key in ["count", "nan", "pos_inf", "neg_inf", "zeros"] {
        assert!(summary[key].is_u64(), "{key}");
    }
    for key in ["min", "max", "mean", "std", "l2", "absmax"] {
        check_number(&summary[key]);
    }
    assert!(summary["absmax_index"].as_array().unwrap().iter().all(Value::is_u64));
    if let Some(data) = value.get("data") {
        check_nested(data, &shape, value["dtype"].as_str().unwrap());
    }
}

fn check_number(value: &Value) {
    assert!(value.is_number() || ["NaN", "Infinity", "-Infinity"].map(Value::from).contains(value), "{value}");
}

fn check_nested(data: &Value, shape: &[usize], dtype: &str) {
    match shape.split_first() {
        Some((&n, rest)) => {
            let items = data.as_array().unwrap();
            assert_eq!(items.len(), n);
            items.iter().for_each(|item| check_nested(item, rest, dtype));
        }
        None => match dtype {
            "bool" => assert!(data.is_boolean()),
            "i64" => assert!(data.is_i64()),
            _ => check_number(data),
        },
    }
}

/// The payload of any kind.
fn check_payload(kind: &str, payload: &Value) {
    match kind {
        "text" => assert!(payload.is_string()),
        "value" => check_value(payload),
        "map" => {
            check_value(payload);
            for (labels, axis) in [("row_labels", 0), ("column_labels", 1)] {
                let labels = payload[labels].as_array().unwrap();
                assert_eq!(labels.len() as u64, payload["shape"][axis].as_u64().unwrap());
                assert!(labels.iter().all(Value::is_string));
            }
            assert_eq!(payload["pool"].as_array().unwrap().len(), 2);
        }
        "table" => {
            let columns = payload["columns"].as_array().unwrap();
            assert!(columns.iter().all(Value::is_string));
            for row in payload["rows"].as_array().unwrap() {
                assert_eq!(row.as_array().unwrap().len(), columns.len());
                assert!(row.as_array().unwrap().iter().all(|cell| !cell.is_array() && !cell.is_object()));
            }
        }
        "tokens" => {
            for token in payload.as_array().unwrap() {
                assert!(token["pos"].is_u64() && token["id"].is_u64() && token["text"].is_string());
                assert!(token["bytes"].as_array().unwrap().iter().all(|byte| byte.as_u64().unwrap() < 256));
            }
        }
        "stop" => {
            let reasons = ["breakpoint", "watchpoint", "catchpoint", "step", "end", "start", "interrupt"];
            assert!(reasons.contains(&payload["reason"].as_str().unwrap()));
            assert!(payload["ids"].as_array().unwrap().iter().all(Value::is_u64));
            assert!(payload["site"].is_string() && payload["module"].is_string());
            assert!(payload["op"].is_u64() && payload["pass"].is_u64());
            payload.get("value").map(check_value);
            for display in payload.get("displays").and_then(Value::as_array).into_iter().flatten() {
                assert!(display["number"].is_u64() && display["expression"].is_string());
                let kind = display["kind"].as_str().unwrap();
                check_payload(kind, &display[kind]);
            }
        }
        "error" => {
            assert!(!payload["message"].as_str().unwrap().is_empty());
            assert!(payload.get("column").is_none_or(Value::is_u64));
            assert!(payload.get("line").is_none_or(Value::is_u64));
            assert!(payload.get("file").is_none_or(Value::is_string));
        }
        other => panic!("unknown kind {other}"),
    }
}

/// Checks one object as the program writes it: one line, equal after reading back, and as the schema says.
fn check(cmd: &str, answer: &Answer, at: Option<&Pc>, printed: &[String]) -> Value {
    let object = object(cmd, answer, at, 0.4, printed);
    let line = object.to_string();
    assert!(!line.contains('\n'));
    let back: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(back, object);
    let kind = back["kind"].as_str().unwrap();
    assert_eq!(back["cmd"], json!(cmd));
    assert_eq!(back["ok"], json!(kind != "error"));
    assert!(back["ms"].is_number());
    match at {
        Some(pc) => assert_eq!(back["pc"], json!({"op": pc.op, "site": pc.site, "pass": pc.pass})),
        None => assert!(back["pc"].is_null()),
    }
    check_payload(kind, &back[kind]);
    back
}

fn view(shape: &[usize], dtype: &'static str, data: Vec<f64>) -> ValueView {
    ValueView {
        number: Some(1),
        shape: shape.to_vec(),
        axes: shape.iter().map(|_| "k".to_string()).collect(),
        dtype: dtype.into(),
        summary: Summary {
            count: data.len() as u64,
            min: f64::NAN,
            absmax_index: vec![0; shape.len()],
            ..Summary::default()
        },
        data: Some(data),
        style: Style::Summary,
        edge: vec![],
    }
}

#[test]
fn an_object_as_documented() {
    let pc = Pc { op: 93, site: "logits".into(), pass: 0 };
    let answer = Answer::Value(view(&[2], "f32", vec![0.5, f64::NEG_INFINITY]));
    let line = object("print x", &answer, Some(&pc), 0.400_04, &["hello".into()]).to_string();
    insta::assert_snapshot!(line, @r#"{"cmd":"print x","ok":true,"kind":"value","value":{"number":1,"shape":[2],"axes":["k"],"dtype":"f32","summary":{"count":2,"nan":0,"pos_inf":0,"neg_inf":0,"zeros":0,"min":"NaN","max":0.0,"mean":0.0,"std":0.0,"l2":0.0,"absmax":0.0,"absmax_index":[0]},"data":[0.5,"-Infinity"]},"pc":{"op":93,"site":"logits","pass":0},"ms":0.4,"printed":["hello"]}"#);
}

#[test]
fn the_examples_of_the_manual_follow_the_schema() {
    let manual = include_str!("../../docs/json.md");
    let mut kinds = Vec::new();
    for line in manual.lines().filter(|line| line.starts_with("{\"cmd\"")) {
        let example: Value = serde_json::from_str(line).unwrap();
        let kind = example["kind"].as_str().unwrap();
        check_payload(kind, &example[kind]);
        assert!(example["pc"].is_null() || example["pc"]["op"].is_u64());
        assert!(example["ms"].is_number());
        kinds.push(kind.to_string());
    }
    assert_eq!(kinds, ["value", "stop", "table", "tokens", "map", "text", "error"]);
}

#[test]
fn scalars_are_plain() {
    assert_eq!(check("p", &Answer::Value(view(&[], "f32", vec![2.5])), None, &[])["value"]["data"], json!(2.5));
    assert_eq!(check("p", &Answer::Value(view(&[], "bool", vec![1.0])), None, &[])["value"]["data"], json!(true));
    assert_eq!(check("p", &Answer::Value(view(&[], "i64", vec![7.0])), None, &[])["value"]["data"], json!(7));
}

#[test]
fn large_values_come_without_data() {
    let mut large = view(&[ValueView::DATA_LIMIT + 1], "f32", vec![0.0; ValueView::DATA_LIMIT + 1]);
    assert!(check("p", &Answer::Value(large.clone()), None, &[])["value"].get("data").is_none());
    large.data = None;
    assert!(check("p", &Answer::Value(large), None, &[])["value"].get("data").is_none());
}

#[test]
fn every_other_kind() {
    let map = MapView {
        title: "L0.attn.pattern".into(),
        rows: 1,
        columns: 2,
        data: vec![1.0, f64::NAN],
        row_labels: vec!["a".into()],
        column_labels: vec!["a".into(), "b\n".into()],
        pool: [1, 1],
        axes: ["q".into(), "k".into()],
        scale: Scale::Sequential,
        shape: vec![1, 2],
        summary: Summary { absmax_index: vec![0, 0], ..Summary::default() },
    };
    let stop = StopView {
        reason: Reason::Catchpoint,
        ids: vec![2, 5],
        site: "blocks.5.attn.pattern".into(),
        module: "blocks.5.attn".into(),
        op: 93,
        pass: 1,
        lines: vec!["Catchpoint 2".into()],
        errors: vec![],
        value: Some(view(&[1, 2], "f64", vec![1.0, f64::INFINITY])),
        displays: vec![
            (1, "a".into(), Box::new(Answer::Value(view(&[], "f32", vec![1.0])))),
            (2, "b".into(), Box::new(Answer::Error(ErrorView { message: "no".into(), ..ErrorView::default() }))),
        ],
    };
    let cells = vec![Cell::Int(0), Cell::Text(" Mary".into()), Cell::Num(0.5), Cell::Bool(true), Cell::Empty];
    let columns = ["rank", "token", "value", "kept", "note"].map(String::from).to_vec();
    let table = Table { title: "next".into(), columns, rows: vec![cells], ..Table::default() };
    let token = TokenView {
        pos: 3,
        row: 1,
        id: 5,
        text: "\u{fffd}".into(),
        bytes: vec![0xff],
        real: false,
        special: true,
        offsets: Some((2, 3)),
        word: Some(1),
    };
    let error = ErrorView {
        message: "no such site\n  ^".into(),
        column: Some(7),
        file: Some("a.ldb".into()),
        line: Some(3),
        fault: Fault::Command,
    };
    let table = check("p/t", &Answer::Table(table), None, &[]);
    assert_eq!(table["table"]["rows"], json!([[0, " Mary", 0.5, true, null]]));
    let tokens = check("info tokens", &Answer::Tokens(vec![token]), None, &[]);
    assert_eq!(
        tokens["tokens"],
        json!([{
            "pos": 3, "id": 5, "text": "\u{fffd}", "bytes": [255], "row": 1, "real": false, "special": true,
            "offsets": [2, 3], "word": 1
        }])
    );
    let error = check("x", &Answer::Error(error), None, &[]);
    assert_eq!(error["error"], json!({"message": "no such site\n  ^", "column": 7, "file": "a.ldb", "line": 3}));
    check("p/h", &Answer::Map(map), None, &[]);
    check("c", &Answer::Stop(stop), None, &["one\ntwo".into()]);
}

proptest! {
    #[test]
    fn any_text_is_one_line(cmd in any::<String>(), text in any::<String>()) {
        let pc = Pc { op: 1, site: cmd.clone(), pass: 2 };
        let object = check(&cmd, &Answer::Text(text.clone()), Some(&pc), std::slice::from_ref(&text));
        prop_assert_eq!(&object["text"], &json!(text));
        check(&cmd, &Answer::Error(ErrorView { message: text + ".", ..ErrorView::default() }), None, &[]);
    }

    // Read back by Rust's parser: serde_json's may be wrong by one in the last place.
    #[test]
    fn any_numbers_read_back(data in proptest::collection::vec(any::<f64>(), 6)) {
        let line = object("p", &Answer::Value(view(&[3, 2], "f64", data.clone())), None, 0.0, &[]).to_string();
        let back: Value = serde_json::from_str(&line).unwrap();
        check_value(&back["value"]);
        let (_, written) = line.split_once("\"data\":").unwrap();
        let (written, _) = written.split_once("]]").unwrap();
        let written: Vec<&str> = written.split(',').map(|word| word.trim_matches(['[', ']', '"'])).collect();
        prop_assert_eq!(written.len(), data.len());
        for (word, x) in written.into_iter().zip(data) {
            let read: f64 = word.parse().unwrap();
            prop_assert!(read == x || (read.is_nan() && x.is_nan()), "{word} for {x}");
        }
    }
}
