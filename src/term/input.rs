//! The thread that reads the terminal and sends what it reads as [`Input`]s.

use std::thread;

use crossbeam_channel::Sender;
use crossterm::event::{self, Event, MouseButton, MouseEvent, MouseEventKind};

use super::{Chord, Signal};

/// Something typed or pasted, or a change of the window's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Key(Chord),
    /// Text pasted in one piece; never interpreted as keys.
    Paste(String),
    Resize(u16, u16),
    Mouse(Mouse),
}

/// What the mouse did, at a column and row of the window counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    pub what: Pointer,
    pub column: u16,
    pub row: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The left button, as in the following two.
    Press,
    Drag,
    Release,
    Move,
    WheelUp,
    WheelDown,
}

impl Mouse {
    /// `None` for what the program does not use.
    fn from_event(event: MouseEvent) -> Option<Mouse> {
        let what = match event.kind {
            MouseEventKind::Down(MouseButton::Left) => Pointer::Press,
            MouseEventKind::Drag(MouseButton::Left) => Pointer::Drag,
            MouseEventKind::Up(MouseButton::Left) => Pointer::Release,
            MouseEventKind::Moved => Pointer::Move,
            MouseEventKind::ScrollUp => Pointer::WheelUp,
            MouseEventKind::ScrollDown => Pointer::WheelDown,
            _ => return None,
        };
        Some(Mouse { what, column: event.column, row: event.row })
    }
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
                Ok(Event::Mouse(mouse)) => Mouse::from_event(mouse).map(Input::Mouse),
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
