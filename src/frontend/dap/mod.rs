//! `llmdbg dap`: the Debug Adapter Protocol on standard input and output, for editors.
//!
//! An editor knows sources, lines, threads, frames and variables. Here a generated listing of the model is the source, a
//! line for each op; a thread is a row of the batch; the frames are the modules around the cursor; variables are values,
//! nested by their named axes. Everything else of the debugger is typed into the editor's debug console.

mod listing;
mod message;
mod motion;
mod points;
mod requests;
mod values;

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, unbounded};
use serde_json::{Value, json};

use listing::Listing;
use message::read;
use points::Points;
use values::Reference;

use super::client::{Client, Ended, Given};
use super::mcp::Opened;
use crate::answer::{Answer, StopView};
use crate::engine::messages::{Answered, Source};

/// Opens the session that the words of a command line ask for; given by whoever knows how. An error is a message.
pub type Open<'a> = Box<dyn FnMut(&[String]) -> Result<Opened, Failure> + 'a>;

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Failure {
        match ended {
            Ended::Quit(_) => Failure("the session has ended".into()),
            Ended::Failed(message) => Failure(message),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure(error.to_string())
    }
}

fn failure<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure(message.into()))
}

/// Serves an editor until it disconnects; gives the exit status.
///
/// # Errors
/// If the output cannot be written.
pub fn serve(open: Open<'_>, mut input: impl BufRead + Send + 'static, out: &mut dyn Write) -> io::Result<i32> {
    let (sender, messages) = unbounded();
    let interrupt: Arc<Mutex<Option<Arc<AtomicBool>>>> = Arc::default();
    let flag = interrupt.clone();
    // Reads ahead, so that a pause overtakes the motion that it is about.
    std::thread::spawn(move || {
        while let Ok(Some(message)) = read(&mut input) {
            let stops = ["pause", "cancel", "disconnect", "terminate"];
            if message["command"].as_str().is_some_and(|command| stops.contains(&command))
                && let Some(flag) = flag.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            {
                flag.store(true, Ordering::SeqCst);
            }
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    let mut adapter = Adapter::new(open, messages, interrupt, out);
    adapter.run()?;
    if let Some(client) = adapter.client.take() {
        client.shut_down();
    }
    Ok(0)
}

struct Adapter<'a> {
    open: Open<'a>,
    messages: Receiver<Value>,
    interrupt: Arc<Mutex<Option<Arc<AtomicBool>>>>,
    out: &'a mut dyn Write,
    /// The number of the last message.
    number: i64,
    client: Option<Client>,
    listing: Listing,
    points: Points,
    /// What variables stand for, by their numbers less one; forgotten when the run moves.
    references: Vec<Reference>,
    /// What the editor counts from.
    first_line: i64,
    first_column: i64,
    shows_progress: bool,
    takes_invalidated: bool,
    stop_on_entry: bool,
    last_stop: Option<StopView>,
    /// Messages to send after the answer to the request.
    after: VecDeque<After>,
    ended: bool,
}

/// What follows the answer to a request.
enum After {
    Event(&'static str, Value),
    /// A command that moves the cursor.
    Motion(String),
    /// That a command of the console has moved it.
    Stopped(Option<Box<StopView>>),
}

impl<'a> Adapter<'a> {
    fn new(
        open: Open<'a>,
        messages: Receiver<Value>,
        interrupt: Arc<Mutex<Option<Arc<AtomicBool>>>>,
        out: &'a mut dyn Write,
    ) -> Adapter<'a> {
        Adapter {
            open,
            messages,
            interrupt,
            out,
            number: 0,
            client: None,
            listing: Listing::default(),
            points: Points::default(),
            references: Vec::new(),
            first_line: 1,
            first_column: 1,
            shows_progress: false,
            takes_invalidated: false,
            stop_on_entry: false,
            last_stop: None,
            after: VecDeque::new(),
            ended: false,
        }
    }

    fn run(&mut self) -> io::Result<()> {
        while !self.ended {
            let Ok(message) = self.messages.recv() else { return Ok(()) };
            if message["type"] != "request" {
                continue;
            }
            let command = message["command"].as_str().unwrap_or_default().to_string();
            let done = self.request(&command, &message["arguments"]);
            let mut answer = json!({
                "type": "response",
                "request_seq": message["seq"],
                "command": command,
                "success": done.is_ok(),
            });
            match done {
                Ok(body) => answer["body"] = body,
                Err(Failure(why)) => {
                    answer["message"] = json!(why.lines().next().unwrap_or_default());
                    answer["body"] = json!({"error": {"id": 1, "format": braced(&why), "showUser": true}});
                }
            }
            self.send(answer)?;
            while let Some(after) = self.after.pop_front() {
                match after {
                    After::Event(event, body) => self.event(event, body)?,
                    After::Motion(line) => self.motion(&line)?,
                    After::Stopped(stop) => self.stopped(stop.map(|stop| *stop))?,
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, mut message: Value) -> io::Result<()> {
        self.number += 1;
        message["seq"] = json!(self.number);
        message::write(self.out, &message)
    }

    fn event(&mut self, event: &str, body: Value) -> io::Result<()> {
        self.send(json!({"type": "event", "event": event, "body": body}))
    }

    fn client(&mut self) -> Result<&mut Client, Failure> {
        self.client.as_mut().ok_or_else(|| Failure("there is no session yet".into()))
    }

    /// Opens a session, and says that breakpoints can be set.
    fn start(&mut self, words: &[String]) -> Result<(), Failure> {
        if self.client.is_some() {
            return failure("there is a session already");
        }
        let Opened { handle, interrupt, actions } = (self.open)(words)?;
        *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(interrupt);
        let mut client = Client::new(handle);
        let mut notices = Vec::new();
        client.ready(&Given::default(), &mut notices)??;
        let mut said = String::from_utf8_lossy(&notices).into_owned();
        for action in actions {
            let each = |answered: Answered| -> Result<(), std::convert::Infallible> {
                if let Answer::Error(error) = answered.answer {
                    said += &format!("{}: {}\n", answered.line, error.message);
                }
                Ok(())
            };
            let Ok(_) = match action {
                super::Action::Command(line) => client.command(&line, Source::Option, each, |_, _, _| ()),
                super::Action::Script(file) => client.script(&file, true, each),
            };
        }
        self.listing = Listing::new(&mut client)?;
        self.client = Some(client);
        if !said.is_empty() {
            self.after.push_back(After::Event("output", json!({"category": "console", "output": said})));
        }
        self.after.push_back(After::Event("initialized", json!({})));
        Ok(())
    }

    /// The text of a read-only command.
    fn query(&mut self, line: &str) -> Result<Answer, Failure> {
        match self.client()?.query(line)? {
            Answer::Error(error) => failure(error.message),
            answer => Ok(answer),
        }
    }

    /// Runs a command that does not move the cursor; gives its answer.
    fn command(&mut self, line: &str) -> Result<Answer, Failure> {
        let mut found = Answer::Text(String::new());
        let each = |answered: Answered| -> Result<(), std::convert::Infallible> {
            if !answered.in_script {
                found = answered.answer;
            }
            Ok(())
        };
        let Ok(ended) = self.client()?.command(line, Source::Option, each, |_, _, _| ());
        match (ended, found) {
            (Some(ended), _) => Err(ended.into()),
            (None, Answer::Error(error)) => failure(error.message),
            (None, answer) => Ok(answer),
        }
    }
}

/// A text without variables.
fn braced(text: &str) -> String {
    text.replace('{', "(").replace('}', ")")
}
