//! Resources: what can be read of a session without a command.

use serde_json::{Value, json};

use super::error::ToolError;
use super::session::{Sessions, resource};
use crate::answer::text;

/// Parts of a session: the name of the resource, what it is, and the command whose answer it is.
const PARTS: [(&str, &str, &str); 6] = [
    ("tokens", "The tokens of the input, with their positions", "info tokens"),
    ("branches", "The branches and their edits", "info branches"),
    ("breakpoints", "The stop points", "info breakpoints"),
    ("where", "Where the cursor is, in which modules", "backtrace"),
    ("model", "The model, its weights and its input", "info program"),
    ("edits", "The edits in force", "info edits"),
];

pub fn templates() -> Value {
    json!([{
        "uriTemplate": "llmdbg://{session}/value/{site}",
        "name": "value",
        "description": "Statistics over all elements of a site's value, and its first and last elements",
        "mimeType": "text/plain",
    }])
}

impl Sessions<'_> {
    pub(super) fn resources(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for session in self.names() {
            let uri = |part: &str| format!("llmdbg://{session}/{part}");
            let name = |part: &str| format!("{part} of {session}");
            all.push(resource(uri("program"), name("program"), "The ops of the model, with their sites and shapes"));
            all.extend(PARTS.iter().map(|(part, about, _)| resource(uri(part), name(part), about)));
        }
        all
    }

    /// The text of a resource.
    pub(super) fn read(&mut self, uri: &str) -> Result<String, ToolError> {
        let unknown = || ToolError::Resource(uri.into());
        let path = uri.strip_prefix("llmdbg://").ok_or_else(unknown)?;
        let (session, part) = path.split_once('/').ok_or_else(unknown)?;
        if part == "program" {
            let snapshot = self.snapshot(session)?;
            let line = |(number, op): (usize, &crate::engine::messages::OpLine)| {
                let mark = if number < snapshot.cursor { "*" } else { " " };
                format!("{number:5} {mark} {} {}", op.site, op.shape)
            };
            let lines: Vec<String> = snapshot.ops.iter().enumerate().map(line).collect();
            return Ok(self.bounded(format!("op, * if computed, site, shape\n{}", lines.join("\n"))));
        }
        let line = match part.strip_prefix("value/") {
            // A site is one word: nothing else of the language is reached from here.
            Some(site) if site.contains(|c: char| c.is_whitespace() || c.is_control()) => return Err(unknown()),
            Some(site) => format!("output {site}"),
            None => PARTS.iter().find(|(name, ..)| *name == part).ok_or_else(unknown)?.2.to_string(),
        };
        let answer = self.query(Some(session), &line)?;
        Ok(self.bounded(text::lines(&answer, None).join("\n")))
    }
}
