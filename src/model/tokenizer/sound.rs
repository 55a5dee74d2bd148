//! What a tokenizer's file must hold for its library to go on, as far as that can be seen without a text.

use serde_json::Value;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    #[error("its pre_tokenizer FixedLength cuts texts into pieces of length 0")]
    EmptyPieces,
    #[error(
        "its post_processor puts {name:?} around a text ({template}), and its special_tokens do not say which tokens \
         those are"
    )]
    Undefined { name: String, template: &'static str },
    #[error("its post_processor makes something else of a text (single) than the text $A with tokens around it")]
    NotTheText,
    #[error("the post_processor of its file leaves out a text of a pair")]
    HalfAPair,
}

/// Looks at the parts of a tokenizer.
pub fn check(splitter: &Value, around: &Value) -> Result<(), Unsound> {
    for part in of_type(splitter, "FixedLength") {
        if part["length"].as_u64() == Some(0) {
            return Err(Unsound::EmptyPieces);
        }
    }
    for part in of_type(around, "TemplateProcessing") {
        let defined = &part["special_tokens"];
        for (template, pieces) in [("single", &part["single"]), ("pair", &part["pair"])] {
            for name in pieces.as_array().into_iter().flatten().filter_map(|piece| piece["SpecialToken"]["id"].as_str())
            {
                let count = |key: &str| defined.get(name).and_then(|token| Some(token[key].as_array()?.len()));
                if count("ids").is_none() || count("ids") != count("tokens") {
                    return Err(Unsound::Undefined { name: name.to_owned(), template });
                }
            }
        }
        if sequences(&part["single"]).iter().any(|id| *id != "A") || sequences(&part["single"]).is_empty() {
            return Err(Unsound::NotTheText);
        }
    }
    Ok(())
}

/// Whether the parts of a tokenizer keep both texts of a pair.
pub fn check_pair(around: &Value) -> Result<(), Unsound> {
    let whole = |part: &&Value| ["A", "B"].iter().all(|id| sequences(&part["pair"]).contains(id));
    match of_type(around, "TemplateProcessing").iter().all(whole) {
        true => Ok(()),
        false => Err(Unsound::HalfAPair),
    }
}

/// The texts that a template has, in order.
fn sequences(pieces: &Value) -> Vec<&str> {
    pieces.as_array().into_iter().flatten().filter_map(|piece| piece["Sequence"]["id"].as_str()).collect()
}

/// The parts of a tokenizer that have this type, however deep in sequences.
fn of_type<'a>(part: &'a Value, kind: &str) -> Vec<&'a Value> {
    let inside = |values: Vec<&'a Value>| values.into_iter().flat_map(|value| of_type(value, kind)).collect();
    match part {
        Value::Object(map) if map.get("type").is_some_and(|found| found == kind) => vec![part],
        Value::Object(map) => inside(map.values().collect()),
        Value::Array(list) => inside(list.iter().collect()),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_that_the_library_would_fail_on_are_named() {
        let template = |single: Value, pair: Value| {
            json!({"type": "Sequence", "processors": [{
                "type": "TemplateProcessing", "single": single, "pair": pair,
                "special_tokens": {"s": {"id": "s", "ids": [1], "tokens": ["s"]}, "t": {"id": "t", "ids": [1], "tokens": []}},
            }]})
        };
        let (a, b) = (json!({"Sequence": {"id": "A", "type_id": 0}}), json!({"Sequence": {"id": "B", "type_id": 1}}));
        let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
        let null = Value::Null;
        let sound = template(json!([token("s"), a]), json!([a, token("s"), b]));
        assert_eq!((check(&null, &sound), check_pair(&sound)), (Ok(()), Ok(())));
        for (around, why) in [
            (template(json!([token("x"), a]), json!([a, b])), "puts \"x\" around a text (single)"),
            (template(json!([a]), json!([a, b, token("t")])), "puts \"t\" around a text (pair)"),
            (template(json!([token("s")]), json!([a, b])), "something else of a text"),
            (template(json!([a, b]), json!([a, b])), "something else of a text"),
        ] {
            assert!(check(&null, &around).unwrap_err().to_string().contains(why), "{why}");
        }
        let halved = template(json!([a]), json!([a]));
        assert_eq!(check(&null, &halved), Ok(()));
        assert_eq!(check_pair(&halved), Err(Unsound::HalfAPair));
        let cut = json!({"type": "Sequence", "pretokenizers": [{"type": "FixedLength", "length": 0}]});
        assert_eq!(check(&cut, &null), Err(Unsound::EmptyPieces));
    }
}
