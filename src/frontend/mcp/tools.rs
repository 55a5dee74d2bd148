//! The tools, as they are described to a program.

use serde_json::{Value, json};

use super::Allowed;

/// The tools, few and general.
pub fn list(allowed: Allowed) -> Value {
    let session = json!({"type": "string", "description": "Name of the session; the last one used without it"});
    let object = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let read_only = !allowed.changes && !allowed.outside;
    let annotations = |read_only: bool| json!({"readOnlyHint": read_only, "destructiveHint": false, "openWorldHint": allowed.outside});
    json!([
        {
            "name": "command",
            "title": "Run a debugger command",
            "description": format!(
                "Runs one command line, such as `until L2.attn.pattern`, `output logit(\" Mary\")` or `lens`, and gives its \
                 answer. {} Call help for the commands.",
                allowed.words()
            ),
            "inputSchema": object(
                json!({
                    "session": session,
                    "line": {"type": "string", "description": "The command, on one line"},
                    "format": {"type": "string", "enum": ["text", "json"], "description": "json gives exact numbers"},
                }),
                &["line"],
            ),
            "annotations": annotations(read_only),
        },
        {
            "name": "open",
            "title": "Open a model",
            "description": "Opens a model of this machine in a new session: a folder, a GGUF file, or a bundled model such as tiny-gpt2.",
            "inputSchema": object(
                json!({
                    "model": {"type": "string"},
                    "prompt": {"type": "string", "description": "Text for the model to read"},
                    "name": {"type": "string", "description": "Name of the session"},
                }),
                &["model"],
            ),
            "annotations": annotations(true),
        },
        {
            "name": "sessions",
            "title": "List the sessions",
            "description": "The sessions: name, model, prompt, and where the cursor of each is.",
            "inputSchema": object(json!({}), &[]),
            "annotations": annotations(true),
        },
        {
            "name": "help",
            "title": "Read the manual",
            "description": "How to drive the debugger, in a page; or a command, a group of commands or a function.",
            "inputSchema": object(json!({"topic": {"type": "string", "description": "Such as break, explaining, functions"}}), &[]),
            "annotations": annotations(true),
        },
        {
            "name": "more",
            "title": "Read on",
            "description": "The next part of an answer that was too long, by the handle that it ended with.",
            "inputSchema": object(json!({"handle": {"type": "string"}}), &["handle"]),
            "annotations": annotations(true),
        },
    ])
}
