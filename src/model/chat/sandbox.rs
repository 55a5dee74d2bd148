//! Running a template in a separate process.
//!
//! The interpreter counts what a template does, but not everything: values that contain each other, or a list of twice
//! the same list forty times over, can still overflow the stack or compare for years.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::conversation::Conversation;
use super::error::ChatError;
use super::render::render;
use super::templates::Template;
use crate::model::sandbox::{self, Ended, Limits, Worker};

pub const ARGUMENT: &str = "--run-chat-template";

/// Five seconds, and addresses for the program itself, a stack of 256 MiB, and what the template makes.
const LIMITS: Limits = Limits { memory: 2 << 30, time: Duration::from_secs(5) };

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In this process: for templates that are trusted.
    #[default]
    Here,
    /// In a separate process, started from this program.
    Sandbox(PathBuf),
}

#[derive(Serialize, Deserialize)]
struct Task {
    template: Template,
    conversation: Conversation,
    tokens: BTreeMap<String, String>,
    prompt: bool,
}

impl Place {
    /// Runs a template; see [`render`].
    pub fn render(
        &self,
        template: &Template,
        conversation: &Conversation,
        tokens: &BTreeMap<String, String>,
        prompt: bool,
    ) -> Result<String, ChatError> {
        match self {
            Place::Here => render(template, conversation, tokens, prompt),
            Place::Sandbox(program) => {
                let (template, conversation, tokens) = (template.clone(), conversation.clone(), tokens.clone());
                run_in_sandbox(program, &Task { template, conversation, tokens, prompt })
            }
        }
    }
}

/// What the process does: carries tasks out.
pub fn serve(input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    sandbox::serve(LIMITS, input, output, &mut |request| {
        let outcome = serde_json::from_slice(&request).map(|task: Task| {
            let Task { template, conversation, tokens, prompt } = task;
            render(&template, &conversation, &tokens, prompt)
        });
        // What is not understood here, the other side does not understand either.
        outcome.and_then(|outcome| serde_json::to_vec(&outcome)).unwrap_or_default()
    })
}

fn run_in_sandbox(program: &Path, task: &Task) -> Result<String, ChatError> {
    let source_name = task.template.source.clone();
    let failed = |message: String| ChatError::Failed { source_name: source_name.clone(), line: None, message };
    let text = serde_json::to_vec(task).map_err(|error| failed(error.to_string()))?;
    let answer = Worker::start(program, ARGUMENT).and_then(|mut worker| worker.ask(&text, LIMITS.time));
    match answer {
        Ok(answer) => serde_json::from_slice(&answer)
            .unwrap_or_else(|_| Err(failed("the process that ran it gave no answer".into()))),
        Err(error @ Ended::NotStarted(_)) => Err(failed(error.to_string())),
        Err(error) => Err(ChatError::Runaway { source_name, line: None, message: error.to_string() }),
    }
}
