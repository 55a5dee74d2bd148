//! Command line -> engine -> frontend -> exit status.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use color_eyre::eyre::WrapErr;
use llmdbg::cli::trust::Trust;
use llmdbg::cli::{self, ColorChoice, Frontend, Invocation, Options, Surroundings, doors, pages};
use llmdbg::engine::history::History;
use llmdbg::engine::journal::{Journal, Start};
use llmdbg::engine::thread::{self, Setup};
use llmdbg::frontend::batch::{self, Batch};
use llmdbg::frontend::client::Given;
use llmdbg::frontend::plain::{self, Input, Plain};
use llmdbg::frontend::shown::Shown;
use llmdbg::frontend::tui::{self, TuiOptions};
use llmdbg::frontend::{self, Action};
use llmdbg::model::{bundled, chat, sandbox, tokenizer};
use llmdbg::remote::{self, Target};
use llmdbg::term::ColorDepth;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

fn main() -> color_eyre::Result<ExitCode> {
    color_eyre::config::HookBuilder::default().display_env_section(false).install()?;
    // This program starts itself again to run chat templates and tokenizers, which may be hostile, under limits.
    let serve = match std::env::args_os().nth(1).as_ref().and_then(|first| first.to_str()) {
        Some(chat::sandbox::ARGUMENT) => {
            Some(chat::sandbox::serve as fn(&mut dyn Read, &mut dyn Write) -> io::Result<()>)
        }
        Some(tokenizer::sandbox::ARGUMENT) => Some(tokenizer::sandbox::serve as _),
        _ => None,
    };
    if let Some(serve) = serve {
        serve(&mut io::stdin().lock(), &mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    sandbox::allow();
    let (mut options, tour) = match cli::parse(std::env::args_os()) {
        Ok(Invocation::Debug(options)) => (*options, false),
        Ok(Invocation::Tour(options)) => (*options, true),
        Ok(Invocation::Models) => return printed(cli::models::list),
        Ok(Invocation::Completions(shell)) => return printed(|out| pages::completions(shell, out)),
        Ok(Invocation::Trust(file)) => return trust_file(&file),
        Ok(Invocation::PrintConfig) => return printed(|out| cli::settings::print(out)),
        Ok(Invocation::Serve(door, options)) => return logged(&options, |options| doors::run_server(&door, options)),
        Ok(Invocation::Mcp(allowed, options)) => return logged(&options, |options| doors::run_mcp(allowed, options)),
        Ok(Invocation::Dap(base, options)) => return logged(&options, |_| doors::run_dap(&base)),
        Ok(Invocation::Core(file, part)) => {
            return match cli::core_file::show(&file, &part, &mut Shown::new(io::stdout())) {
                Ok(Ok(())) => Ok(ExitCode::SUCCESS),
                Ok(Err(error)) => usage(&error.to_string()),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
                Err(error) => Err(error.into()),
            };
        }
        Ok(Invocation::AgentHelp) => return printed(|out| write!(out, "{}", llmdbg::commands::AGENT)),
        Ok(Invocation::Attach(socket)) => return attach(&socket),
        Ok(Invocation::Manual) => return printed(|out| pages::manual(out)),
        // The help and the version contain no text of the user.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            write!(stderr(), "{}", error.render())?;
            return Ok(ExitCode::from(2));
        }
    };
    if let Some(file) = options.core.clone() {
        options = match cli::core_file::options(&options, &file) {
            Ok(options) => options,
            Err(error) => return usage(&error.to_string()),
        };
    } else if options.resume {
        options = match cli::resume::resumed(&options) {
            Ok(options) => options,
            Err(error) => return usage(&error.to_string()),
        };
    }
    if let Some(file) = &options.log
        && let Err(error) = log_to(file)
    {
        return usage(&format!("cannot write the log {}: {error}", file.display()));
    }
    let around = Surroundings {
        stdin_is_terminal: io::stdin().is_terminal(),
        stdout_is_terminal: io::stdout().is_terminal(),
        dumb: std::env::var_os("TERM").is_some_and(|term| term == "dumb"),
    };
    let frontend = options.frontend(around);
    if tour && frontend != Frontend::Tui {
        return usage(
            "the tour needs the full-screen interface, on a terminal that is not dumb; docs/tour.md has it as text",
        );
    }
    let interrupt = Arc::new(AtomicBool::new(false));
    let journal = match (frontend, Journal::folder()) {
        (Frontend::Batch, _) | (_, None) => Journal::Off,
        // A resumed session continues its own journal.
        _ if options.resume || options.core.is_some() => Journal::Off,
        (_, Some(folder)) => Journal::new(&folder, arguments()),
    };
    let drawn = frontend == Frontend::Tui;
    let start = Some(Start::of(arguments()));
    let setup = Setup { journal, start, own_files: cli::init::own_files(), drawn, outlives: false };
    let mut drives = true;
    let engine = if let Some(target) = &options.connect {
        match remote::connect(&Target::parse(target), interrupt.clone()) {
            Ok(connected) => {
                drives = connected.drives;
                connected.handle
            }
            Err(error) => {
                writeln!(stderr(), "llmdbg: {error}")?;
                return Ok(ExitCode::from(frontend::MODEL_FAILED as u8));
            }
        }
    } else {
        let (options, flag) = (options.clone(), interrupt.clone());
        let here = thread::spawn(move || cli::open::open(&options, flag), interrupt.clone(), setup);
        here.and_then(|here| remote::switchable(here, interrupt.clone())).wrap_err("cannot start the engine thread")?
    };
    let status = show(engine, &options, frontend, around, interrupt, tour, drives)?;
    // The system keeps the low byte of a status, so `quit -1` is 255.
    Ok(ExitCode::from(status as u8))
}

/// The command line without the program; invalid UTF-8 is replaced.
fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// Runs the session on its frontend; returns the exit status.
fn show(
    engine: thread::Handle,
    options: &Options,
    frontend: Frontend,
    around: Surroundings,
    interrupt: Arc<AtomicBool>,
    tour: bool,
    drives: bool,
) -> color_eyre::Result<i32> {
    let (mut out, mut err) = (Shown::new(io::stdout()), stderr());
    let mut stdin = io::stdin().lock();
    // A session elsewhere has its own init files.
    let (init, warning) =
        if options.init && options.connect.is_none() { cli::init::init_files() } else { (Vec::new(), None) };
    let actions: Vec<Action> = init.into_iter().map(Action::Script).chain(options.actions.iter().cloned()).collect();
    if let (Some(warning), true) = (&warning, frontend != Frontend::Tui) {
        writeln!(err, "llmdbg: {warning}")?;
    }
    let progress = io::stderr().is_terminal();
    let given = Given { actions: &actions, keep_going: options.keep_going, progress, loaded: None };
    match frontend {
        Frontend::Batch => {
            let input = options.reads_input_in_batch().then_some(&mut stdin as _);
            let loaded = cancel_on_interrupt(interrupt)?;
            let batch = Batch { given: Given { loaded: Some(&loaded), ..given }, input, json: options.json };
            Ok(batch::run(engine, batch, &mut out, &mut err))
        }
        Frontend::Tui => {
            drop(stdin);
            let options = TuiOptions { tour, ..tui_options(options, &actions, warning, drives) };
            tui::run(engine.requests.clone(), engine.events.clone(), interrupt, options)
        }
        Frontend::Plain => {
            let history = History::default_file();
            let mut loaded = None;
            let input = if around.stdin_is_terminal {
                // The line editor reads the terminal itself; a held lock would keep it waiting.
                drop(stdin);
                signal_hook::flag::register(signal_hook::consts::SIGINT, interrupt)?;
                Input::Keyboard { history: history.as_deref() }
            } else {
                loaded = Some(cancel_on_interrupt(interrupt)?);
                Input::Lines(&mut stdin)
            };
            let given = Given { loaded: loaded.as_deref(), ..given };
            let plain = Plain { given, banner: !options.quiet, terminal: around.stdout_is_terminal };
            Ok(plain::run(engine, plain, input, &mut out, &mut err))
        }
    }
}

/// Makes Ctrl-C cancel a download or the loading cleanly until the flag that it returns is set; after that, or the
/// second time, Ctrl-C ends the program.
fn cancel_on_interrupt(interrupt: Arc<AtomicBool>) -> io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::SIGINT;
    use signal_hook::flag::{register, register_conditional_default};
    let loaded = Arc::new(AtomicBool::new(false));
    // The handlers run in this order.
    register_conditional_default(SIGINT, loaded.clone())?;
    register(SIGINT, loaded.clone())?;
    register(SIGINT, interrupt)?;
    Ok(loaded)
}

/// The options of the full-screen interface, which starts a pass unless commands were given.
fn tui_options(options: &Options, actions: &[Action], warning: Option<String>, drives: bool) -> TuiOptions {
    let mut banner = match options.quiet {
        true => Vec::new(),
        false => vec![format!(
            "llmdbg {}. Type a command, or press Esc for single keys: s steps, q quits. ? lists them, help lists commands.",
            env!("CARGO_PKG_VERSION")
        )],
    };
    let history = History::default_file();
    if !options.quiet && history.as_deref().is_some_and(|file| !file.exists()) {
        banner.push("New here? Run `llmdbg tour` for a ten-step tour. M-x finds a command by a few letters.".into());
    }
    banner.extend(warning);
    let mut actions = actions.to_vec();
    if !drives || options.connect.is_some() && !options.actions.is_empty() {
        // Where it is, is the business of whoever drives.
    } else if options.connect.is_none() && actions.is_empty() {
        actions.push(Action::Command("start".to_string()));
    } else if options.connect.is_some() || options.actions.is_empty() {
        // Whatever an init file or another frontend did: a pass is started, and one that was started stays where it is.
        actions.push(Action::Command("start -keep".to_string()));
    }
    TuiOptions {
        model: options.model.clone().or(options.connect.clone()).unwrap_or_else(|| bundled::DEFAULT.to_string()),
        ascii: options.ascii,
        color: match options.color {
            ColorChoice::Never => Some(ColorDepth::Mono),
            ColorChoice::Always => Some(ColorDepth::Indexed),
            ColorChoice::Auto => None,
        },
        actions,
        keep_going: options.keep_going,
        banner,
        history,
        log: options.log.clone(),
        tour: false,
    }
}

/// The error output, made safe for the terminal.
fn stderr() -> Shown<io::Stderr> {
    Shown::with_progress(io::stderr())
}

/// Prints something and exits. It is not a failure if the reader has gone away.
fn printed(print: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> color_eyre::Result<ExitCode> {
    match print(&mut Shown::new(io::stdout())) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Trusts the init file of a project.
fn trust_file(file: &Path) -> color_eyre::Result<ExitCode> {
    let Some(trust) = Trust::of_user() else { return usage("there is no home folder to record trusted files in") };
    match trust.add(file) {
        Ok(path) => printed(|out| writeln!(out, "{} is trusted until it changes", path.display())),
        Err(error) => {
            writeln!(stderr(), "llmdbg: {error}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Runs a session that no person sees, whose diagnostics go to the log that its options name.
fn logged(options: &Options, run: impl FnOnce(&Options) -> color_eyre::Result<i32>) -> color_eyre::Result<ExitCode> {
    if let Some(file) = &options.log
        && let Err(error) = log_to(file)
    {
        return usage(&format!("cannot write the log {}: {error}", file.display()));
    }
    // The system keeps the low byte of a status.
    Ok(ExitCode::from(run(options)? as u8))
}

/// Joins input and output to the socket of a server.
fn attach(socket: &Path) -> color_eyre::Result<ExitCode> {
    match remote::relay(socket) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            writeln!(stderr(), "llmdbg: {error}")?;
            Ok(ExitCode::from(frontend::MODEL_FAILED as u8))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Sends diagnostics to `file`, never to the screen.
fn log_to(file: &Path) -> io::Result<()> {
    File::create(file)?;
    // What drivers write to standard error goes to the same file (`term::quiet`), so every line is put at its end.
    let file = File::options().append(true).open(file)?;
    let levels = Targets::new().with_default(LevelFilter::INFO).with_target("llmdbg", LevelFilter::DEBUG);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file));
    tracing_subscriber::registry().with(lines.with_filter(levels)).init();
    Ok(())
}

/// Reports a mistake on the command line that shows only when it is tried.
fn usage(message: &str) -> color_eyre::Result<ExitCode> {
    writeln!(stderr(), "llmdbg: {message}")?;
    Ok(ExitCode::from(2))
}
