//! Answers as JSON objects, one for each command: the `--json` output.
//!
//! The schema is written down in `docs/json.md`. Elements and statistics are written as the exact number that the bits
//! mean; NaN and the infinities, for which JSON has no number, are strings. Keys marked optional there are left out
//! rather than null, except `pc`, which is null while no run is live.

use std::fmt::Write;

use serde_json::{Value, json};

use super::text::is_unsafe;
use super::{Answer, Cell, ErrorView, MapView, Pc, StopView, Summary, Table, TokenView, ValueView};

/// The object for the command line `cmd`.
///
/// `at` is the place of the cursor afterwards, if a run is live; `ms` how long the command took; `printed` what it
/// wrote before its answer.
pub fn object(cmd: &str, answer: &Answer, at: Option<&Pc>, ms: f64, printed: &[String]) -> Value {
    let (kind, payload) = kind_and_payload(answer);
    let ok = !matches!(answer, Answer::Error(_));
    let pc = at.map(|pc| json!({"op": pc.op, "site": pc.site, "pass": pc.pass}));
    let ms = number((ms * 1000.0).round() / 1000.0);
    let mut object = json!({"cmd": cmd, "ok": ok, "kind": kind, kind: payload, "pc": pc, "ms": ms});
    if !printed.is_empty() {
        object["printed"] = json!(printed);
    }
    object
}

/// An object of the keys that have a value, in this order.
fn keys<const N: usize>(keys: [(&str, Option<Value>); N]) -> Value {
    keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
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
    let data = view.data.as_ref().filter(|data| data.len() <= ValueView::DATA_LIMIT);
    keys([
        ("number", view.number.map(Value::from)),
        ("shape", Some(json!(view.shape))),
        ("axes", Some(json!(view.axes))),
        ("dtype", Some(json!(view.dtype))),
        ("summary", Some(summary(&view.summary))),
        ("data", data.map(|data| nested(data, &view.shape, &view.dtype))),
    ])
}

fn map(map: &MapView) -> Value {
    let shape = [map.rows, map.columns];
    keys([
        ("title", Some(json!(map.title))),
        ("shape", Some(json!(shape))),
        ("axes", Some(json!(map.axes))),
        ("dtype", Some(json!("f32"))),
        ("summary", Some(summary(&map.summary))),
        ("data", (map.data.len() <= ValueView::DATA_LIMIT).then(|| nested(&map.data, &shape, "f32"))),
        ("row_labels", Some(json!(map.row_labels))),
        ("column_labels", Some(json!(map.column_labels))),
        ("pool", Some(json!(map.pool))),
    ])
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
    keys([
        ("pos", Some(json!(token.pos))),
        ("id", Some(json!(token.id))),
        ("text", Some(json!(token.text))),
        ("bytes", Some(json!(token.bytes))),
        ("row", (token.row > 0).then(|| json!(token.row))),
        ("real", (!token.real).then(|| json!(false))),
        ("special", token.special.then(|| json!(true))),
        ("offsets", token.offsets.map(|offsets| json!(offsets))),
        ("word", token.word.map(Value::from)),
    ])
}

fn stop(stop: &StopView) -> Value {
    let displays = stop.displays.iter().map(|(number, expression, answer)| {
        let (kind, payload) = kind_and_payload(answer);
        json!({"number": number, "expression": expression, "kind": kind, kind: payload})
    });
    keys([
        ("reason", Some(json!(stop.reason.word()))),
        ("ids", Some(json!(stop.ids))),
        ("site", Some(json!(stop.site))),
        ("module", Some(json!(stop.module))),
        ("op", Some(json!(stop.op))),
        ("pass", Some(json!(stop.pass))),
        ("errors", (!stop.errors.is_empty()).then(|| json!(stop.errors))),
        ("value", stop.value.as_ref().map(value)),
        ("displays", (!stop.displays.is_empty()).then(|| displays.collect())),
    ])
}

fn error(error: &ErrorView) -> Value {
    keys([
        ("message", Some(json!(error.message))),
        ("column", error.column.map(Value::from)),
        ("file", error.file.clone().map(Value::from)),
        ("line", error.line.map(Value::from)),
    ])
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
    match x {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        x if x.is_nan() => json!("NaN"),
        x => json!(x),
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
