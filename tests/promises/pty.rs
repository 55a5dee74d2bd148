//! Promise: on a terminal the program shows its screen, obeys keys at every size, and gives the terminal back as it was,
//! also when it is told to end.

#![cfg(unix)]

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Longest wait for anything: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program on a pseudo-terminal, and what its terminal shows.
struct Terminal {
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

impl Terminal {
    fn start() -> Terminal {
        let pair = native_pty_system().openpty(size(24, 80)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_llmdbg"));
        command.args(["-nx", "--device", "cpu"]);
        command.env("TERM", "xterm-256color");
        command.env("XDG_CONFIG_HOME", "/nonexistent");
        command.env("XDG_STATE_HOME", "/nonexistent");
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
        Terminal { child, master: pair.master, keyboard, output, screen: vt100::Parser::new(24, 80, 0), raw: Vec::new() }
    }

    fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !wanted(&self.contents()) {
            assert!(start.elapsed() < PATIENCE, "{what}: the screen shows\n{}", self.contents());
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(100)) {
                self.screen.process(&bytes);
                self.raw.extend(bytes);
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    fn resize(&mut self, rows: u16, cols: u16) {
        self.screen.screen_mut().set_size(rows, cols);
        self.master.resize(size(rows, cols)).unwrap();
    }

    /// Waits for the end; gives the status, and checks that the terminal was given back.
    fn ended(mut self) -> u32 {
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
    let first = terminal.contents();
    terminal.press("s");
    terminal.until("a step", |screen| screen != first && screen.contains("tokens"));
    terminal.press("n");
    terminal.press("b");
    terminal.press("?");
    let before = terminal.contents();
    terminal.until("help", |screen| screen != before && screen.to_lowercase().contains("help"));
    terminal.press("\x1b");
    for (rows, cols) in [(5, 20), (1, 1), (50, 200), (24, 80)] {
        terminal.resize(rows, cols);
        std::thread::sleep(Duration::from_millis(100));
    }
    terminal.until("the frame after resizing", |screen| screen.contains("embed") || screen.contains("tokens"));
    terminal.press(":");
    terminal.press("print 6 * 7\r");
    terminal.until("the answer of a command", |screen| screen.contains("= 42"));
    terminal.press(":quit 7\r");
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
