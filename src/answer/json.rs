//! Answers as JSON objects, one for each command: the `--json` output.
//!
//! The schema is written down in `docs/json.md`. Elements and statistics are written as the exact number that the bits
//! mean; NaN and the infinities, for which JSON has no number, are strings. Keys marked optional there are left out
//! rather than null, except `pc`, which is null while no run is live.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::text::is_unsafe;
use super::{Answer, Cell, ErrorView, MapView, Pc, StopView, Summary, Table, TokenView, ValueView};

/// The object for the command line `cmd`.
///
/// `at` is the place of the cursor afterwards, if a run is live; `ms` how long the command took; `printed` what it
/// wrote before its answer.
pub fn object(cmd: &str, answer: &Answer, at: Option<&Pc>, ms: f64, printed: &[String]) -> Value {
    let (kind, payload) = kind_and_payload(answer);
    let mut object = Map::new();
    object.insert("cmd".into(), json!(cmd));
    object.insert("ok".into(), json!(!matches!(answer, Answer::Error(_))));
    object.insert("kind".into(), json!(kind));
    object.insert(kind.into(), payload);
    object.insert("pc".into(), at.map_or(Value::Null, |pc| json!({"op": pc.op, "site": pc.site, "pass": pc.pass})));
    object.insert("ms".into(), number((ms * 1000.0).round() / 1000.0));
    if !printed.is_empty() {
        object.insert("printed".into(), json!(printed));
    }
    Value::Object(object)
}

/// An object on one line. Characters that would change how their neighbours are shown are written as escapes.
pub fn written(object: &Value) -> String {
    object.to_string().chars().fold(String::new(), |mut line, c| {
        match is_unsafe(c) {
            true => _ = write!(line, "\\u{:04x}", u32::from(c)),
            false => line.push(c),
        }
        line
    })
}

/// The word for the kind of `answer`, and the content of the key of that name.
fn kind_and_payload(answer: &Answer) -> (&'static str, Value) {
    match answer {
        Answer::Text(text) => ("text", json!(text)),
        Answer::Value(view) => ("value", value(view)),
        Answer::Table(table) => ("table", self::table(table)),
        Answer::Map(map) => ("map", self::map(map)),
        Answer::Tokens(tokens) => ("tokens", tokens.iter().map(token).collect()),
        Answer::Stop(stop) => ("stop", self::stop(stop)),
        Answer::Error(error) => ("error", self::error(error)),
    }
}

fn value(view: &ValueView) -> Value {
    let mut object = Map::new();
    if let Some(history) = view.number {
        object.insert("number".into(), json!(history));
    }
    object.insert("shape".into(), json!(view.shape));
    object.insert("axes".into(), json!(view.axes));
    object.insert("dtype".into(), json!(view.dtype));
    object.insert("summary".into(), summary(&view.summary));
    if let Some(data) = view.data.as_ref().filter(|data| data.len() <= ValueView::DATA_LIMIT) {
        object.insert("data".into(), nested(data, &view.shape, view.dtype));
    }
    Value::Object(object)
}

fn map(map: &MapView) -> Value {
    let shape = [map.rows, map.columns];
    let mut object = Map::new();
    object.insert("title".into(), json!(map.title));
    object.insert("shape".into(), json!(shape));
    object.insert("axes".into(), json!(map.axes));
    object.insert("dtype".into(), json!("f32"));
    object.insert("summary".into(), summary(&map.summary));
    if map.data.len() <= ValueView::DATA_LIMIT {
        object.insert("data".into(), nested(&map.data, &shape, "f32"));
    }
    object.insert("row_labels".into(), json!(map.row_labels));
    object.insert("column_labels".into(), json!(map.column_labels));
    object.insert("pool".into(), json!(map.pool));
    Value::Object(object)
}

fn summary(s: &Summary) -> Value {
    json!({
        "count": s.count,
        "nan": s.nan,
        "pos_inf": s.pos_inf,
        "neg_inf": s.neg_inf,
        "zeros": s.zeros,
        "min": number(s.min),
        "max": number(s.max),
        "mean": number(s.mean),
        "std": number(s.std),
        "l2": number(s.l2),
        "absmax": number(s.absmax),
        "absmax_index": s.absmax_index,
    })
}

fn table(table: &Table) -> Value {
    let rows: Vec<Vec<Value>> = table.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    json!({"columns": table.columns, "rows": rows})
}

fn cell(cell: &Cell) -> Value {
    match cell {
        Cell::Int(whole) => json!(whole),
        Cell::Num(real) => number(*real),
        Cell::Text(text) => json!(text),
        Cell::Bool(truth) => json!(truth),
        Cell::Empty => Value::Null,
    }
}

fn token(token: &TokenView) -> Value {
    let mut object = json!({"pos": token.pos, "id": token.id, "text": token.text, "bytes": token.bytes});
    if token.row > 0 {
        object["row"] = json!(token.row);
    }
    if !token.real {
        object["real"] = json!(false);
    }
    if token.special {
        object["special"] = json!(true);
    }
    if let Some((start, end)) = token.offsets {
        object["offsets"] = json!([start, end]);
    }
    if let Some(word) = token.word {
        object["word"] = json!(word);
    }
    object
}

fn stop(stop: &StopView) -> Value {
    let mut object = json!({
        "reason": stop.reason.word(),
        "ids": stop.ids,
        "site": stop.site,
        "module": stop.module,
        "op": stop.op,
        "pass": stop.pass,
    });
    if !stop.errors.is_empty() {
        object["errors"] = json!(stop.errors);
    }
    if let Some(view) = &stop.value {
        object["value"] = value(view);
    }
    if !stop.displays.is_empty() {
        let displays = stop.displays.iter().map(|(number, expression, answer)| {
            let (kind, payload) = kind_and_payload(answer);
            json!({"number": number, "expression": expression, "kind": kind, kind: payload})
        });
        object["displays"] = displays.collect();
    }
    object
}

fn error(error: &ErrorView) -> Value {
    let mut object = json!({"message": error.message});
    if let Some(column) = error.column {
        object["column"] = json!(column);
    }
    if let Some(file) = &error.file {
        object["file"] = json!(file);
    }
    if let Some(line) = error.line {
        object["line"] = json!(line);
    }
    object
}

/// `data` as nested arrays, one level for each axis of `shape`; without axes the one element itself.
fn nested(data: &[f64], shape: &[usize], dtype: &str) -> Value {
    match shape.split_first() {
        None => data.first().map_or(Value::Null, |&x| element(x, dtype)),
        Some((&n, rest)) => {
            let stride: usize = rest.iter().product();
            (0..n).map(|i| nested(data.get(i * stride..(i + 1) * stride).unwrap_or_default(), rest, dtype)).collect()
        }
    }
}

fn element(x: f64, dtype: &str) -> Value {
    match dtype {
        "bool" => json!(x != 0.0),
        "i64" => json!(x as i64),
        _ => number(x),
    }
}

/// A number, or a string if JSON has no number for it.
fn number(x: f64) -> Value {
    if x.is_nan() {
        json!("NaN")
    } else if x == f64::INFINITY {
        json!("Infinity")
    } else if x == f64::NEG_INFINITY {
        json!("-Infinity")
    } else {
        json!(x)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
