//! The plain prompt: works on any terminal, with `TERM=dumb`, and with commands from a pipe.
//!
//! With a keyboard the prompt has line editing, completion and the history file; Ctrl-C interrupts a running model and
//! clears the line at the prompt, Ctrl-D quits. Otherwise lines are read as they are and nothing is echoed.

use std::cell::RefCell;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History as _, MemHistory};
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::client::{Client, Ended, Given};
use super::progress::Line as ProgressLine;
use super::{Action, BLOCK_PROMPT, MODEL_FAILED, PROMPT, print};
use crate::answer::Answer;
use crate::answer::text::is_unsafe;
use crate::engine::history::History;
use crate::engine::messages::{Answered, Snapshot, Source};
use crate::engine::script::Reader;
use crate::engine::thread::Handle;
use crate::term::capabilities::size;

pub struct Plain<'a> {
    pub given: Given<'a>,
    pub banner: bool,
    /// Whether the output is a terminal, whose width tables are made to fit.
    pub terminal: bool,
}

pub enum Input<'a> {
    /// A keyboard: line editing, with a history file.
    Keyboard { history: Option<&'a Path> },
    /// A pipe or file.
    Lines(&'a mut dyn BufRead),
}

/// Runs a session at a prompt and gives the exit status: that of `quit`, 0 at the end of the input, 4 when there is no
/// engine (any more).
pub fn run(handle: Handle, plain: Plain<'_>, input: Input<'_>, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    let client = Rc::new(RefCell::new(Client::new(handle)));
    let mut lines: Box<dyn Lines> = match input {
        Input::Lines(lines) => Box::new(lines),
        Input::Keyboard { history } => match Keyboard::open(client.clone(), history) {
            Ok(keyboard) => Box::new(keyboard),
            Err(error) => {
                _ = writeln!(err, "llmdbg: cannot read from the terminal: {error}");
                return 1;
            }
        },
    };
    let status = match (Session { client: &client, out, err, terminal: plain.terminal }).run(&plain, lines.as_mut()) {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            tracing::error!("plain mode ends: {error}");
            1
        }
    };
    drop(lines);
    if let Ok(client) = Rc::try_unwrap(client) {
        client.into_inner().shut_down();
    }
    status
}

enum Line {
    Text(String),
    Interrupted,
    End,
}

trait Lines {
    fn next(&mut self, prompt: &str) -> io::Result<Line>;

    /// Whether the end of the input leaves the cursor after a prompt.
    fn leaves_prompt(&self) -> bool {
        false
    }
}

impl Lines for &mut dyn BufRead {
    fn next(&mut self, _: &str) -> io::Result<Line> {
        let mut line = String::new();
        Ok(if self.read_line(&mut line)? == 0 { Line::End } else { Line::Text(line) })
    }
}

struct Session<'a> {
    client: &'a RefCell<Client>,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    terminal: bool,
}

impl Session<'_> {
    fn run(&mut self, plain: &Plain<'_>, lines: &mut dyn Lines) -> io::Result<i32> {
        match self.until_end(plain, lines)? {
            None => Ok(0),
            Some(Ended::Quit(status)) => Ok(status),
            Some(Ended::Failed(message)) => {
                writeln!(self.err, "llmdbg: {message}")?;
                Ok(MODEL_FAILED)
            }
        }
    }

    /// Runs until the end of the input, or of the engine.
    fn until_end(&mut self, plain: &Plain<'_>, lines: &mut dyn Lines) -> io::Result<Option<Ended>> {
        let given = &plain.given;
        let ready = self.client.borrow_mut().ready(given, self.err)?;
        match ready {
            Ok(snapshot) if plain.banner => writeln!(self.out, "{}", banner(&snapshot))?,
            Ok(_) => {}
            Err(ended) => return Ok(Some(ended)),
        }
        let mut reader = Reader::default();
        for action in given.actions {
            match action {
                Action::Command(text) => {
                    for command in reader.push_all(0, text) {
                        // Progress is shown for commands before the prompt, such as those of a resumed session.
                        let ended = self.command(&command.text, Source::Option, given.progress)?;
                        if ended.is_some() {
                            return Ok(ended);
                        }
                    }
                }
                Action::Script(file) => {
                    let width = self.width();
                    let show = |answered: Answered| show(self.out, self.err, &answered, width);
                    let ended = self.client.borrow_mut().script(file, given.keep_going, show)?;
                    if ended.is_some() {
                        return Ok(ended);
                    }
                }
            }
        }
        loop {
            let prompt = if reader.is_open() { BLOCK_PROMPT } else { PROMPT };
            let line = match lines.next(prompt)? {
                Line::Text(line) => line,
                Line::Interrupted => {
                    reader.abandon();
                    continue;
                }
                Line::End => {
                    if lines.leaves_prompt() {
                        writeln!(self.out)?;
                    }
                    return Ok(None);
                }
            };
            let command = if line.trim().is_empty() && !reader.is_open() {
                Some(String::new())
            } else {
                reader.push(0, &line).map(|command| command.text)
            };
            if let Some(command) = command
                && let Some(ended) = self.command(&command, Source::Prompt, given.progress && self.terminal)?
            {
                return Ok(Some(ended));
            }
        }
    }

    /// Columns of the terminal, asked for each time: windows change.
    fn width(&self) -> Option<usize> {
        let (columns, _) = self.terminal.then(size)?.ok()?;
        Some(columns.into()).filter(|columns| *columns > 0)
    }

    /// Runs a command and shows its progress if `progress` is set.
    fn command(&mut self, line: &str, source: Source, progress: bool) -> io::Result<Option<Ended>> {
        let width = self.width();
        let (out, err) = (&mut *self.out, RefCell::new((&mut *self.err, ProgressLine::new(progress))));
        let report = |what: &str, done: u64, total: u64| {
            let (err, line) = &mut *err.borrow_mut();
            line.report_command(*err, what, done, total);
        };
        let answered = |answered: Answered| {
            let (err, line) = &mut *err.borrow_mut();
            line.clear(*err)?;
            show(out, *err, &answered, width)
        };
        self.client.borrow_mut().command(line, source, answered, report)
    }
}

fn show(out: &mut dyn Write, err: &mut dyn Write, answered: &Answered, width: Option<usize>) -> io::Result<()> {
    print::answer(out, answered, width)?;
    match &answered.answer {
        Answer::Error(error) => print::error(err, error, ""),
        _ => Ok(()),
    }
}

fn banner(snapshot: &Snapshot) -> String {
    format!(
        "llmdbg {}: {}  {}. Type \"help\" for help.\n{}",
        env!("CARGO_PKG_VERSION"),
        snapshot.model,
        snapshot.dimensions,
        snapshot.device_reason
    )
}

struct Keyboard {
    editor: Editor<Assistant, MemHistory>,
    history: History,
}

impl Keyboard {
    fn open(client: Rc<RefCell<Client>>, file: Option<&Path>) -> Result<Keyboard, ReadlineError> {
        let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
        let lines = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, lines)?;
        editor.set_helper(Some(Assistant { client }));
        let history = match file.map(History::open).transpose() {
            Ok(history) => history.unwrap_or_default(),
            Err(error) => {
                tracing::warn!("no history file: {error}");
                History::default()
            }
        };
        for line in history.lines() {
            editor.history_mut().add(line)?;
        }
        Ok(Keyboard { editor, history })
    }
}

impl Lines for Keyboard {
    fn next(&mut self, prompt: &str) -> io::Result<Line> {
        match self.editor.readline(prompt) {
            Ok(line) => {
                self.editor.add_history_entry(&line).map_err(io::Error::other)?;
                if let Err(error) = self.history.push(&line) {
                    tracing::warn!("history file: {error}");
                }
                Ok(Line::Text(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(ReadlineError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn leaves_prompt(&self) -> bool {
        true
    }
}

/// Completes from the session. The engine is idle while a line is edited, so waiting for it is short.
struct Assistant {
    client: Rc<RefCell<Client>>,
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, cursor: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, mut candidates) = self.client.borrow_mut().complete(line, cursor);
        // The editor writes them as they are.
        candidates.retain(|candidate| !candidate.contains(is_unsafe));
        Ok((start, candidates))
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::engine;
    use crate::remote::testing::far_engine;

    fn plain(actions: &[Action], banner: bool, input: &str) -> (i32, String, String) {
        let ran = |engine| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut input = io::Cursor::new(input.to_string());
            let plain = Plain { given: Given { actions, ..Given::default() }, banner, terminal: false };
            let status = run(engine, plain, Input::Lines(&mut input), &mut out, &mut err);
            (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
        };
        let found = ran(engine());
        // Every test is one of a session elsewhere too.
        assert_eq!(ran(far_engine()), found);
        found
    }

    #[test]
    fn piped_commands_go_on_after_errors_and_are_not_echoed() {
        let (status, out, err) = plain(&[], false, "say a\nnonsense\n  say b");
        assert_eq!((status, out.as_str(), err.as_str()), (0, "a\nb\n", "undefined command \"nonsense\"\n"));
    }

    #[test]
    fn empty_lines_repeat() {
        assert_eq!(plain(&[], false, "step\n\n# note\n\n").1, "at op 1\nat op 2\nat op 3\n");
    }

    #[test]
    fn quit_gives_the_status() {
        assert_eq!(plain(&[], false, "quit 3\nsay a\n"), (3, String::new(), String::new()));
        assert_eq!(plain(&[Action::Command("quit 4".into())], false, "say a\n").0, 4);
    }

    #[test]
    fn banner_actions_and_blocks() {
        let actions = [Action::Command("commands 1".into()), Action::Command("end".into())];
        let (_, out, _) = plain(&actions, true, "commands 2\nsilent\n\nend\n");
        let banner = concat!(
            "llmdbg ",
            env!("CARGO_PKG_VERSION"),
            ": fake  1L 1H d1 f32. Type \"help\" for help.\ndevice: cpu (asked for)\n"
        );
        assert_eq!(out, format!("{banner}block of 2 lines\nblock of 3 lines\n"));
    }

    #[test]
    fn scripts_report_places() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ldb");
        std::fs::write(&file, "say in\nnonsense\n").unwrap();
        let (status, out, err) = plain(&[Action::Script(file.clone())], false, "say after\n");
        let name = file.display();
        assert_eq!((status, out.as_str()), (0, "in\nafter\n"));
        assert_eq!(err, format!("{name}:2: undefined command \"nonsense\"\n{name}: stopped at line 2\n"));
    }
}
