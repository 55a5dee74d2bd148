//! Files of labels: what the features of a dictionary are called.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::of_name;
use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::lang::LangError;
use crate::lang::words::Word;
use crate::model::file;

/// Keys of a feature's number, and of its text, in objects.
const NUMBER: [&str; 3] = ["index", "feature", "id"];
const TEXT: [&str; 4] = ["description", "label", "explanation", "text"];

pub fn read(console: &mut Console, name: &Word, path: &Word) -> Done {
    let found = of_name(console, name)?;
    let wrong = |message: String| LangError::new(format!("{}: {message}", path.text), path.span);
    let [one] = found.as_slice() else {
        return Err(
            wrong(format!("{} is {} dictionaries, and a file has labels of one", name.text, found.len())).into()
        );
    };
    let text = file::read_text(Path::new(&path.text)).map_err(|error| wrong(error.to_string()))?;
    let labels = parse(&text).map_err(wrong)?;
    if let Some((feature, _)) = labels.iter().next_back().filter(|(feature, _)| **feature >= one.found.features) {
        return Err(wrong(format!("it has a label of feature {feature}, and there are {}", one.found.features)).into());
    }
    let count = labels.len();
    console.session.run.dictionaries.set_labels(one, labels);
    Ok(Answer::Text(format!("{count} features of {} have labels.", name.text)))
}

/// An object of numbers and texts, objects in lines or in a list, or lines `12,text`.
fn parse(text: &str) -> Result<BTreeMap<usize, String>, String> {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|n| usize::try_from(n).ok()),
    };
    let entry = |value: &Value| -> Option<(usize, String)> {
        let of = |keys: &[&str]| keys.iter().find_map(|key| value.get(key)).cloned();
        Some((number(&of(&NUMBER)?)?, of(&TEXT)?.as_str()?.to_owned()))
    };
    let no_entry = |at: usize| format!("entry {at} has no index and description");
    let trimmed = text.trim_start();
    if trimmed.is_empty() {
        return Err("it is empty".into());
    }
    match serde_json::from_str::<Value>(trimmed) {
        Ok(Value::Object(map)) if entry(&Value::Object(map.clone())).is_none() => {
            let pair = |(key, value): (&String, &Value)| {
                let label = value.as_str().ok_or_else(|| format!("the label of {key} is not a text"))?;
                Ok((key.parse().map_err(|_| format!("{key} is not the number of a feature"))?, label.to_owned()))
            };
            map.iter().map(pair).collect()
        }
        Ok(Value::Array(all)) => {
            all.iter().enumerate().map(|(at, value)| entry(value).ok_or_else(|| no_entry(at))).collect()
        }
        _ if trimmed.starts_with('{') => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let of_line = |(at, line): (usize, &str)| {
                let value = serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1))?;
                entry(&value).ok_or_else(|| no_entry(at + 1))
            };
            lines.map(of_line).collect()
        }
        _ => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let of_line = |(at, line): (usize, &str)| {
                let wrong = || format!("line {} is not a feature, a comma and a text", at + 1);
                let (number, label) = line.split_once([',', '\t']).ok_or_else(wrong)?;
                Ok((number.trim().parse().map_err(|_| wrong())?, label.trim().trim_matches('"').to_owned()))
            };
            lines.map(of_line).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_in_several_forms() {
        let wanted = BTreeMap::from([(3, "names".to_owned()), (12, "places, shops".to_owned())]);
        for text in [
            r#"{"3": "names", "12": "places, shops"}"#,
            "{\"index\": \"3\", \"description\": \"names\"}\n{\"index\": 12, \"description\": \"places, shops\"}\n",
            r#"[{"feature": 3, "label": "names"}, {"feature": 12, "label": "places, shops"}]"#,
            "3,names\n12, \"places, shops\"\n",
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&wanted), "{text}");
        }
        for text in ["", "names", "{\"x\": 1}", "{\"index\": 3}\n{}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
