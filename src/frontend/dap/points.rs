//! Stop points: an editor gives the whole list of a kind each time, and gets it back with what became of each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Adapter, Failure};
use crate::answer::text;

/// Filters of exceptions: what `catch` takes, and what the editor shows.
pub const FILTERS: [(&str, &str, bool); 11] = [
    ("nan", "NaN", true),
    ("inf", "Infinity", true),
    ("overflow", "Overflow", false),
    ("norm-jump", "Jump of a norm", false),
    ("dead", "Dead head", false),
    ("saturated", "Saturated head", false),
    ("diverge", "Difference from the side of \"set compare\"", false),
    ("vanish", "Vanishing gradient", false),
    ("explode", "Exploding gradient", false),
    ("pass", "Beginning of a pass", false),
    ("token", "A token is chosen (its text is the condition)", false),
];

/// The numbers of the stop points that the editor has set, by kind.
#[derive(Debug, Default)]
pub struct Points {
    set: BTreeMap<&'static str, Vec<u64>>,
}

/// A stop point to set: the command, and what follows it.
#[derive(Default)]
struct Wanted {
    command: String,
    /// A condition that the command itself does not take.
    condition: Option<String>,
    hits: Option<String>,
}

impl Adapter<'_> {
    /// Removes what the editor had set of a kind.
    fn clear(&mut self, kind: &'static str) -> Result<(), Failure> {
        for number in self.points.set.remove(kind).unwrap_or_default() {
            // It may have been deleted in the console, or by itself.
            _ = self.command(&format!("delete {number}"));
        }
        self.client().map(drop)
    }

    /// Sets one stop point; gives what the protocol says of it.
    fn point(&mut self, kind: &'static str, wanted: &Wanted) -> Value {
        match self.try_point(wanted) {
            Ok(number) => {
                self.points.set.entry(kind).or_default().push(number);
                json!({"id": number, "verified": true})
            }
            Err(Failure(message)) => json!({"verified": false, "message": message}),
        }
    }

    fn try_point(&mut self, wanted: &Wanted) -> Result<u64, Failure> {
        let texts = [Some(&wanted.command), wanted.condition.as_ref()];
        if texts.into_iter().flatten().any(|text| text.contains(['\n', '\r'])) {
            return super::failure("a condition is one line");
        }
        let hits = wanted.hits.as_deref().map(hits).transpose()?;
        let answer = self.command(&wanted.command)?;
        let said = text::lines(&answer, None).join("\n");
        // `Breakpoint 3 at ...`
        let number = said.split_whitespace().find_map(|word| word.trim_end_matches(':').parse::<u64>().ok());
        let number = number.ok_or_else(|| Failure(format!("no number in: {said}")))?;
        let condition = wanted.condition.as_ref().map(|condition| format!("condition {number} {condition}"));
        for line in condition.into_iter().chain(hits.map(|hits| format!("condition -hits {number} {hits}"))) {
            if let Err(failed) = self.command(&line) {
                // A point without its condition would stop elsewhere.
                self.command(&format!("delete {number}"))?;
                return Err(failed);
            }
        }
        Ok(number)
    }

    pub(super) fn set_breakpoints(&mut self, given: &Value) -> Result<Value, Failure> {
        let known = self.listing.is(&given["source"]);
        if known {
            self.clear("lines")?;
        }
        let source = self.listing.source();
        let mut found = Vec::new();
        for one in given["breakpoints"].as_array().into_iter().flatten() {
            let line = one["line"].as_i64().unwrap_or(0) - self.first_line;
            let op = usize::try_from(line).ok().and_then(|line| self.listing.ops_of_lines.get(line)).copied();
            let (Some(op), true) = (op, known) else {
                let message =
                    if known { "there is no op on this line" } else { "this is not the listing of the model" };
                found.push(json!({"verified": false, "message": message}));
                continue;
            };
            let wanted = breakpoint(&self.listing.ops[op].site, one);
            let mut point = self.point("lines", &wanted);
            point["line"] = json!(self.listing.lines_of_ops[op] as i64 + self.first_line);
            point["source"] = source.clone();
            found.push(point);
        }
        Ok(json!({"breakpoints": found}))
    }

    pub(super) fn set_function_breakpoints(&mut self, given: &Value) -> Result<Value, Failure> {
        self.clear("functions")?;
        let mut found = Vec::new();
        for one in given["breakpoints"].as_array().into_iter().flatten() {
            let wanted = breakpoint(one["name"].as_str().unwrap_or_default(), one);
            found.push(self.point("functions", &wanted));
        }
        Ok(json!({"breakpoints": found}))
    }

    pub(super) fn set_data_breakpoints(&mut self, given: &Value) -> Result<Value, Failure> {
        self.clear("data")?;
        let mut found = Vec::new();
        for one in given["breakpoints"].as_array().into_iter().flatten() {
            let command = match one["accessType"].as_str() {
                Some("read") => "rwatch",
                Some("readWrite") => "awatch",
                _ => "watch",
            };
            let expression = one["dataId"].as_str().unwrap_or_default();
            let wanted = Wanted {
                command: format!("{command} {expression}{}", condition(one)),
                hits: hit_condition(one),
                ..Wanted::default()
            };
            found.push(self.point("data", &wanted));
        }
        Ok(json!({"breakpoints": found}))
    }

    pub(super) fn set_exception_breakpoints(&mut self, given: &Value) -> Result<Value, Failure> {
        self.clear("exceptions")?;
        let plain = given["filters"].as_array().into_iter().flatten().map(|name| json!({"filterId": name}));
        let all: Vec<Value> = plain.chain(given["filterOptions"].as_array().into_iter().flatten().cloned()).collect();
        let mut found = Vec::new();
        for one in all {
            let name = one["filterId"].as_str().unwrap_or_default();
            if !FILTERS.iter().any(|(filter, ..)| *filter == name) {
                found.push(json!({"verified": false, "message": format!("there is no filter {name}")}));
                continue;
            }
            // The text of a token is taken as it is: it may begin with a space.
            let given = one["condition"].as_str().unwrap_or_default();
            let command = match (name, given) {
                ("token", "") => {
                    found.push(json!({"verified": false, "message": "the condition has to be the text of the token"}));
                    continue;
                }
                ("token", text) if text.starts_with('"') => format!("catch token {text}"),
                ("token", text) => format!("catch token {text:?}"),
                (name, _) => format!("catch {name}{}", condition(&one)),
            };
            found.push(self.point("exceptions", &Wanted { command, ..Wanted::default() }));
        }
        Ok(json!({"breakpoints": found}))
    }
}

/// A breakpoint, or with a message one that prints.
fn breakpoint(location: &str, one: &Value) -> Wanted {
    let hits = hit_condition(one);
    match one["logMessage"].as_str() {
        Some(message) => Wanted { command: dprintf(location, message), condition: trimmed(&one["condition"]), hits },
        None => Wanted { command: format!("break {location}{}", condition(one)), condition: None, hits },
    }
}

fn condition(one: &Value) -> String {
    trimmed(&one["condition"]).map_or(String::new(), |condition| format!(" if {condition}"))
}

fn hit_condition(one: &Value) -> Option<String> {
    trimmed(&one["hitCondition"])
}

/// A text that says something.
fn trimmed(text: &Value) -> Option<String> {
    text.as_str().map(str::trim).filter(|text| !text.is_empty()).map(String::from)
}

/// A condition on hits as the command `condition -hits` takes it: `>= 3`. A number alone is the first hit that stops.
fn hits(text: &str) -> Result<String, Failure> {
    let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (sign, number) = (text[..digits].trim(), text[digits..].trim().parse::<u64>().ok());
    match (sign, number) {
        ("", Some(count)) => Ok(format!(">= {count}")),
        ("=", Some(count)) => Ok(format!("== {count}")),
        (">" | ">=" | "<" | "<=" | "==" | "!=" | "%", Some(count)) => Ok(format!("{sign} {count}")),
        _ => super::failure(format!("{text} is not a condition on hits: N, or one of > >= < <= == != % and N")),
    }
}

/// The command that prints a message, in which `{EXPR}` is replaced by a value.
fn dprintf(location: &str, message: &str) -> String {
    let (mut format, mut values, mut rest) = (String::new(), Vec::new(), message);
    let plain = |text: &str| text.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"");
    while let Some((before, after)) = rest.split_once('{') {
        format += &plain(before);
        match after.split_once('}') {
            Some((expression, after)) => {
                format += "%s";
                values.push(expression.trim());
                rest = after;
            }
            None => {
                format += &plain("{");
                rest = after;
            }
        }
    }
    format += &plain(rest);
    let values: String = values.iter().map(|value| format!(",{value}")).collect();
    format!("dprintf {location},\"{format}\\n\"{values}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_hits() {
        assert_eq!(dprintf("L0.attn.z", "max {max($)} 100%"), "dprintf L0.attn.z,\"max %s 100%%\\n\",max($)");
        assert_eq!(dprintf("L0", "a \"b\" {"), "dprintf L0,\"a \\\"b\\\" {\\n\"");
        for (text, wanted) in [("3", ">= 3"), (">= 3", ">= 3"), (">3", "> 3"), ("= 3", "== 3"), ("% 2", "% 2")] {
            assert_eq!(hits(text).ok().as_deref(), Some(wanted));
        }
        assert!(hits("x").is_err() && hits("~ 3").is_err());
    }
}
