//! JSON as Python's `json.dumps` writes it, which is what templates mean by `tojson`.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// Characters beyond ASCII as escapes.
    pub ascii: bool,
    /// What a level is indented by; nothing for everything on one line.
    pub indent: Option<String>,
    pub comma: String,
    /// Between a key and its value.
    pub colon: String,
    /// Keys in the order of their characters.
    pub sorted: bool,
}

impl Style {
    pub fn new(indent: Option<String>) -> Style {
        // Python leaves the space out where a line break follows.
        let comma = if indent.is_some() { "," } else { ", " };
        Style { ascii: false, indent, comma: comma.into(), colon: ": ".into(), sorted: false }
    }
}

/// Writes a value; nothing if that takes more than `limit` bytes.
pub fn dumps(value: &Value, style: &Style, limit: usize) -> Option<String> {
    let mut out = Out { text: String::new(), limit };
    write(&mut out, value, style, 0);
    (out.text.len() <= limit).then_some(out.text)
}

/// Text up to a limit, and not much beyond it.
struct Out {
    text: String,
    limit: usize,
}

impl Out {
    fn push_str(&mut self, text: &str) {
        if self.text.len() <= self.limit {
            self.text.push_str(text);
        }
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
    }

    fn is_full(&self) -> bool {
        self.text.len() > self.limit
    }
}

fn write(out: &mut Out, value: &Value, style: &Style, level: usize) {
    if out.is_full() {
        return;
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(real) => out.push_str(&float(real)),
            None => out.push_str(&number.to_string()),
        },
        Value::String(text) => string(out, text, style.ascii),
        Value::Array(list) if list.is_empty() => out.push_str("[]"),
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(list) => {
            out.push('[');
            for (i, item) in list.iter().enumerate() {
                separate(out, i, style, level + 1);
                write(out, item, style, level + 1);
            }
            end(out, style, level, ']');
        }
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            if style.sorted {
                entries.sort_by_key(|(key, _)| *key);
            }
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                separate(out, i, style, level + 1);
                string(out, key, style.ascii);
                out.push_str(&style.colon);
                write(out, item, style, level + 1);
            }
            end(out, style, level, '}');
        }
    }
}

fn separate(out: &mut Out, index: usize, style: &Style, level: usize) {
    if index > 0 {
        out.push_str(&style.comma);
    }
    line(out, style, level);
}

fn end(out: &mut Out, style: &Style, level: usize, bracket: char) {
    line(out, style, level);
    out.push(bracket);
}

fn line(out: &mut Out, style: &Style, level: usize) {
    if let Some(indent) = &style.indent {
        out.push('\n');
        (0..level).for_each(|_| out.push_str(indent));
    }
}

fn string(out: &mut Out, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || (ascii && c > '~') => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A float as Python's `repr` writes it: the shortest digits, with an exponent below 1e-4 and from 1e16 on.
fn float(x: f64) -> String {
    let size = x.abs();
    if x != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = x.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, style: &Style) -> String {
        dumps(&serde_json::from_str(text).unwrap(), style, 1000).unwrap()
    }

    /// Expected: `json.dumps(json.loads(text), ensure_ascii=False, ...)` of Python 3.
    #[test]
    fn as_python_writes_it() {
        let text = r#"{"b": [1, 2.5, 1e16, 1e-5, 100.0, -0.0, 12345678901234567890], "a": {"é\n\u0001\"/": null}, "c": [], "d": {}}"#;
        assert_eq!(
            of(text, &Style::new(None)),
            r#"{"b": [1, 2.5, 1e+16, 1e-05, 100.0, -0.0, 12345678901234567890], "a": {"é\n\u0001\"/": null}, "c": [], "d": {}}"#
        );
        assert_eq!(
            of(r#"{"b": [1, {"x": true}], "a": []}"#, &Style { sorted: true, ..Style::new(Some("  ".into())) }),
            "{\n  \"a\": [],\n  \"b\": [\n    1,\n    {\n      \"x\": true\n    }\n  ]\n}"
        );
        let ascii = Style { ascii: true, comma: ",".into(), colon: ":".into(), ..Style::new(None) };
        assert_eq!(of(r#"["é😀\u007f", {"a": 1}]"#, &ascii), "[\"\\u00e9\\ud83d\\ude00\\u007f\",{\"a\":1}]");
    }

    #[test]
    fn too_much_is_nothing() {
        let style = Style { comma: "a".repeat(1000), ..Style::new(None) };
        let list = Value::from(vec![1; 1000]);
        assert_eq!(dumps(&list, &style, 100_000), None);
        assert_eq!(dumps(&Value::from("abc"), &style, 5).as_deref(), Some("\"abc\""));
        assert_eq!(dumps(&Value::from("abcd"), &style, 5), None);
    }
}
