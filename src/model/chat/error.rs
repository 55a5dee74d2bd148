//! What can go wrong between a conversation and its text.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ChatError {
    #[error(
        "the model has no chat template (no chat_template.jinja, none in tokenizer_config.json): give the prompt as \
         the model was trained on it, or a template with --chat-template FILE"
    )]
    NoTemplate,
    #[error("no chat template {name:?} in the model ({}) or as a file", listed(.names))]
    NoSuchTemplate { name: String, names: Vec<String> },
    #[error(
        "the model has several chat templates and none is the default: choose one with --chat-template: {}",
        listed(.names)
    )]
    NoDefault { names: Vec<String> },
    #[error("cannot read the chat template {path}: {message}")]
    Unreadable { path: String, message: String },
    #[error("the conversation has no messages: give a prompt with -p, or a file with --chat-file")]
    Empty,
    #[error(
        "{path} holds no conversation: {message}; expected a list of messages such as [{{\"role\": \"user\", \
         \"content\": \"Hello\"}}], or an object with that list under \"messages\""
    )]
    NoConversation { path: String, message: String },
    #[error("the chat template refuses this conversation: {message}")]
    Refused { message: String },
    #[error("the chat template of {source_name} fails{}: {message}", at(*.line))]
    Failed { source_name: String, line: Option<usize>, message: String },
    #[error("the chat template of {source_name} was stopped{}: {message}; it is broken or hostile", at(*.line))]
    Runaway { source_name: String, line: Option<usize>, message: String },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "it has none".into() } else { names.join(", ") }
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" in line {line}"))
}
