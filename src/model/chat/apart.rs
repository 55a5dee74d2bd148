//! Running a template in a process of its own.
//!
//! The interpreter counts what a template does, but not everything: values that contain each other, or a list of twice the
//! same list forty times over, can still overflow the stack or compare for years. A process can be ended from outside
//! whatever it does, so templates of models run in one: this program again, with limits of the system on its memory and its
//! time.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::conversation::Conversation;
use super::error::ChatError;
use super::render::render;
use super::templates::Template;

/// The argument with which the program is started for this.
pub const ARGUMENT: &str = "--run-chat-template";

/// Time that a template may take.
const TIME: Duration = Duration::from_secs(5);

/// Addresses that the process may use: the program itself, a stack of 256 MiB, and what the template makes.
const MEMORY: u64 = 2 << 30;

/// Longest answer that is taken from the process.
const ANSWER: u64 = 256 << 20;

/// Where templates are run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In this process: for templates that are trusted.
    #[default]
    Here,
    /// In a process of its own, started from this program.
    Apart(PathBuf),
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
            Place::Apart(program) => {
                let (template, conversation, tokens) = (template.clone(), conversation.clone(), tokens.clone());
                apart(program, &Task { template, conversation, tokens, prompt })
            }
        }
    }
}

/// What the process does: reads a task, carries it out, writes the outcome.
pub fn serve(input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    // What cannot be limited is still bounded by the time that the parent grants.
    let limit = |resource, most: u64| _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::As, MEMORY);
    limit(Resource::Cpu, 2 * TIME.as_secs());
    limit(Resource::Core, 0);
    let task: Task = serde_json::from_reader(input)?;
    let outcome = render(&task.template, &task.conversation, &task.tokens, task.prompt);
    serde_json::to_writer(&mut *output, &outcome)?;
    output.flush()
}

fn apart(program: &Path, task: &Task) -> Result<String, ChatError> {
    let source_name = task.template.source.clone();
    let failed = |message: String| ChatError::Failed { source_name: source_name.clone(), line: None, message };
    let runaway = |message: String| ChatError::Runaway { source_name: source_name.clone(), line: None, message };
    let text = serde_json::to_vec(task).map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(format!("cannot start a process to run it in: {error}")))?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let answer = thread::scope(|scope| {
        scope.spawn(move || input.map(|mut input| input.write_all(&text)));
        let reader = scope.spawn(move || {
            let mut answer = Vec::new();
            let read = output.map(|output| output.take(ANSWER).read_to_end(&mut answer));
            (answer, read)
        });
        let ended = ends_in_time(&mut child);
        let (answer, _) = reader.join().unwrap_or_default();
        (ended, answer)
    });
    match answer {
        (Ok(true), answer) => match serde_json::from_slice(&answer) {
            Ok(outcome) => outcome,
            Err(_) => Err(failed("the process that ran it gave no answer".into())),
        },
        (Ok(false), _) => Err(runaway(format!("it takes more than {} seconds", TIME.as_secs()))),
        (Err(message), _) => Err(runaway(message)),
    }
}

/// Waits for the end of the process, and ends it when its time is over. Gives whether it ended well by itself, or what it
/// died of.
fn ends_in_time(child: &mut Child) -> Result<bool, String> {
    let end = Instant::now() + TIME;
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(true),
            Ok(Some(_)) => return Err("it needs too much memory, or calls itself without end".into()),
            Ok(None) if Instant::now() < end => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            ended => {
                // It may have ended by itself in the meantime.
                _ = child.kill();
                _ = child.wait();
                return ended.map(|_| false).map_err(|error| error.to_string());
            }
        }
    }
}
