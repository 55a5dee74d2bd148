//! The thread that reads the terminal and sends what it reads as [`Input`]s.

use std::thread;

use crossbeam_channel::Sender;
use crossterm::event::{self, Event};

use super::{Chord, Signal};

/// Something typed or pasted, or a change of the window's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Key(Chord),
    /// Text pasted in one piece; never interpreted as keys.
    Paste(String),
    Resize(u16, u16),
}

/// Starts the thread. It ends when the receiver is gone; when the terminal is gone, it sends a [`Signal::Hangup`] and
/// ends.
pub fn spawn(inputs: Sender<Input>, signals: Sender<Signal>) -> std::io::Result<()> {
    thread::Builder::new().name("input".to_string()).spawn(move || {
        loop {
            let input = match event::read() {
                Ok(Event::Key(key)) => Chord::from_event(key).map(Input::Key),
                Ok(Event::Paste(text)) => Some(Input::Paste(text)),
                Ok(Event::Resize(columns, rows)) => Some(Input::Resize(columns, rows)),
                Ok(_) => None,
                Err(_) => {
                    signals.send(Signal::Hangup).ok();
                    return;
                }
            };
            if input.is_some_and(|input| inputs.send(input).is_err()) {
                return;
            }
        }
    })?;
    Ok(())
}
