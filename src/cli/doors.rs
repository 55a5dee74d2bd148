//! `llmdbg serve`, `llmdbg mcp`, `llmdbg dap`: sessions that other programs use.

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use color_eyre::eyre::WrapErr;

use super::arguments::{Invocation, options, two_dashes, wrong};
use super::resume::{self, ResumeError};
use super::{Input, Options, init, open};
use crate::engine::journal::{Journal, Start};
use crate::engine::messages::{Request, Source};
use crate::engine::script::Reader;
use crate::engine::thread::{self, Handle, Setup};
use crate::frontend::dap::{self, Failure};
use crate::frontend::mcp::{self, Allowed, Opened, ToolError, Wanted};
use crate::frontend::shown::Shown;
use crate::frontend::{Action, MODEL_FAILED};
use crate::remote::{self, Door, Hub, Target, WireError};

/// How `serve` is to be called.
const USAGE: &str = "serve needs --stdio or --socket PATH first, then what llmdbg takes without it";

/// Reads the arguments of `serve`: the door, then those of a session.
pub(super) fn serve(arguments: &[OsString]) -> Result<Invocation, clap::Error> {
    let word = |at: usize| arguments.get(at).map(|word| word.to_string_lossy().into_owned());
    let (door, used) = match (word(2).as_deref(), word(3)) {
        (Some("--stdio"), _) => (Door::Stdio, 3),
        (Some("--socket"), Some(path)) => (Door::Socket(path.into()), 4),
        (Some(other), _) => match other.strip_prefix("--socket=").filter(|path| !path.is_empty()) {
            Some(path) => (Door::Socket(path.into()), 3),
            None => return Err(wrong(USAGE)),
        },
        (None, _) => return Err(wrong(USAGE)),
    };
    let options = of_session(arguments, used)?;
    Ok(Invocation::Serve(door, Box::new(options)))
}

/// Reads the arguments of `mcp`: what is allowed, then those of a session.
pub(super) fn mcp(arguments: &[OsString]) -> Result<Invocation, clap::Error> {
    let (mut allowed, mut used) = (Allowed::default(), 2);
    while let Some(flag) = arguments.get(used).and_then(|flag| flag.to_str()) {
        match flag {
            "--allow-changes" => allowed.changes = true,
            "--allow-outside" => allowed.outside = true,
            _ => break,
        }
        used += 1;
    }
    Ok(Invocation::Mcp(allowed, Box::new(of_session(arguments, used)?)))
}

/// Reads the arguments of `dap`, which are options of each session that the editor starts.
pub(super) fn dap(arguments: &[OsString]) -> Result<Invocation, clap::Error> {
    let options = of_session(arguments, 2)?;
    let base = arguments.iter().take(1).chain(arguments.iter().skip(2)).cloned().collect();
    Ok(Invocation::Dap(base, Box::new(options)))
}

/// The options of a session that no person sees, after the first words of the command line.
pub(super) fn of_session(arguments: &[OsString], used: usize) -> Result<Options, clap::Error> {
    let rest = arguments.iter().take(1).chain(arguments.iter().skip(used)).cloned().collect();
    let options = options(rest)?;
    for (given, name) in [
        (options.batch, "--batch"),
        (options.json, "--json"),
        (options.tui, "--tui"),
        (options.no_tui, "--no-tui"),
        (options.ascii, "--ascii"),
        (options.print_config, "--print-config"),
        (options.core.is_some(), "--core"),
    ] {
        if given {
            return Err(wrong(format!("{name} is an option of a session with a prompt or a screen")));
        }
    }
    Ok(options)
}

/// Runs a server until it ends; returns the exit status.
///
/// # Errors
/// If the thread of the engine or the socket cannot be made.
pub fn run_server(door: &Door, options: &Options) -> color_eyre::Result<i32> {
    if options.connect.is_some() {
        return complain("--connect is an option of clients, and not of a server", 2);
    }
    let open = match door.open() {
        Ok(open) => open,
        Err(error) => return complain(&error.to_string(), 2),
    };
    let used =
        if *door == Door::Stdio || std::env::args().nth(2).is_some_and(|word| word.contains('=')) { 3 } else { 4 };
    let arguments = std::env::args_os().skip(used).map(|word| word.to_string_lossy().into_owned()).collect();
    let interrupt = Arc::new(AtomicBool::new(false));
    let outlives = *door != Door::Stdio;
    let (engine, options) = match start(options.clone(), Some(arguments), &interrupt, true, outlives)? {
        Ok(started) => started,
        Err(error) => return complain(&error.to_string(), 2),
    };
    let (init, warning) = if options.init { init::init_files() } else { (Vec::new(), None) };
    let (mut start, mut reader) = (Vec::new(), Reader::default());
    for action in init.into_iter().map(Action::Script).chain(options.actions.iter().cloned()) {
        match action {
            Action::Script(file) => start.push(Request::Script { id: 0, file, keep_going: options.keep_going }),
            // A block may be given over several `-ex`.
            Action::Command(text) => {
                start.extend(reader.push_all(0, &text).into_iter().map(|command| Request::Command {
                    id: 0,
                    line: command.text,
                    source: Source::Option,
                }))
            }
        }
    }
    let hub = Hub::new(engine, interrupt, outlives, start);
    if let Some(warning) = warning {
        writeln!(Shown::new(io::stderr()), "llmdbg: {warning}")?;
    }
    if let Door::Socket(path) = door {
        writeln!(Shown::new(io::stderr()), "llmdbg: serving on {}; Ctrl-C ends the session", path.display())?;
        let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];
        let mut signals = signal_hook::iterator::Signals::new(signals)?;
        let ending = hub.clone();
        std::thread::spawn(move || signals.forever().for_each(|_| ending.shut_down()));
    }
    remote::serve(&hub, open);
    match hub.failure() {
        Some(failure) => complain(&failure, MODEL_FAILED),
        None => Ok(0),
    }
}

/// Serves agents on the input and the output; returns the exit status.
///
/// # Errors
/// If the thread of an engine cannot be started, or the output cannot be written.
pub fn run_mcp(allowed: Allowed, options: &Options) -> color_eyre::Result<i32> {
    let first = match options.model.is_some() || options.connect.is_some() || options.resume {
        true => match opened(options.clone())? {
            Ok(opened) => Some(opened),
            Err(error) => return complain(&error.to_string(), MODEL_FAILED),
        },
        false => None,
    };
    let open = |wanted: &Wanted| {
        let prompts = wanted.prompt.clone().into_iter().collect();
        let input = Input { prompts, ..Input::default() };
        let another = Options {
            model: Some(wanted.model.clone()),
            input,
            connect: None,
            resume: false,
            lora: None,
            actions: Vec::new(),
            ..options.clone()
        };
        match opened(another) {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(ToolError::Failed(error.to_string())),
            Err(error) => Err(ToolError::Failed(error.to_string())),
        }
    };
    let input = io::BufReader::new(io::stdin());
    let served = mcp::serve(first, Box::new(open), allowed, input, &mut io::stdout());
    match served {
        // The program at the other end may leave as it likes.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        served => Ok(served.unwrap_or(0)),
    }
}

/// Serves an editor on the input and the output; returns the exit status. `base` is the beginning of the command line that
/// the editor's configuration goes on with.
///
/// # Errors
/// If the thread of an engine cannot be started, or the output cannot be written.
pub fn run_dap(base: &[OsString]) -> color_eyre::Result<i32> {
    let fail = |error: &dyn std::fmt::Display| Failure(error.to_string());
    let open = |words: &[String]| {
        let all: Vec<OsString> = base.iter().cloned().chain(words.iter().map(Into::into)).collect();
        let first = |error: clap::Error| Failure(error.to_string().lines().next().unwrap_or_default().to_string());
        let options = of_session(&two_dashes(all), 1).map_err(first)?;
        if words.iter().any(|word| word == "--log" || word.starts_with("--log=")) {
            return Err(Failure("--log belongs to the arguments of llmdbg dap itself".into()));
        }
        opened(options).map_err(|error| fail(&error))?.map_err(|error| fail(&error))
    };
    match dap::serve(Box::new(open), io::BufReader::new(io::stdin()), &mut io::stdout()) {
        // The editor may leave as it likes.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        served => Ok(served.unwrap_or(0)),
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Remote(#[from] WireError),
}

/// A session for a frontend that is a program: here, or elsewhere.
pub(super) fn opened(options: Options) -> color_eyre::Result<Result<Opened, NotOpened>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    if let Some(target) = &options.connect {
        return Ok(match remote::connect(&Target::parse(target), interrupt.clone()) {
            Ok(connected) => Ok(Opened { handle: connected.handle, interrupt, actions: options.actions }),
            Err(error) => Err(error.into()),
        });
    }
    let (handle, options) = match start(options, None, &interrupt, false, false)? {
        Ok(started) => started,
        Err(error) => return Ok(Err(error.into())),
    };
    let init = if options.init { init::init_files().0 } else { Vec::new() };
    let actions = init.into_iter().map(Action::Script).chain(options.actions).collect();
    Ok(Ok(Opened { handle, interrupt, actions }))
}

/// Starts the engine of a session, with a journal if there are arguments to resume it by; gives the options too, which are others if it is resumed. The inner
/// error is a mistake on the command line.
pub(super) fn start(
    mut options: Options,
    arguments: Option<Vec<String>>,
    interrupt: &Arc<AtomicBool>,
    drawn: bool,
    outlives: bool,
) -> color_eyre::Result<Result<(Handle, Options), ResumeError>> {
    let resumes = options.resume;
    if resumes {
        options = match resume::resumed(&options) {
            Ok(options) => options,
            Err(error) => return Ok(Err(error)),
        };
    }
    let began = arguments.clone().map(Start::of);
    let journal = match (Journal::folder(), arguments) {
        // A resumed session continues its own journal.
        (Some(folder), Some(arguments)) if !resumes => Journal::new(&folder, arguments),
        _ => Journal::Off,
    };
    let setup = Setup { journal, start: began, own_files: init::own_files(), drawn, outlives };
    let (opened, flag) = (options.clone(), interrupt.clone());
    let engine = thread::spawn(move || open::open(&opened, flag), interrupt.clone(), setup)
        .wrap_err("cannot start the engine thread")?;
    Ok(Ok((engine, options)))
}

fn complain(message: &str, status: i32) -> color_eyre::Result<i32> {
    writeln!(Shown::new(io::stderr()), "llmdbg: {message}")?;
    Ok(status)
}
