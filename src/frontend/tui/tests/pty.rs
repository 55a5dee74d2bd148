//! The real terminal layer on a pseudo-terminal: the test program starts itself as the child, in which
//! [`interface_of_a_fake_session`] runs the interface against a fake engine.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::unbounded;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::*;
use crate::frontend::tui::{TuiOptions, run};

/// Set in the child; says what the fake engine is to do.
const VARIABLE: &str = "LLMDBG_TEST_SESSION";

const ROWS: NonZeroU16 = NonZeroU16::new(24).expect("rows");
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).expect("columns");

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Not a test of its own: the child of the tests below.
#[test]
fn interface_of_a_fake_session() {
    let Ok(behaviour) = std::env::var(VARIABLE) else { return };
    let (requests, received) = unbounded();
    let (sender, events) = unbounded();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        let snapshot = fixture::snapshot_at("blocks.2.attn.pattern");
        sender.send(Event::Ready(Arc::new(snapshot.clone()))).ok();
        for request in received {
            let event = match request {
                Request::Panel(request) => {
                    let panel = Ok(fixture::panel(&snapshot, &request));
                    Event::Panel { request, panel }
                }
                Request::Query { line } => {
                    let answer = fixture::answer(&line);
                    Event::Queried { line, answer }
                }
                Request::Check { line } => Event::Checked { line, fault: None },
                Request::Command { line, .. } if line.starts_with("quit") => Event::Quit(7),
                Request::Command { id, line, .. } => {
                    eprintln!("a driver complains");
                    let answer = Answer::Stop(fixture::stop());
                    answered(id, line, answer)
                }
                Request::Complete { .. } => Event::Completions { start: 0, candidates: Vec::new() },
                Request::Script { .. } | Request::Shutdown => return,
            };
            sender.send(event).ok();
        }
    });
    if behaviour == "panic" {
        let screen = crate::term::Screen::enter(None).expect("a terminal");
        thread::sleep(Duration::from_millis(200));
        assert!(behaviour.is_empty(), "the interface fell over");
        drop(screen);
    }
    let options = TuiOptions { model: "tiny-gpt2".to_string(), ..TuiOptions::default() };
    let status = run(requests, events, Arc::new(AtomicBool::new(false)), options).expect("an interface");
    signal_hook::low_level::exit(status);
}

/// A child on its pseudo-terminal.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Option<Box<dyn MasterPty + Send>>,
    keyboard: Box<dyn Write + Send>,
    output: Arc<Mutex<Vec<u8>>>,
    /// Ends the reader after the next output: it holds the pseudo-terminal open.
    unread: Arc<AtomicBool>,
}

impl Terminal {
    fn start(behaviour: &str, variables: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: ROWS.get(), cols: COLUMNS.get(), pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this program"));
        let name = "frontend::tui::tests::pty::interface_of_a_fake_session";
        command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
        for variable in ["NO_COLOR", "COLORTERM", "LC_ALL", "LC_CTYPE", "TMUX", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        for (name, value) in [(VARIABLE, behaviour), ("TERM", "xterm-256color"), ("LANG", "C.UTF-8")] {
            command.env(name, value);
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("a child");
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let keyboard = pair.master.take_writer().expect("its keyboard");
        let output = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&output);
        let unread = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&unread);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = reader.read(&mut bytes) {
                if count == 0 || stop.load(Ordering::SeqCst) {
                    return;
                }
                written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, master: Some(pair.master), keyboard, output, unread }
    }

    fn output(&self) -> Vec<u8> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn screen(&self) -> vt100::Parser {
        let mut parser = vt100::Parser::new(ROWS, COLUMNS, 100);
        parser.process(&self.output());
        parser
    }

    fn type_text(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("typed");
        self.keyboard.flush().expect("typed");
    }

    /// Waits until the screen holds `text`.
    fn await_text(&self, text: &str) {
        let start = Instant::now();
        while !self.screen().screen().contents().contains(text) {
            assert!(start.elapsed() < PATIENCE, "no \"{text}\" in:\n{}", self.screen().screen().contents());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn await_exit(&mut self) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                thread::sleep(Duration::from_millis(100));
                return status.exit_code();
            }
            assert!(start.elapsed() < PATIENCE, "the child does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The screen is no longer the alternate one and the cursor can be seen.
    fn assert_restored(&self) {
        let parser = self.screen();
        assert!(!parser.screen().alternate_screen());
        assert!(!parser.screen().hide_cursor());
        assert!(!parser.screen().bracketed_paste());
    }
}

#[test]
fn a_session_starts_steps_and_leaves_its_last_stop_behind() {
    let mut terminal = Terminal::start("plain", &[]);
    terminal.await_text("pos 13");
    terminal.type_text("\x1b");
    terminal.await_text("KEYS");
    terminal.type_text("s");
    terminal.await_text("Breakpoint 2");
    assert!(terminal.screen().screen().alternate_screen());
    assert!(!terminal.screen().screen().contents().contains("a driver complains"));
    terminal.type_text("q");
    terminal.await_text("Quit anyway?");
    terminal.type_text("y");
    assert_eq!(terminal.await_exit(), 7);
    terminal.assert_restored();
    assert!(terminal.screen().screen().contents().contains("Breakpoint 2, blocks.2.attn.scores"));
}

#[test]
fn without_colour_no_colour_is_sent_and_reverse_video_survives() {
    let mut terminal = Terminal::start("plain", &[("NO_COLOR", "1"), ("LANG", "C")]);
    terminal.await_text("pos 13");
    terminal.type_text("step\r");
    terminal.await_text("Breakpoint 2");
    let output = String::from_utf8_lossy(&terminal.output()).to_string();
    assert!(output.is_ascii(), "LANG=C");
    assert!(!output.contains("[38;") && !output.contains("[48;"), "colours");
    let parser = terminal.screen();
    assert!(parser.screen().cell(0, 1).is_some_and(vt100::Cell::inverse), "the status line");
    terminal.type_text("quit\r");
    terminal.await_text("Quit anyway?");
    terminal.type_text("y");
    terminal.await_exit();
}

#[test]
fn a_terminal_that_vanishes_ends_the_program() {
    let mut terminal = Terminal::start("plain", &[]);
    terminal.await_text("pos 13");
    terminal.unread.store(true, Ordering::SeqCst);
    terminal.type_text("j");
    thread::sleep(Duration::from_millis(300));
    terminal.keyboard = Box::new(std::io::sink());
    terminal.master = None;
    let start = Instant::now();
    while terminal.child.try_wait().expect("a child").is_none() {
        assert!(start.elapsed() < PATIENCE, "the child lives on without a terminal");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn termination_restores_the_terminal() {
    let mut terminal = Terminal::start("plain", &[]);
    terminal.await_text("pos 13");
    let process = terminal.child.process_id().expect("a process").to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &process]).status().expect("kill").success());
    assert_eq!(terminal.await_exit(), 143);
    terminal.assert_restored();
}

#[test]
fn a_panic_restores_the_terminal_before_its_message() {
    let mut terminal = Terminal::start("panic", &[]);
    assert_ne!(terminal.await_exit(), 0);
    terminal.assert_restored();
    assert!(terminal.screen().screen().contents().contains("the interface fell over"));
}

#[test]
fn an_idle_screen_sends_nothing_and_a_small_one_does_not_fail() {
    let mut terminal = Terminal::start("plain", &[]);
    terminal.await_text("pos 13");
    thread::sleep(Duration::from_millis(300));
    let before = terminal.output().len();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(terminal.output().len(), before);
    if let Some(master) = &terminal.master {
        master.resize(PtySize { rows: 5, cols: 20, pixel_width: 0, pixel_height: 0 }).expect("resized");
    }
    terminal.await_text("llmdbg needs 40x10");
    // Ctrl-D, and yes.
    terminal.type_text("\x04y");
    assert_eq!(terminal.await_exit(), 7);
}
