//! What can go wrong between a conversation and its text.

use serde::{Deserialize, Serialize};

/// A conversation that cannot become text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ChatError {
    /// The model has no template.
    #[error(
        "the model has no chat template (no chat_template.jinja, none in tokenizer_config.json): give the prompt as the model \
         was trained on it, or a template with --chat-template FILE"
    )]
    NoTemplate,
    /// The template that was named does not exist.
    #[error("no chat template {name:?}, neither of the model ({}) nor as a file", listed(.names))]
    NoSuchTemplate {
        /// What was named.
        name: String,
        /// The templates of the model.
        names: Vec<String>,
    },
    /// Several templates, none of which is the default.
    #[error("the model has several chat templates and none is the default: choose one with --chat-template: {}", listed(.names))]
    NoDefault {
        /// Their names.
        names: Vec<String>,
    },
    /// A template file that cannot be read.
    #[error("cannot read the chat template {path}: {message}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        message: String,
    },
    /// A conversation without messages.
    #[error("the conversation has no messages: give a prompt with -p, or a file with --chat-file")]
    Empty,
    /// A file that holds no conversation.
    #[error(
        "{path} holds no conversation: {message}; expected a list of messages such as [{{\"role\": \"user\", \"content\": \
         \"Hello\"}}], or an object with that list under \"messages\""
    )]
    NoConversation {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The template refuses the conversation.
    #[error("the chat template refuses this conversation: {message}")]
    Refused {
        /// What it says.
        message: String,
    },
    /// The template is wrong.
    #[error("the chat template of {source_name} fails{}: {message}", at(*.line))]
    Failed {
        /// Where it comes from.
        source_name: String,
        /// Line in it.
        line: Option<usize>,
        /// What the interpreter says.
        message: String,
    },
    /// The template asks for more work than any conversation needs.
    #[error("the chat template of {source_name} was stopped{}: {message}; it is broken or hostile", at(*.line))]
    Runaway {
        /// Where it comes from.
        source_name: String,
        /// Line in it.
        line: Option<usize>,
        /// Which limit it met.
        message: String,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "it has none".into() } else { names.join(", ") }
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" in line {line}"))
}
