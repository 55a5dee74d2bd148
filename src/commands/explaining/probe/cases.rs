//! Prompts of a file: lines with slots, CSV, JSON or JSON lines.

use std::collections::BTreeMap;
use std::path::Path;

use crate::commands::state::rows::{self, Row, Rows};
use crate::debugger::Result;
use crate::lang::{Expr, parse_expr};
use crate::model::file;

const LARGEST: u64 = 16 << 20;

/// Prompts that the slots of a file may make, and bytes of them with their fields.
const MOST: u64 = 1 << 16;
const MOST_BYTES: u64 = 16 << 20;

/// A prompt, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub prompt: String,
    pub fields: BTreeMap<String, String>,
}

/// Cases, and what is unusual about their file.
type Cases = (Vec<Case>, Option<String>);

/// The cases of a file, by how its name ends; prompts with slots become one for each choice.
pub fn read(file: &str) -> Result<Cases> {
    let unread = |error: &dyn std::fmt::Display| format!("cannot read {file}: {error}");
    let bytes = file::read_to(Path::new(file), LARGEST).map_err(|error| unread(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| unread(&error))?;
    parse(&text, file).map_err(|error| error.about(file))
}

fn parse(text: &str, file: &str) -> Result<Cases> {
    let Rows { all, note } = rows::parse(text, file)?.unwrap_or_else(|| {
        let lines = rows::unmarked(text).lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let row = |(i, line): (usize, &str)| (format!("line {}", i + 1), line.to_string(), BTreeMap::new());
        let all = lines.map(row).map(|(place, text, fields)| Row { place, text, fields }).collect();
        Rows { all, note: None }
    });
    let mut cases = Vec::new();
    let (mut made, mut bytes) = (0, 0);
    for Row { place, text, fields } in all {
        let count = combinations(&text);
        let length = text.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        (made, bytes) = (count.saturating_add(made), count.saturating_mul(length as u64).saturating_add(bytes));
        if made > MOST || bytes > MOST_BYTES {
            let made = format!("the slots up to {place} make {made} prompts of {bytes} bytes");
            let help = "take slots or options out, or divide the file";
            return Err(format!("{made}; at most {MOST} of {MOST_BYTES} bytes are probed: {help}").into());
        }
        for (prompt, chosen) in choices(&text).map_err(|error| format!("{place}: {error}"))? {
            let mut fields = fields.clone();
            fields.extend(chosen);
            cases.push(Case { prompt, fields });
        }
    }
    if cases.is_empty() { Err("it has no prompts".into()) } else { Ok((cases, note)) }
}

/// How many prompts [`choices`] makes of a text.
fn combinations(text: &str) -> u64 {
    let slots = text.split('{').skip(1).map(|after| after.split('}').next().unwrap_or_default());
    slots.map(|slot| slot.split('|').count() as u64).fold(1, u64::saturating_mul)
}

/// Every choice for the slots `{a|b}` or `{name:a|b}` of a text, with what was chosen by the slot's name or number.
fn choices(text: &str) -> Result<Vec<(String, BTreeMap<String, String>)>> {
    let mut all = vec![(String::new(), BTreeMap::new())];
    let mut rest = text;
    let mut number = 0;
    while let Some((before, after)) = rest.split_once('{') {
        let (slot, behind) = after.split_once('}').ok_or_else(|| format!("a slot is not closed: {{{after}"))?;
        number += 1;
        let (name, options) = match slot.split_once(':') {
            Some((name, options)) if name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.is_empty() => {
                (name.to_string(), options)
            }
            _ => (format!("slot{number}"), slot),
        };
        let options: Vec<&str> = options.split('|').collect();
        let mut more = Vec::with_capacity(all.len() * options.len());
        for (text, chosen) in &all {
            for option in &options {
                let mut chosen: BTreeMap<String, String> = BTreeMap::clone(chosen);
                chosen.insert(name.clone(), option.to_string());
                more.push((format!("{text}{before}{option}"), chosen));
            }
        }
        all = more;
        rest = behind;
    }
    all.iter_mut().for_each(|(text, _)| text.push_str(rest));
    Ok(all)
}

impl Case {
    /// A number with what the case has put into it: its text and its expression.
    pub fn expr(&self, metric: &str) -> Result<(String, Expr)> {
        let text = filled(metric, self)?;
        let expr = parse_expr(&text, 0).map_err(|error| format!("{text}: {}", error.message))?;
        Ok((text, expr))
    }
}

/// A text with `{field}` replaced by what a case has under that name.
fn filled(text: &str, case: &Case) -> Result<String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or_else(|| format!("{{{after} is not closed"))?;
        let value = case.fields.get(name).ok_or_else(|| {
            let names: Vec<&str> = case.fields.keys().map(String::as_str).collect();
            format!("a prompt has no {name}: it has {}", names.join(", "))
        })?;
        made += before;
        made += value;
        rest = behind;
    }
    Ok(made + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(text: &str, file: &str) -> Vec<Case> {
        parse(text, file).unwrap().0
    }

    #[test]
    fn slots_become_every_choice() {
        let found = cases("# occupations\nThe {who:nurse|pilot} said that {he|she}\n\nplain", "a.txt");
        let prompts: Vec<&str> = found.iter().map(|case| case.prompt.as_str()).collect();
        assert_eq!(
            prompts,
            [
                "The nurse said that he",
                "The nurse said that she",
                "The pilot said that he",
                "The pilot said that she",
                "plain"
            ]
        );
        assert_eq!(found[1].fields["who"], "nurse");
        assert_eq!(found[1].fields["slot2"], "she");
        assert!(parse("a {b|c", "a.txt").unwrap_err().to_string().contains("is not closed"));
        for text in ["plain", "{a|b}{c}", "{x:a|b|c} and {d|e}", "{a|b", "a}b{c|d}"] {
            assert!(choices(text).is_ok_and(|all| all.len() as u64 == combinations(text)) || text.ends_with("{a|b"));
        }
    }

    #[test]
    fn slots_that_make_too_many_prompts_are_refused_before_they_are_made() {
        let slots = |count: usize| "{a|b}".repeat(count);
        assert_eq!(parse(&slots(10), "a.txt").unwrap().0.len(), 1024);
        for text in
            [slots(30), slots(64), slots(2000), vec![slots(8); 300].join("\n"), slots(14) + &"x".repeat(1 << 13)]
        {
            let error = parse(&text, "a.txt").unwrap_err().to_string();
            assert!(error.contains("at most 65536 of 16777216 bytes are probed"), "{error}");
        }
    }

    #[test]
    fn tables_and_objects_have_fields() {
        let csv = cases("prompt,label\n\"a, b\",x\nc,y\n", "a.csv");
        assert_eq!((csv[0].prompt.as_str(), csv[1].fields["label"].as_str()), ("a, b", "y"));
        let json = cases("{\"text\": \"a\", \"n\": 3}\n\n{\"text\": \"{b|c}\"}", "a.jsonl");
        assert_eq!((json.len(), json[0].fields["n"].as_str(), json[2].prompt.as_str()), (3, "3", "c"));
        assert_eq!(cases("[{\"prompt\": \"a\"}]", "a.json").len(), 1);
        assert!(parse("{\"x\": 1}", "a.jsonl").unwrap_err().to_string().contains("line 1 has no prompt"));
        assert!(parse("{", "a.jsonl").unwrap_err().to_string().starts_with("line 1: "));
        assert!(parse("", "a.csv").is_err());
        assert_eq!(filled("logit(\"{n}\")", &json[0]).unwrap(), "logit(\"3\")");
        assert!(filled("{m}", &json[0]).unwrap_err().to_string().contains("has no m: it has n"));
    }
}
