//! Why a tool or a resource gives nothing.

use thiserror::Error;

use super::permission::Allowed;
use crate::frontend::client::Ended;

#[derive(Debug, Error)]
pub enum ToolError {
    #[error("there is no session {name}; sessions: {known}")]
    NoSession { name: String, known: String },
    #[error("there is no session: open a model first")]
    Nothing,
    #[error("there are {0} sessions already")]
    Full(usize),
    #[error("there is a session {0} already")]
    Taken(String),
    #[error("a name has letters, digits, - and _")]
    Name,
    #[error("{0} is not on this machine, and llmdbg mcp was started without --allow-outside, so it is not downloaded")]
    NotHere(String),
    #[error("{0} is needed")]
    Missing(&'static str),
    #[error("{word} changes the model or the session: llmdbg mcp was started without --allow-changes")]
    Changes { word: String },
    #[error(
        "{word} is not among the commands that stay inside the session (files, scripts, programs, blocks): llmdbg mcp was \
         started without --allow-outside; \"help\" lists the commands"
    )]
    Outside { word: String },
    #[error("cancelled")]
    Cancelled,
    #[error("{0} is not a handle")]
    Handle(String),
    #[error("this answer is not kept any more: run the command again")]
    Forgotten,
    #[error("there is no resource {0}")]
    Resource(String),
    #[error("the session has ended")]
    Quit,
    /// The session cannot be opened, or its engine has failed.
    #[error("{0}")]
    Failed(String),
}

impl From<Ended> for ToolError {
    fn from(ended: Ended) -> ToolError {
        match ended {
            Ended::Quit(_) => ToolError::Quit,
            Ended::Failed(message) => ToolError::Failed(message),
        }
    }
}

impl Allowed {
    /// What is allowed, in a sentence.
    pub fn words(self) -> &'static str {
        match (self.changes, self.outside) {
            (false, false) => "This server only looks: commands that change the model or write files are refused.",
            (true, false) => "Changes of the model are allowed; commands that write files or run programs are refused.",
            (false, true) => "Files may be written and programs run; commands that change the model are refused.",
            (true, true) => "Changes of the model, files and programs are allowed.",
        }
    }
}
