//! The sessions of a server: by name, one answer at a time, in parts of a bounded length.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use super::error::ToolError;
use super::{Allowed, Open, Running};
use crate::answer::{Answer, json as objects, text};
use crate::engine::messages::{Answered, Snapshot, Source};
use crate::engine::thread::Handle;
use crate::frontend::Action;
use crate::frontend::client::{Client, Given};
use crate::model::bundled;

/// Bytes of an answer that are given at once.
const PART: usize = 8000;

/// How many long answers are kept for `more`, and how much of each.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 4 << 20;

/// How many sessions there may be.
const MOST: usize = 8;

/// A session that was opened: its engine, and the flag that interrupts it.
pub struct Opened {
    pub handle: Handle,
    pub interrupt: Arc<AtomicBool>,
    /// What runs before anything is asked.
    pub actions: Vec<Action>,
}

/// The session that a program asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub model: String,
    pub prompt: Option<String>,
    pub name: Option<String>,
}

impl Wanted {
    pub(super) fn of(arguments: &Value) -> Result<Wanted, ToolError> {
        let text = |key: &str| arguments[key].as_str().map(String::from);
        let model = text("model").ok_or(ToolError::Missing("a model"))?;
        let name = text("name");
        let fits = |name: &String| {
            !name.is_empty() && name.len() <= 40 && name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c))
        };
        if name.as_ref().is_some_and(|name| !fits(name)) {
            return Err(ToolError::Name);
        }
        Ok(Wanted { model, prompt: text("prompt"), name })
    }
}

/// What a tool answers.
pub struct Text {
    pub text: String,
    /// The same for programs.
    pub object: Option<Value>,
    pub failed: bool,
}

impl Text {
    pub(super) fn plain(text: String) -> Text {
        Text { text, object: None, failed: false }
    }
}

struct Session {
    name: String,
    client: Client,
    interrupt: Arc<AtomicBool>,
    /// Whether its model is loaded.
    ready: bool,
    actions: Vec<Action>,
}

pub struct Sessions<'a> {
    all: Vec<Session>,
    open: Open<'a>,
    /// The one that was used last.
    current: usize,
    /// Long answers, and the number of the first.
    kept: VecDeque<(usize, String)>,
    answers: usize,
    /// The mark around data; nothing that a model says can contain it.
    mark: String,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(first: Option<Opened>, open: Open<'a>) -> Sessions<'a> {
        let mark = format!("{:08x}", RandomState::new().hash_one(std::process::id()) as u32);
        let mut sessions = Sessions { all: Vec::new(), open, current: 0, kept: VecDeque::new(), answers: 0, mark };
        if let Some(opened) = first {
            sessions.add("main".into(), opened);
        }
        sessions
    }

    fn add(&mut self, name: String, opened: Opened) {
        let Opened { handle, interrupt, actions } = opened;
        self.all.push(Session { name, client: Client::new(handle), interrupt, ready: false, actions });
        self.current = self.all.len() - 1;
    }

    /// Waits until the session that is current is ready. One that cannot be opened is removed.
    fn ready(&mut self) -> Result<Vec<String>, ToolError> {
        let mut notices = Vec::new();
        let session = &mut self.all[self.current];
        if session.ready {
            return Ok(Vec::new());
        }
        match session.client.ready(&Given::default(), &mut notices) {
            Ok(Ok(_)) => {
                session.ready = true;
                let mut notices: Vec<String> = String::from_utf8_lossy(&notices).lines().map(String::from).collect();
                for action in std::mem::take(&mut session.actions) {
                    let each = |answered: Answered| -> Result<(), std::convert::Infallible> {
                        if let Answer::Error(error) = answered.answer {
                            notices.push(format!("{}: {}", answered.line, error.message));
                        }
                        Ok(())
                    };
                    let Ok(_) = match action {
                        Action::Command(line) => session.client.command(&line, Source::Option, each, |_, _, _| ()),
                        Action::Script(file) => session.client.script(&file, true, each),
                    };
                }
                Ok(notices)
            }
            Ok(Err(ended)) => {
                self.all.remove(self.current);
                self.current = 0;
                Err(ended.into())
            }
            Err(error) => Err(ToolError::Failed(error.to_string())),
        }
    }

    fn find(&mut self, name: Option<&str>) -> Result<(), ToolError> {
        if let Some(name) = name {
            let at = self.all.iter().position(|session| session.name == name);
            let unknown = || ToolError::NoSession { name: name.into(), known: self.names().join(", ") };
            self.current = at.ok_or_else(unknown)?;
        }
        if self.all.is_empty() {
            return Err(ToolError::Nothing);
        }
        self.ready().map(drop)
    }

    pub(super) fn open(&mut self, wanted: &Wanted, allowed: Allowed) -> Result<Text, ToolError> {
        if self.all.len() >= MOST {
            return Err(ToolError::Full(MOST));
        }
        let here = bundled::find(&wanted.model).is_some() || std::path::Path::new(&wanted.model).exists();
        if !here && !allowed.outside {
            return Err(ToolError::NotHere(wanted.model.clone()));
        }
        let free = |name: &String| self.all.iter().all(|session| session.name != *name);
        let name = match &wanted.name {
            Some(name) if !free(name) => return Err(ToolError::Taken(name.clone())),
            Some(name) => name.clone(),
            None => (1..).map(|number| format!("s{number}")).find(free).unwrap_or_default(),
        };
        let opened = (self.open)(wanted)?;
        self.add(name.clone(), opened);
        let notices = self.ready()?;
        let mut text = format!("session {name}: {}", described(self.all[self.current].client.snapshot()));
        notices.iter().for_each(|notice| text += &format!("\n{notice}"));
        Ok(Text::plain(text))
    }

    pub(super) fn command(
        &mut self,
        session: Option<&str>,
        line: &str,
        json: bool,
        (running, id): (&Running, String),
        progress: impl FnMut(&str, u64, u64),
    ) -> Result<Text, ToolError> {
        self.find(session)?;
        let at = self.current;
        let session = &mut self.all[at];
        session.interrupt.store(false, Ordering::SeqCst);
        {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.get(&id).is_some_and(Option::is_some) {
                return Err(ToolError::Cancelled);
            }
            running.insert(id, Some(session.interrupt.clone()));
        }
        let (mut lines, mut object, mut failed, mut at_op) = (Vec::new(), None, false, None);
        let mut hint = "";
        let each = |answered: Answered| -> Result<(), std::convert::Infallible> {
            let Answered { line, answer, at, ms, printed, .. } = &answered;
            lines.extend(printed.iter().map(|line| text::visible_line(line)));
            lines.extend(text::lines(answer, None));
            failed = matches!(answer, Answer::Error(_));
            hint = next(answer);
            at_op = at.clone();
            object = json.then(|| objects::object(line, answer, at.as_ref(), *ms, printed));
            Ok(())
        };
        let Ok(ended) = session.client.command(line, Source::Option, each, progress);
        if let Some(ended) = ended {
            self.all.remove(at);
            self.current = 0;
            return Err(ended.into());
        }
        let name = self.all[at].name.clone();
        let place = match &at_op {
            Some(pc) if pc.site.is_empty() => format!("at the end of pass {}", pc.pass),
            Some(pc) => format!("before op {}, {}, pass {}", pc.op, pc.site, pc.pass),
            None => "no pass has begun".into(),
        };
        // An object may be as long as the text that it replaces.
        let object = object.filter(|object| object.to_string().len() <= PART);
        let cut = json && object.is_none();
        let mut body = self.bounded(lines.join("\n"));
        if cut {
            body += "\n(as an object it is too long; ask for a part of it)";
        }
        let hint = if hint.is_empty() { String::new() } else { format!("\nnext: {hint}") };
        Ok(Text { text: format!("{body}\n[{name}: {place}]{hint}"), object, failed })
    }

    /// A text between marks, cut to what is given at once; the rest is kept.
    pub(super) fn bounded(&mut self, body: String) -> String {
        let mark = &self.mark;
        let marked = |part: &str| format!("<output {mark}>\n{part}\n</output {mark}>");
        if body.len() <= PART {
            return marked(&body);
        }
        let end = cut(&body, 0);
        let (first, mut rest) = (marked(&body[..end]), body[end..].to_string());
        let whole = rest.len();
        rest.truncate(cut_at(&rest, KEPT_BYTES));
        self.answers += 1;
        self.kept.push_back((self.answers, rest));
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        format!("{first}\n({whole} bytes more: call more with handle \"{}:0\")", self.answers)
    }

    pub(super) fn more(&mut self, handle: &str) -> Result<Text, ToolError> {
        let parsed = handle.split_once(':').and_then(|(answer, from)| Some((answer.parse().ok()?, from.parse().ok()?)));
        let (answer, from): (usize, usize) = parsed.ok_or_else(|| ToolError::Handle(handle.into()))?;
        let found = self.kept.iter().find(|(number, _)| *number == answer);
        let (_, body) = found.ok_or(ToolError::Forgotten)?;
        if !body.is_char_boundary(from) || from >= body.len() {
            return Err(ToolError::Handle(handle.into()));
        }
        let end = cut(body, from);
        let mark = &self.mark;
        let mut text = format!("<output {mark}>\n{}\n</output {mark}>", &body[from..end]);
        if end < body.len() {
            text += &format!("\n({} bytes more: call more with handle \"{answer}:{end}\")", body.len() - end);
        }
        Ok(Text::plain(text))
    }

    pub(super) fn list(&mut self) -> String {
        let mut lines = Vec::new();
        for at in 0..self.all.len() {
            let Some(session) = self.all.get(at) else { break };
            let chosen = if at == self.current { " (current)" } else { "" };
            let snapshot = session.client.snapshot();
            let state = if !session.ready { "loading".to_string() } else { described(snapshot) };
            lines.push(format!("{}{chosen}: {state}", session.name));
        }
        if lines.is_empty() { "There is no session: open a model.".into() } else { lines.join("\n") }
    }

    pub(super) fn help(&mut self, topic: &str) -> Result<Text, ToolError> {
        let topic = if topic.is_empty() { "agent" } else { topic };
        // Help is one line, whatever was asked.
        let line = format!("help {}", topic.split(['\n', '\r']).next().unwrap_or_default());
        if topic == "agent" {
            return Ok(Text::plain(crate::commands::AGENT.to_string()));
        }
        let answer = self.query(None, &line)?;
        let failed = matches!(answer, Answer::Error(_));
        Ok(Text { failed, ..Text::plain(self.bounded(text::lines(&answer, None).join("\n"))) })
    }

    /// The answer of a read-only command.
    pub(super) fn query(&mut self, session: Option<&str>, line: &str) -> Result<Answer, ToolError> {
        self.find(session)?;
        self.all[self.current].client.query(line).map_err(ToolError::from)
    }

    pub(super) fn snapshot(&mut self, session: &str) -> Result<Arc<Snapshot>, ToolError> {
        self.find(Some(session))?;
        Ok(self.all[self.current].client.snapshot().clone())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|session| session.name.clone()).collect()
    }

    /// Ends the engines.
    pub(super) fn end(self) {
        for session in self.all {
            session.interrupt.store(true, Ordering::SeqCst);
            session.client.shut_down();
        }
    }
}

/// Where a part that begins at `from` ends: after a line, if one ends near enough.
fn cut(body: &str, from: usize) -> usize {
    let end = cut_at(body, from + PART);
    match body[from..end].rfind('\n') {
        Some(line) if end < body.len() && line > PART / 2 => from + line + 1,
        _ => end,
    }
}

/// The place before a byte at which a text can be cut.
fn cut_at(body: &str, most: usize) -> usize {
    (0..=most.min(body.len())).rev().find(|&at| body.is_char_boundary(at)).unwrap_or(0)
}

/// What one might ask after such an answer.
fn next(answer: &Answer) -> &'static str {
    match answer {
        Answer::Stop(_) => "output SITE, backtrace, step, continue",
        Answer::Table(table) if table.rest().is_some() => "the same command with -all or -top N",
        Answer::Error(_) => "help COMMAND has examples that run",
        _ => "",
    }
}

fn described(snapshot: &Snapshot) -> String {
    let Snapshot { model, dimensions, device, branch, pass, cursor, ops, live, tokens, .. } = snapshot;
    let place = match ops.get(*cursor) {
        _ if !live => "no pass has begun".into(),
        Some(op) => format!("before op {cursor} of {}, {}, pass {pass}", ops.len(), op.site),
        None => format!("at the end of pass {pass}"),
    };
    format!("{model} ({dimensions}, {} tokens) on {device}, branch {branch}, {place}", tokens.len())
}

/// An object of a resource.
pub(super) fn resource(uri: String, name: String, about: &str) -> Value {
    json!({"uri": uri, "name": name, "description": about, "mimeType": "text/plain"})
}
