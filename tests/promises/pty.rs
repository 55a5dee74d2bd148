//! Promise: on a terminal the program shows its screen, obeys keys at every size, and gives the terminal back as it was,
//! also when it is told to end.

#![cfg(unix)]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Longest wait for anything: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so long without a byte, a frame is complete.
const SILENCE: Duration = Duration::from_millis(400);

/// The program on a pseudo-terminal, and what its terminal shows.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    raw: Vec<u8>,
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn cells(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).expect("a terminal has cells")
}

fn parser(rows: u16, cols: u16) -> vt100::Parser {
    vt100::Parser::new(cells(rows), cells(cols), 0)
}

impl Terminal {
    fn start() -> Terminal {
        Terminal::with(&["-nx", "--device", "cpu"], &[])
    }

    /// With these arguments, and more of the environment.
    pub fn with(arguments: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let pair = native_pty_system().openpty(size(24, 80)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_llmdbg"));
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("XDG_CONFIG_HOME", "/nonexistent");
        command.env("XDG_STATE_HOME", "/nonexistent");
        environment.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keyboard = pair.master.take_writer().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, master: pair.master, keyboard, output, screen: parser(24, 80), raw: Vec::new() }
    }

    /// Gives the keyboard to the keys, which the prompt has at the start.
    pub fn use_the_keys(&mut self) {
        self.press("\x1b");
        self.until("the keys", |screen| screen.contains("KEYS"));
    }

    pub fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen is as wanted.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !wanted(&self.contents()) {
            assert!(start.elapsed() < PATIENCE, "{what}: the screen shows\n{}", self.contents());
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(100)) {
                self.screen.process(&bytes);
                self.raw.extend(bytes);
            }
        }
    }

    /// Waits until what was sent to the terminal is as wanted, and returns it.
    pub fn until_sent(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let sent = String::from_utf8_lossy(&self.raw).into_owned();
            if wanted(&sent) {
                return sent;
            }
            assert!(start.elapsed() < PATIENCE, "{what}: the screen shows\n{}", self.contents());
            self.listen(Duration::from_millis(100));
        }
    }

    /// Takes what is sent until nothing has been for so long.
    pub fn listen(&mut self, silence: Duration) {
        while let Ok(bytes) = self.output.recv_timeout(silence) {
            self.screen.process(&bytes);
            self.raw.extend(bytes);
        }
    }

    /// How many bytes keys cost that change the screen.
    pub fn cost(&mut self, keys: &str) -> usize {
        self.listen(SILENCE);
        let before = self.sent();
        self.press(keys);
        let start = Instant::now();
        while self.sent() == before {
            assert!(start.elapsed() < PATIENCE, "{keys:?} changes nothing:\n{}", self.contents());
            self.listen(SILENCE);
        }
        self.sent() - before
    }

    /// How many bytes were sent so far.
    pub fn sent(&self) -> usize {
        self.raw.len()
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    pub fn resize(&mut self, rows: u16, cols: u16) {
        self.screen.screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(size(rows, cols)).unwrap();
    }

    /// Waits for the end; gives the status, and checks that the terminal was given back.
    pub fn ended(mut self) -> u32 {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the program does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(500)) {
            self.screen.process(&bytes);
            self.raw.extend(bytes);
        }
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        assert!(!screen.bracketed_paste(), "pasting is as before");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert!(String::from_utf8_lossy(&self.raw).contains("\x1b[?1049h"), "there was a screen");
        status.exit_code()
    }
}

#[test]
fn the_screen_obeys_keys_at_every_size_and_gives_the_terminal_back() {
    let mut terminal = Terminal::start();
    terminal.until("the first frame", |screen| screen.contains("blocks.0") || screen.contains("embed"));
    terminal.use_the_keys();
    let first = terminal.contents();
    terminal.press("s");
    terminal.until("a step", |screen| screen != first && screen.contains("tokens"));
    terminal.press("n");
    terminal.until("a sibling on", |screen| screen.contains("at op 2"));
    terminal.press("?");
    let before = terminal.contents();
    terminal.until("help", |screen| screen != before && screen.to_lowercase().contains("help"));
    terminal.press("\x1b");
    for (rows, cols) in [(5, 20), (2, 8), (50, 200), (24, 80)] {
        terminal.resize(rows, cols);
        std::thread::sleep(Duration::from_millis(100));
    }
    terminal.until("the frame after resizing", |screen| screen.contains("embed") || screen.contains("tokens"));
    terminal.press(":");
    terminal.press("print 6 * 7\r");
    terminal.until("the answer of a command", |screen| screen.contains("= 42"));
    terminal.press("q");
    terminal.until("the question", |screen| screen.contains("Quit anyway?"));
    terminal.press("n");
    terminal.until("no question", |screen| !screen.contains("Quit anyway?"));
    terminal.press("\x1b");
    terminal.until("the prompt", |screen| screen.contains("PROMPT"));
    terminal.press("quit 7\r");
    terminal.until("the question", |screen| screen.contains("Quit anyway?"));
    terminal.press("y");
    assert_eq!(terminal.ended(), 7);
}

#[test]
fn a_signal_to_end_gives_the_terminal_back() {
    let mut terminal = Terminal::start();
    terminal.until("the first frame", |screen| screen.contains("blocks.0") || screen.contains("embed"));
    let id = terminal.child.process_id().unwrap();
    let killed = std::process::Command::new("kill").args(["-TERM", &id.to_string()]).status().unwrap();
    assert!(killed.success());
    terminal.ended();
}

/// Sends a signal to the program.
fn signal(terminal: &Terminal, name: &str) {
    let id = terminal.child.process_id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
}

fn is_ready(screen: &str) -> bool {
    screen.contains("blocks.0")
}

#[test]
fn a_hang_up_ends_it_within_a_second_and_the_journal_has_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let mut terminal = Terminal::with(&["-nx", "--device", "cpu"], &[("XDG_STATE_HOME", state)]);
    terminal.until("the first frame", is_ready);
    terminal.use_the_keys();
    terminal.press("ll");
    terminal.until("two layers on", |screen| screen.contains("blocks.1"));
    terminal.press(":break L3.attn.pattern\r");
    terminal.until("a breakpoint", |screen| screen.contains("Breakpoint 1"));
    signal(&terminal, "-HUP");
    let start = Instant::now();
    while terminal.child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(5), "it lives on without a terminal");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.elapsed() < Duration::from_secs(1), "gone after {:?}", start.elapsed());
    let journals = std::fs::read_dir(folder.path().join("llmdbg/journals")).unwrap();
    let text: String = journals.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(text.matches("layer").count(), 2, "{text}");
    assert!(text.contains("break L3.attn.pattern"), "{text}");
}

#[test]
fn it_is_suspended_like_any_program_and_paints_itself_again() {
    let mut terminal = Terminal::start();
    terminal.until("the first frame", is_ready);
    terminal.press("\x1a");
    let start = Instant::now();
    let leaves = |raw: &[u8]| String::from_utf8_lossy(raw).matches("\x1b[?1049l").count();
    while leaves(&terminal.raw) == 0 {
        assert!(start.elapsed() < PATIENCE, "it is not suspended");
        terminal.until("anything", |_| true);
        if let Ok(bytes) = terminal.output.recv_timeout(Duration::from_millis(50)) {
            terminal.screen.process(&bytes);
            terminal.raw.extend(bytes);
        }
    }
    // Stopped: the letter T in the process table.
    let id = terminal.child.process_id().unwrap();
    let stat = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let stopped = |stat: String| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'));
    while !stopped(stat()) {
        assert!(start.elapsed() < PATIENCE, "it is not stopped: {}", stat());
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&terminal, "-CONT");
    terminal.until("the screen again", is_ready);
    terminal.press(":print 6 * 7\r");
    terminal.until("an answer", |screen| screen.contains("= 42"));
    terminal.press("\x04y");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn a_poor_terminal_gets_what_it_understands() {
    // Without UTF-8: nothing beyond ASCII.
    for (term, lang) in [("screen", "C"), ("xterm-256color", "C"), ("vt100", "POSIX")] {
        let environment = [("TERM", term), ("LANG", lang), ("LC_ALL", lang)];
        let mut terminal = Terminal::with(&["-nx", "--device", "cpu"], &environment);
        terminal.until("the first frame", is_ready);
        terminal.use_the_keys();
        terminal.press("s");
        terminal.until("a step", |screen| screen.contains("at op 1"));
        terminal.press("h");
        terminal.until("the heads", |screen| screen.contains("all heads"));
        assert!(terminal.raw.is_ascii(), "{term}: beyond ASCII");
        terminal.press("\x04y");
        assert_eq!(terminal.ended(), 0);
    }
    // Screen with UTF-8: no true colour is announced, none is sent.
    let mut terminal = Terminal::with(&["-nx", "--device", "cpu"], &[("TERM", "screen"), ("LANG", "C.UTF-8")]);
    terminal.until("the first frame", is_ready);
    assert!(!String::from_utf8_lossy(&terminal.raw).contains("38;2;"));
    terminal.press("\x04y");
    assert_eq!(terminal.ended(), 0);
    // NO_COLOR: attributes alone.
    let mut terminal = Terminal::with(&["-nx", "--device", "cpu"], &[("NO_COLOR", "1")]);
    terminal.until("the first frame", is_ready);
    terminal.press("step\r");
    terminal.until("a step", |screen| screen.contains("at op 1"));
    let raw = String::from_utf8_lossy(&terminal.raw).into_owned();
    assert!(!raw.contains("38;5;") && !raw.contains("48;5;") && !raw.contains("38;2;"), "colour is sent");
    terminal.press("\x04y");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn a_dumb_terminal_gets_a_prompt_without_escape_sequences() {
    let mut terminal = Terminal::with(&["-nx", "--device", "cpu"], &[("TERM", "dumb")]);
    terminal.until("the prompt", |screen| screen.contains("(llmdbg)"));
    terminal.press("print 6 * 7\r");
    terminal.until("an answer", |screen| screen.contains("= 42"));
    assert!(!String::from_utf8_lossy(&terminal.raw).contains("\x1b[?1049h"));
    terminal.press("quit 3\r");
    let start = Instant::now();
    while terminal.child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_tour_starts_by_its_name() {
    let mut terminal = Terminal::with(&["tour"], &[]);
    terminal.until("the tour", |screen| screen.contains("tour 1 of 10") && is_ready(screen));
    terminal.press("s");
    terminal.until("its second stop", |screen| screen.contains("tour 2 of 10"));
    terminal.press("\x04y");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn settings_of_a_file_count_and_mistakes_in_it_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("llmdbg");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(config.join("settings.toml"), "layout = \"lens\"\nlits-size = 3\ntop-rows = 0\n").unwrap();
    std::fs::write(config.join("layouts.toml"), "[panes]\nlens = \"lens -top 1\"\nbad = \"step\"\n").unwrap();
    let environment = [("XDG_CONFIG_HOME", folder.path().to_str().unwrap())];
    let mut terminal = Terminal::with(&["--device", "cpu"], &environment);
    terminal.resize(40, 120);
    terminal.until("the layout of the file", |screen| screen.contains("that a lens could be put on"));
    terminal.until("the mistakes", |screen| {
        screen.contains("did you mean \"list-size\"?")
            && screen.contains("top-rows must be a whole number of at least 1, not 0")
            && screen.contains("is not one")
    });
    terminal.press(":show layout\r");
    terminal.until("where it comes from", |screen| screen.contains("layout is lens (settings.toml:1"));
    terminal.press("\x04y");
    assert_eq!(terminal.ended(), 0);
}
