//! The threads that read the terminal and send what they read as [`Input`]s.
//!
//! The bytes of the terminal are decoded here and not by the terminal library, which reads the answer to a query of the
//! kitty protocol as typed text, and has no way to hand out the answers that it knows.

mod decode;
mod mouse;
mod sequences;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use crossbeam_channel::Sender;
use decode::Decoder;
pub use mouse::{Mouse, Pointer};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;

use super::graphics::query::{self, Answer};
use super::{Chord, Signal, capabilities, descriptors};
use crate::model::file;

/// Something typed or pasted, a change of the window's size, or an answer of the terminal.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Key(Chord),
    /// Text pasted in one piece; never interpreted as keys.
    Paste(String),
    Resize(u16, u16),
    Mouse(Mouse),
    Answer(Answer),
}

/// Bytes that are read at once.
const AT_ONCE: usize = 4096;

/// Starts the threads. They end when the receiver is gone; when the terminal is gone, a [`Signal::Hangup`] is sent.
pub fn spawn(inputs: Sender<Input>, signals: Sender<Signal>) -> io::Result<()> {
    watch_size(inputs.clone())?;
    let mut terminal = terminal()?;
    thread::Builder::new().name("input".to_string()).spawn(move || {
        if read(&mut terminal, &inputs).is_err() {
            signals.send(Signal::Hangup).ok();
        }
    })?;
    Ok(())
}

/// Standard input if it is the terminal, or else the terminal of the process.
fn terminal() -> io::Result<File> {
    let stdin = io::stdin();
    if stdin.is_terminal() { stdin.as_fd().try_clone_to_owned().map(File::from) } else { file::terminal() }
}

/// Reads until nobody listens. Fails when the terminal is gone.
fn read(terminal: &mut File, inputs: &Sender<Input>) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut bytes = [0; AT_ONCE];
    loop {
        let patience = decoder.due(query::is_awaited()).map(|due| due.saturating_duration_since(Instant::now()));
        if descriptors::wait_for_input(terminal.as_fd(), patience)? {
            match terminal.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => decoder.feed(&bytes[..count], Instant::now()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        while let Some(input) = decoder.next(Instant::now(), query::is_awaited()) {
            if let Input::Answer(answer) = &input {
                query::note(answer);
            }
            if inputs.send(input).is_err() {
                return Ok(());
            }
        }
    }
}

/// Reports changes of the window's size.
fn watch_size(inputs: Sender<Input>) -> io::Result<()> {
    let mut changes = Signals::new([SIGWINCH])?;
    thread::Builder::new().name("size".to_string()).spawn(move || {
        for _ in changes.forever() {
            if capabilities::size().is_ok_and(|(columns, rows)| inputs.send(Input::Resize(columns, rows)).is_err()) {
                return;
            }
        }
    })?;
    Ok(())
}
